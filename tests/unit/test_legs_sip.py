from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from telephony.call.commands import (
    CallCommand,
    ConnectLeg,
    HoldCall,
    RemoveLeg,
    Report,
    ResumeCall,
    RingLeg,
)
from telephony.call.ids import CALLER, LegId
from telephony.call.transfer_events import TrunkMeasured
from telephony.legs.call_audio import CallMedia
from telephony.legs.incoming_leg import IncomingLeg
from telephony.legs.sip_media import LegPolicy, UnacceptableOfferError, reserve
from telephony.media.commands import ChangeRtp, StartRtp
from telephony.media.errors import NoMediaCapacityError
from telephony.media.parameters import MediaCodec
from telephony.sip.events import (
    InviteAcked,
    ReferReceived,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    SipEvent,
    Terminated,
)
from telephony.sip.message import Headers
from telephony.sip.session import Cause, EndKind, IncomingRefer
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeSession, FakeWire


def sdp(
    *, address: str = "127.0.0.1", port: int = 7000, direction: str = "sendrecv", codec: int = 0
) -> bytes:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codec} 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


class Calls:
    def __init__(self) -> None:
        self.posted: list[CallCommand] = []

    def post(self, command: CallCommand) -> None:
        self.posted.append(command)


class Scene:
    """A leg that was invited with this offer."""

    def __init__(
        self,
        offer: bytes | None,
        source: str = "127.0.0.1",
        policy: LegPolicy = LegPolicy(address="127.0.0.1"),  # noqa: B008 - frozen
    ) -> None:
        self.plane, self.wire, self.calls = FakePlane(), FakeWire(), Calls()
        self.session = FakeSession(source)
        place, agreed = reserve(self.plane, policy, offer, source)
        self.leg = IncomingLeg(self.session, self.wire, self.plane, place, agreed)
        self.media = CallMedia(self.plane, ManualClock(), 8000)
        self.leg.bind(self.calls, self.media)

    def engine(self, kind: Callable[..., SipEvent], *values: Any) -> None:
        """An event of the leg's session."""
        self.leg.handle(kind(self.session, *values))

    def reinvite(self, offer: bytes | None) -> None:
        self.engine(ReinviteReceived, offer)

    def posted(self, *kinds: type[CallCommand]) -> list[CallCommand]:
        return [one for one in self.calls.posted if isinstance(one, kinds)]

    @property
    def facts(self) -> list[CallCommand]:
        """All but what is told of the trunk."""
        return [one for one in self.calls.posted if not isinstance(one, Report)]

    def started(self) -> Any:
        return self.plane.last(StartRtp)

    def changed(self) -> Any:
        return self.plane.last(ChangeRtp)

    @property
    def verbs(self) -> list[str]:
        return [verb[0] for verb in self.session.done]


def test_the_answer_starts_audio_towards_the_offered_address() -> None:
    scene = Scene(sdp(port=7400, codec=8))
    scene.leg.answer()

    parameters = scene.started().parameters
    assert (parameters.remote, parameters.codec) == (("127.0.0.1", 7400), MediaCodec.ALAW)
    assert parameters.media_networks == ()
    assert scene.facts == [ConnectLeg(leg=CALLER, codec="PCMA")]
    assert b"m=audio 40000" in scene.session.done[0][1]
    assert scene.wire.flushes == 1


def test_a_phone_behind_nat_may_send_from_where_it_called() -> None:
    scene = Scene(sdp(address="10.0.0.9"), source="203.0.113.5")
    scene.leg.answer()
    assert [str(n) for n in scene.started().parameters.media_networks] == ["203.0.113.5/32"]


def test_a_late_offer_starts_audio_with_the_ack() -> None:
    scene = Scene(None)
    scene.leg.answer()
    assert scene.facts == []
    scene.engine(InviteAcked, sdp(port=7500))
    assert scene.started().parameters.remote == ("127.0.0.1", 7500)
    assert scene.facts == [ConnectLeg(leg=CALLER, codec="PCMU")]


@pytest.mark.parametrize("answer", [None, b"rubbish", sdp(codec=18)])
def test_an_ack_that_answers_nothing_ends_the_call(answer: bytes | None) -> None:
    scene = Scene(None)
    scene.leg.answer()
    scene.engine(InviteAcked, answer)
    assert scene.facts == [RemoveLeg(leg=CALLER, reason="incompatible_media")]


def test_hold_and_resume_follow_our_own_direction() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.reinvite(sdp(direction="sendonly"))
    assert b"a=recvonly" in scene.session.done[-1][1]
    assert not scene.changed().parameters.sending
    scene.reinvite(sdp(direction="sendonly"))
    scene.reinvite(sdp())
    holds = [one for one in scene.calls.posted if isinstance(one, HoldCall | ResumeCall)]
    assert holds == [HoldCall(leg=CALLER), ResumeCall(leg=CALLER)]


def test_the_hold_of_the_old_kind_sends_nowhere() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.reinvite(sdp(address="0.0.0.0"))
    assert not scene.changed().parameters.sending
    assert scene.calls.posted[-1] == HoldCall(leg=CALLER)


def test_a_changed_address_moves_the_audio() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.reinvite(sdp(port=7800))
    assert scene.changed().parameters.remote == ("127.0.0.1", 7800)


def test_a_reinvite_we_cannot_use_changes_nothing() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    before = list(scene.calls.posted)
    scene.reinvite(sdp(codec=18))
    assert scene.session.done[-1] == ("reject_reinvite", 488)
    assert scene.calls.posted == before


def test_an_empty_reinvite_gets_our_offer_and_takes_the_answer() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.reinvite(None)
    assert scene.verbs[-1] == "accept_reinvite"
    scene.engine(ReinviteAcked, sdp(port=7900))
    assert scene.changed().parameters.remote == ("127.0.0.1", 7900)


def test_a_call_that_was_cancelled_before_the_answer_is_over() -> None:
    scene = Scene(sdp())
    scene.session.cancelled = True
    scene.leg.answer()
    scene.engine(Terminated, Cause(EndKind.CANCELLED))
    assert scene.facts == [RemoveLeg(leg=CALLER, reason="cancelled")]


def test_their_bye_is_told_and_not_answered_with_another() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.engine(Terminated, Cause(EndKind.REMOTE))
    scene.leg.close("caller_hung_up")
    assert scene.calls.posted[-1] == RemoveLeg(leg=CALLER, reason="caller_hung_up")
    assert "bye" not in scene.verbs


def test_our_end_is_one_bye_and_gives_the_slot_back() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.close("done")
    scene.leg.close("done")
    scene.engine(Terminated, Cause(EndKind.LOCAL))
    assert scene.verbs == ["answer", "bye"]
    assert scene.plane.live == {scene.media.voice_handle}
    assert not any(isinstance(one, RemoveLeg) for one in scene.calls.posted)


def test_an_unusable_offer_reserves_nothing() -> None:
    plane = FakePlane()
    with pytest.raises(UnacceptableOfferError):
        reserve(plane, LegPolicy(address="127.0.0.1"), sdp(codec=18), "127.0.0.1")
    assert plane.live == set()


def test_a_full_plane_refuses_before_the_answer() -> None:
    with pytest.raises(NoMediaCapacityError):
        reserve(FakePlane(capacity=0), LegPolicy(address="127.0.0.1"), sdp(), "127.0.0.1")


# -------------------------------------------------------------------------------------------------------- pitfalls


def test_hold_state_is_ours() -> None:
    """JsSIP#977: an offer of `recvonly` wants to hear us and sends nothing; that is no hold of ours."""
    scene = Scene(sdp())
    scene.leg.answer()
    scene.reinvite(sdp(direction="recvonly"))
    assert b"a=sendonly" in scene.session.done[-1][1]
    assert scene.posted(HoldCall) == []
    scene.reinvite(sdp(direction="inactive"))
    scene.reinvite(sdp(direction="recvonly"))
    assert scene.posted(HoldCall, ResumeCall) == [HoldCall(leg=CALLER), ResumeCall(leg=CALLER)]


def test_reinvite_never_ends_the_call() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    for offer in (sdp(codec=18), b"rubbish", None, b"", sdp(direction="inactive"), sdp()):
        scene.reinvite(offer)
    assert scene.posted(RemoveLeg) == []
    assert "bye" not in scene.verbs


def test_silent_local_side_does_not_end_call() -> None:
    """livekit/sip#855: nobody here has spoken yet, and nothing is taken for a dead line."""
    scene = Scene(sdp())
    scene.leg.answer()
    scene.media.route((), flush_agent=False)
    scene.reinvite(sdp(direction="sendonly"))
    assert scene.posted(RemoveLeg) == []


def test_early_media_is_heard() -> None:
    """livekit/sip#813, the caller's side: 183 with SDP opens the path before the answer."""
    scene = Scene(sdp())
    scene.leg.ring(early_media=True)
    verb, status, body = scene.session.done[-1]
    assert (verb, status, b"m=audio 40000" in body) == ("ring", 183, True)
    assert scene.started().parameters.remote == ("127.0.0.1", 7000)
    assert scene.facts == [RingLeg(leg=CALLER, early_media=True)]
    scene.leg.answer()
    assert scene.facts[-1] == ConnectLeg(leg=CALLER, codec="PCMU")
    assert scene.session.done[-1][1] == body


# --------------------------------------------------------------------------------------------- ringing and refusing


def test_ringing_without_early_media_is_a_plain_180() -> None:
    scene = Scene(sdp())
    scene.leg.ring(early_media=False)
    assert scene.session.done == [("ring", 180, None)]
    late = Scene(None)
    late.leg.ring(early_media=True)
    assert late.session.done == [("ring", 180, None)]


@pytest.mark.parametrize(
    ("cause", "status"), [("busy", 486), ("declined", 603), ("no_answer", 480), ("whatever", 480)]
)
def test_a_caller_for_whom_nobody_answered_is_told_why(cause: str, status: int) -> None:
    scene = Scene(sdp())
    scene.leg.ring(early_media=False)
    scene.leg.close(cause)
    assert scene.session.done[-1] == ("reject", status)
    assert measured(scene) == [(status, False)]
    assert scene.plane.live == {scene.media.voice_handle}


def measured(scene: Scene) -> list[tuple[int, bool]]:
    facts = [event for one in scene.posted(Report) for event in one.events]  # type: ignore[union-attr]
    return [(e.status, e.answered) for e in facts if isinstance(e, TrunkMeasured)]


def test_the_trunk_is_told_of_once_by_the_answer_or_by_the_cancel() -> None:
    scene = Scene(sdp(codec=8), policy=LegPolicy(address="127.0.0.1", trunk="carrier"))
    scene.leg.answer()
    scene.reinvite(sdp())
    scene.engine(Terminated, Cause(EndKind.REMOTE))
    assert measured(scene) == [(200, True)]
    (report,) = scene.posted(Report)
    assert report.events[0] == TrunkMeasured(  # type: ignore[union-attr]
        leg=CALLER,
        trunk="carrier",
        direction="inbound",
        status=200,
        answered=True,
        cause="normal",
        codec="PCMA",
    )
    gone = Scene(sdp())
    gone.engine(Terminated, Cause(EndKind.CANCELLED, 487))
    assert measured(gone) == [(487, False)]


# ------------------------------------------------------------------------------------------------ refreshes, transfers


def test_a_refresh_that_changed_the_address_moves_the_audio() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.engine(ReinviteAnswered, sdp(port=7950))
    assert scene.changed().parameters.remote == ("127.0.0.1", 7950)


def test_a_refer_is_refused_where_nobody_judges_it() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.engine(ReferReceived, IncomingRefer("sip:900@x", None, "", Headers()))
    assert scene.session.done[-1] == ("reject_refer", 403)


def test_a_leg_that_takes_anothers_name_speaks_by_it() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.become(LegId("other"))
    scene.engine(Terminated, Cause(EndKind.REMOTE))
    assert scene.facts[-1] == RemoveLeg(leg=LegId("other"), reason="target_hung_up")
