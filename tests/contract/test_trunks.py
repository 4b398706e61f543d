"""A media node with trunks on real sockets: calls in and out, limits, failover, registrations, draining."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import RequestError
from telephony.sip.auth import Credentials
from telephony.sip.session import EndKind
from tests.fakes.carrier import (
    Carrier,
    is_silent,
    refuses,
    rings,
    running_carrier,
)
from tests.fakes.node import RunningNode, running_node, snapshot

NUMBER = "+49301234567"


def trunk(carrier: Carrier, name: str = "carrier", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "hosts": [carrier.host],
        "country": "49",
        "allowed_prefixes": ["+49"],
        "caller_ids": ["+4930555000"],
        "ping_s": 0,
        **more,
    }


def plan(*trunks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    base = snapshot(seconds=30)
    return {
        **base,
        "revision": 2,
        "routes": [{"number": NUMBER, "agent": "tone", "version": 1}],
        "trunks": list(trunks),
        "outbound": {"agents": [{"agent": "tone"}]},
        **more,
    }


async def load(node: RunningNode, *trunks: Mapping[str, Any], **more: Any) -> None:
    await node.ask("config.load", snapshot=plan(*trunks, **more))


async def dial(node: RunningNode, **more: Any) -> str:
    args = {"agent": "tone", "destination": NUMBER, "id": "1", **more}
    return str((await node.ask("outbound.dial", **args))["call"])


async def events(node: RunningNode, call: str) -> list[Mapping[str, Any]]:
    return list((await node.ask("calls.events", call=call))["events"])


async def ended(node: RunningNode, call: str) -> list[Mapping[str, Any]]:
    async with asyncio.timeout(8):
        while True:
            found = await events(node, call)
            if found and found[-1]["kind"] == "CallEnded":
                return found
            await asyncio.sleep(0.02)


def of_kind(found: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event["event"] for event in found if event["kind"] == kind]


async def health(node: RunningNode) -> Mapping[str, Any]:
    return (await node.ask("node.health"))["health"]


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
        (NUMBER, b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n", 488),
    ],
)  # fmt: skip
async def test_a_call_that_cannot_be_taken_is_refused_for_what_it_is(
    tmp_path: Path, number: str, sdp: bytes | None, status: int
) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        carrier.call(number, node.configuration.sip.port, sdp=sdp)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == status
        assert (await health(node))["trunks"]["carrier"]["calls"] == 0


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
        secret = {"username": "u1", "password": "p1", "challenge_inbound": True}
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


# --------------------------------------------------------------------------------- calls out


async def test_a_call_that_we_place_is_answered_and_measured(tmp_path: Path) -> None:
    def ring_then_answer(carrier: Carrier, session: Any, sdp: bytes | None) -> None:
        carrier.ring(session)
        carrier.answer(session, sdp)

    async with running_node(tmp_path) as node, running_carrier(ring_then_answer) as carrier:
        await load(node, trunk(carrier, number_format="plain", send_pai=True, prefix="77"))
        call = await dial(node, variables={"x-order": "7", "topic": "refund"})
        assert await dial(node) == call, "a repeated id places no second call"
        await carrier.until(lambda: len(carrier.invites) == 1 and carrier.sessions)
        invite = carrier.invites[0]
        assert invite.uri.user == "7749301234567"
        assert invite.from_.uri.user == "4930555000"
        assert "4930555000" in (invite.headers.first("P-Asserted-Identity") or "")
        assert invite.headers.first("X-Order") == "7"
        await until_up(node)
        carrier.hang_up()
        found = await ended(node, call)
        [measured] = of_kind(found, "TrunkMeasured")
        assert (measured["status"], measured["answered"]) == (200, True)
        assert measured["pdd_ms"] < 2000
        assert of_kind(found, "LegRinging")
        assert found[-1]["event"]["by"] == "caller"
        state = (await health(node))["trunks"]["carrier"]
        assert (state["calls"], state["counters"]["answered"]) == (0, 1)


async def until_up(node: RunningNode) -> None:
    async with asyncio.timeout(6):
        while all(row["state"] == "ringing" for row in (await node.ask("calls.rows"))["rows"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (refuses(486), "busy"),
        (refuses(480), "no_answer"),
        (refuses(603), "declined"),
        (refuses(404), "unknown_number"),
        (refuses(302, ("Contact", "<sip:+1900555@evil.test>")), "redirected"),
    ],
)
async def test_a_call_that_nobody_takes_says_why(
    tmp_path: Path, behaviour: Any, cause: str
) -> None:
    async with running_node(tmp_path) as node, running_carrier(behaviour) as carrier:
        await load(node, trunk(carrier))
        found = await ended(node, await dial(node))
        assert found[-1]["event"]["cause"] == cause
        assert len(carrier.invites) == 1
        assert [m["answered"] for m in of_kind(found, "TrunkMeasured")] == [False]


async def test_a_phone_that_rings_too_long_is_cancelled(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(rings) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node, ring_s=5)
        found = await ended(node, call)
        assert found[-1]["event"]["cause"] == "no_answer"
        assert carrier.ended[0].kind is EndKind.CANCELLED


async def test_early_media_is_told_and_then_answered(tmp_path: Path) -> None:
    offers: list[bytes | None] = []

    def early(carrier: Carrier, session: Any, sdp: bytes | None) -> None:
        offers.append(sdp)
        carrier.early(session, sdp)

    async with running_node(tmp_path) as node, running_carrier(early) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node)
        await carrier.until(lambda: carrier.sessions)
        await asyncio.sleep(0.2)
        ringing = of_kind(await events(node, call), "LegRinging")
        assert any(event["early_media"] for event in ringing)
        carrier.answer(carrier.sessions[0], offers[0])  # type: ignore[arg-type] - theirs came in
        await until_up(node)
        carrier.hang_up()
        await ended(node, call)


async def test_the_next_host_is_tried_after_a_503_before_anybody_rang(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path) as node,
        running_carrier(refuses(503)) as first,
        running_carrier() as second,
    ):
        await load(node, trunk(first, hosts=[first.host, second.host]))
        call = await dial(node)
        await until_up(node)
        assert (len(first.invites), len(second.invites)) == (1, 1)
        second.hang_up()
        found = await ended(node, call)
        assert [m["status"] for m in of_kind(found, "TrunkMeasured")] == [503, 200]


async def test_the_next_trunk_is_tried_when_the_first_is_away(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as second:
        away = {**trunk(second, "away"), "hosts": ["127.0.0.1:9"]}
        await load(node, away, trunk(second, "second"))
        call = await dial(node)
        async with asyncio.timeout(8):
            await until_up(node)
        second.hang_up()
        await ended(node, call)


async def test_no_second_invite_once_a_phone_may_have_rung(tmp_path: Path) -> None:
    def ring_then_fail(carrier: Carrier, session: Any, sdp: bytes | None) -> None:
        carrier.ring(session)
        carrier.reject(session, 503)

    async with (
        running_node(tmp_path) as node,
        running_carrier(ring_then_fail) as first,
        running_carrier() as second,
    ):
        await load(node, trunk(first, hosts=[first.host, second.host]))
        found = await ended(node, await dial(node))
        assert found[-1]["event"]["cause"] == "unavailable"
        assert second.invites == []


async def test_a_call_that_is_ended_while_it_rings_is_cancelled(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(rings) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node)
        await carrier.until(lambda: carrier.sessions)
        await node.ask("desk.end", call=call, who="ann", id="9")
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].kind is EndKind.CANCELLED
        assert (await health(node))["trunks"]["carrier"]["calls"] == 0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"destination": "+1900555000"}, "destination"),
        ({"destination": "sip:+49301@evil.test"}, "foreign_host"),
        ({"destination": f"{NUMBER};phone-context=+1"}, "parameters"),
        ({"agent": "nobody"}, "unknown_agent"),
        ({"trunk": "none"}, "unknown_trunk"),
        ({"caller_id": "+4911122233"}, "caller_id"),
        ({"ring_s": 4}, "message"),
    ],
)
async def test_what_the_rules_do_not_allow_is_not_dialled(
    tmp_path: Path, more: dict[str, Any], code: str
) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        with pytest.raises(RequestError) as refused:
            await dial(node, **more)
        assert refused.value.code == code
        assert carrier.invites == []
        assert (await node.ask("calls.rows"))["rows"] == []


async def test_calls_of_a_trunk_count_whichever_way_they_go(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier, max_calls=1))
        carrier.call(NUMBER, node.configuration.sip.port)
        await carrier.until(lambda: carrier.answered)
        with pytest.raises(RequestError) as refused:
            await dial(node)
        assert refused.value.code == "calls"
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)
        carrier.on_invite = is_silent
        assert await dial(node)


# --------------------------------------------------------------------------------- registrations, changes


async def until_state(node: RunningNode, state: str) -> None:
    async with asyncio.timeout(4):
        while (await health(node))["trunks"]["carrier"]["state"] != state:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.02)


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
