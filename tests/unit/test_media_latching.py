from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from telephony.media.commands import ChangeRtp, Remove, StartRtp
from telephony.media.errors import NoMediaCapacityError
from telephony.media.notices import Digit, Latched
from telephony.media.parameters import RtpParameters
from telephony.rtp.packet import RtpPacket
from tests.unit.media_line import PHONE, STRANGER, Line, Phone, noise, silence, through_ulaw, voiced

BEHIND_NAT = RtpParameters(PHONE, media_networks=(IPv4Network("192.168.0.0/16"),))
INSIDE = ("192.168.7.7", 5555)


def test_third_packet_in_order_latches_the_signalled_address():
    line = Line()
    slot, phone = line.call()
    line.talk(phone, silence(2))
    assert line.of(Latched) == []
    line.talk(phone, silence(1))
    assert [(n.slot, n.source) for n in line.of(Latched)] == [(slot, PHONE)]


def test_a_key_before_any_audio_latches_and_is_told_and_the_audio_after_it_is_heard():
    line = Line()
    slot, phone = line.call()
    for flags, duration in ((10, 160), (10, 320), (10, 480), (0x8A, 640), (0x8A, 640), (0x8A, 640)):
        event = bytes([1, flags, *duration.to_bytes(2, "big")])
        phone.send_packet(phone.packet(event, payload_type=101, samples=0))
        line.frame()
    assert [(n.slot, n.source) for n in line.of(Latched)] == [(slot, PHONE)]
    assert [n.digit for n in line.of(Digit)] == ["1"]
    phone.timestamp += 960
    line.talk(phone, noise(10))
    assert line.tap.of(slot).tolist() == through_ulaw(noise(10)).tolist()


def test_nothing_is_heard_before_the_latch():
    line = Line()
    slot, phone = line.call()
    line.talk(phone, noise(2))
    assert len(line.tap.of(slot)) == 0


def test_packets_out_of_order_do_not_latch():
    line = Line()
    _, phone = line.call()
    for _ in range(6):
        phone.send()
        phone.lose()
        line.frame()
    assert line.of(Latched) == []


@pytest.mark.parametrize("times", [1, 10, 100])
def test_stranger_cannot_latch(times: int):
    line = Line()
    slot, phone = line.call()
    stranger = Phone(line.datagrams, phone.port, STRANGER, ssrc=1)
    for _ in range(20):
        for _ in range(times):
            stranger.send(noise(1))
        line.frame()
    assert line.of(Latched) == []
    assert stranger.received() == []
    assert len(line.tap.of(slot)) == 0


def test_stranger_beside_a_latched_phone_is_counted_and_never_heard():
    line = Line()
    slot, phone = line.latched()
    before = len(line.tap.of(slot))
    stranger = Phone(line.datagrams, phone.port, STRANGER, ssrc=phone.ssrc)
    for _ in range(20):
        stranger.send(noise(1))
        phone.send()
        line.frame()
    assert not line.tap.of(slot)[before:].any()
    assert len(line.tap.of(slot)) == before + 20 * 160
    assert line.plane.stats().counters.strays == 20


def test_phone_latches_amid_a_flood_on_its_port():
    line = Line()
    _slot, phone = line.call()
    stranger = Phone(line.datagrams, phone.port, STRANGER, ssrc=1)
    for _ in range(4):
        for _ in range(1000):
            stranger.send()
        phone.send()
        line.frame()
    assert [n.source for n in line.of(Latched)] == [PHONE]
    assert line.plane.stats().counters.over_limit > 0


def test_phone_behind_nat_latches_inside_the_trunks_networks():
    line = Line()
    _slot, phone = line.call(BEHIND_NAT)
    phone.source = INSIDE
    line.talk(phone, silence(3))
    assert [n.source for n in line.of(Latched)] == [INSIDE]
    assert phone.received()


def test_nobody_latches_inside_the_networks_while_the_signalled_address_sends():
    line = Line()
    _slot, phone = line.call(BEHIND_NAT)
    other = Phone(line.datagrams, phone.port, INSIDE, ssrc=3)
    for _ in range(3):
        phone.send()
        line.step()
        other.send()
        line.step(3)
    assert [n.source for n in line.of(Latched)] == [PHONE]


def test_agent_audio_goes_to_the_signalled_address_before_the_latch():
    line = Line()
    _, _phone = line.call(BEHIND_NAT)
    line.frame()
    assert {sent.remote for sent in line.datagrams.sent} == {PHONE}


def test_reinvite_with_another_address_moves_the_stream():
    line = Line()
    slot, phone = line.latched()
    moved = Phone(line.datagrams, phone.port, ("10.0.0.9", 9000), ssrc=5, sequence=900)
    line.apply(ChangeRtp(slot, RtpParameters(("10.0.0.9", 9000))))
    line.talk(moved, silence(3))
    line.talk(moved, voiced(5))
    assert [n.source for n in line.of(Latched)] == [PHONE, ("10.0.0.9", 9000)]
    assert line.tap.of(slot)[-160:].any()
    assert moved.received()


def test_audio_goes_to_the_new_address_at_once_after_a_reinvite():
    line = Line()
    slot, _phone = line.latched()
    line.datagrams.sent.clear()
    line.apply(ChangeRtp(slot, RtpParameters(("10.0.0.9", 9000))))
    line.frame()
    assert {sent.remote for sent in line.datagrams.sent} == {("10.0.0.9", 9000)}


def test_reinvite_without_a_new_address_keeps_a_natted_phone_heard():
    line = Line()
    slot, phone = line.call(BEHIND_NAT)
    phone.source = INSIDE
    line.talk(phone, silence(3))
    line.apply(ChangeRtp(slot, BEHIND_NAT))
    line.talk(phone, voiced(5))
    assert line.tap.of(slot)[-160:].any()
    assert {s.remote for s in line.datagrams.sent[-2:]} == {INSIDE}


def test_same_stream_from_another_port_is_relearnt_after_two_silent_seconds_only():
    line = Line()
    _slot, phone = line.call(BEHIND_NAT)
    phone.source = INSIDE
    line.talk(phone, silence(5))
    phone.source = ("192.168.7.7", 7777)
    line.talk(phone, silence(20))
    assert len(line.of(Latched)) == 1
    line.step(800)
    line.talk(phone, silence(5))
    assert [n.source for n in line.of(Latched)] == [INSIDE, ("192.168.7.7", 7777)]


def test_another_stream_is_not_relearnt_after_silence():
    line = Line()
    _slot, phone = line.call(BEHIND_NAT)
    phone.source = INSIDE
    line.talk(phone, silence(5))
    line.step(800)
    other = Phone(line.datagrams, phone.port, ("192.168.7.7", 7777), ssrc=4)
    line.talk(other, silence(20))
    assert len(line.of(Latched)) == 1


def test_legs_with_one_signalled_address_get_different_ports():
    line = Line(ports=(10000, 10002))
    _, first = line.plane.reserve_rtp(PHONE)
    _, second = line.plane.reserve_rtp(PHONE)
    assert {first, second} == {10000, 10002}


def test_reservation_is_refused_when_no_port_can_tell_the_legs_apart():
    line = Line()
    handle, _ = line.plane.reserve_rtp(PHONE)
    with pytest.raises(NoMediaCapacityError):
        line.plane.reserve_rtp(PHONE)
    line.apply(Remove(handle))
    line.step()
    assert line.plane.reserve_rtp(PHONE)


def test_reservation_is_refused_when_slots_are_exhausted():
    line = Line()
    for number in range(8):
        line.plane.reserve_rtp(("10.0.0.1", 5000 + number))
    with pytest.raises(NoMediaCapacityError):
        line.plane.reserve_rtp(("10.0.0.1", 6000))


def test_legs_behind_nat_share_a_port_once_latched():
    line = Line()
    _, phone = line.call(BEHIND_NAT)
    phone.source = INSIDE
    line.talk(phone, silence(3))
    line.frame()
    assert line.plane.reserve_rtp(("10.0.0.2", 4000), nat=True)[1] == phone.port


def test_two_calls_on_one_port_hear_their_own_phones():
    line = Line()
    first, phone = line.latched()
    parameters = RtpParameters(("10.0.0.2", 4000))
    second, other = line.call(parameters)
    for frame in noise(10).reshape(-1, 160):
        phone.send()
        other.send(frame)
        line.frame()
    assert not line.tap.of(first).any()
    assert line.tap.of(second).tolist() == through_ulaw(noise(10))[320:].tolist()


def test_start_of_a_running_slot_is_refused_and_counted():
    line = Line()
    slot, _ = line.latched()
    line.apply(StartRtp(slot, RtpParameters(PHONE)))
    line.step()
    assert line.plane.stats().counters.refused_commands == 1


def test_a_key_pressed_before_anything_is_said_latches_and_is_told():
    line = Line()
    slot, phone = line.call()
    for n in range(10):
        event = bytes([5, 0x8A if n >= 7 else 0x0A, 0, 160])
        phone.send_packet(
            RtpPacket(101, phone.sequence & 0xFFFF, 4000, phone.ssrc, event, marker=n == 0)
        )
        phone.sequence += 1
        line.frame()
    assert [n.slot for n in line.of(Latched)] == [slot]
    assert [n.digit for n in line.of(Digit)] == ["5"]
    phone.timestamp = 4000 + 1600
    line.talk(phone, voiced(30))
    assert len(line.tap.of(slot)) >= 160 * 28


def test_rtp_leaves_from_the_port_it_arrives_on():
    line = Line(ports=(10000, 10002))
    phones = [line.call(RtpParameters((f"10.0.0.{n}", 4000)))[1] for n in (1, 2, 3)]
    for phone in phones:
        line.talk(phone, noise(5))
    assert {phone.port for phone in phones} == {10000, 10002}
    for phone in phones:
        assert {sent.local_port for sent in phone.received()} == {phone.port}
