"""The desk's socket: who gets in, what each person sees, what each may do, and what rubbish does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission
from django.db import OperationalError

from frontend import access, hub
from frontend.consumers.supervisor import SupervisorSocket
from frontend.listening import end_unentitled_listening
from telephony.call.events import BargedIn, CallEnded
from telephony.call.ids import UtteranceId
from telephony.call.ports import BusMessage
from tests.fakes.desk_page import ALL, HOST, Page, page_again, page_of, session_of
from tests.fakes.fake_node import FakeBus, FakeNode

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
async def bus() -> AsyncIterator[FakeBus]:
    fake = FakeBus()
    found = hub.configure(fake)
    yield fake
    await found.stop()


@pytest.fixture
async def node(bus: FakeBus) -> FakeNode:
    node = FakeNode(bus)
    node.begin("c1")
    return node


# ------------------------------------------------------------------------------------------------------ the door


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"http://127.0.0.1:9999", b"null", b"http://localhost:8000"]
)
async def test_a_page_of_another_origin_is_not_let_in(node: FakeNode, origin: bytes) -> None:
    session, _ = await database_sync_to_async(session_of)(*ALL)
    page = Page(session, (HOST, (b"origin", origin)))
    assert not (await page.socket.connect())[0]


async def test_a_host_we_do_not_serve_is_not_let_in(node: FakeNode) -> None:
    session, _ = await database_sync_to_async(session_of)(*ALL)
    page = Page(session, ((b"host", b"evil.example"), (b"origin", b"http://evil.example")))
    assert not (await page.socket.connect())[0]


@pytest.mark.parametrize("permissions", [(), ("listen_call", "view_pii")])
async def test_who_may_not_see_calls_sees_none(
    node: FakeNode, permissions: tuple[str, ...]
) -> None:
    page = await page_of(*permissions)
    await page.socket.connect()
    assert await page.closing_code() == 4401


async def test_nobody_is_shown_the_door(node: FakeNode) -> None:
    page = Page("")
    await page.socket.connect()
    assert await page.closing_code() == 4401


async def test_a_page_that_says_nothing_is_closed(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SupervisorSocket, "hello_s", 0.05)
    page = await page_of(*ALL)
    await page.socket.connect()
    assert await page.closing_code() == 4408


# ---------------------------------------------------------------------------------------------------- what is seen


async def test_the_list_is_there_at_once_and_grows_by_itself(node: FakeNode) -> None:
    page = await page_of(*ALL)
    snap = await page.open()
    assert list(snap["rows"]) == ["c1"]
    node.begin("c2", transport="webrtc", caller="")
    frame = await page.until("frame")
    assert frame["rows"]["c2"]["caller"] == "Web visitor"
    await page.socket.disconnect()


async def test_words_grow_in_the_row_and_become_final(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    node.partial("c1", "when do")
    assert (await page.until("frame"))["rows"]["c1"]["last"] == {"role": "caller", "text": "when do", "partial": True}  # fmt: skip
    node.hears("c1", "when do you open", at_s=3.0)
    assert (await page.until("frame"))["rows"]["c1"]["last"]["partial"] is False
    await page.socket.disconnect()


async def test_numbers_and_words_never_reach_who_may_not_see_them(node: FakeNode) -> None:
    node.hears("c1", "my canary is 0171 5550 992", at_s=1.0)
    page = await page_of("view_call")
    seen = [await page.open()]
    await page.say({"type": "open", "call": "c1"})
    seen.append(await page.until("events"))
    node.partial("c1", "my canary again")
    node.hears("c1", "my canary again", at_s=2.0)
    seen.append(await page.until("events"))
    text = json.dumps(seen)
    assert "canary" not in text
    assert "30123456" not in text
    await page.socket.disconnect()


async def test_an_opened_call_comes_whole_then_live_without_a_gap(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    await page.say({"type": "open", "call": "c1", "since": 2})
    replay = await page.until("events")
    assert [event["seq"] for event in replay["ev"]] == [3, 4, 5, 6]
    node.hears("c1", "hello", at_s=1.0)
    assert [event["seq"] for event in (await page.until("events"))["ev"]] == [7]
    await page.socket.disconnect()


async def test_events_lost_on_the_bus_are_read_from_the_log(node: FakeNode, bus: FakeBus) -> None:
    page = await page_of(*ALL)
    await page.open()
    await page.say({"type": "open", "call": "c1", "since": 6})
    published, bus.publish = bus.publish, lambda topic, body: None  # type: ignore[method-assign]
    node.hears("c1", "lost", at_s=1.0)
    bus.publish = published  # type: ignore[method-assign]
    node.record("c1", BargedIn(utterance=UtteranceId("1"), at_s=2.0, duck_ms=None, stop_ms=90.0))
    assert [event["seq"] for event in (await page.until("events"))["ev"]] == [7, 8]
    await page.socket.disconnect()


async def test_a_reconnected_page_gets_what_it_missed(node: FakeNode) -> None:
    page = await page_of(*ALL)
    cursor = (await page.open())["cursor"]
    await page.socket.disconnect()
    node.begin("c2")
    again = await page_again()
    message = await again.open(cursor)
    assert message["type"] == "frame"
    assert list(message["rows"]) == ["c2"]
    await again.socket.disconnect()


async def test_a_call_ends_on_the_page_when_it_ends(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    node.record("c1", CallEnded(cause="caller_hung_up", by="caller"))
    assert (await page.until("frame"))["rows"]["c1"]["state"] == "ended"
    await page.socket.disconnect()


# ------------------------------------------------------------------------------------------- revoked, and rubbish


async def test_a_revoked_permission_counts_at_the_next_command(
    node: FakeNode, bus: FakeBus
) -> None:
    session, user = await database_sync_to_async(session_of)(*ALL)
    page = Page(session)
    await page.open()
    await database_sync_to_async(user.user_permissions.set)(
        await database_sync_to_async(list)(
            Permission.objects.filter(codename__in=["view_call", "view_transcript"])
        )
    )
    assert (await page.command("end"))["code"] == "permission"
    assert bus.asked("desk.end") == []
    await page.socket.disconnect()


@pytest.mark.parametrize("loss", ["permission", "account"])
async def test_who_may_no_longer_listen_hears_nothing_more(
    node: FakeNode, bus: FakeBus, loss: str
) -> None:
    session, user = await database_sync_to_async(session_of)(*ALL)
    page = Page(session)
    await page.open()
    assert (await page.command("listen", sdp="v=0"))["ok"]

    def revoke() -> None:
        user.user_permissions.clear() if loss == "permission" else user.delete()

    await end_unentitled_listening(hub.current())
    assert bus.asked("desk.stop") == []
    await database_sync_to_async(revoke)()
    await end_unentitled_listening(hub.current())
    assert [stop["who"] for stop in bus.asked("desk.stop")] == [user.get_username()]
    await page.socket.disconnect()


async def test_a_login_that_ended_closes_the_socket_at_the_next_check(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SupervisorSocket, "recheck_s", 0.05)
    session, user = await database_sync_to_async(session_of)(*ALL)
    page = Page(session)
    await page.open()

    def lock_out() -> None:
        user.is_active = False
        user.save()

    await database_sync_to_async(lock_out)()
    assert await page.closing_code() == 4401


async def test_rights_are_read_again_after_the_database_was_away(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SupervisorSocket, "recheck_s", 0.05)
    page = await page_of(*ALL)
    await page.open()
    answers = iter([OperationalError("database is locked")])

    async def nobody(session: object) -> None:
        for fault in answers:
            raise fault

    monkeypatch.setattr(access, "viewer_of_session", nobody)
    assert await page.closing_code() == 4401


@pytest.mark.parametrize(
    "rubbish",
    ["{", "[]", '{"type": "dance"}', '{"type": "cmd"}', '{"type": "open", "call": 7}', '{"type": "hello", "v": "va.dash.1"}'],
)  # fmt: skip
async def test_rubbish_is_answered_and_changes_nothing(node: FakeNode, rubbish: str) -> None:
    page = await page_of(*ALL)
    await page.open()
    await page.say(rubbish)
    assert (await page.until("error"))["code"] == "message"
    node.begin("c2")
    assert "c2" in (await page.until("frame"))["rows"]
    await page.socket.disconnect()


async def test_the_tenth_rubbish_in_a_row_closes(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    for _ in range(10):
        await page.say("{")
    assert await page.closing_code() == 4400


async def test_a_huge_message_closes(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    await page.say("x" * 70_000)
    assert await page.closing_code() == 1009


async def test_a_page_that_never_acknowledges_is_sent_away(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontend.feed.ACK_TIMEOUT_S", 0.05)
    page = await page_of(*ALL)
    await page.socket.connect()
    await page.say({"type": "hello", "v": "va.dash.1"})
    await page.socket.receive_from()
    await page.socket.receive_from()
    node.begin("c2")
    await page.socket.receive_nothing(0.2)
    node.begin("c3")
    assert await page.closing_code() == 4008


async def test_a_page_is_told_when_the_board_does_not_follow_the_calls(
    bus: FakeBus, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await page_of(*ALL)
    await page.open()
    monkeypatch.setattr(hub, "STANDS_S", 0.01)

    def take(calls: hub.Hub, message: BusMessage) -> None:
        raise ValueError("no fault of a database")

    with monkeypatch.context() as broken:
        broken.setattr(hub.Hub, "_take", take)
        node.begin("c2")
        assert (await page.until("live"))["live"] is False
    assert (await page.until("live"))["live"] is True


async def test_a_page_comes_back_when_what_feeds_it_failed(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await page_of(*ALL)
    await page.open()

    def broken(*_: object) -> None:
        raise TypeError("broken")

    monkeypatch.setattr("frontend.feed.Feed.frame", broken)
    assert await page.closing_code() == 1011
