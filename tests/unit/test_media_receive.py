from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.commands import ChangeRtp, Listen, Remove, Route, SendDigits
from telephony.media.notices import Digit, Gap, MediaLost, PlayoutProgress, Quality
from telephony.media.parameters import MediaCodec, MediaSettings, RtpParameters
from telephony.rtp.packet import build_packet, parse_packet
from telephony.rtp.rtcp import Report, build_compound, parse_compound
from tests.unit.media_line import (
    PHONE,
    Line,
    Phone,
    noise,
    on_the_wire,
    silence,
    through_ulaw,
    voiced,
)


@pytest.mark.parametrize("start", [0, 1, 2, 65535, 65534, 65520, 32768])
def test_rtp_seq_wraps_65535(start: int):
    line = Line()
    slot, phone = line.call(sequence=start, timestamp=2**32 - 160 * 7)
    line.talk(phone, noise(40))
    assert line.tap.of(slot).tolist() == through_ulaw(noise(40))[320:].tolist()
    assert line.tap.numbers(slot) == list(range(38))


def test_frame_is_detected_in_the_sub_tick_it_arrives():
    line = Line()
    slot, phone = line.latched()
    for offset in range(4):
        before = len(line.tap.numbers(slot))
        phone.send()
        line.step()
        assert len(line.tap.numbers(slot)) == before + 1, offset
        line.step(4)


def test_lost_packet_is_a_gap_of_one_frame_after_20_ms():
    line = Line()
    slot, phone = line.latched()
    phone.lose()
    line.talk(phone, silence(3))
    gaps = [bool(g) for b in line.tap.batches for g in b.gaps[b.handles == slot]]
    numbers = line.tap.numbers(slot)
    assert numbers == [0, 1, 2, 4, 5, 6]
    assert gaps == [False] * 3 + [True, False, False]


def test_reordered_packets_are_heard_in_order():
    line = Line()
    slot, phone = line.latched()
    first, second = phone.packet(on_the_wire(noise(1))), phone.packet(on_the_wire(noise(1, seed=2)))
    phone.send_packet(second)
    line.step(2)
    phone.send_packet(first)
    line.step(2)
    assert line.tap.numbers(slot) == list(range(5))
    assert line.tap.of(slot)[-320:-160].tolist() == through_ulaw(noise(1)).tolist()


def test_duplicates_are_heard_once():
    line = Line()
    slot, phone = line.latched()
    for _ in range(5):
        packet = phone.packet()
        phone.send_packet(packet)
        phone.send_packet(packet)
        line.frame()
    assert line.tap.numbers(slot) == list(range(8))


def test_more_than_60_ms_missing_are_told():
    line = Line()
    slot, phone = line.latched()
    for lost in (3, 4):
        phone.lose(lost)
        line.step(4 * lost)
        line.talk(phone, silence(3))
    assert [(n.slot, n.frames) for n in line.of(Gap)] == [(slot, 4)]


def test_pause_of_a_silence_suppressing_sender_is_no_gap():
    line = Line()
    slot, phone = line.latched()
    phone.timestamp += 160 * 100
    line.step(400)
    line.talk(phone, voiced(3))
    assert line.of(Gap) == []
    assert line.tap.of(slot)[-480:].tolist() == through_ulaw(voiced(3)).tolist()
    assert line.tap.numbers(slot)[-3:] == [103, 104, 105]


def test_rtp_padding_and_extension():
    line = Line()
    slot, phone = line.latched()
    packet = build_packet(phone.packet(on_the_wire(noise(1))))
    extension = b"\xbe\xde\x00\x01\x10\xff\x00\x00"
    csrc = b"\0\0\0\x09"
    phone.send_raw(
        bytes([packet[0] | 0x31]) + packet[1:12] + csrc + extension + packet[12:] + b"\0\0\x03"
    )
    line.frame()
    assert line.tap.of(slot)[-160:].tolist() == through_ulaw(noise(1)).tolist()


@pytest.mark.parametrize("samples", [80, 240, 320, 480])
def test_other_packet_times_are_cut_to_frames(samples: int):
    line = Line()
    slot, phone = line.call(replace(RtpParameters(PHONE), ptime_ms=samples // 8))
    speech = noise(24)
    for start in range(0, len(speech), samples):
        phone.send(speech[start : start + samples])
        line.step(samples // 40)
    line.frame()
    first = -(-2 * samples // 160) * 160
    aligned = through_ulaw(speech)[2 * samples :]
    heard = line.tap.of(slot)
    assert len(heard) >= len(speech) - first - 160
    assert heard.tolist() == aligned[: len(heard)].tolist()


def test_both_laws_are_understood_when_both_were_offered():
    line = Line()
    parameters = replace(RtpParameters(PHONE), accepted=((8, MediaCodec.ALAW),))
    slot, phone = line.call(parameters)
    line.talk(phone, silence(3))

    tone = voiced(1)
    phone.send_packet(phone.packet(g711.encode(tone, g711.ALAW).tobytes(), payload_type=8))
    line.frame()
    heard = line.tap.of(slot)[-160:].astype(int)
    assert np.abs(heard - tone).max() < 300


def test_unknown_payload_type_is_counted_and_not_heard():
    line = Line()
    slot, phone = line.latched()
    before = len(line.tap.of(slot))
    phone.send_packet(phone.packet(on_the_wire(noise(1)), payload_type=96))
    line.frame()
    assert len(line.tap.of(slot)) == before
    assert line.plane.stats().counters.malformed["payload_type"] == 1


def test_new_ssrc_is_heard_after_three_packets_in_order():
    line = Line()
    slot, phone = line.latched()
    restarted = Phone(line.datagrams, phone.port, PHONE, ssrc=9, sequence=40000, timestamp=12345)
    line.talk(restarted, noise(10))
    assert line.tap.of(slot)[-160 * 8 :].tolist() == through_ulaw(noise(10))[320:].tolist()


def test_sequence_jump_is_followed_after_three_packets():
    line = Line()
    slot, phone = line.latched()
    phone.sequence += 20000
    phone.timestamp += 999_999_937
    line.talk(phone, noise(10))
    assert line.tap.of(slot)[-160 * 8 :].tolist() == through_ulaw(noise(10))[320:].tolist()


def test_long_outage_resumes_without_delay():
    line = Line()
    slot, phone = line.latched()
    phone.lose(100)
    line.step(400)
    line.talk(phone, noise(3))
    assert line.tap.of(slot)[-480:].tolist() == through_ulaw(noise(3)).tolist()


def test_held_peer_is_not_heard_and_not_sent_to():
    line = Line()
    slot, phone = line.latched()
    line.apply(ChangeRtp(slot, replace(RtpParameters(PHONE), sending=False, receiving=False)))
    line.step()
    before, sent = len(line.tap.of(slot)), len(phone.received())
    line.talk(phone, noise(10))
    assert len(line.tap.of(slot)) == before
    assert len(phone.received()) == sent


def test_dtmf_without_marker_bit():
    line = Line()
    slot, phone = line.latched()
    for flags in (0x0A, 0x0A, 0x8A, 0x8A, 0x8A):
        event = phone.packet(bytes([5, flags, 0, 160]), payload_type=101, samples=0)
        assert not event.marker
        phone.send_packet(event)
        line.frame()
    phone.timestamp += 800
    line.talk(phone, silence(5))
    assert [(n.slot, n.digit) for n in line.of(Digit)] == [(slot, "5")]


def test_digit_whose_end_was_lost_is_told_after_200_ms():
    line = Line()
    _slot, phone = line.latched()
    phone.send_packet(phone.packet(bytes([11, 0x0A, 0, 160]), payload_type=101, samples=0))
    line.step(30)
    assert line.of(Digit) == []
    line.step(20)
    assert [n.digit for n in line.of(Digit)] == ["#"]


def test_audio_goes_on_after_a_digit():
    line = Line()
    slot, phone = line.latched()
    for _ in range(5):
        phone.send_packet(phone.packet(bytes([5, 0x8A, 3, 32]), payload_type=101, samples=0))
        line.frame()
    phone.timestamp += 800
    line.talk(phone, noise(3))
    assert line.tap.of(slot)[-480:].tolist() == through_ulaw(noise(3)).tolist()


def test_digits_are_sent_as_events_in_place_of_audio():
    line = Line()
    slot, phone = line.latched()
    line.datagrams.sent.clear()
    line.apply(SendDigits(slot, "1#"))
    line.step(80)
    packets = [parse_packet(sent.data) for sent in phone.received()]
    sequences = [packet.sequence for packet in packets]
    events = [packet for packet in packets if packet.payload_type == 101]
    ends = [event.payload[0] for event in events if event.payload[1] & 0x80]
    assert ends == [1, 1, 1, 11, 11, 11]
    assert len({event.timestamp for event in events}) == 2
    assert [(s - sequences[0]) & 0xFFFF for s in sequences] == list(range(20))


def test_media_lost_is_told_once_after_5_s_without_a_first_packet():
    line = Line()
    slot, _ = line.call()
    line.step(int(4.8 * 200))
    assert line.of(MediaLost) == []
    line.step(10 * 200)
    assert [n.slot for n in line.of(MediaLost)] == [slot]


def test_media_lost_in_a_call_is_told_after_20_s_and_not_on_hold():
    line = Line()
    slot, _ = line.latched()
    line.call(replace(RtpParameters(("10.0.0.3", 1)), receiving=False))
    line.step(19 * 200)
    assert line.of(MediaLost) == []
    line.step(3 * 200)
    assert [n.slot for n in line.of(MediaLost)] == [slot]


def test_silence_is_sent_from_the_start_in_steps_of_20_ms():
    line = Line()
    _, phone = line.call()
    line.datagrams.sent.clear()
    line.step(200)
    packets = [parse_packet(sent.data) for sent in phone.received()]
    assert len(packets) == 50
    steps = {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)}
    assert steps == {160}
    assert not phone.heard().any()


def test_a_removed_slot_sends_and_hears_nothing_and_its_commands_are_stale():
    line = Line()
    slot, phone = line.latched()
    line.apply(Remove(slot), Listen(slot, True), Route(slot, ()))
    line.step()
    sent = len(line.datagrams.sent)
    line.talk(phone, noise(5))
    assert len(line.datagrams.sent) == sent
    assert line.plane.stats().counters.stale_commands == 2


def test_a_slot_taken_again_hears_nothing_of_the_call_before():
    settings = MediaSettings(rtp_capacity=4, packet_capacity=4, voice_capacity=4)
    line = Line(settings=settings)
    for number in range(12):
        parameters = RtpParameters(("10.0.1.1", 4000 + number))
        slot, phone = line.call(parameters, ssrc=number)
        line.talk(phone, noise(4, seed=number))
        assert line.tap.of(slot).tolist() == through_ulaw(noise(4, seed=number))[320:].tolist()
        line.apply(Remove(slot))
        line.step()


def test_quality_counts_what_was_lost():
    line = Line()
    slot, phone = line.latched()
    for _ in range(62):
        line.talk(phone, silence(4))
        phone.lose()
        line.frame()
    quality = line.of(Quality)[0]
    assert quality.slot == slot
    assert quality.loss == pytest.approx(0.2, abs=0.02)
    assert quality.mos < 3
    assert quality.jitter_ms < 5


def test_reports_are_sent_to_the_port_above_and_the_round_trip_is_measured():
    line = Line()
    _slot, phone = line.latched()
    line.talk(phone, silence(400))
    sent = [s for s in line.datagrams.sent if s.rtcp]
    report = parse_compound(sent[0].data).reports[0]
    assert sent[0].remote == (PHONE[0], PHONE[1] + 1)
    assert report.ntp is not None
    assert report.blocks[0].ssrc == phone.ssrc
    block = replace(report.blocks[0], ssrc=report.ssrc, last_report=report.ntp >> 16 & 0xFFFFFFFF)
    answer = build_compound(Report(phone.ssrc, (block,)), "peer")
    line.datagrams.arrive(answer, (PHONE[0], PHONE[1] + 1), phone.port, rtcp=True)
    line.talk(phone, silence(300))
    assert line.of(Quality)[-1].round_trip_ms is not None


def test_nothing_is_told_of_playout_without_a_voice():
    line = Line()
    line.latched()
    line.step(100)
    assert line.of(PlayoutProgress) == []


def test_media_lost_is_told_again_after_it_came_back():
    line = Line()
    _, phone = line.latched()
    line.step(22 * 200)
    line.talk(phone, silence(60))
    line.step(22 * 200)
    assert len(line.of(MediaLost)) == 2
