"""A trunk over TLS with SRTP: certificates of one authority, keys in the SDP, both ways."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from telephony.sdp.offer_answer import SrtpPolicy
from tests.contract.trunk_plan import NUMBER, dial, ended, health, load, trunk, until_up
from tests.fakes.carrier import Carrier, running_carrier
from tests.fakes.certificates import Authority
from tests.fakes.node import running_node
from tests.ports import free_range

SECURE: dict[str, Any] = {"transport": "tls", "srtp": "required"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def served(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue("127.0.0.1")
    return {
        "VOICEAPP_SIP_TLS": f"127.0.0.1:{free_range(2)}",
        "VOICEAPP_SIP_TLS_CERTIFICATE": certificate,
        "VOICEAPP_SIP_TLS_KEY": key,
        "VOICEAPP_SIP_TLS_CA": str(authority.file),
    }


def keep_keys(carrier: Carrier) -> None:
    carrier.capabilities = replace(
        carrier.capabilities, srtp=SrtpPolicy.REQUIRED, new_key=secrets.token_bytes
    )


async def test_a_call_by_tls_reaches_its_agent_with_srtp(
    tmp_path: Path, authority: Authority
) -> None:
    async with (
        running_node(tmp_path, {"seconds": 30}, **served(authority)) as node,
        running_carrier(tls=authority.settings("127.0.0.1")) as carrier,
    ):
        keep_keys(carrier)
        await load(node, trunk(carrier, **SECURE))
        tls = node.configuration.sip_tls
        assert tls is not None
        carrier.call(NUMBER, tls.port)
        await carrier.until(lambda: carrier.answered or carrier.ended)
        assert carrier.answered
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)


async def test_a_call_out_goes_by_tls_with_srtp(tmp_path: Path, authority: Authority) -> None:
    async with (
        running_node(tmp_path, {"seconds": 30}, **served(authority)) as node,
        running_carrier(tls=authority.settings("127.0.0.1")) as carrier,
    ):
        keep_keys(carrier)
        await load(node, trunk(carrier, **SECURE))
        call = await dial(node)
        await until_up(node)
        assert carrier.sessions[0].flow.secure
        assert b"a=crypto" in carrier.invites[0].body
        carrier.hang_up()
        await ended(node, call)


async def test_a_trunk_that_wants_srtp_is_not_taken_without_it(
    tmp_path: Path, authority: Authority
) -> None:
    async with (
        running_node(tmp_path, **served(authority)) as node,
        running_carrier(tls=authority.settings("127.0.0.1")) as carrier,
    ):
        await load(node, trunk(carrier, **SECURE))
        tls = node.configuration.sip_tls
        assert tls is not None
        carrier.call(NUMBER, tls.port)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 488
        assert (await health(node))["sip"]["tls_port"] == tls.port


async def test_a_peer_of_another_authority_is_not_called(
    tmp_path: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Authority(tmp_path_factory.mktemp("other"), "Other CA")
    async with (
        running_node(tmp_path, **served(authority)) as node,
        running_carrier(tls=other.settings("127.0.0.1")) as carrier,
    ):
        await load(node, trunk(carrier, **SECURE))
        await ended(node, await dial(node))
        assert carrier.invites == []
