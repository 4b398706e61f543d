"""Wrong audio is told within three seconds of its onset, and right audio never."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.commands import Remove
from telephony.media.g722 import G722Codec
from telephony.media.notices import AudioRecovered, AudioTroubled, Garbling, Quality, TroubleKind
from telephony.media.parameters import MediaCodec, MediaSettings, RtpParameters
from telephony.rtp.packet import parse_packet
from telephony.rtp.rtcp import Report, ReportBlock, build_compound, parse_compound
from tests.unit.media_line import PHONE, Line, Pcm, silence, voiced
from tests.unit.wrong_audio import music, noise, speech, tones

WITHIN_S = 3.0
START = 1000.0
VOICES = ("slt", "rms", "awb", "kal16")
TYPES = {MediaCodec.ULAW: 0, MediaCodec.ALAW: 8}


def coded(pcm: Pcm, form: str) -> bytes:
    if form in ("PCMU", "PCMA"):
        return g711.encode(pcm, g711.LAW_NUMBER[MediaCodec(form)]).tobytes()
    return pcm.astype(form).tobytes()


def g722_coded(pcm: Pcm) -> bytes:
    encoder = G722Codec()
    return b"".join(encoder.encode(frame) for frame in pcm.reshape(-1, 320))


@dataclass(frozen=True)
class Wire:
    """What one phone sends, `size` octets each 20 ms, where `codec` was agreed on."""

    codec: MediaCodec
    octets: bytes
    size: int = 160


def told(wires: Mapping[str, Wire]) -> dict[str, list[AudioTroubled]]:
    """Troubles of each of these calls, which are up at once."""
    line = Line(settings=MediaSettings(rtp_capacity=64, packet_capacity=4, voice_capacity=4))
    names, phones = {}, {}
    for number, (name, wire) in enumerate(wires.items()):
        kind, remote = TYPES[wire.codec], (f"10.0.1.{number + 1}", 4000)
        slot, phones[name] = line.call(
            RtpParameters(remote, payload_type=kind, codec=wire.codec), payload_type=kind
        )
        names[slot] = name
    for at in range(min(len(wire.octets) // wire.size for wire in wires.values())):
        for name, wire in wires.items():
            part = wire.octets[at * wire.size : (at + 1) * wire.size]
            if len(part) == wire.size:
                phone = phones[name]
                phone.send_packet(phone.packet(part, samples=160))
        line.frame()
    found: dict[str, list[AudioTroubled]] = {name: [] for name in wires}
    for notice in line.of(AudioTroubled):
        found[names[notice.slot]].append(notice)
    return found


def garbled_in_time(wires: Mapping[str, Wire], kind: Garbling) -> None:
    for name, troubles in told(wires).items():
        first = next((n for n in troubles if n.kind is TroubleKind.GARBLED), None)
        assert first is not None, name
        assert first.detail == kind, name
        assert first.at - START < WITHIN_S, name


def troubles_of(line: Line) -> list[tuple[TroubleKind, str]]:
    return [(n.kind, n.detail) for n in line.of(AudioTroubled)]


@pytest.mark.parametrize(
    ("form", "codec"),
    [("PCMA", MediaCodec.ULAW), ("PCMU", MediaCodec.ALAW)],
    ids=["alaw_as_ulaw", "ulaw_as_alaw"],
)
def test_speech_in_the_other_law_is_told_in_time(form: str, codec: MediaCodec) -> None:
    wires = {
        f"{voice} {level}": Wire(codec, coded(speech(level, voice), form))
        for voice in VOICES
        for level in (0.1, 0.25, 0.9)
    }
    garbled_in_time(wires, Garbling.WRONG_LAW)


@pytest.mark.parametrize("form", [">i2", "<i2"])
def test_linear_pcm_in_either_byte_order_is_told_in_time(form: str) -> None:
    wires = {
        f"{voice} as {codec}": Wire(codec, coded(speech(0.5, voice), form))
        for voice in VOICES
        for codec in TYPES
    }
    garbled_in_time(wires, Garbling.LINEAR_PCM)


def test_g722_under_the_name_of_g711_is_told_in_time() -> None:
    sounds = {
        "soft": speech(0.1, "awb", 16000),
        "loud": speech(0.9, "rms", 16000),
        "music": music(6, 16000),
    }
    wires = {
        f"{name} as {codec}": Wire(codec, g722_coded(sound))
        for name, sound in sounds.items()
        for codec in TYPES
    }
    garbled_in_time(wires, Garbling.WRONG_CODEC)


def test_constant_octets_are_told_in_time() -> None:
    wires = {hex(octet): Wire(MediaCodec.ULAW, bytes([octet]) * 24000) for octet in (0, 0x20, 0xAA)}
    garbled_in_time(wires, Garbling.CONSTANT)


def test_packets_whose_length_does_not_fit_their_time_are_told_in_time() -> None:
    octets = coded(np.tile(speech(), 3), "PCMU")
    wires = {
        str(size): Wire(MediaCodec.ULAW, octets[: size * 150], size) for size in (20, 80, 320, 640)
    }
    garbled_in_time(wires, Garbling.BAD_PACKETS)


@pytest.mark.parametrize("codec", TYPES)
def test_right_audio_is_no_trouble(codec: MediaCodec) -> None:
    sounds = {
        **{f"{v} {level}": speech(level, v) for v in VOICES for level in (0.02, 0.25, 1.0)},
        **{
            f"{colour} noise {level}": noise(colour, level)
            for colour in ("white", "pink", "blue")
            for level in (3, 100, 1000, 6000)
        },
        "music": music(),
        "dial tone": tones(350, 440),
        "ringback": tones(440, 480),
        "key": tones(697, 1209),
        "speech with pauses": np.concatenate((voiced(100), silence(100), voiced(100))),
    }
    found = told({name: Wire(codec, coded(pcm, codec.value)) for name, pcm in sounds.items()})
    assert {name: troubles for name, troubles in found.items() if troubles} == {}


def test_a_fifth_of_packets_unusable_is_told() -> None:
    line = Line()
    _, phone = line.latched()
    for _ in range(40):
        phone.send_packet(phone.packet(b"x" * 160, payload_type=96))
        line.frame()
        line.talk(phone, silence(2))
    assert (TroubleKind.GARBLED, Garbling.BAD_PACKETS) in troubles_of(line)


def test_garbling_that_begins_in_the_call_is_told_in_time_and_ends() -> None:
    line = Line()
    _, phone = line.latched()
    for form, kind in (("PCMU", None), ("PCMA", AudioTroubled), ("PCMU", AudioRecovered)):
        before, onset = len(line.told), line.now
        octets = coded(speech(0.4, "awb"), form)
        for start in range(0, len(octets), 160):
            phone.send_packet(phone.packet(octets[start : start + 160]))
            line.frame()
        told = [n for n in line.told[before:] if isinstance(n, AudioTroubled | AudioRecovered)]
        assert [type(n) for n in told] == ([kind] if kind else [])
        assert all(n.at - onset < (WITHIN_S if kind is AudioTroubled else 6) for n in told)


# ------------------------------------------------------------------------------------------------- nothing, or nothing in it


def test_peer_that_sends_nothing_is_told_within_3_s_of_the_start() -> None:
    line = Line()
    line.call()
    line.step(600)
    (trouble,) = line.of(AudioTroubled)
    assert (trouble.kind, trouble.detail) == (TroubleKind.ONE_WAY, "nothing arrives")


def test_peer_that_falls_silent_in_the_call_is_told_within_3_s_and_so_is_its_return() -> None:
    line = Line()
    _, phone = line.latched()
    stopped = line.now
    line.step(600)
    (trouble,) = line.of(AudioTroubled)
    assert trouble.kind is TroubleKind.ONE_WAY
    assert trouble.at - stopped < WITHIN_S
    line.talk(phone, voiced(60))
    assert [n.kind for n in line.of(AudioRecovered)] == [TroubleKind.ONE_WAY]


def test_peer_that_suppresses_silence_is_no_trouble_when_it_says_nothing() -> None:
    line = Line()
    _, phone = line.latched()
    phone.send_packet(phone.packet(b"\x40", payload_type=13, samples=160))
    line.step(1500)
    assert troubles_of(line) == []


def test_held_peer_is_no_trouble_when_it_sends_nothing() -> None:
    line = Line()
    line.call(RtpParameters(PHONE, receiving=False))
    line.step(1500)
    assert troubles_of(line) == []


def test_digital_silence_from_the_start_is_told_in_time_and_ends_with_the_first_sound() -> None:
    line = Line()
    _, phone = line.call()
    line.talk(phone, silence(150))
    assert [(n.kind, n.at - START < WITHIN_S + 0.2) for n in line.of(AudioTroubled)] == [
        (TroubleKind.SILENT, True)
    ]
    line.talk(phone, voiced(60))
    assert [n.kind for n in line.of(AudioRecovered)] == [TroubleKind.SILENT]


def test_digital_silence_on_a_line_that_had_noise_of_its_own_is_told() -> None:
    line = Line()
    _, phone = line.latched()
    line.talk(phone, noise("pink", 60, 12))
    stopped = line.now
    line.talk(phone, silence(170))
    (trouble,) = line.of(AudioTroubled)
    assert trouble.kind is TroubleKind.SILENT
    assert trouble.at - stopped < WITHIN_S + 0.5


def test_pauses_of_a_phone_with_a_noise_gate_are_no_trouble() -> None:
    line = Line()
    _, phone = line.latched()
    for _ in range(4):
        line.talk(phone, np.concatenate((voiced(150), silence(200))))
    assert troubles_of(line) == []


# ------------------------------------------------------------------------------------------------------------------ loudness


def test_overdriven_speech_of_any_voice_is_told_in_time() -> None:
    wires = {v: Wire(MediaCodec.ULAW, coded(speech(6.0, v), "PCMU")) for v in VOICES}
    for voice, troubles in told(wires).items():
        clipped = [n.at for n in troubles if n.kind is TroubleKind.CLIPPING]
        assert len(clipped) == 1, voice
        assert clipped[0] - START < WITHIN_S, voice


def test_overdriven_speech_that_is_clean_again_is_told() -> None:
    line = Line()
    _, phone = line.latched()
    line.talk(phone, speech(6.0)[: 160 * 120])
    line.talk(phone, speech(0.3))
    assert [n.kind for n in line.of(AudioRecovered)] == [TroubleKind.CLIPPING]


# ------------------------------------------------------------------------------------------------------------------- quality


def test_burst_of_loss_is_told_within_3_s_and_so_is_its_end() -> None:
    line = Line()
    _, phone = line.latched()
    line.talk(phone, voiced(100))
    onset = line.now
    for _ in range(50):
        line.talk(phone, voiced(1))
        phone.lose()
        line.frame()
    (trouble,) = line.of(AudioTroubled)
    assert trouble.kind is TroubleKind.POOR
    assert "lost, MOS" in trouble.detail
    assert trouble.at - onset < WITHIN_S
    line.talk(phone, voiced(450))
    assert [n.kind for n in line.of(AudioRecovered)] == [TroubleKind.POOR]


def test_single_lost_packets_are_no_trouble() -> None:
    line = Line()
    _, phone = line.latched()
    for _ in range(10):
        line.talk(phone, voiced(40))
        phone.lose()
        line.frame()
    assert troubles_of(line) == []


def test_g711_under_the_name_of_g722_is_told_in_time() -> None:
    for form in ("PCMU", "PCMA"):
        line = Line()
        _, phone = line.call(RtpParameters(PHONE, payload_type=9, codec=MediaCodec.G722))
        phone.payload_type = 9
        octets = coded(speech(0.5, "awb"), form)
        for start in range(0, len(octets) - 159, 160):
            phone.send_packet(phone.packet(octets[start : start + 160]))
            line.frame()
        first = next(n for n in line.of(AudioTroubled) if n.kind is TroubleKind.GARBLED)
        assert first.detail == Garbling.WRONG_CODEC, form
        assert first.at - START < WITHIN_S + 0.1, form


def test_right_wideband_audio_is_no_trouble() -> None:
    for sound in (speech(0.9, "rms", 16000), music(6, 16000), noise("white", 3000, 6, 16000)):
        line = Line()
        _, phone = line.call(RtpParameters(PHONE, payload_type=9, codec=MediaCodec.G722))
        phone.payload_type = 9
        octets = g722_coded(sound)
        for start in range(0, len(octets), 160):
            phone.send_packet(phone.packet(octets[start : start + 160]))
            line.frame()
        assert troubles_of(line) == []


def test_peer_that_says_goodbye_is_not_missed_and_our_end_says_goodbye() -> None:
    line = Line()
    slot, phone = line.latched()
    farewell = build_compound(Report(phone.ssrc), "phone", goodbye=True)
    line.datagrams.arrive(farewell, (phone.source[0], phone.source[1] + 1), phone.port, rtcp=True)
    line.step(900)
    assert troubles_of(line) == []
    line.apply(Remove(slot))
    line.step()
    last = [sent for sent in line.datagrams.sent if sent.rtcp][-1]
    ours = parse_packet(phone.received()[-1].data).ssrc
    assert parse_compound(last.data).goodbyes == (ours,)


def test_peer_that_hears_nothing_of_us_is_told_by_its_report() -> None:
    line = Line()
    _, phone = line.latched()
    ours = parse_packet(phone.received()[-1].data).ssrc
    deaf = build_compound(Report(phone.ssrc, (ReportBlock(ours, 255, 50, 60, 0),)), "phone")
    line.datagrams.arrive(deaf, (phone.source[0], phone.source[1] + 1), phone.port, rtcp=True)
    line.talk(phone, voiced(60))
    assert troubles_of(line) == [(TroubleKind.ONE_WAY, "the peer does not hear us")]


def test_first_figures_come_within_3_s_and_then_each_5_s() -> None:
    line = Line()
    _, phone = line.call()
    line.talk(phone, np.tile(voiced(100), 7))
    times = [n.at - START for n in line.of(Quality)]
    assert times[0] < WITHIN_S
    assert [round(after - before) for before, after in pairwise(times)] == [5, 5]
