from __future__ import annotations

import gc
from dataclasses import dataclass, field

import numpy as np
import pytest

from telephony.media import opus
from telephony.media.commands import Enqueue, Guard, Listen, Remove, ReportTransport, Route
from telephony.media.errors import CodecUnavailableError, NoMediaCapacityError
from telephony.media.handles import SlotHandle
from telephony.media.notices import (
    AudioRecovered,
    AudioTroubled,
    MediaLost,
    Quality,
    SpeechStarted,
    TroubleKind,
)
from telephony.media.packet_legs import INBOX_PACKETS
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from tests.unit.media_line import Line, Pcm, voiced
from tests.unit.wrong_audio import speech


def tone(frames: int, hz: int = 440, amplitude: int = 8000) -> Pcm:
    t = np.arange(320 * frames) / 16000
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def pitch(heard: Pcm, rate_hz: int = 16000) -> float:
    spectrum = np.abs(np.fft.rfft(heard.astype(float) * np.hanning(len(heard))))
    return float(np.argmax(spectrum) * rate_hz / len(heard))


@dataclass
class Browser:
    """A peer connection's far end: Opus in RTP, handed in and taken out as packets."""

    line: Line
    packets: list[bytes] = field(default_factory=list)
    sequence: int = 65530
    timestamp: int = 2**32 - 960 * 5
    ssrc: int = 5

    def __post_init__(self) -> None:
        self.codec = opus.OpusCodec()
        self.slot: SlotHandle = self.line.plane.add_packet_slot(self.packets.append)
        self.line.apply(Listen(self.slot, True))
        self.line.step()

    def packet(self, pcm: Pcm) -> bytes:
        payload = self.codec.encode(pcm)
        packet = RtpPacket(
            111, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc, payload
        )
        self.sequence += 1
        self.timestamp += 960
        return build_packet(packet)

    def talk(self, pcm: Pcm, lose: tuple[int, ...] = ()) -> None:
        for number, frame in enumerate(pcm.reshape(-1, 320)):
            packet = self.packet(frame)
            if number not in lose:
                self.line.plane.packet_arrived(self.slot, packet)
            self.line.frame()

    def heard(self) -> Pcm:
        codec = opus.OpusCodec()
        return np.concatenate([codec.decode(parse_packet(p).payload) for p in self.packets])


def test_browser_is_heard_at_16_khz_in_the_sub_tick_of_arrival():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(30))
    assert pitch(line.tap.of(browser.slot)[1600:]) == pytest.approx(440, abs=5)
    assert line.tap.numbers(browser.slot) == list(range(30))
    assert {batch.rate_hz for batch in line.tap.batches} == {16000}


def test_one_packet_of_20_ms_leaves_each_20_ms_with_steps_of_960():
    line = Line()
    browser = Browser(line)
    browser.packets.clear()
    line.step(200)
    packets = [parse_packet(packet) for packet in browser.packets]
    assert len(packets) == 50
    assert (packets[1].timestamp - packets[0].timestamp) % 2**32 == 960
    assert {packet.payload_type for packet in packets} == {111}


def test_browser_hears_a_narrow_voice():
    line = Line()
    browser = Browser(line)
    voice = line.plane.add_voice(8000)
    t = np.arange(16000) / 8000
    speech = (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    line.apply(Route(browser.slot, ((voice, 1.0),)))
    line.apply(Enqueue(voice, "1", speech.tobytes(), last=True))
    line.step(300)
    assert pitch(browser.heard()[3200:19200]) == pytest.approx(440, abs=5)


def test_supervisor_listens_to_caller_and_agent():
    line = Line()
    slot, phone = line.latched()
    desk = Browser(line)
    voice = line.voice_on(slot)
    line.apply(Route(desk.slot, ((slot, 1.0), (voice, 1.0))))
    t = np.arange(160 * 50) / 8000
    agent, caller = ((6000 * np.sin(2 * np.pi * hz * t)).astype(np.int16) for hz in (1000, 500))
    line.apply(Enqueue(voice, "1", agent.tobytes(), last=True))
    line.talk(phone, caller)
    heard = desk.heard()[6400:14400].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) * 2
    strongest = np.argsort(spectrum)[-8:] * 16000 / len(heard)
    assert any(abs(hz - 500) < 10 for hz in strongest)
    assert any(abs(hz - 1000) < 10 for hz in strongest)


def test_phone_and_browser_hear_each_other_across_rates():
    line = Line()
    slot, phone = line.latched()
    browser = Browser(line)
    line.apply(Route(slot, ((browser.slot, 1.0),)))
    for frame in tone(40).reshape(-1, 320):
        phone.send()
        line.plane.packet_arrived(browser.slot, browser.packet(frame))
        line.frame()
    assert pitch(phone.heard()[-3200:], 8000) == pytest.approx(440, abs=5)


def test_lost_packet_is_concealed_and_costs_no_delay():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(60), lose=(30,))
    heard = line.tap.of(browser.slot).reshape(-1, 320).astype(float)
    assert len(heard) == 60
    assert heard[5:].std(axis=1).min() > 2000


def test_reordered_packets_are_decoded_in_order():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(10))
    first, second = browser.packet(tone(1)), browser.packet(tone(1))
    line.plane.packet_arrived(browser.slot, second)
    line.step(2)
    assert line.tap.numbers(browser.slot)[-1] == 9
    line.plane.packet_arrived(browser.slot, first)
    line.step(1)
    assert line.tap.numbers(browser.slot)[-2:] == [10, 11]


def test_pause_of_the_sender_is_no_loss():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(10))
    browser.timestamp += 960 * 50
    line.step(200)
    browser.talk(tone(3))
    assert line.tap.numbers(browser.slot)[-3:] == [60, 61, 62]


def test_bad_packets_are_counted_and_the_next_is_heard():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(10))
    for junk in (b"", b"\x80", bytes(40), b"\x80\x6f" + bytes(10) + b"\xff\xff\xff"):
        line.plane.packet_arrived(browser.slot, junk)
        line.step()
    browser.ssrc = 6
    browser.talk(tone(10))
    assert pitch(line.tap.of(browser.slot)[-1600:]) == pytest.approx(440, abs=10)
    assert line.plane.stats().counters.malformed.total() >= 3


def test_onset_of_a_browser_ducks_its_guarded_voice():
    line = Line()
    browser = Browser(line)
    voice = line.plane.add_voice(16000)
    line.apply(Route(browser.slot, ((voice, 1.0),)), Guard(voice, browser.slot))
    line.apply(Enqueue(voice, "1", tone(200).tobytes(), last=True))
    browser.talk(np.zeros(320 * 10, np.int16))
    browser.talk(voiced(20, amplitude=12000, rate_hz=16000))
    assert [n.ducked for n in line.of(SpeechStarted)] == [True]


def test_quality_of_a_browser_counts_what_was_lost():
    line = Line()
    browser = Browser(line)
    browser.talk(np.zeros(320 * 320, np.int16), lose=tuple(range(4, 320, 10)))
    quality = line.of(Quality)[0]
    assert quality.slot == browser.slot
    assert quality.loss == pytest.approx(0.1, abs=0.01)
    assert quality.jitter_ms < 5


def test_browser_that_sends_nothing_is_told_after_5_s_and_again_in_the_call_after_20_s():
    line = Line()
    browser = Browser(line)
    line.step(7 * 200)
    browser.talk(tone(60))
    line.step(22 * 200)
    assert [n.slot for n in line.of(MediaLost)] == [browser.slot] * 2


def test_inbox_is_bounded():
    line = Line()
    browser = Browser(line)
    packet = browser.packet(tone(1))
    taken = [line.plane.packet_arrived(browser.slot, packet) for _ in range(INBOX_PACKETS + 5)]
    assert taken.count(False) == 5
    assert line.plane.stats().counters.inbox_dropped == 5


def test_packet_for_a_slot_that_is_gone_is_refused():
    line = Line()
    browser = Browser(line)
    line.apply(Remove(browser.slot))
    line.step()
    assert not line.plane.packet_arrived(browser.slot, b"x")
    sent = len(browser.packets)
    line.step(20)
    assert len(browser.packets) == sent


def test_the_codec_of_a_slot_that_is_gone_is_let_go():
    line = Line()
    browser = Browser(line)
    browser.talk(tone(60))
    line.apply(Remove(browser.slot))
    line.step(201)
    gc.collect()
    codecs = [thing for thing in gc.get_objects() if isinstance(thing, opus.OpusCodec)]
    assert codecs == [browser.codec]


def test_slots_are_refused_when_exhausted():
    line = Line()
    for _ in range(4):
        line.plane.add_packet_slot(lambda packet: None)
    with pytest.raises(NoMediaCapacityError):
        line.plane.add_packet_slot(lambda packet: None)


def test_missing_libopus_is_told_with_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch):
    opus.library.cache_clear()
    monkeypatch.setattr("telephony.media.opus._candidates", lambda: iter(["libnone.so.9"]))
    with pytest.raises(CodecUnavailableError, match=r"libnone\.so\.9"):
        Line().plane.add_packet_slot(lambda packet: None)
    monkeypatch.undo()
    opus.library.cache_clear()
    assert opus.OpusCodec().encode(tone(1))


def test_quality_of_a_browser_is_told_within_3_s_with_its_round_trip():
    line = Line()
    browser = Browser(line)
    line.apply(ReportTransport(browser.slot, sends=True, round_trip=0.3, remote_loss=0.02))
    begun = line.now
    browser.talk(tone(160))
    quality = line.of(Quality)[0]
    assert quality.at - begun < 3
    assert quality.round_trip_ms == pytest.approx(300)
    assert quality.remote_loss == 0.02
    assert quality.mos < 4.3


def test_browser_that_should_send_and_does_not_is_told_within_3_s_and_so_is_its_return():
    line = Line()
    browser = Browser(line)
    line.step(4 * 200)
    assert line.of(AudioTroubled) == []  # not connected so far
    begun = line.now
    line.apply(ReportTransport(browser.slot, sends=True))
    line.step(3 * 200)
    (trouble,) = line.of(AudioTroubled)
    assert (trouble.kind, trouble.at - begun < 3) == (TroubleKind.ONE_WAY, True)
    browser.talk(tone(60))
    assert [n.kind for n in line.of(AudioRecovered)] == [TroubleKind.ONE_WAY]


def test_browser_that_only_listens_is_no_trouble():
    line = Line()
    browser = Browser(line)
    line.apply(ReportTransport(browser.slot, sends=False))
    line.step(4 * 200)
    assert line.of(AudioTroubled) == []


def test_browser_that_hears_nothing_of_us_is_told():
    line = Line()
    browser = Browser(line)
    line.apply(ReportTransport(browser.slot, sends=True, remote_loss=1.0))
    browser.talk(tone(60))
    (trouble,) = line.of(AudioTroubled)
    assert (trouble.kind, trouble.detail) == (TroubleKind.ONE_WAY, "the peer does not hear us")


def test_muted_browser_is_told_as_silent_and_overdriven_one_as_clipping():
    line = Line()
    browser = Browser(line)
    browser.talk(np.zeros(320 * 160, np.int16))
    browser.talk(speech(12.0, "slt", 16000))
    assert [n.kind for n in line.of(AudioTroubled)] == [TroubleKind.SILENT, TroubleKind.CLIPPING]


def test_bursts_of_loss_of_a_browser_are_told():
    line = Line()
    browser = Browser(line)
    lost = tuple(n for start in range(100, 300, 20) for n in range(start, start + 5))
    browser.talk(np.tile(tone(100), 3), lose=lost)
    (trouble,) = line.of(AudioTroubled)
    assert (trouble.kind, trouble.at - 1000 < 2 + 3) == (TroubleKind.POOR, True)
