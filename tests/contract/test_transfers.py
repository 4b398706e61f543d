"""Transfers of a media node, over sockets: by a bridge, by REFER, by phones, and a phone that takes another's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import RequestError
from telephony.sip.session import ReferOutcome
from tests.contract.trunk_plan import NUMBER, dial, events, load, of_kind, trunk
from tests.fakes.carrier import Carrier, refuses, rings, running_carrier
from tests.fakes.node import RunningNode, running_node

TARGET = "+491701234567"


@asynccontextmanager
async def talking(folder: Path, **of_trunk: Any) -> AsyncIterator[tuple[RunningNode, Carrier, str]]:
    """A caller by a trunk, whom the agent has answered: the node, the trunk's other side, the call."""
    async with running_node(folder, {"seconds": 30}) as node, running_carrier(rings) as carrier:
        await load(node, trunk(carrier, **of_trunk))
        headers = (("X-Account", "7"),)
        carrier.call(NUMBER, node.configuration.sip.port, headers=headers)
        await carrier.until(lambda: carrier.answered)
        [row] = (await node.ask("calls.rows"))["rows"]
        yield node, carrier, row["id"]


async def transfer(node: RunningNode, call: str, to: str = TARGET) -> None:
    await node.ask("desk.transfer", call=call, who="ann", to=to, mode="blind", id="t")


async def told(node: RunningNode, call: str, kind: str) -> list[Mapping[str, Any]]:
    """The events of this kind, once there is one."""
    async with asyncio.timeout(8):
        while not (found := of_kind(await events(node, call), kind)):  # noqa: ASYNC110 - asked for over the bus
            await asyncio.sleep(0.02)
    return found


async def test_a_caller_is_put_through_with_the_calls_context(tmp_path: Path) -> None:
    async with talking(tmp_path) as (node, carrier, call):
        await transfer(node, call)
        await carrier.until(lambda: carrier.invites)
        [invite] = carrier.invites
        assert invite.uri.user == TARGET
        assert invite.headers.first("X-Call-Reference") == call
        assert invite.headers.first("X-Account") == "7"
        carrier.answer_last()
        assert (await told(node, call, "TransferEnded"))[0]["outcome"] == "answered"
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["state"], row["floor"]) == ("human", "target-1")
        carrier.sessions[0].bye(carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: len(carrier.ended) == 2)


async def test_a_target_who_is_busy_leaves_the_caller_with_the_agent(tmp_path: Path) -> None:
    async with talking(tmp_path) as (node, carrier, call):
        carrier.on_invite = refuses(486)
        await transfer(node, call)
        [ended] = await told(node, call, "TransferEnded")
        assert (ended["outcome"], ended["status"], ended["reason"]) == ("declined", 486, "busy")
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["floor"], row["transfer"]) == ("agent", None)


async def test_a_number_that_rules_do_not_allow_is_never_dialled(tmp_path: Path) -> None:
    async with talking(tmp_path) as (node, carrier, call):
        with pytest.raises(RequestError, match="destination"):
            await transfer(node, call, "+19005550100")
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["floor"], row["transfer"]) == ("agent", None)
        assert carrier.invites == []


async def test_a_caller_who_hangs_up_stops_the_ringing(tmp_path: Path) -> None:
    async with talking(tmp_path) as (node, carrier, call):
        await transfer(node, call)
        await told(node, call, "LegRinging")
        carrier.sessions[0].bye(carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: len(carrier.ended) == 2)
        assert (await told(node, call, "CallEnded"))[0]["cause"] == "caller_hung_up"


async def test_the_trunk_makes_the_call_and_ours_ends(tmp_path: Path) -> None:
    async with talking(tmp_path, send_refer=True) as (node, carrier, call):
        await transfer(node, call)
        await carrier.until(lambda: carrier.refers)
        [asked] = carrier.refers
        assert f"sip:{TARGET}@" in asked.refer.target
        assert asked.refer.headers.first("X-Call-Reference") == call
        asked.session.accept_refer(carrier.wire.now())
        asked.session.notify_refer(200, "OK", carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: carrier.ended)
        assert (await told(node, call, "CallEnded"))[0]["cause"] == "transferred"
        assert carrier.invites == []


async def test_a_call_that_the_trunk_makes_for_us_is_one_of_todays(tmp_path: Path) -> None:
    async with talking(tmp_path, send_refer=True, max_calls_per_day=1) as (node, carrier, call):
        await transfer(node, call)
        await carrier.until(lambda: carrier.refers)
        with pytest.raises(RequestError) as refused:
            await dial(node)
        assert refused.value.code == "calls_per_day"


async def test_refer_603_falls_back_to_bridge(tmp_path: Path) -> None:
    async with talking(tmp_path, send_refer=True) as (node, carrier, call):
        await transfer(node, call)
        await carrier.until(lambda: carrier.refers)
        carrier.refers[0].session.reject_refer(603, carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: carrier.invites)
        carrier.answer_last()
        await told(node, call, "FloorGiven")
        outcomes = [each["outcome"] for each in await told(node, call, "TransferEnded")]
        assert outcomes == ["fell_back", "answered"]


async def test_a_phone_that_may_refer_is_replaced_in_the_same_call(tmp_path: Path) -> None:
    async with talking(tmp_path, allow_refer_in=True) as (node, carrier, call):
        carrier.sessions[0].refer(f"sip:{TARGET}@carrier.test", carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: carrier.invites)
        carrier.answer_last()
        await carrier.until(lambda: carrier.referred and carrier.ended)
        assert carrier.referred[0].outcome is ReferOutcome.ANSWERED
        await told(node, call, "LegReplaced")
        [row] = (await node.ask("calls.rows"))["rows"]
        assert (row["phase"], row["floor"]) == ("active", "agent")


async def test_a_refer_is_denied_unless_the_trunk_allows_it(tmp_path: Path) -> None:
    async with talking(tmp_path) as (_, carrier, _):
        carrier.sessions[0].refer(f"sip:{TARGET}@carrier.test", carrier.wire.now())
        carrier.wire.flush()
        await carrier.until(lambda: carrier.referred)
        assert (carrier.referred[0].outcome, carrier.referred[0].status) == (
            ReferOutcome.REFUSED,
            403,
        )
        assert carrier.invites == []


async def test_a_phone_takes_the_callers_place(tmp_path: Path) -> None:
    async with talking(tmp_path, allow_refer_in=True) as (node, carrier, call):
        first = carrier.sessions[0]
        port = node.configuration.sip.port
        carrier.call(NUMBER, port, from_="sip:other@carrier.test", replaces=first.replaces)
        await carrier.until(lambda: len(carrier.answered) == 2 and carrier.ended)
        await told(node, call, "LegReplaced")
        rows = (await node.ask("calls.rows"))["rows"]
        assert [(row["id"], row["phase"]) for row in rows] == [(call, "active")]
