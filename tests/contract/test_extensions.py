"""Phones that register with a media node: they are rung for a caller, ring one another, and call out by rule."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from telephony.sip.auth import Credentials
from telephony.sip.digest import ha1_of
from telephony.sip.events import RegistrationState
from telephony.sip.session import EndKind
from tests.contract.trunk_plan import NUMBER, events, health, load, of_kind, trunk
from tests.fakes.carrier import Carrier, refuses, rings, running_carrier
from tests.fakes.node import RunningNode, running_node

REALM = "voiceapp"


def extension(name: str = "200", **more: Any) -> dict[str, Any]:
    ha1 = {name_: ha1_of(name_, name, REALM, "secret") for name_ in ("MD5", "SHA-256")}
    return {"name": name, "person": "ann", "ha1": ha1, **more}


def to_person(**more: Any) -> list[dict[str, Any]]:
    return [{"number": NUMBER, "person": {"extension": "200", "ring_s": 5, **more}}]


async def register(
    phone: Carrier, node: RunningNode, password: str = "secret", name: str = "200"
) -> None:
    phone.engine.register(
        f"sip:127.0.0.1:{node.configuration.sip.port}",
        aor=f"sip:{name}@127.0.0.1",
        flow=phone.wire.flow("udp", "127.0.0.1", node.configuration.sip.port),
        now=phone.wire.now(),
        credentials=Credentials(name, password),
    )
    phone.wire.flush()


def failed(phone: Carrier) -> bool:
    return any(change.state is RegistrationState.FAILED for change in phone.registrations)


async def connected(node: RunningNode, name: str = "200") -> int:
    return int((await health(node))["extensions"][name]["connected"])


async def until_connected(node: RunningNode, name: str = "200") -> None:
    async with asyncio.timeout(5):
        while not await connected(node, name):  # noqa: ASYNC110 - what is awaited is asked for over the bus
            await asyncio.sleep(0.02)


async def test_a_person_is_rung_and_answers_the_caller(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node,
        running_carrier() as caller,
        running_carrier(rings) as phone,
    ):
        await load(node, extensions=[extension(codecs=["PCMA"])], routes=to_person())
        await register(phone, node)
        await until_connected(node)
        caller.call(NUMBER, node.configuration.sip.port)
        await caller.until(lambda: 180 in caller.rung)
        assert b"a=rtpmap:0 PCMU" not in phone.invites[0].body, "the phone's own codecs"
        assert not caller.answered, "nobody has answered yet"
        [invite] = phone.invites
        assert invite.to.uri.user == "200"
        assert invite.from_.uri.user == "+4930111", "the phone shows who calls"
        phone.answer_last()
        await caller.until(lambda: caller.answered)
        [row] = (await node.ask("calls.rows"))["rows"]
        found = await events(node, row["id"])
        assert of_kind(found, "TransferEnded")[0]["outcome"] == "answered"
        caller.hang_up()
        await phone.until(lambda: phone.ended)


async def test_a_person_who_does_not_answer_leaves_the_caller_to_the_agent(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path, {"seconds": 30}, VOICEAPP_REGISTRAR="1") as node,
        running_carrier() as caller,
        running_carrier(refuses(486)) as phone,
    ):
        overflow = {"agent": "tone", "version": 1}
        await load(node, extensions=[extension()], routes=to_person(overflow=overflow))
        await register(phone, node)
        await until_connected(node)
        caller.call(NUMBER, node.configuration.sip.port)
        await caller.until(lambda: caller.answered)
        assert len(phone.invites) == 1
        assert node.agents
        caller.hang_up()
        await caller.until(lambda: caller.ended)


async def test_a_caller_of_a_phone_that_is_not_connected_is_refused(tmp_path: Path) -> None:
    async with running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node, running_carrier() as caller:
        await load(node, extensions=[extension()], routes=to_person())
        caller.call(NUMBER, node.configuration.sip.port)
        await caller.until(lambda: caller.ended)
        assert caller.ended[0].kind is EndKind.REJECTED
        assert caller.ended[0].status in {403, 480}


async def test_a_wrong_password_connects_nobody(tmp_path: Path) -> None:
    async with running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node, running_carrier() as phone:
        await load(node, extensions=[extension()])
        await register(phone, node, "wrong")
        await phone.until(lambda: failed(phone))
        assert await connected(node) == 0


async def test_without_the_setting_nobody_registers(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier() as phone:
        await load(node, extensions=[extension()])
        await register(phone, node)
        await phone.until(lambda: failed(phone))
        assert phone.registrations[-1].status in {403, 405}
        assert await connected(node) == 0


async def test_a_phone_calls_out_as_far_as_the_rules_let_it(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node,
        running_carrier() as carrier,
        running_carrier() as phone,
    ):
        # The phone is on the trunk's machine: its port tells it apart.
        await load(node, trunk(carrier), extensions=[extension()], routes=[])
        credentials = Credentials("200", "secret")
        port = node.configuration.sip.port
        phone.call("+491701234567", port, from_="sip:200@127.0.0.1", credentials=credentials)
        await phone.until(lambda: phone.answered or phone.ended)
        assert phone.answered
        assert carrier.invites[0].uri.user == "+491701234567"
        assert carrier.invites[0].from_.uri.user == "+4930555000", "a number of the pool"
        phone.call("+1900555000", port, from_="sip:200@127.0.0.1", credentials=credentials)
        await phone.until(lambda: phone.ended)
        assert phone.ended[0].kind is EndKind.REJECTED
        assert len(carrier.invites) == 1
        phone.hang_up()
        await carrier.until(lambda: carrier.ended)


async def test_a_phone_is_shown_as_who_it_proved_to_be(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node,
        running_carrier() as phone,
        running_carrier(rings) as other,
    ):
        elsewhere = {"name": "carrier", "hosts": ["127.0.0.77:5060"], "ping_s": 0}
        await load(node, elsewhere, extensions=[extension(), extension("201")], routes=[])
        await register(other, node, name="201")
        await until_connected(node, "201")
        credentials = Credentials("200", "secret")
        says = "sip:+4930999@127.0.0.1"
        phone.call("201", node.configuration.sip.port, from_=says, credentials=credentials)
        await other.until(lambda: other.invites)
        assert other.invites[0].from_.uri.user == "200"
        [row] = (await node.ask("calls.rows"))["rows"]
        assert row["caller"] == "200"


async def test_a_call_that_is_forwarded_says_by_whom_and_whom_it_was_for(tmp_path: Path) -> None:
    forward = {"forward": {"trunk": "carrier", "number": "+491701234567"}}
    async with (
        running_node(tmp_path) as node,
        running_carrier() as carrier,
        running_carrier() as caller,
    ):
        origin = trunk(caller, "origin", allowed_prefixes=[])
        await load(node, trunk(carrier), origin, routes=[{"number": NUMBER, **forward}])
        caller.call(NUMBER, node.sip.port, headers=(("Session-ID", "ab30"), ("X-Order", "7")))
        await caller.until(lambda: caller.answered)
        [invite] = carrier.invites
        assert invite.uri.user == "+491701234567"
        assert NUMBER in (invite.headers.first("Diversion") or "")
        assert invite.headers.first("Session-ID") == "ab30"
        assert invite.headers.first("X-Order") == "7"
        caller.hang_up()
        await carrier.until(lambda: carrier.ended)


async def test_a_queue_rings_its_people_one_after_the_other(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path, VOICEAPP_REGISTRAR="1") as node,
        running_carrier() as caller,
        running_carrier(rings) as first,
        running_carrier() as second,
    ):
        queue = {"name": "sales", "persons": ["200", "201"], "ring_s": 5}
        await load(
            node,
            extensions=[extension(), extension("201")],
            queues=[queue],
            routes=[{"number": NUMBER, "queue": "sales"}],
        )
        await register(first, node)
        await register(second, node, name="201")
        await until_connected(node)
        await until_connected(node, "201")
        caller.call(NUMBER, node.sip.port)
        await first.until(lambda: first.invites)
        await caller.until(lambda: caller.answered)
        assert second.invites == [], "the second is rung only when the first has not answered"
        first.reject(first.offers[0][0], 486)
        await second.until(lambda: second.invites)
        [row] = (await node.ask("calls.rows"))["rows"]
        caller.hang_up()
        await second.until(lambda: second.ended)
        found = await events(node, row["id"])
        assert of_kind(found, "TransferEnded")[0]["outcome"] == "answered"
