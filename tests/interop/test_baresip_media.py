"""What is negotiated and what is on the wire, against another implementation of it: baresip with SRTP, G.722 and Opus.

baresip calls a bare engine and media plane in this process: a tone goes each way.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from telephony.legs.sip_media import LegPolicy, reserve, rtp_parameters
from telephony.media.commands import Enqueue, Listen, Route, SendDigits, StartRtp
from telephony.media.handles import SlotHandle, VoiceHandle
from telephony.media.notices import Digit, Notice
from telephony.media.parameters import MediaSettings
from telephony.media.plane import MediaPlane
from telephony.sdp.crypto import SrtpPolicy, Suite
from telephony.sdp.offer_answer import CODECS, Agreed
from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import IncomingInvite, SipEvent
from telephony.sip.ids import TokenIds
from telephony.sip.transport import SipTransport, TransportSettings
from tests.interop.baresip import baresip
from tests.unit.media_line import Pcm, RecordingTap
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(60)
LOOPBACK = "127.0.0.1"
OURS_HZ, THEIRS_HZ = 500, 900


def tone(hz: int, seconds: float, rate_hz: int) -> bytes:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


def pitch(heard: Pcm, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(heard.astype(float) * np.hanning(len(heard))))
    return float(np.argmax(spectrum) * rate_hz / len(heard))


class Answerer:
    """Takes every call, with a tone."""

    def __init__(self, policy: LegPolicy) -> None:
        self.policy = policy
        self.tap = RecordingTap()
        self.notices: list[Notice] = []
        self.agreed: Agreed | None = None
        self.slot: SlotHandle | None = None
        self.voice: VoiceHandle | None = None
        settings = MediaSettings(rtp_capacity=4, packet_capacity=4, voice_capacity=4)
        self.plane = MediaPlane(settings, tap=self.tap)
        engine = SipEngine(EngineSettings(), TokenIds(secrets.token_bytes))
        self.sip = SipTransport(engine, self._event, TransportSettings(bind=(LOOPBACK, 0)))

    def _event(self, event: SipEvent) -> None:
        if not isinstance(event, IncomingInvite):
            return
        place, agreed = reserve(self.plane, self.policy, event.sdp, LOOPBACK)
        assert agreed is not None
        parameters = rtp_parameters(agreed, self.policy, LOOPBACK)
        rate_hz = parameters.codec.rate_hz
        self.agreed, self.slot = agreed, place.slot
        self.voice = self.plane.add_voice(rate_hz)
        self.plane.apply(
            StartRtp(place.slot, parameters),
            Listen(place.slot, True),
            Route(place.slot, ((self.voice, 1.0),)),
            Enqueue(self.voice, "1", tone(OURS_HZ, 20, rate_hz), last=True),
        )
        event.session.answer(agreed.sdp, self.sip.now())
        self.sip.flush()

    def heard(self) -> Pcm:
        assert self.slot is not None
        return self.tap.of(self.slot)


@pytest.fixture
async def answerer(request: pytest.FixtureRequest) -> AsyncIterator[Answerer]:
    made = Answerer(request.param)
    made.plane.start(asyncio.get_running_loop(), made.notices.extend)
    await made.sip.start()
    yield made
    await made.sip.close()
    made.plane.stop()


def policy(*codecs: str, srtp: SrtpPolicy = SrtpPolicy.OFF) -> LegPolicy:
    return LegPolicy(address=LOOPBACK, codecs=tuple(CODECS[name] for name in codecs), srtp=srtp)


def call(answerer: Answerer, folder: Path, parameters: str) -> Path:
    """Three seconds of call, and a key; what the phone decoded."""
    source = folder / "source.wav"
    command = ["sox", "-n", "-r", "8000", "-c", "1", "-b", "16", str(source)]
    subprocess.run([*command, "synth", "20", "sine", str(THEIRS_HZ), "gain", "-12"], check=True)
    account = f"<sip:bob@{LOOPBACK}:{{sip}};transport=udp>;regint=0;ptime=20;{parameters}"
    with baresip(folder, source, account) as phone:
        phone.command("dial", f"sip:agent@{LOOPBACK}:{answerer.sip.address[1]}")
        phone.until("CALL_ESTABLISHED")
        phone.listen(1.7)
        phone.command("sndcode", "5")
        assert answerer.slot is not None
        answerer.plane.apply(SendDigits(answerer.slot, "7"))
        phone.listen(1.0)
        phone.command("hangup")
        phone.until("CALL_CLOSED")
        assert any(event.get("type") == "CALL_DTMF_START" for event in phone.events)
    return phone.recording()


@pytest.mark.parametrize(
    ("answerer", "parameters", "codec", "suite"),
    [
        (policy("OPUS"), "audio_codecs=opus/48000/2", "OPUS", None),
        (
            policy("PCMU", srtp=SrtpPolicy.REQUIRED),
            "audio_codecs=PCMU/8000/1;mediaenc=srtp-mand",
            "PCMU",
            Suite.AES_CM_128_HMAC_SHA1_80,
        ),
        (
            policy("G722", "PCMU", srtp=SrtpPolicy.OPTIONAL),
            "audio_codecs=G722/16000/1,PCMU/8000/1;mediaenc=srtp",
            "G722",
            Suite.AES_CM_128_HMAC_SHA1_80,
        ),
    ],
    indirect=["answerer"],
    ids=["opus", "srtp", "g722-srtp"],
)
async def test_a_tone_and_a_key_go_each_way(
    answerer: Answerer,
    tmp_path: Path,
    parameters: str,
    codec: str,
    suite: Suite | None,
) -> None:
    recording = await asyncio.to_thread(call, answerer, tmp_path, parameters)
    agreed = answerer.agreed
    assert agreed is not None
    assert agreed.codec.name == codec
    assert (agreed.crypto.suite if agreed.crypto else None) == suite
    rate_hz = 8000 if codec == "PCMU" else 16000
    assert pitch(answerer.heard()[rate_hz:][:rate_hz], rate_hz) == pytest.approx(THEIRS_HZ, abs=3)
    assert pitch(read_wav(recording, 8000)[8000:16000], 8000) == pytest.approx(OURS_HZ, abs=3)
    assert [n.digit for n in answerer.notices if isinstance(n, Digit)] == ["5"]
    counters = answerer.plane.stats().counters
    # baresip opens the way of its RTCP with a bare APP packet, and sends that and its BYE in clear.
    assert set(counters.malformed) <= {"rtcp", "srtcp"}
    assert counters.handler_errors == 0
