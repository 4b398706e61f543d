"""One destination being reached, on a clock that tests move: attempts, ringing, crossing, and exactly one outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from telephony.call.timers import TimerSet
from telephony.gateway.dial_order import DialFailure
from telephony.gateway.dialling import CANCEL_S, Attempt, DialParts, LegDialling
from telephony.gateway.sessions import SessionEvent, Sessions
from telephony.legs.sip_media import UnacceptableOfferError
from telephony.sip.events import Answered, Provisional, ReinviteReceived, Terminated
from telephony.sip.flow import Flow
from telephony.sip.session import Cause, EndKind, InviteOptions
from tests.fakes.manual_clock import ManualClock

SDP = b"v=0"


class Session:
    """An `OutgoingSession` that keeps its cancel."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self, now: float, *, reason: str = "") -> None:
        self.cancelled += 1


@dataclass
class Leg:
    """A `DialledLeg` that keeps what it was told."""

    usable: bool = True
    closed: bool = False
    done: list[str] = field(default_factory=list)
    measurements: list[tuple[int, str]] = field(default_factory=list)
    refuses_offer: bool = False

    def offer(
        self, trunk: Any, *, secure: bool | None = None, phone: Any = None, towards: str = ""
    ) -> bytes:
        if self.refuses_offer:
            raise UnacceptableOfferError("SRTP without TLS", "")
        return SDP

    def invited(self, session: Any) -> None:
        self.done.append("invited")

    def early(self, event: Provisional) -> bool:
        self.done.append("early")
        return self.done.count("early") == 1

    def answered(self, sdp: bytes | None, pdd_ms: float | None) -> bool:
        self.done.append("answered")
        return self.usable

    def measured(self, status: int, cause: str, pdd_ms: float | None = None) -> None:
        self.measurements.append((status, cause))

    def handle(self, event: SessionEvent) -> None:
        self.done.append(type(event).__name__)

    def close(self, cause: str) -> None:
        self.closed = True

    def failed(self) -> None:
        self.done.append("failed")


class Scene:
    """A dialling with so many ways, and what its listener and its ledger heard."""

    def __init__(self, ways: int = 2, ring_s: float = 60.0) -> None:
        self.clock = ManualClock()
        self.leg = Leg()
        self.heard: list[str] = []
        self.failures: list[DialFailure] = []
        self.sent: list[Session] = []
        self.sessions: Sessions = {}
        flow = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.1", 5060))
        attempt = Attempt(
            trunk=None,
            target="sip:1@x",
            from_="sip:2@y",
            to="sip:1@x",
            headers=(),
            flow=flow,
            options=InviteOptions(),
        )
        parts = DialParts(self._invite, self, self.sessions, TimerSet(self.clock), self)
        self.dialling = LegDialling(
            parts, cast("Any", self.leg), self, iter([attempt] * ways), ring_s
        )

    def begin(self) -> Scene:
        self.dialling.begin()
        return self

    def _invite(self, target: str, **more: Any) -> Any:
        self.sent.append(Session())
        return self.sent[-1]

    # wire
    def now(self) -> float:
        return self.clock.monotonic()

    def flush(self) -> None:
        pass

    # ledger
    def attempted(self, attempt: Attempt) -> None:
        self.heard.append("attempted")

    def refused(self, attempt: Attempt, cause: Cause) -> None:
        self.heard.append("refused")

    def answered(self) -> None:
        self.heard.append("counted")

    def over(self) -> None:
        self.heard.append("over")

    # listener
    def on_ringing(self, status: int) -> None:
        self.heard.append(f"ringing {status}")

    def on_early_media(self) -> None:
        self.heard.append("early")

    def on_answered(self) -> None:
        self.heard.append("answered")

    def on_failed(self, failure: DialFailure) -> None:
        self.failures.append(failure)

    # peer
    def tell(self, make: Callable[[Any], SessionEvent]) -> None:
        session = self.sent[-1]
        self.sessions[cast("Any", session)](make(session))

    def rings(self, status: int = 180, sdp: bytes | None = None) -> None:
        self.tell(lambda session: Provisional(session, status, "", sdp, "f1"))

    def answers(self) -> None:
        self.tell(lambda session: Answered(session, SDP))

    def ends(self, kind: EndKind, status: int | None = None) -> None:
        self.tell(lambda session: Terminated(session, Cause(kind, status)))


def test_a_phone_rings_and_answers() -> None:
    scene = Scene().begin()
    scene.rings()
    scene.answers()
    assert scene.heard == ["attempted", "ringing 180", "counted", "answered"]
    assert scene.clock.pending == 0
    scene.ends(EndKind.REMOTE)
    assert scene.leg.done[-1] == "Terminated"
    assert scene.heard[-1] == "over"
    assert scene.failures == []
    assert scene.sessions == {}


def test_early_media_is_told_once() -> None:
    scene = Scene().begin()
    scene.rings(183, SDP)
    scene.rings(183, SDP)
    assert scene.heard.count("early") == 1


def test_trying_is_not_ringing() -> None:
    scene = Scene().begin()
    scene.rings(100)
    assert scene.heard == ["attempted"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(EndKind.REJECTED, 503), (EndKind.TIMEOUT, None), (EndKind.TRANSPORT, None)],
)
def test_the_next_way_is_tried_while_nobody_can_have_rung(
    kind: EndKind, status: int | None
) -> None:
    scene = Scene(ways=2).begin()
    scene.ends(kind, status)
    assert len(scene.sent) == 2
    scene.answers()
    assert scene.failures == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [(486, "busy"), (603, "declined"), (404, "unknown_number"), (302, "redirected"), (500, "failed")],
)  # fmt: skip
def test_a_refusal_is_the_outcome_and_nobody_else_is_called(status: int, reason: str) -> None:
    scene = Scene(ways=2).begin()
    scene.ends(EndKind.REJECTED, status)
    assert len(scene.sent) == 1
    assert scene.failures == [DialFailure(reason, status)]
    assert scene.leg.measurements == [(status, reason)]
    assert scene.leg.done[-1] == "failed"


@pytest.mark.parametrize("kind", [EndKind.REJECTED, EndKind.TIMEOUT, EndKind.TRANSPORT])
def test_no_second_invite_once_a_phone_may_have_rung(kind: EndKind) -> None:
    scene = Scene(ways=2).begin()
    scene.rings()
    scene.ends(kind, 503)
    assert len(scene.sent) == 1
    assert [failure.reason for failure in scene.failures] == ["unavailable"]


def test_when_all_ways_were_tried_the_last_failure_is_told() -> None:
    scene = Scene(ways=2).begin()
    scene.ends(EndKind.REJECTED, 503)
    scene.ends(EndKind.TIMEOUT)
    assert scene.failures == [DialFailure("timeout")]


def test_without_a_way_there_is_no_route() -> None:
    scene = Scene(ways=0).begin()
    assert scene.failures == [DialFailure("no_route")]
    assert scene.heard == ["over"]


def test_an_offer_that_may_not_be_made_is_a_way_that_failed() -> None:
    scene = Scene(ways=2)
    scene.leg.refuses_offer = True
    scene.begin()
    assert scene.sent == []
    assert scene.failures == [DialFailure("failed")]


def test_a_phone_that_nobody_takes_up_is_cancelled_in_time() -> None:
    scene = Scene(ring_s=20).begin()
    scene.rings()
    scene.clock.advance(20)
    assert scene.sent[0].cancelled == 1
    assert scene.failures == []
    scene.ends(EndKind.CANCELLED, 487)
    assert scene.failures == [DialFailure("no_answer", 487)]


def test_cancel_is_followed_by_one_failure() -> None:
    scene = Scene().begin()
    scene.dialling.cancel()
    scene.dialling.cancel()
    scene.ends(EndKind.CANCELLED, 487)
    assert scene.sent[0].cancelled == 1
    assert [failure.reason for failure in scene.failures] == ["cancelled"]
    assert scene.heard[-1] == "over"


def test_a_host_that_is_silent_to_the_cancel_is_not_waited_for() -> None:
    scene = Scene(ring_s=20).begin()
    scene.clock.advance(20 + CANCEL_S)
    assert [failure.reason for failure in scene.failures] == ["no_answer"]
    assert scene.heard[-1] == "over"
    scene.answers()
    scene.ends(EndKind.LOCAL)
    assert len(scene.failures) == 1
    assert scene.sessions == {}


def test_an_answer_that_crosses_the_cancel_is_not_taken() -> None:
    scene = Scene().begin()
    scene.dialling.cancel()
    scene.answers()
    assert scene.leg.closed
    assert "answered" not in scene.heard
    scene.ends(EndKind.LOCAL)
    assert [failure.reason for failure in scene.failures] == ["cancelled"]


def test_cancel_before_anything_was_sent_sends_nothing() -> None:
    scene = Scene()
    scene.dialling.cancel()
    assert [failure.reason for failure in scene.failures] == ["cancelled"]
    scene.begin()
    assert scene.sent == []
    assert len(scene.failures) == 1


def test_a_call_that_ended_meanwhile_is_not_tried_elsewhere() -> None:
    scene = Scene(ways=2).begin()
    scene.leg.closed = True
    scene.ends(EndKind.CANCELLED, 487)
    assert len(scene.sent) == 1
    assert [failure.reason for failure in scene.failures] == ["cancelled"]


def test_an_answer_that_cannot_be_used_is_a_failure() -> None:
    scene = Scene().begin()
    scene.leg.usable = False
    scene.answers()
    scene.ends(EndKind.LOCAL)
    assert [failure.reason for failure in scene.failures] == ["incompatible_media"]
    assert "counted" not in scene.heard


def test_what_follows_the_answer_is_the_legs() -> None:
    scene = Scene().begin()
    scene.answers()
    scene.tell(lambda session: ReinviteReceived(session, SDP))
    assert scene.leg.done[-1] == "ReinviteReceived"
    scene.clock.advance(1000)
    assert scene.sent[0].cancelled == 0
