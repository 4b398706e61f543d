"""A media node with trunks on real sockets: whose calls it takes, limits, overflow, draining, registrations."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from telephony.sip.auth import Credentials
from tests.contract.trunk_plan import NUMBER, events, health, load, trunk, until_state
from tests.fakes.carrier import running_carrier
from tests.fakes.node import running_node

# --------------------------------------------------------------------------------- calls in


async def test_a_call_by_a_trunk_reaches_its_agent(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier, trusted=True))
        carrier.call(
            "0301234567",
            node.configuration.sip.port,
            headers=(
                ("P-Asserted-Identity", "<tel:+49305550100>"),
                ("User-to-User", "48656c6c6f;encoding=hex"),
                ("X-Order", "7"),
            ),
        )
        await carrier.until(lambda: carrier.answered)
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["called"], row["caller"]) == (NUMBER, "+49305550100")
        started = (await events(node, row["call"] if "call" in row else row["id"]))[0]["event"]
        assert started["variables"]["x-order"] == "7"
        assert started["variables"]["user-to-user"] == "Hello"
        assert (await health(node))["trunks"]["carrier"]["calls"] == 1
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)
        assert (await health(node))["trunks"]["carrier"]["calls"] == 0


@pytest.mark.parametrize(
    ("number", "sdp", "status"),
    [
        ("+4930999", None, 404),
        ("+4930998", None, 403),
        (NUMBER, b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n", 488),
    ],
)  # fmt: skip
async def test_codes_488_404_403_not_400(
    tmp_path: Path, number: str, sdp: bytes | None, status: int
) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        forbidden = {"number": "+4930998", "refuse": {"status": 403}}
        routes = [{"number": NUMBER, "agent": "tone", "version": 1}, forbidden]
        await load(node, trunk(carrier), routes=routes)
        carrier.call(number, node.configuration.sip.port, sdp=sdp)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == status
        assert (await health(node))["trunks"]["carrier"]["calls"] == 0


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (
            {"forward": {"trunk": "carrier", "number": "+1900555", "overflow": {"refuse": {"status": 486}}}},
            486,
        ),
        ({"forward": {"trunk": "carrier", "number": "+1900555"}}, 403),
        ({"queue": "empty"}, 603),
    ],
)  # fmt: skip
async def test_a_call_that_nobody_can_take_is_refused_as_the_rule_says_and_never_answered(
    tmp_path: Path, target: dict[str, Any], status: int
) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        queue = {"name": "empty", "persons": [], "overflow": {"refuse": {"status": 603}}}
        routes = [{"number": NUMBER, **target}]
        await load(node, trunk(carrier), routes=routes, queues=[queue])
        carrier.call(NUMBER, node.configuration.sip.port)
        await carrier.until(lambda: carrier.ended)
        assert (carrier.ended[0].status, carrier.answered) == (status, [])


async def test_a_call_goes_on_to_its_end_when_its_trunk_is_taken_away(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        carrier.call(NUMBER, node.configuration.sip.port)
        await carrier.until(lambda: carrier.answered)
        await load(node, {"name": "other", "hosts": ["127.0.0.77:5060"], "ping_s": 0})
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["state"], row["end_cause"]) == ("ended", "caller_hung_up")


async def test_a_stranger_beside_a_trunk_gets_no_reply(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as stranger:
        elsewhere = {"name": "carrier", "hosts": ["127.0.0.77:5060"], "ping_s": 0}
        await load(node, elsewhere)
        stranger.call(NUMBER, node.configuration.sip.port)
        await asyncio.sleep(0.5)
        assert (stranger.rung, stranger.ended) == ([], [])
        assert (await health(node))["sip"]["dropped"]["unknown_source"] >= 1
        stranger.engine.events()


async def test_trunk_mismatch_is_not_called_flood(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier, transport="tls"))
        carrier.call(NUMBER, node.configuration.sip.port)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 403
        sip = (await health(node))["sip"]
        assert sip["calls"]["trunk_mismatch"] == 1
        assert "over_rate" not in sip["dropped"]


async def test_a_trunk_that_is_challenged_proves_itself(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        secret: dict[str, Any] = {"username": "u1", "password": "p1", "challenge_inbound": True}
        await load(node, trunk(carrier, **secret))
        port = node.configuration.sip.port
        carrier.call(NUMBER, port, credentials=Credentials("u1", "wrong"))
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status in {401, 403, 407}
        carrier.call(NUMBER, port, credentials=Credentials("u1", "p1"))
        await carrier.until(lambda: carrier.answered)
        carrier.hang_up()
        await carrier.until(lambda: len(carrier.ended) == 2)


async def test_a_full_trunk_gets_503_and_another_does_not_notice(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path) as node,
        running_carrier() as full,
        running_carrier() as other,
    ):
        await load(node, trunk(full, "full", max_calls=1), trunk(other, "other"))
        port = node.configuration.sip.port
        full.call(NUMBER, port)
        await full.until(lambda: full.answered)
        full.call(NUMBER, port)
        await full.until(lambda: full.ended)
        assert full.ended[0].status == 503
        other.call(NUMBER, port)
        await other.until(lambda: other.answered)
        trunks = (await health(node))["trunks"]
        assert trunks["full"]["counters"]["trunk_full"] == 1
        full.hang_up()
        other.hang_up()
        await other.until(lambda: other.ended)


async def test_a_node_without_a_free_agent_takes_the_next_rule(tmp_path: Path) -> None:
    async with running_node(tmp_path, listens_to=1) as node, running_carrier() as carrier:
        rules = [
            {
                "number": NUMBER,
                "agent": "tone",
                "version": 1,
                "when": {"load": {"node_calls_below": 100}},
            },
            {"number": NUMBER, "refuse": {"status": 486}},
        ]
        await load(node, trunk(carrier), routes=rules)
        port = node.configuration.sip.port
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.answered)
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 486
        carrier.hang_up()
        await carrier.until(lambda: len(carrier.ended) == 2)


async def test_a_draining_node_tells_options_and_invites_at_once(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        port = node.configuration.sip.port
        carrier.ask(port)
        await carrier.until(lambda: carrier.options == [200])
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.answered)
        await node.ask("node.drain", on=True)
        carrier.ask(port)
        await carrier.until(lambda: carrier.options == [200, 503], 1.0)
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 503
        assert (await health(node))["calls"] == 1, "the call that was up goes on"
        await node.ask("node.drain", on=False)
        carrier.ask(port)
        await carrier.until(lambda: carrier.options == [200, 503, 200])
        carrier.hang_up()
        await carrier.until(lambda: len(carrier.ended) == 2)


# --------------------------------------------------------------------------------- registrations, changes


async def test_the_node_registers_and_takes_it_back(tmp_path: Path) -> None:
    async with running_carrier() as carrier:
        async with running_node(tmp_path) as node:
            await load(node, trunk(carrier, register=True, username="u1", password="p1"))
            await carrier.until(lambda: carrier.registered)
            assert carrier.registered[0].registration.aor.startswith("sip:u1@127.0.0.1")
            await until_state(node, "registered")
        await carrier.until(lambda: len(carrier.registered) == 2)
        assert carrier.registered[1].registration.expires == 0


async def test_a_trunk_that_answers_pings_is_up(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier, ping_s=30))
        await until_state(node, "up")


async def test_another_table_counts_for_new_calls_and_leaves_those_that_are_up(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        port = node.configuration.sip.port
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.answered)
        await load(node, trunk(carrier, max_calls=1))
        carrier.call(NUMBER, port)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 503
        assert (await health(node))["calls"] == 1
        carrier.hang_up()
        await carrier.until(lambda: len(carrier.ended) == 2)
