"""baresip as a registered phone of ours: digest, a call to it, and transfers both ways, told as they went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.sip.auth import Challenge
from telephony.sip.digest import ha1_of
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    ReferEnded,
    ReferReceived,
    RegisterReceived,
    SipEvent,
    Terminated,
)
from telephony.sip.session import EndKind, OutgoingSession, ReferOutcome
from tests.fakes.sip_end import End
from tests.interop.baresip import Baresip, baresip
from tests.interop.tones import tone_wav

pytestmark = pytest.mark.timeout(60)

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
ACCOUNT = (
    "<sip:bob@127.0.0.1:{registrar};transport=udp>;auth_user=bob;auth_pass=sesame;regint=60;answermode=auto;"
    "audio_codecs=PCMU/8000/1;ptime=20"
)


class Bob:
    """Lets in one user, by MD5: this phone knows no other algorithm."""

    def policy(self, request, flow):
        return Challenge("desk.test", ("MD5",)) if request.method == "REGISTER" else "accept"

    def ha1(self, username, realm, algorithm):
        return ha1_of(algorithm, username, realm, "sesame") if username == "bob" else None


class Desk(End):
    """A registrar that lets Bob in, and lets calls wait."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = False
        self.transport.engine.authority = Bob()

    def on_event(self, event: SipEvent) -> None:
        if isinstance(event, RegisterReceived):
            assert event.registration.username == "bob"
            event.registration.accept(self.transport.now(), 60)
            self.transport.flush()
        super().on_event(event)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    desk, carol = Desk(), End()
    carol.answers = False
    for end in (desk, carol):
        await end.transport.start()
    yield desk, carol
    for end in (desk, carol):
        await end.transport.close()


@pytest.fixture
async def phone(ends: tuple[End, End], tmp_path: Path) -> AsyncIterator[Baresip]:
    port = ends[0].transport.address[1]
    tone = tone_wav(tmp_path / "tone.wav", 440, 5.0)
    running = baresip(tmp_path, tone, ACCOUNT.replace("{registrar}", str(port)))
    yield await asyncio.to_thread(running.__enter__)
    await asyncio.to_thread(running.__exit__, None, None, None)  # it says good-bye to the desk


async def called(desk: End) -> OutgoingSession:
    """The phone has registered and answered our call."""
    registration = (await desk.next(RegisterReceived)).registration
    now = desk.transport.now()
    [binding] = desk.transport.engine.bindings.of(registration.aor, now)
    session = desk.transport.engine.invite(
        binding.contact, from_="sip:desk@desk.test", flow=binding.flow, sdp=SDP, now=now
    )
    desk.transport.flush()
    assert (await desk.next(Answered)).session is session
    return session


def refer(desk: End, session: OutgoingSession, carol: End) -> None:
    session.refer(f"sip:carol@127.0.0.1:{carol.transport.address[1]}", desk.transport.now())
    desk.transport.flush()


async def test_the_phone_calls_whom_we_name_and_tells_that_he_answered(ends, phone):
    desk, carol = ends
    session = await called(desk)
    refer(desk, session, carol)

    arrived = (await carol.next(IncomingInvite)).session
    arrived.answer(SDP, carol.transport.now())
    carol.transport.flush()

    ended = await desk.next(ReferEnded)
    assert (ended.outcome, ended.status) == (ReferOutcome.ANSWERED, 200)


async def test_the_phone_tells_that_whom_we_named_is_busy(ends, phone):
    desk, carol = ends
    session = await called(desk)
    refer(desk, session, carol)

    arrived = (await carol.next(IncomingInvite)).session
    arrived.reject(486, carol.transport.now())
    carol.transport.flush()

    ended = await desk.next(ReferEnded)
    assert (ended.outcome, ended.status) == (ReferOutcome.DECLINED, 486)


async def test_the_phone_hands_its_call_to_us_and_leaves(ends, phone):
    desk, _ = ends
    session = await called(desk)
    await asyncio.to_thread(phone.command, "transfer", "sip:carol@127.0.0.1:5999")

    received = await desk.next(ReferReceived)
    now = desk.transport.now()
    session.accept_refer(now)
    session.notify_refer(180, "Ringing", now)
    session.notify_refer(200, "OK", now)
    desk.transport.flush()
    ended = await desk.next(Terminated)

    assert received.refer.target == "sip:carol@127.0.0.1:5999"
    assert ended.cause.kind is EndKind.REMOTE
