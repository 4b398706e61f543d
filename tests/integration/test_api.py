"""The API by which programs place calls: tokens, caps, idempotency, refusals, outcomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from frontend import api, hub
from frontend.api_limits import RateLimit
from frontend.api_requests import read_dial_request
from telephony.call.events import CallEnded, CallStarted, LegAdded, LegConnected
from telephony.call.ids import CALLER
from telephony.call.transfer_events import LegRinging, TrunkMeasured
from telephony.models import ApiToken, AuditEvent, PlacedCall
from telephony.services import new_token, revoke_token, utc_now
from tests.fakes.fake_node import RECEPTIONIST, FakeBus, FakeNode

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
NUMBER = "+4930123456"
ORDER = {"destination": NUMBER, "agent": "receptionist"}

MakeToken = Callable[..., Awaitable[str]]


class DialNode(FakeNode):
    """A node that dials: the same call for the same id."""

    def __init__(self, bus: FakeBus) -> None:
        super().__init__(bus)
        self.dialled: dict[str, str] = {}
        bus.serve("outbound.dial", self._handler("outbound.dial", self.outbound_dial))

    async def outbound_dial(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        call = self.dialled.setdefault(str(args["id"]), f"out-{len(self.dialled) + 1}")
        if call not in self.states:
            self.record(
                call,
                CallStarted(
                    direction="outbound", transport="sip", called=args["destination"], caller="", agent=RECEPTIONIST
                ),
                LegAdded(leg=CALLER, role="caller", transport="sip"),
            )  # fmt: skip
        return {"call": call}


@pytest.fixture
async def node(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DialNode]:
    monkeypatch.setattr(api, "_tokens", RateLimit())
    monkeypatch.setattr(api, "_strangers", RateLimit())
    bus = FakeBus()
    found = hub.configure(bus)
    yield DialNode(bus)
    await found.stop()


@pytest.fixture
def make_token() -> MakeToken:
    def make(**values: Any) -> str:
        defaults = {"label": "shop", "may_dial": True, "agents": ["receptionist"]}
        token = ApiToken(**(defaults | values))
        secret = new_token(token)
        token.save()
        return secret

    maker: MakeToken = database_sync_to_async(make)
    return maker


async def post(secret: str, body: Any = None, **headers: str) -> Any:
    content = json.dumps(ORDER if body is None else body) if not isinstance(body, bytes) else body
    kind = headers.pop("kind", "application/json")
    given = {
        "Authorization": f"Bearer {secret}",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return await AsyncClient(enforce_csrf_checks=True).post("/api/calls", content, content_type=kind, headers=given)  # fmt: skip


async def get(secret: str, call: str) -> Any:
    return await AsyncClient(enforce_csrf_checks=True).get(
        f"/api/calls/{call}", headers={"Authorization": f"Bearer {secret}"}
    )


def code(response: Any) -> str:
    return str(response.json()["error"]["code"])


async def test_a_call_is_placed_and_its_outcome_told(node: DialNode, make_token: MakeToken) -> None:
    secret = await make_token()
    response = await post(secret, ORDER | {"trunk": "east", "variables": {"order": "17"}})
    assert response.status_code == 202
    call = response.json()["id"]
    assert response.headers["Location"] == f"/api/calls/{call}"

    told = (await get(secret, call)).json()
    assert (told["state"], told["outcome"], told["pdd_ms"]) == ("dialling", None, None)
    node.record(call, LegRinging(leg=CALLER), after_s=1.0)
    assert (await get(secret, call)).json()["state"] == "ringing"
    node.record(
        call,
        TrunkMeasured(
            leg=CALLER, trunk="east", direction="outbound", status=200, answered=True, cause="normal", pdd_ms=950.0
        ),
        LegConnected(leg=CALLER, codec="PCMU"),
        after_s=3.0,
    )  # fmt: skip
    assert (await get(secret, call)).json()["state"] == "answered"
    node.record(call, CallEnded(cause="caller_hung_up", by="caller"), after_s=60.0)

    told = (await get(secret, call)).json()
    assert (told["state"], told["outcome"], told["seconds"]) == ("ended", "answered", 60.0)
    assert (told["pdd_ms"], told["status"], told["trunk"]) == (950.0, 200, "east")
    assert "30123456" not in json.dumps(told)


async def test_a_call_that_nobody_took_says_why(node: DialNode, make_token: MakeToken) -> None:
    secret = await make_token()
    call = (await post(secret)).json()["id"]
    node.record(
        call,
        TrunkMeasured(leg=CALLER, trunk="east", direction="outbound", status=486, answered=False, cause="busy"),
        CallEnded(cause="busy", by="system"),
    )  # fmt: skip
    told = (await get(secret, call)).json()
    assert (told["state"], told["outcome"], told["seconds"]) == ("ended", "busy", 0.0)


async def test_a_placed_call_is_in_the_audit_without_its_number(
    node: DialNode, make_token: MakeToken
) -> None:
    secret = await make_token()
    call = (await post(secret)).json()["id"]
    row = await AuditEvent.objects.aget(what="call.dialled")
    assert (row.who, row.object) == (f"api:{secret[:8]}", call)
    assert NUMBER not in str(row.detail)


@pytest.mark.parametrize(
    "given", ["", "Bearer ", "Bearer nonsense", "Basic abc", f"Bearer {'x' * 5000}"]
)
async def test_without_a_token_in_force_nothing_is_said(node: DialNode, given: str) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    for request in (client.get("/api/calls/out-1", headers={"Authorization": given}),
                    client.post("/api/calls", "{}", content_type="application/json", headers={"Authorization": given})):  # fmt: skip
        response = await request
        assert (response.status_code, code(response)) == (401, "unauthorised")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert not node.dialled


async def test_revoked_and_expired_tokens_are_no_tokens(
    node: DialNode, make_token: MakeToken
) -> None:
    expired = await make_token(expires_at=utc_now() - timedelta(seconds=1))
    revoked = await make_token()
    token = await ApiToken.objects.aget(hint=revoked[:8], expires_at=None)
    await database_sync_to_async(revoke_token)(token, who="ada")
    for secret in (expired, revoked):
        assert (await post(secret)).status_code == 401


async def test_a_token_does_only_what_its_scopes_say(node: DialNode, make_token: MakeToken) -> None:
    reads = await make_token(may_dial=False)
    dials = await make_token(may_read=False)
    assert code(await post(reads)) == "scope"
    call = (await post(dials)).json()["id"]
    assert code(await get(dials, call)) == "scope"
    assert code(await get(reads, call)) == "unknown_call"  # another token's


async def test_a_token_uses_only_its_agents(node: DialNode, make_token: MakeToken) -> None:
    secret = await make_token(agents=[])
    response = await post(secret)
    assert (response.status_code, code(response)) == (403, "agent")
    assert not node.dialled


async def test_a_repeated_request_dials_once(node: DialNode, make_token: MakeToken) -> None:
    secret = await make_token()
    first = await post(secret, Idempotency_Key="order-17")
    again = await post(secret, Idempotency_Key="order-17")
    other = await post(secret, ORDER | {"destination": "+4930999999"}, Idempotency_Key="order-17")
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, code(other)) == (409, "key_reused")
    assert len(node.dialled) == 1


@pytest.mark.parametrize(
    ("caps", "word"), [({"max_calls": 2}, "calls"), ({"max_calls_per_day": 2}, "calls_per_day")]
)
async def test_caps_of_a_token_hold(
    node: DialNode, make_token: MakeToken, caps: dict[str, int], word: str
) -> None:
    secret = await make_token(**caps)
    answers = [await post(secret) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert code(answers[2]) == word
    assert int(answers[2].headers["Retry-After"]) > 0
    assert len(node.dialled) == 2


async def test_too_many_requests_a_minute_wait(node: DialNode, make_token: MakeToken) -> None:
    secret = await make_token(per_minute=2)
    answers = [await get(secret, "c") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert code(answers[2]) == "rate"


async def test_strangers_who_guess_are_slowed_down(node: DialNode) -> None:
    answers = [await get("guess", "c") for _ in range(32)]
    assert [answer.status_code for answer in answers][-3:] == [401, 429, 429]


@pytest.mark.parametrize(
    ("body", "status", "word", "field"),
    [
        (b"{", 400, "not_json", None),
        (b"[1]", 400, "not_json", None),
        (b"[" * 10_000, 400, "not_json", None),
        (b"\xff", 400, "not_json", None),
        (b'"' + b"x" * 20_000 + b'"', 413, "too_large", None),
        ({}, 400, "missing_field", "destination"),
        ({"destination": NUMBER}, 400, "missing_field", "agent"),
        (ORDER | {"destination": 4930}, 400, "bad_field", "destination"),
        (ORDER | {"destination": "1" * 200}, 400, "bad_field", "destination"),
        (ORDER | {"trunk": "a\nb"}, 400, "bad_field", "trunk"),
        (ORDER | {"number": "x"}, 400, "unknown_field", "number"),
        (ORDER | {"variables": []}, 400, "bad_field", "variables"),
        (ORDER | {"variables": {"a": 1}}, 400, "bad_field", "variables"),
        (ORDER | {"variables": {str(i): "" for i in range(51)}}, 400, "bad_field", "variables"),
    ],
)
async def test_a_wrong_request_is_told_where(
    node: DialNode, make_token: MakeToken, body: Any, status: int, word: str, field: str | None
) -> None:
    response = await post(await make_token(), body)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["code"], error.get("field")) == (word, field)
    assert not node.dialled


async def test_other_methods_and_kinds_of_content_are_refused(
    node: DialNode, make_token: MakeToken
) -> None:
    secret = await make_token()
    assert (await AsyncClient(enforce_csrf_checks=True).get("/api/calls")).status_code == 405
    assert (await AsyncClient(enforce_csrf_checks=True).delete("/api/calls/c")).status_code == 405
    assert (await post(secret, kind="text/plain")).status_code == 415
    assert (await post(secret, Idempotency_Key="x" * 101)).status_code == 400


@pytest.mark.parametrize(
    ("refusal", "status"),
    [("destination", 403), ("not_a_number", 422), ("cps", 429), ("busy", 503), ("odd", 409)],
)
async def test_a_refusal_of_the_node_is_told_and_frees_the_place(
    node: DialNode, make_token: MakeToken, refusal: str, status: int
) -> None:
    secret = await make_token(max_calls=1)
    node.refuse["outbound.dial"] = (refusal, "Not now.")
    response = await post(secret, Idempotency_Key="a")
    assert (response.status_code, code(response)) == (status, refusal)
    assert response.json()["error"]["message"] == "Not now."
    assert await AuditEvent.objects.filter(what="call.dial_refused").aexists()
    node.refuse.clear()
    assert (await post(secret, Idempotency_Key="a")).status_code == 202


async def test_a_node_that_is_away_is_said_and_can_be_asked_again(
    node: DialNode, make_token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await make_token()
    found = hub.current()
    await found.start()
    bus: Any = node._bus
    bus.is_up = False
    response = await post(secret, Idempotency_Key="a")
    assert (response.status_code, code(response)) == (503, "node_unreachable")
    bus.is_up = True

    async def never(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise TimeoutError

    answer = bus.handlers["outbound.dial"]
    bus.handlers["outbound.dial"] = never
    assert (await post(secret, Idempotency_Key="a")).status_code == 504
    bus.handlers["outbound.dial"] = answer
    assert (await post(secret, Idempotency_Key="a")).status_code == 202
    assert await PlacedCall.objects.acount() == 1


async def test_no_cookie_opens_the_api(node: DialNode) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    user = await database_sync_to_async(get_user_model().objects.create_superuser)("root")
    await client.aforce_login(user)
    assert (
        await client.post("/api/calls", "{}", content_type="application/json")
    ).status_code == 401


def test_requests_show_no_number_when_they_are_printed() -> None:
    assert "30123456" not in repr(read_dial_request(json.dumps(ORDER).encode()))
