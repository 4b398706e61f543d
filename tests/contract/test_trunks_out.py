"""Calls that a media node places on real sockets: rules, ringing, early media, failover, outcomes."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import RequestError
from telephony.sip.session import EndKind, IncomingSession
from tests.contract.trunk_plan import (
    NUMBER,
    dial,
    end_of,
    ended,
    events,
    health,
    load,
    of_kind,
    trunk,
    until_up,
)
from tests.fakes.carrier import Carrier, is_silent, refuses, rings, running_carrier
from tests.fakes.node import running_node

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
        assert end_of(found)["by"] == "caller"
        state = (await health(node))["trunks"]["carrier"]
        assert (state["calls"], state["counters"]["answered"]) == (0, 1)


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
        assert end_of(found)["cause"] == cause
        assert len(carrier.invites) == 1
        assert [m["answered"] for m in of_kind(found, "TrunkMeasured")] == [False]


async def test_a_phone_that_rings_too_long_is_cancelled(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(rings) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node, ring_s=5)
        found = await ended(node, call)
        assert end_of(found)["cause"] == "no_answer"
        assert carrier.ended[0].kind is EndKind.CANCELLED


async def test_early_media_is_told_and_then_answered(tmp_path: Path) -> None:
    offers: list[tuple[IncomingSession, bytes | None]] = []

    def early(carrier: Carrier, session: IncomingSession, sdp: bytes | None) -> None:
        offers.append((session, sdp))
        carrier.early(session, sdp)

    async with running_node(tmp_path) as node, running_carrier(early) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node)
        await carrier.until(lambda: carrier.sessions)
        await asyncio.sleep(0.2)
        ringing = of_kind(await events(node, call), "LegRinging")
        assert any(event["early_media"] for event in ringing)
        carrier.answer(*offers[0])
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


async def test_an_agent_with_one_call_at_a_time_is_failed_over_too(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path) as node,
        running_carrier(refuses(503)) as first,
        running_carrier(is_silent) as second,
    ):
        rights = {"agents": [{"agent": "tone", "max_calls": 1}]}
        await load(node, trunk(first, "first"), trunk(second, "second"), outbound=rights)
        await dial(node)
        await second.until(lambda: second.invites)
        assert len(first.invites) == 1


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
        assert end_of(found)["cause"] == "unavailable"
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


async def test_a_restart_opens_no_new_day_for_the_caps(tmp_path: Path) -> None:
    async with running_carrier(refuses(486)) as carrier:
        capped = trunk(carrier, max_calls_per_day=1)
        async with running_node(tmp_path) as node:
            await load(node, capped)
            await ended(node, await dial(node))
        async with running_node(tmp_path) as node:
            await load(node, capped)
            with pytest.raises(RequestError) as refused:
                await dial(node, id="2")
            assert refused.value.code == "calls_per_day"
        assert len(carrier.invites) == 1


async def test_no_log_line_holds_a_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caller = "+4930777666"
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        call = await dial(node)
        await until_up(node)
        carrier.call(NUMBER, node.sip.port, from_=f"sip:{caller}@carrier.test")
        await carrier.until(lambda: carrier.answered)
        carrier.call("+4930999888", node.sip.port, from_=f"sip:{caller}@carrier.test")
        await carrier.until(lambda: carrier.ended)
        with pytest.raises(RequestError):
            await dial(node, destination="+1900555111", id="2")
        carrier.hang_up()
        await ended(node, call)
    told = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    for number in (NUMBER, caller, "4930555000", "4930999888", "1900555111"):
        assert number.removeprefix("+") not in told
