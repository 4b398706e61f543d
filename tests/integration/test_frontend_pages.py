"""The pages: who may open them, what they hold before any script runs, and how the widget's script is served."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import AsyncClient

from frontend import hub, records
from frontend.records import PastCall
from tests.fakes.fake_node import FakeBus, FakeNode

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

ALL = (
    "view_call",
    "listen_call",
    "take_over_call",
    "transfer_call",
    "end_call",
    "view_transcript",
    "view_pii",
)
PAGES = ("/", "/calls/c1/", "/history/")


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    bus = FakeBus()
    found = hub.configure(bus)
    node = FakeNode(bus)
    node.begin("c1")
    yield node
    await found.stop()


async def someone(*permissions: str) -> AsyncClient:
    def make() -> Any:
        user = get_user_model().objects.create_user("ravi")
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="telephony", codename__in=permissions)
        )
        return user

    client = AsyncClient()
    await client.aforce_login(await database_sync_to_async(make)())
    return client


@pytest.mark.parametrize("page", PAGES)
async def test_nobody_is_asked_to_log_in_and_comes_back(node: FakeNode, page: str) -> None:
    response = await AsyncClient().get(page)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/login/?next={page}"


async def test_an_htmx_request_without_a_login_is_sent_to_the_login_page(node: FakeNode) -> None:
    response = await AsyncClient().get("/history/", headers={"HX-Request": "true"})
    assert response.headers["HX-Redirect"] == "/login/"


@pytest.mark.parametrize("page", PAGES)
async def test_who_may_not_see_calls_is_refused(node: FakeNode, page: str) -> None:
    client = await someone("view_pii")
    assert (await client.get(page)).status_code == 403


async def test_the_live_page_comes_with_its_rows(node: FakeNode) -> None:
    text = (await (await someone(*ALL)).get("/")).content.decode()
    assert "+4930123456" in text
    assert "Listening" in text


async def test_a_caller_is_masked_on_every_page(node: FakeNode) -> None:
    node.hears("c1", "my canary", at_s=1.0)
    client = await someone("view_call")
    for page in PAGES:
        text = (await client.get(page)).content.decode()
        assert "30123456" not in text
        assert "canary" not in text


async def test_words_of_a_caller_are_never_markup(node: FakeNode) -> None:
    node.hears("c1", "</script><img src=x onerror=alert(1)>", at_s=1.0)
    client = await someone(*ALL)
    for page in ("/", "/calls/c1/"):
        text = (await client.get(page)).content.decode()
        assert "<img src=x" not in text


async def test_an_empty_list_offers_a_test_call(node: FakeNode) -> None:
    node.states.clear()
    text = (await (await someone(*ALL)).get("/")).content.decode()
    assert "Make a test call" in text


async def test_an_unknown_call_is_not_found(node: FakeNode) -> None:
    assert (await (await someone(*ALL)).get("/calls/c9/")).status_code == 404


def past(call: str, **more: Any) -> PastCall:
    row = {
        "id": call, "state": "ended", "direction": "inbound", "transport": "sip",
        "caller": "+4930123456", "called": "demo", "agent": "receptionist", "version": 3,
        "answer_ms": 380.0, "barge_ins": 0, "person_requested": False, "end_cause": "caller_hung_up",
    }  # fmt: skip
    return PastCall(row | more, datetime(2026, 11, 20, 9, 30, tzinfo=UTC), 83.0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["plain", "barged", "web"]),
        ("mark=barge", ["barged"]),
        ("way=Browser", ["web"]),
        ("agent=receptionist&q=web", ["web"]),
        ("q=30123456", ["plain", "barged"]),
        ("way=nonsense&mark=nonsense", ["plain", "barged", "web"]),
    ],
)
async def test_history_filters_by_its_address(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, query: str, found: list[str]
) -> None:
    lines = [past("plain"), past("barged", barge_ins=2), past("web", transport="webrtc")]
    monkeypatch.setattr(records, "past_calls", lambda: lines)
    response = await (await someone(*ALL)).get(f"/history/?{query}", headers={"HX-Request": "true"})
    text = response.content.decode()
    assert "<html" not in text
    assert [name for name in ("plain", "barged", "web") if f"/calls/{name}/" in text] == found


async def test_a_masked_number_cannot_be_found_by_searching_for_it(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "past_calls", lambda: [past("plain")])
    client = await someone("view_call", "view_transcript")
    text = (await client.get("/history/?q=30123456")).content.decode()
    assert "/calls/plain/" not in text


async def test_anybody_may_try_the_demo(node: FakeNode) -> None:
    response = await AsyncClient().get("/try/")
    assert response.status_code == 200
    assert '<voice-agent agent="demo"' in response.content.decode()


async def test_any_site_may_load_the_widget_and_caches_it_by_its_content() -> None:
    client = AsyncClient()
    response = await client.get("/w/1/widget.js", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert b"voice-agent" in gzip.decompress(response.content)
    again = await client.get("/w/1/widget.js", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
    plain = await client.get("/w/1/widget.js")
    assert b"customElements.define" in plain.content
