"""One running product for all calls from other people's programs; a missing program fails the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.fakes.certificates import Authority
from tests.interop.office import Office, open_office
from tests.ports import free_ports
from tests.running_product import RunningProduct, running_product

PROGRAMS = ("sipp", "baresip", "flite", "sox", "kamailio", "sipsak")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the product's certificate."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Known to its trunks and phones alone."""
    _check_programs()
    with open_office(tmp_path_factory.mktemp("office")) as made:
        yield made


def _check_programs() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.fail(f"missing programs: {', '.join(missing)}; `make setup-test` installs them")


@pytest.fixture(scope="session")
def product(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[RunningProduct]:
    """Open to this machine, with TLS and a registrar."""
    _check_programs()
    certificate, key = authority.issue("127.0.0.1", "::1")
    [tls] = free_ports(1)
    with running_product(
        tmp_path_factory.mktemp("product"),
        VOICEAPP_WEBRTC_ADDRESSES="127.0.0.1",
        VOICEAPP_SIP_ALLOW="127.0.0.0/8,::1/128",
        VOICEAPP_SIP_TLS=f"127.0.0.1:{tls}",
        VOICEAPP_SIP_TLS_CERTIFICATE=certificate,
        VOICEAPP_SIP_TLS_KEY=key,
        VOICEAPP_REGISTRAR="1",
        VOICEAPP_SIP_DIGEST="MD5",  # baresip and sipp give up on a challenge with any other
    ) as running:
        yield running
