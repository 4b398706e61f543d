"""The leg of a phone that we call: offers, early media, answers that can be used and those that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.call.commands import CallCommand, ConnectLeg, HoldCall, RemoveLeg, Report
from telephony.call.ids import LegId
from telephony.legs.call_audio import CallMedia
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.sip_media import Addresses, UnacceptableOfferError
from telephony.media.commands import ChangeRtp, StartRtp
from telephony.media.errors import NoMediaCapacityError
from telephony.sip.events import Provisional, ReinviteReceived, Terminated
from telephony.sip.session import Cause, EndKind
from telephony.trunks import Trunk
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeSession, FakeWire
from tests.unit.test_legs_sip import Calls, sdp

TARGET = LegId("target-1")
CARRIER = Trunk(name="carrier", codecs=("PCMA", "PCMU"))


class Dialled:
    """A leg whose INVITE has left."""

    def __init__(self, trunk: Trunk | None = CARRIER) -> None:
        self.plane, self.wire, self.calls = FakePlane(), FakeWire(), Calls()
        self.media = CallMedia(self.plane, ManualClock(), 8000)
        self.leg = DialledLeg(TARGET, self.wire, self.plane, Addresses("127.0.0.1"))
        self.leg.bind(self.calls, self.media)
        self.session = FakeSession()
        self.offer = self.leg.offer(trunk, towards="127.0.0.1")
        self.leg.invited(self.session)

    def rings(self, body: bytes | None, fork: str = "a", status: int = 183) -> bool:
        return self.leg.early(Provisional(self.session, status, "", body, fork))

    def remote(self, kind: type[StartRtp | ChangeRtp]) -> tuple[str, int]:
        command: Any = self.plane.last(kind)
        return command.parameters.remote  # type: ignore[no-any-return]

    @property
    def facts(self) -> list[CallCommand]:
        return [one for one in self.calls.posted if not isinstance(one, Report)]

    @property
    def measured(self) -> list[tuple[Any, ...]]:
        reports = [one for one in self.calls.posted if isinstance(one, Report)]
        facts: list[Any] = [event for report in reports for event in report.events]
        return [(e.trunk, e.status, e.answered, e.codec, e.pdd_ms, e.cause) for e in facts]

    @property
    def verbs(self) -> list[str]:
        return [verb[0] for verb in self.session.done]


def test_the_offer_is_the_trunks() -> None:
    assert b"RTP/AVP 8 0 " in Dialled().offer
    assert b"opus/48000/2" in Dialled(None).offer


def test_the_answer_starts_audio_and_tells_the_call_and_the_trunks_figures() -> None:
    dialled = Dialled()
    assert dialled.leg.answered(sdp(port=7100, codec=8), 812.5)
    assert dialled.remote(StartRtp) == ("127.0.0.1", 7100)
    assert dialled.facts == [ConnectLeg(leg=TARGET, codec="PCMA")]
    assert dialled.measured == [("carrier", 200, True, "PCMA", 812.5, "normal")]
    assert TARGET in dialled.media.slots


def test_early_media_is_heard() -> None:
    """livekit/sip#813, the target's side: what it plays before its answer reaches the call."""
    dialled = Dialled()
    assert dialled.rings(sdp(port=7200))
    assert dialled.remote(StartRtp) == ("127.0.0.1", 7200)
    assert TARGET in dialled.media.slots
    assert dialled.facts == []
    assert not dialled.rings(sdp(port=7200))


def test_a_second_phone_that_rings_is_not_heard_but_may_answer() -> None:
    dialled = Dialled()
    dialled.rings(sdp(port=7200), fork="a")
    assert not dialled.rings(sdp(port=7300), fork="b")
    assert dialled.leg.answered(sdp(port=7300), None)
    assert dialled.remote(ChangeRtp) == ("127.0.0.1", 7300)


def test_an_answer_without_sdp_takes_that_of_the_early_media() -> None:
    dialled = Dialled()
    dialled.rings(sdp(port=7200))
    assert dialled.leg.answered(None, None)
    assert dialled.facts == [ConnectLeg(leg=TARGET, codec="PCMU")]


@pytest.mark.parametrize("body", [None, b"rubbish", sdp(codec=18)])
def test_an_answer_that_cannot_be_used_is_hung_up(body: bytes | None) -> None:
    dialled = Dialled()
    assert not dialled.leg.answered(body, None)
    assert dialled.verbs == ["bye"]
    assert dialled.facts == []
    assert not dialled.rings(b"rubbish")


def test_a_failed_attempt_is_told_and_the_next_one_keeps_the_leg() -> None:
    dialled = Dialled()
    dialled.leg.measured(503, "unavailable", 40.0)
    second = dialled.leg.offer(Trunk(name="other", codecs=("PCMU",)), towards="127.0.0.1")
    assert b"RTP/AVP 0 " in second
    dialled.leg.invited(FakeSession())
    assert dialled.leg.answered(sdp(), 90.0)
    assert [row[:3] for row in dialled.measured] == [("carrier", 503, False), ("other", 200, True)]


def test_a_leg_nobody_answered_gives_its_slot_back_and_says_nothing_to_the_call() -> None:
    dialled = Dialled()
    dialled.leg.failed()
    dialled.leg.failed()
    assert (dialled.leg.closed, dialled.facts) == (True, [])
    assert dialled.plane.live == {dialled.media.voice_handle}


def test_a_leg_that_is_closed_while_it_rings_ends_its_invite() -> None:
    dialled = Dialled()
    dialled.leg.close("call_ended")
    dialled.leg.close("call_ended")
    assert dialled.verbs == ["bye"]
    assert not dialled.rings(sdp())


def test_a_person_who_holds_or_hangs_up_is_a_leg_like_any_other() -> None:
    dialled = Dialled()
    dialled.leg.answered(sdp(), None)
    dialled.leg.handle(ReinviteReceived(dialled.session, sdp(direction="sendonly")))
    dialled.leg.handle(Terminated(dialled.session, Cause(EndKind.REMOTE)))
    assert dialled.facts[2:] == [
        HoldCall(leg=TARGET),
        RemoveLeg(leg=TARGET, reason="target_hung_up"),
    ]


def test_a_full_plane_and_a_trunk_without_tls_are_told_before_anything_is_sent() -> None:
    with pytest.raises(NoMediaCapacityError):
        DialledLeg(TARGET, FakeWire(), FakePlane(capacity=0), Addresses("127.0.0.1"))
    with pytest.raises(UnacceptableOfferError):
        Dialled(Trunk(name="t", srtp="required", transport="udp"))
    assert b"RTP/SAVP" in Dialled(Trunk(name="t", srtp="required", transport="tls")).offer
