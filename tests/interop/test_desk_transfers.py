"""A person at the desk puts a caller through, having spoken with the target first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.browser_page import Page
from tests.interop import sipp
from tests.interop.office import (
    ASKED,
    CALLER_HZ,
    CARRIER,
    TARGET_HZ,
    THIRD_HZ,
    Office,
    ToneParty,
    answers,
    invited,
)

pytestmark = pytest.mark.timeout(60)
TARGET, ABROAD = "+4930123456", "+442071234567"


class Desk:
    """Ann, who listens to one call with her browser and takes it over."""

    def __init__(self, office: Office, group: asyncio.TaskGroup, call: str) -> None:
        self.office = office
        self.call = call
        self.page = Page(group, THIRD_HZ)
        self._group = group

    async def ask(self, name: str, **args: Any) -> Any:
        args |= {"call": self.call, "who": "ann", "id": secrets.token_hex(4)}
        return await asyncio.to_thread(self.office.product.ask, name, **args)

    async def take_over(self) -> None:
        await self.page.connect(lambda sdp: self.ask("desk.listen", sdp=sdp))
        await self.ask("desk.take")
        self._voice = self._group.create_task(self.page.speak_for(60.0))

    async def leave(self) -> None:
        self._voice.cancel()
        await self.page.peer.close()

    def hears(self, hz: int) -> bool:
        return any(abs(pitch - hz) < 15 for pitch in self.page.pitches[-20:])


async def until(office: Office, condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(office.product.until, condition, 10.0, what)


@pytest.fixture
def user() -> str:
    return f"d{secrets.token_hex(3)}"


def calling(user: str, party: ToneParty) -> str:
    return sipp.invite(user, str(party.port)) + sipp.answered(user)


async def consult(office: Office, desk: Desk, target: ToneParty, number: str) -> None:
    """Ann and the target speak with each other; the caller waits."""
    await desk.take_over()
    await desk.ask("desk.transfer", to=number, mode="attended")
    await until(office, lambda: target.hears(THIRD_HZ), "Ann's tone at the target")
    await until(office, lambda: desk.hears(TARGET_HZ), "the target's tone at the desk")


async def test_caller_and_target_are_put_together_here(
    office: Office, tmp_path: Path, user: str
) -> None:
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited() + answers(target) + sipp.hung_up_on()
        calls = calling(user, caller) + sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as first,
        ):
            call = await asyncio.to_thread(office.call_of, user)
            await asyncio.to_thread(office.until_fact, call, "LegConnected")
            async with asyncio.TaskGroup() as group:
                desk = Desk(office, group, call)
                await consult(office, desk, target, TARGET)
                assert not caller.hears(TARGET_HZ)
                assert not caller.hears(THIRD_HZ)
                await desk.ask("desk.transfer_complete")
                await until(office, lambda: caller.hears(TARGET_HZ), "the target's tone")
                await until(office, lambda: target.hears(CALLER_HZ), "the caller's tone")
                await desk.leave()
            await desk.ask("desk.end")
            assert [first.wait(10).code, other.wait(10).code] == [0, 0]

    assert [fact["outcome"] for fact in office.facts(call, "TransferEnded")] == ["answered"]


async def test_the_callers_trunk_is_asked_to_put_them_together(
    office: Office, tmp_path: Path, user: str
) -> None:
    """REFER with Replaces: it names our dialog with the target; when the trunk has done it, we are out."""
    referred = (
        '<recv request="REFER"><action>'
        '<ereg regexp="Refer-To:[^\\r\\n]*Replaces=[^\\r\\n]*to-tag" search_in="msg"'
        ' check_it="true" assign_to="to"/></action></recv>\n<Reference variables="to"/>\n'
    )
    done = sipp.send(
        "NOTIFY", 2, user, more="Event: refer\nSubscription-State: terminated;reason=noresource\n"
    ).replace(
        "Content-Length: 0\n\n",
        "Content-Type: message/sipfrag;version=2.0\nContent-Length: [len]\n\nSIP/2.0 200 OK\n",
    )
    with ToneParty(CALLER_HZ, ASKED) as caller, ToneParty(TARGET_HZ, ASKED) as target:
        called = invited() + answers(target) + sipp.hung_up_on()
        accepted = sipp.ANSWER_200.replace("200 OK", "202 Accepted").replace(
            "Content-Length", "Contact: <sip:x@[local_ip]:[local_port]>\nContent-Length"
        )
        calls = calling(user, caller) + referred + accepted + done + sipp.expect(200)
        calls += sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=ASKED, port=office.asked) as other,
            office.party(tmp_path / "a", calls, at=ASKED) as first,
        ):
            call = await asyncio.to_thread(office.call_of, user)
            await asyncio.to_thread(office.until_fact, call, "LegConnected")
            async with asyncio.TaskGroup() as group:
                desk = Desk(office, group, call)
                await consult(office, desk, target, ABROAD)
                await desk.ask("desk.transfer_complete")
                results = await asyncio.to_thread(lambda: [first.wait(10), other.wait(10)])
                await desk.leave()

    assert [result.code for result in results] == [0, 0], [result.log for result in results]
    assert [fact["outcome"] for fact in office.facts(call, "TransferEnded")] == ["answered"]
    assert office.row(call)["end_cause"] == "transferred"


async def test_a_transfer_that_is_cancelled_lets_the_target_go(
    office: Office, tmp_path: Path, user: str
) -> None:
    """And the caller speaks with Ann again."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited() + answers(target) + sipp.hung_up_on()
        calls = calling(user, caller) + sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as first,
        ):
            call = await asyncio.to_thread(office.call_of, user)
            await asyncio.to_thread(office.until_fact, call, "LegConnected")
            async with asyncio.TaskGroup() as group:
                desk = Desk(office, group, call)
                await consult(office, desk, target, TARGET)
                await desk.ask("desk.transfer_cancel")
                await until(office, lambda: caller.hears(THIRD_HZ), "Ann's tone")
                assert (await asyncio.to_thread(other.wait, 10)).code == 0
                await desk.ask("desk.end")
                await desk.leave()
            assert first.wait(10).code == 0

    assert [fact["outcome"] for fact in office.facts(call, "TransferEnded")] == ["cancelled"]
