"""G.722 and Opus on phone legs: heard and spoken at 16 kHz, mixed with narrow legs, changed by a re-INVITE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from telephony.media.codec import Codec
from telephony.media.commands import ChangeRtp, Enqueue, Guard, Listen, Remove, Route, SendDigits
from telephony.media.g722 import G722Codec
from telephony.media.notices import Digit, Gap, SpeechStarted
from telephony.media.opus import OpusCodec
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from tests.unit.media_line import PHONE, Line, Pcm, noise, silence, through_ulaw, voiced
from tests.unit.test_media_packet_slots import Browser, pitch, tone

KINDS = (MediaCodec.G722, MediaCodec.OPUS)
PAYLOAD_TYPES = {MediaCodec.G722: 9, MediaCodec.OPUS: 111, MediaCodec.ULAW: 0}


def parameters(kind: MediaCodec, **more: object) -> RtpParameters:
    number = PAYLOAD_TYPES[kind]
    plain = RtpParameters(PHONE, payload_type=number, codec=kind, accepted=((number, kind),))
    return replace(plain, **more)  # type: ignore[arg-type]


def new_codec(kind: MediaCodec) -> Codec:
    return G722Codec() if kind is MediaCodec.G722 else OpusCodec()


@dataclass
class WidePhone:
    """A desk phone with a wideband codec."""

    line: Line
    kind: MediaCodec
    port: int = 10000
    sequence: int = 65530
    timestamp: int = 2**32 - 3000

    def __post_init__(self) -> None:
        self.codec = new_codec(self.kind)

    def packet(self, pcm: Pcm) -> bytes:
        clock = len(pcm) * self.kind.clock_hz // 16000
        packet = RtpPacket(
            PAYLOAD_TYPES[self.kind],
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            77,
            self.codec.encode(pcm),
        )
        self.sequence += 1
        self.timestamp += clock
        return build_packet(packet)

    def send(self, data: bytes) -> None:
        self.line.datagrams.arrive(data, PHONE, self.port)

    def talk(self, pcm: Pcm, lose: tuple[int, ...] = (), samples: int = 320) -> None:
        for number, part in enumerate(pcm.reshape(-1, samples)):
            packet = self.packet(part)
            if number not in lose:
                self.send(packet)
            self.line.step(samples // 80)

    def heard(self) -> Pcm:
        codec = new_codec(self.kind)
        number = PAYLOAD_TYPES[self.kind]
        packets = [parse_packet(sent.data) for sent in self.line.datagrams.sent if not sent.rtcp]
        return np.concatenate(
            [codec.decode(p.payload) for p in packets if p.payload_type == number]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_wideband_phone_is_heard_at_16_khz_in_the_sub_tick_of_arrival(kind: MediaCodec):
    line = Line()
    slot, _ = line.call(parameters(kind))
    phone = WidePhone(line, kind)
    phone.talk(tone(30, hz=5000))
    assert pitch(line.tap.of(slot)[1600:]) == pytest.approx(5000, abs=10)
    assert line.tap.numbers(slot) == list(range(28))
    assert {batch.rate_hz for batch in line.tap.batches} == {16000}


@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_voice_reaches_a_wideband_phone_without_narrowing(kind: MediaCodec):
    line = Line()
    slot, _ = line.call(parameters(kind))
    phone = WidePhone(line, kind)
    voice = line.plane.add_voice(16000)
    line.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", tone(50, hz=5000).tobytes(), True))
    line.step(200)
    packets = [parse_packet(sent.data) for sent in line.datagrams.sent if not sent.rtcp]
    steps = {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)}
    assert steps == {kind.clock_hz // 50}
    assert {packet.payload_type for packet in packets} == {PAYLOAD_TYPES[kind]}
    assert pitch(phone.heard()[3200:12800]) == pytest.approx(5000, abs=10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrow_and_a_wide_phone_hear_each_other(kind: MediaCodec):
    line = Line(ports=(10000, 10002))
    wide, _ = line.call(parameters(kind))
    narrow, phone = line.call(RtpParameters(("10.0.0.2", 4000)))
    desk = WidePhone(line, kind)
    line.apply(Route(wide, ((narrow, 1.0),)), Route(narrow, ((wide, 1.0),)))
    t = np.arange(160 * 60) / 8000
    low = (8000 * np.sin(2 * np.pi * 600 * t)).astype(np.int16).reshape(-1, 160)
    for one, other in zip(low, tone(60, hz=900).reshape(-1, 320), strict=True):
        phone.send(one)
        desk.send(desk.packet(other))
        line.frame()
    assert pitch(phone.heard()[-4800:], 8000) == pytest.approx(900, abs=5)
    line.datagrams.sent = [sent for sent in line.datagrams.sent if sent.remote == PHONE]
    assert pitch(desk.heard()[-9600:]) == pytest.approx(600, abs=5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_lost_packets_are_made_up_for_and_cost_no_delay(kind: MediaCodec):
    line = Line()
    slot, _ = line.call(parameters(kind))
    phone = WidePhone(line, kind)
    phone.talk(tone(60), lose=(30, 40, 41))
    heard = line.tap.of(slot).reshape(-1, 320).astype(float)
    assert line.tap.numbers(slot) == list(range(58))
    assert heard[5:].std(axis=1).min() > 1500
    assert line.of(Gap) == []


@pytest.mark.parametrize("samples", [160, 320, 480, 640, 960])
def test_g722_of_other_packet_times_is_cut_to_frames(samples: int):
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.G722, ptime_ms=samples // 16))
    phone = WidePhone(line, MediaCodec.G722)
    phone.talk(tone(60), samples=samples)
    heard = line.tap.of(slot)
    assert len(heard) >= 320 * 60 - 3 * samples - 320
    assert pitch(heard[1600:]) == pytest.approx(440, abs=5)
    assert line.tap.numbers(slot) == list(range(len(heard) // 320))


def test_onset_on_a_wideband_phone_ducks_its_guarded_voice():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.G722))
    phone = WidePhone(line, MediaCodec.G722)
    voice = line.plane.add_voice(16000)
    line.apply(Route(slot, ((voice, 1.0),)), Guard(voice, slot))
    line.apply(Enqueue(voice, "1", tone(200).tobytes(), last=True))
    phone.talk(np.zeros(320 * 10, np.int16))
    phone.talk(voiced(20, amplitude=12000, rate_hz=16000))
    assert [n.ducked for n in line.of(SpeechStarted)] == [True]


def test_reinvite_changes_codec_both_ways_on_a_wide_slot():
    """G.722, then PCMU, then Opus: the slot stays at 16 kHz and its frames go on counting."""
    line = Line()
    slot, narrow = line.call(parameters(MediaCodec.G722))
    WidePhone(line, MediaCodec.G722).talk(tone(20))
    line.apply(ChangeRtp(slot, parameters(MediaCodec.ULAW)))
    t = np.arange(160 * 30) / 8000
    line.datagrams.sent.clear()
    line.talk(narrow, (8000 * np.sin(2 * np.pi * 700 * t)).astype(np.int16))
    assert pitch(line.tap.of(slot)[-320 * 20 :]) == pytest.approx(700, abs=5)
    assert {parse_packet(s.data).payload_type for s in line.datagrams.sent if not s.rtcp} == {0}

    line.apply(ChangeRtp(slot, parameters(MediaCodec.OPUS)))
    line.datagrams.sent.clear()
    WidePhone(line, MediaCodec.OPUS, sequence=9000, timestamp=5).talk(tone(30, hz=1000))
    assert pitch(line.tap.of(slot)[-320 * 20 :]) == pytest.approx(1000, abs=5)
    assert {parse_packet(s.data).payload_type for s in line.datagrams.sent if not s.rtcp} == {111}
    assert {batch.rate_hz for batch in line.tap.batches} == {16000}
    numbers = line.tap.numbers(slot)
    assert numbers == sorted(set(numbers))


def test_reinvite_changes_codec_both_ways_on_a_narrow_slot():
    """PCMU, then G.722, then PCMU: the slot stays at 8 kHz, and the fast path takes over again."""
    line = Line()
    slot, narrow = line.latched()
    line.apply(ChangeRtp(slot, parameters(MediaCodec.G722)))
    desk = WidePhone(line, MediaCodec.G722, sequence=narrow.sequence, timestamp=narrow.timestamp)
    line.datagrams.sent.clear()
    desk.talk(tone(30, hz=900))
    assert pitch(line.tap.of(slot)[-160 * 20 :], 8000) == pytest.approx(900, abs=5)
    assert {parse_packet(s.data).payload_type for s in line.datagrams.sent if not s.rtcp} == {9}

    line.apply(ChangeRtp(slot, RtpParameters(PHONE)))
    narrow.sequence, narrow.timestamp = desk.sequence, desk.timestamp
    t = np.arange(160 * 30) / 8000
    line.talk(narrow, (8000 * np.sin(2 * np.pi * 500 * t)).astype(np.int16))
    assert pitch(line.tap.of(slot)[-160 * 20 :], 8000) == pytest.approx(500, abs=5)
    assert {batch.rate_hz for batch in line.tap.batches} == {8000}
    numbers = line.tap.numbers(slot)
    assert numbers == sorted(set(numbers))
    assert line.of(Gap) == []


def test_a_packet_that_waits_for_another_when_its_codec_is_taken_away_harms_nobody():
    line = Line()
    slot, narrow = line.call(parameters(MediaCodec.G722))
    phone = WidePhone(line, MediaCodec.G722)
    phone.talk(tone(10))
    phone.packet(tone(1))
    phone.send(phone.packet(tone(1)))
    line.step()
    line.apply(ChangeRtp(slot, parameters(MediaCodec.ULAW)))
    line.step(8)
    line.talk(narrow, noise(10))
    counters = line.plane.stats().counters
    assert (counters.handler_errors, counters.malformed["payload_type"]) == (0, 1)
    assert len(line.tap.of(slot)) >= 320 * 16


def test_a_decoder_that_fails_harms_nobody(monkeypatch: pytest.MonkeyPatch, caplog):
    line = Line(ports=(10000, 10002))
    wide, _ = line.call(parameters(MediaCodec.G722))
    narrow, other = line.call(RtpParameters(("10.0.0.2", 4000)))
    phone = WidePhone(line, MediaCodec.G722)
    phone.talk(tone(5))
    monkeypatch.setattr(G722Codec, "decode", lambda self, payload: 1 / 0)
    with caplog.at_level("CRITICAL"):
        for frame in noise(10).reshape(-1, 160):
            phone.send(phone.packet(tone(1)))
            other.send(frame)
            line.frame()
    assert line.tap.of(narrow).tolist() == through_ulaw(noise(10))[320:].tolist()
    assert line.plane.stats().counters.handler_errors == 10
    monkeypatch.undo()
    phone.talk(tone(10))
    assert pitch(line.tap.of(wide)[-1600:]) == pytest.approx(440, abs=20)


def test_a_phone_may_use_any_codec_it_answered():
    """Our offer, their answer with both: they change without a word."""
    line = Line()
    both = ((0, MediaCodec.ULAW), (9, MediaCodec.G722))
    slot, narrow = line.call(parameters(MediaCodec.ULAW, accepted=both))
    line.talk(narrow, silence(5))
    desk = WidePhone(line, MediaCodec.G722, sequence=narrow.sequence, timestamp=narrow.timestamp)
    desk.talk(tone(20, hz=900))
    assert pitch(line.tap.of(slot)[-160 * 15 :], 8000) == pytest.approx(900, abs=8)
    narrow.sequence, narrow.timestamp = desk.sequence, desk.timestamp
    line.talk(narrow, noise(10))
    assert len(line.tap.of(slot)) == 160 * 33
    assert line.of(Gap) == []


def test_opus_that_asks_for_it_gets_forward_error_correction():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.OPUS, fec=True))
    voice = line.plane.add_voice(16000)
    speech = voiced(100, rate_hz=16000)
    line.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", speech.tobytes(), last=True))
    line.step(400)
    payloads = [parse_packet(s.data).payload for s in line.datagrams.sent if not s.rtcp]
    listener, lossless = OpusCodec(), OpusCodec()
    recovered, made_up = [], []
    for at, payload in enumerate(payloads[:-1]):
        whole = lossless.decode(payload)
        if at % 10 == 9:
            guess = listener.recover(payloads[at + 1])
            recovered.append(np.abs(guess.astype(float) - whole).mean())
            made_up.append(np.abs(whole.astype(float)).mean())
        else:
            listener.decode(payload)
    assert np.mean(recovered) < 0.5 * np.mean(made_up)


def test_opus_keeps_below_the_bit_rate_that_was_asked_for():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.OPUS, max_bitrate=12000))
    voice = line.plane.add_voice(16000)
    speech = noise(100, rate_hz=16000)
    line.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", speech.tobytes(), last=True))
    line.step(400)
    sizes = [len(sent.data) - 12 for sent in line.datagrams.sent if not sent.rtcp]
    assert np.mean(sizes) * 8 * 50 < 14000


def test_digits_beside_opus_run_on_its_clock():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.OPUS, dtmf_payload_type=110, dtmf_rate_hz=48000))
    phone = WidePhone(line, MediaCodec.OPUS)
    phone.talk(tone(5))
    line.datagrams.sent.clear()
    line.apply(SendDigits(slot, "7"))
    line.step(60)
    packets = [parse_packet(sent.data) for sent in line.datagrams.sent if not sent.rtcp]
    events = [packet for packet in packets if packet.payload_type == 110]
    durations = [int.from_bytes(event.payload[2:4], "big") for event in events]
    assert durations == [960, 1920, 2880, 3840, 4800, 4800, 4800]
    assert [event.payload[1] >> 7 for event in events] == [0, 0, 0, 0, 1, 1, 1]
    assert [event.marker for event in events] == [True] + [False] * 6
    assert len({event.timestamp for event in events}) == 1
    sequences = [packet.sequence for packet in packets]
    assert [(s - sequences[0]) & 0xFFFF for s in sequences] == list(range(len(packets)))
    after = packets[packets.index(events[-1]) + 1]
    assert (after.timestamp - events[0].timestamp) & 0xFFFFFFFF == 7 * 960


def test_digits_from_a_wideband_phone_leave_no_gap_in_its_audio():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.G722))
    phone = WidePhone(line, MediaCodec.G722)
    phone.talk(tone(10))
    for flags in (0x0A, 0x0A, 0x8A, 0x8A, 0x8A):
        event = RtpPacket(
            101, phone.sequence & 0xFFFF, phone.timestamp & 0xFFFFFFFF, 77, bytes([5, flags, 3, 32])
        )
        phone.sequence += 1
        phone.send(build_packet(event))
        line.frame()
    phone.timestamp += 800
    phone.talk(tone(10))
    assert [n.digit for n in line.of(Digit)] == ["5"]
    assert line.tap.numbers(slot)[-10:] == list(range(13, 23))
    assert line.of(Gap) == []


def test_a_row_that_was_wide_is_narrow_for_the_next_call():
    line = Line(settings=replace(Line().settings, rtp_capacity=4))
    for _ in range(5):
        slot, _ = line.call(parameters(MediaCodec.G722))
        WidePhone(line, MediaCodec.G722).talk(tone(5))
        assert len(line.tap.of(slot)) == 320 * 3
        line.apply(Remove(slot))
        line.step()
        slot, phone = line.call()
        line.talk(phone, noise(5))
        assert len(line.tap.of(slot)) == 160 * 3
        line.apply(Remove(slot))
        line.step()


def test_a_supervisor_listens_to_a_wideband_call():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.OPUS))
    phone = WidePhone(line, MediaCodec.OPUS)
    desk = Browser(line)
    line.apply(Route(desk.slot, ((slot, 1.0),)), Listen(slot, True))
    phone.talk(tone(60, hz=5000))
    assert pitch(desk.heard()[-320 * 20 :]) == pytest.approx(5000, abs=10)


def test_garbage_in_a_wideband_stream_is_counted_and_disturbs_nothing():
    line = Line()
    slot, _ = line.call(parameters(MediaCodec.OPUS))
    phone = WidePhone(line, MediaCodec.OPUS)
    phone.talk(tone(10))
    for payload in (b"", b"\xff\xff\xff", bytes(1400)):
        packet = RtpPacket(111, phone.sequence & 0xFFFF, phone.timestamp & 0xFFFFFFFF, 77, payload)
        phone.sequence += 1
        phone.timestamp += 960
        phone.send(build_packet(packet))
        line.frame()
    phone.talk(tone(20))
    assert pitch(line.tap.of(slot)[-320 * 15 :]) == pytest.approx(440, abs=5)
    counters = line.plane.stats().counters
    assert counters.malformed.total() >= 2
    assert counters.handler_errors == 0
