from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.rtp.dtmf import DigitReceiver
from telephony.rtp.errors import RtpError
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from telephony.rtp.rtcp import Report, build_compound, parse_compound
from telephony.rtp.srtp import SrtpSession
from tests.unit.media_line import PHONE, Line, noise, silence, through_ulaw
from tests.unit.test_rtp_srtp import keys, mirrored

DATAGRAMS = st.binary(max_size=300)
MUTATIONS = st.lists(st.tuples(st.integers(0, 171), st.integers(0, 255)), max_size=4)


@settings(deadline=None)
@given(DATAGRAMS)
def test_any_datagram_is_a_packet_or_our_error(data: bytes):
    with suppress(RtpError):
        packet = parse_packet(data)
        assert len(packet.payload) <= len(data) - 12


@settings(deadline=None)
@given(DATAGRAMS)
def test_any_datagram_is_a_report_or_our_error(data: bytes):
    with suppress(RtpError):
        parse_compound(data)


@settings(deadline=None)
@given(MUTATIONS, st.integers(0, 60))
def test_any_damaged_report_is_a_report_or_our_error(changes: list[tuple[int, int]], cut: int):
    data = bytearray(build_compound(Report(5, (), 1 << 40), "media"))
    for at, octet in changes:
        data[at % len(data)] = octet
    with suppress(RtpError):
        parse_compound(bytes(data[: len(data) - cut]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=8)), max_size=20))
def test_any_events_give_telephone_digits_only(events: list[tuple[int, bytes]]):
    receiver = DigitReceiver()
    for now, (timestamp, payload) in enumerate(events):
        digits = receiver.receive(timestamp, payload, float(now)) or ""
        assert set(digits) <= set("0123456789*#ABCD")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(DATAGRAMS, MUTATIONS), max_size=30), st.integers(0, 2**16 - 1))
def test_a_call_survives_any_datagrams_of_its_own_source(
    junk: list[bytes | list[tuple[int, int]]], sequence: int
):
    line = Line()
    slot, phone = line.call(sequence=sequence)
    line.talk(phone, silence(3))
    for item in junk:
        if isinstance(item, bytes):
            phone.send_raw(item)
        else:
            data = bytearray(build_packet(phone.packet()))
            for at, octet in item:
                data[at] = octet
            phone.send_raw(bytes(data))
        line.frame()
    phone.ssrc, phone.timestamp = 123456, 7
    line.talk(phone, noise(6))
    line.frame()
    assert line.plane.stats().counters.handler_errors == 0
    heard = line.tap.of(slot)[-160 * 3 :]
    assert heard.tolist() == through_ulaw(noise(6))[-160 * 3 :].tolist()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([MediaCodec.G722, MediaCodec.OPUS]),
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from([0, 9, 13, 101, 111]), DATAGRAMS, st.integers(0, 9)), max_size=25
    ),
)
def test_a_wideband_or_secured_call_survives_any_payloads(
    codec: MediaCodec, secured: bool, junk: list[tuple[int, bytes, int]]
):
    line = Line()
    number = 9 if codec is MediaCodec.G722 else 111
    crypto = keys() if secured else None
    accepted = ((0, MediaCodec.ULAW), (9, MediaCodec.G722), (111, MediaCodec.OPUS))
    slot, phone = line.call(RtpParameters(PHONE, number, codec, accepted, srtp=crypto))
    seal = SrtpSession(mirrored(keys())).protect if secured else bytes
    sequence = 65530
    for payload_type, payload, step in [*[(number, b"\x00" * 160, 1)] * 3, *junk]:
        sequence += step
        packet = RtpPacket(payload_type, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 7, payload)
        phone.send_raw(seal(build_packet(packet)) if step else payload)
        line.frame()
    counters = line.plane.stats().counters
    assert counters.handler_errors == 0
    numbers = line.tap.numbers(slot)
    assert numbers == sorted(set(numbers))


@settings(max_examples=20, deadline=None)
@given(st.lists(DATAGRAMS, max_size=30))
def test_a_browser_call_survives_any_packets(junk: list[bytes]):
    line = Line()
    slot = line.plane.add_packet_slot(lambda packet: None)
    line.step()
    for data in junk:
        line.plane.packet_arrived(slot, data)
        packet = RtpPacket(111, len(data), 960 * len(data), 1, data)
        line.plane.packet_arrived(slot, build_packet(packet))
        line.frame()
    assert line.plane.stats().counters.handler_errors == 0
