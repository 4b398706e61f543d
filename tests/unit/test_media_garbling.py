from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.notices import AudioTroubled, Garbling
from telephony.media.parameters import MediaCodec, RtpParameters
from tests.unit.media_line import PHONE, Line, Pcm, silence, voiced

SPEECH = voiced(500)


def sent_as(pcm: Pcm, form: str) -> bytes:
    if form in ("PCMU", "PCMA"):
        return g711.encode(pcm, g711.LAW_NUMBER[MediaCodec(form)]).tobytes()
    return pcm.astype(form).tobytes()


def verdicts(octets: bytes, law: MediaCodec) -> list[Garbling]:
    line = Line()
    number = 0 if law is MediaCodec.ULAW else 8
    slot, phone = line.call(RtpParameters(PHONE, payload_type=number, codec=law))
    phone.payload_type = number
    for start in range(0, len(octets), 160):
        phone.send_packet(phone.packet(octets[start : start + 160]))
        line.frame()
    return [Garbling(n.detail) for n in line.of(AudioTroubled) if n.slot == slot]


@pytest.mark.parametrize(
    ("form", "law", "told"),
    [
        ("PCMU", MediaCodec.ULAW, []),
        ("PCMA", MediaCodec.ALAW, []),
        ("PCMA", MediaCodec.ULAW, [Garbling.WRONG_LAW]),
        ("PCMU", MediaCodec.ALAW, [Garbling.WRONG_LAW]),
        (">i2", MediaCodec.ULAW, [Garbling.LINEAR_PCM]),
        ("<i2", MediaCodec.ULAW, [Garbling.LINEAR_PCM]),
        (">i2", MediaCodec.ALAW, [Garbling.LINEAR_PCM]),
        ("<i2", MediaCodec.ALAW, [Garbling.LINEAR_PCM]),
    ],
)
def test_speech_written_otherwise_than_negotiated_is_told(
    form: str, law: MediaCodec, told: list[Garbling]
):
    assert verdicts(sent_as(SPEECH, form)[: 160 * 500], law) == told


def test_noise_is_not_taken_for_garbled_speech():
    noisy = np.random.default_rng(2).normal(0, 3000, 160 * 500).astype(np.int16)
    assert verdicts(sent_as(noisy, "PCMU"), MediaCodec.ULAW) == []


def test_silence_is_not_garbled():
    assert verdicts(sent_as(silence(500), "PCMU"), MediaCodec.ULAW) == []


def test_constant_octets_that_are_no_silence_are_told():
    assert verdicts(b"\x20" * 160 * 100, MediaCodec.ULAW) == [Garbling.CONSTANT]


def test_a_fifth_of_packets_unusable_is_told():
    line = Line()
    slot, phone = line.call(replace(RtpParameters(PHONE), ptime_ms=20))
    line.talk(phone, silence(5))
    for _ in range(30):
        phone.send_packet(phone.packet(b"x" * 160, payload_type=96))
        line.frame()
        line.talk(phone, silence(2))
    assert [(n.slot, n.detail) for n in line.of(AudioTroubled)] == [(slot, Garbling.BAD_PACKETS)]
