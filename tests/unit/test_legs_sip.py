from __future__ import annotations

from typing import Any

import pytest

from telephony.call.commands import CallCommand, ConnectLeg, HoldCall, RemoveLeg, ResumeCall
from telephony.call.ids import CALLER
from telephony.legs.call_audio import CallMedia
from telephony.legs.sip_leg import SipLeg, UnacceptableOfferError, reserve
from telephony.media.commands import ChangeRtp, StartRtp
from telephony.media.errors import NoMediaCapacityError
from telephony.media.parameters import MediaCodec
from telephony.sip.session import Cause, EndKind
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

    def __init__(self, offer: bytes | None, source: str = "127.0.0.1") -> None:
        self.plane, self.wire, self.calls = FakePlane(), FakeWire(), Calls()
        self.session = FakeSession(source)
        place, agreed = reserve(self.plane, "127.0.0.1", offer, source)
        self.leg = SipLeg(self.session, self.wire, self.plane, place, agreed)
        self.media = CallMedia(self.plane, ManualClock(), 8000)
        self.leg.bind(self.calls, self.media)

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
    assert scene.calls.posted == [ConnectLeg(leg=CALLER, codec="PCMA")]
    assert b"m=audio 40000" in scene.session.done[0][1]
    assert scene.wire.flushes == 1


def test_a_phone_behind_nat_may_send_from_where_it_called() -> None:
    scene = Scene(sdp(address="10.0.0.9"), source="203.0.113.5")
    scene.leg.answer()
    assert [str(n) for n in scene.started().parameters.media_networks] == ["203.0.113.5/32"]


def test_a_late_offer_starts_audio_with_the_ack() -> None:
    scene = Scene(None)
    scene.leg.answer()
    assert scene.calls.posted == []
    scene.leg.acked(sdp(port=7500))
    assert scene.started().parameters.remote == ("127.0.0.1", 7500)
    assert scene.calls.posted == [ConnectLeg(leg=CALLER, codec="PCMU")]


@pytest.mark.parametrize("answer", [None, b"rubbish", sdp(codec=18)])
def test_an_ack_that_answers_nothing_ends_the_call(answer: bytes | None) -> None:
    scene = Scene(None)
    scene.leg.answer()
    scene.leg.acked(answer)
    assert scene.calls.posted == [RemoveLeg(leg=CALLER, reason="incompatible_media")]


def test_hold_and_resume_follow_our_own_direction() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.reinvited(sdp(direction="sendonly"))
    assert b"a=recvonly" in scene.session.done[-1][1]
    assert not scene.changed().parameters.sending
    scene.leg.reinvited(sdp(direction="sendonly"))
    scene.leg.reinvited(sdp())
    holds = [one for one in scene.calls.posted if isinstance(one, HoldCall | ResumeCall)]
    assert holds == [HoldCall(leg=CALLER), ResumeCall(leg=CALLER)]


def test_the_hold_of_the_old_kind_sends_nowhere() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.reinvited(sdp(address="0.0.0.0"))
    assert not scene.changed().parameters.sending
    assert scene.calls.posted[-1] == HoldCall(leg=CALLER)


def test_a_changed_address_moves_the_audio() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.reinvited(sdp(port=7800))
    assert scene.changed().parameters.remote == ("127.0.0.1", 7800)


def test_a_reinvite_we_cannot_use_changes_nothing() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    before = list(scene.calls.posted)
    scene.leg.reinvited(sdp(codec=18))
    assert scene.session.done[-1] == ("reject_reinvite", 488)
    assert scene.calls.posted == before


def test_an_empty_reinvite_gets_our_offer_and_takes_the_answer() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.reinvited(None)
    assert scene.verbs[-1] == "accept_reinvite"
    scene.leg.reinvite_acked(sdp(port=7900))
    assert scene.changed().parameters.remote == ("127.0.0.1", 7900)


def test_a_call_that_was_cancelled_before_the_answer_is_over() -> None:
    scene = Scene(sdp())
    scene.session.cancelled = True
    scene.leg.answer()
    scene.leg.terminated(Cause(EndKind.CANCELLED))
    assert scene.calls.posted == [RemoveLeg(leg=CALLER, reason="cancelled")]


def test_their_bye_is_told_and_not_answered_with_another() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.terminated(Cause(EndKind.REMOTE))
    scene.leg.close("caller_hung_up")
    assert scene.calls.posted[-1] == RemoveLeg(leg=CALLER, reason="caller_hung_up")
    assert "bye" not in scene.verbs


def test_our_end_is_one_bye_and_gives_the_slot_back() -> None:
    scene = Scene(sdp())
    scene.leg.answer()
    scene.leg.close("done")
    scene.leg.close("done")
    scene.leg.terminated(Cause(EndKind.LOCAL))
    assert scene.verbs == ["answer", "bye"]
    assert scene.plane.live == {scene.media.voice_handle}
    assert not any(isinstance(one, RemoveLeg) for one in scene.calls.posted)


def test_an_unusable_offer_reserves_nothing() -> None:
    plane = FakePlane()
    with pytest.raises(UnacceptableOfferError):
        reserve(plane, "127.0.0.1", sdp(codec=18), "127.0.0.1")
    assert plane.live == set()


def test_a_full_plane_refuses_before_the_answer() -> None:
    with pytest.raises(NoMediaCapacityError):
        reserve(FakePlane(capacity=0), "127.0.0.1", sdp(), "127.0.0.1")
