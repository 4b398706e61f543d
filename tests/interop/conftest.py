"""One running product for all calls from other people's programs; a missing program fails the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.running_product import RunningProduct, running_product

PROGRAMS = ("sipp", "baresip", "flite", "sox", "kamailio", "sipsak")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.fail(f"missing programs: {', '.join(missing)}; `make setup-test` installs them")
    with running_product(
        tmp_path_factory.mktemp("product"), VOICEAPP_WEBRTC_ADDRESSES="127.0.0.1"
    ) as running:
        yield running
