"""The page of trunks: who may see it, what it says, whose numbers it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import AsyncClient

from frontend import hub
from telephony.models import CallRecord, Trunk, TrunkCall
from telephony.services import utc_now
from tests.fakes.fake_node import FakeBus, FakeNode

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.usefixtures("data_folder"),
]
NUMBER = "+4930123456"


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    bus = FakeBus()
    found = hub.configure(bus)
    yield FakeNode(bus)
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


def call(name: str, **values: Any) -> None:
    row: dict[str, Any] = {
        "trunk": "east", "call": name, "seq": 1, "leg": "caller", "direction": "outbound",
        "at": utc_now() - timedelta(minutes=5), "answered": True, "delivered": True, "status": 200, "cause": "normal",
        "pdd_ms": 1200.0, "seconds": 90.0, "reports": 2, "mos_sum": 8.4, "mos_least": 4.1, "loss_sum": 1.0,
        "jitter_sum": 12.0,
    }  # fmt: skip
    TrunkCall.objects.create(**(row | values))


@pytest.fixture
def east(data_folder: Any) -> None:
    Trunk.objects.create(name="east", label="Carrier East", max_calls=30)
    for number in range(8):
        call(f"c{number}")
    failed = {"answered": False, "delivered": False, "status": 503, "cause": "unavailable"}
    call("c8", **failed, seconds=0.0, reports=0, mos_sum=0.0, mos_least=None)
    CallRecord.objects.create(
        call="c8", node="node1", phase="ended", direction="outbound", transport="sip", called=NUMBER
    )


async def page(client: AsyncClient, query: str = "") -> str:
    return str((await client.get(f"/trunks/{query}")).content.decode())


async def test_strangers_log_in_and_who_may_not_is_refused(node: FakeNode) -> None:
    assert (await AsyncClient().get("/trunks/")).headers["Location"] == "/login/?next=/trunks/"
    client = await someone("view_call")
    assert (await client.get("/trunks/")).status_code == 403
    assert '"/trunks/"' not in (await client.get("/history/")).content.decode()


async def test_the_right_to_the_figures_alone_opens_no_calls(node: FakeNode) -> None:
    assert (await (await someone("view_trunk_quality")).get("/trunks/")).status_code == 403


@pytest.mark.usefixtures("east")
async def test_each_trunk_says_how_it_is_and_how_it_did(node: FakeNode) -> None:
    found = hub.current()
    found.health["node1"] = {"trunks": {"east": {"state": "registered", "calls": 3}}}

    text = await page(await someone("view_call", "view_trunk_quality"))

    for words in (
        "Carrier East",
        "registered",
        "3 of 30 calls now",
        "503 unavailable",
        "Day by day",
    ):
        assert words in text
    assert 'data-tone="fair"><dt>NER</dt><dd class="num">89' in text
    assert 'role="img" aria-label="MOS.' in text


@pytest.mark.usefixtures("east")
async def test_numbers_are_masked_for_who_may_not_see_them(node: FakeNode) -> None:
    assert "30123456" not in await page(await someone("view_call", "view_trunk_quality"))


@pytest.mark.usefixtures("east")
async def test_who_may_see_numbers_sees_whom_a_failed_call_was_for(node: FakeNode) -> None:
    assert NUMBER in await page(await someone("view_call", "view_trunk_quality", "view_pii"))


@pytest.mark.usefixtures("east")
@pytest.mark.parametrize("hours", ["6", "72", "0", "-1", "x", "99999", "٦"])
async def test_other_hours_can_be_asked_for_and_nonsense_gives_the_usual(
    node: FakeNode, hours: str
) -> None:
    text = await page(await someone("view_call", "view_trunk_quality"), f"?hours={hours}")
    shown = hours if hours in {"6", "72"} else "24"
    assert f'<a href="?hours={shown}" aria-current="true">' in text


async def test_without_a_trunk_the_page_says_so(node: FakeNode) -> None:
    text = await page(await someone("view_call", "view_trunk_quality"))
    assert "No trunk is set up" in text
