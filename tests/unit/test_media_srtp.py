"""SRTP on phone legs: what is heard, what is dropped, who latches, and keys that change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.commands import ChangeRtp, Enqueue, Remove, Route, SendDigits, StartRtp
from telephony.media.handles import SlotHandle
from telephony.media.notices import Latched
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from telephony.rtp.rtcp import Report, build_compound
from telephony.rtp.srtp import SrtpSession
from telephony.sdp.crypto import Crypto, Suite
from tests.unit.media_line import PHONE, STRANGER, Line, Pcm, Phone, noise, silence, through_ulaw
from tests.unit.test_media_packet_slots import pitch, tone
from tests.unit.test_media_wideband import WidePhone
from tests.unit.test_rtp_srtp import keys, mirrored

NAT = ("192.168.7.7", 5555)


@dataclass
class SecurePhone(Phone):
    """Seals what it sends, opens what it hears."""

    crypto: Crypto = field(default_factory=keys)

    def __post_init__(self) -> None:
        self.session = SrtpSession(mirrored(self.crypto))

    def send_raw(self, data: bytes) -> None:
        super().send_raw(self.session.protect(data))

    def opened(self) -> list[RtpPacket]:
        """What came, taken off the list of what was sent."""
        mine = [sent.data for sent in self.received()]
        self.datagrams.sent.clear()
        clear = [self.session.unprotect(data) for data in mine]
        assert None not in clear
        return [parse_packet(data) for data in clear if data is not None]


def secured(
    line: Line, crypto: Crypto | None = None, **changes: int
) -> tuple[SlotHandle, SecurePhone]:
    """A started slot with SRTP, and its phone; nothing has been sent yet."""
    crypto = crypto or keys()
    slot, plain = line.call(RtpParameters(PHONE, srtp=crypto))
    return slot, SecurePhone(line.datagrams, plain.port, PHONE, crypto=crypto, **changes)


def pcm_of(packets: list[RtpPacket]) -> Pcm:
    octets = np.frombuffer(b"".join(packet.payload for packet in packets), np.uint8)
    decoded: Pcm = g711.decode(octets[None], np.zeros(1, np.int64))[0]
    return decoded


@pytest.mark.parametrize("suite", list(Suite))
def test_a_secured_phone_is_heard_and_spoken_to(suite: Suite):
    line = Line()
    slot, phone = secured(line, keys(suite), sequence=65534)
    line.talk(phone, noise(20))
    assert line.tap.of(slot).tolist() == through_ulaw(noise(20)).tolist()

    voice = line.plane.add_voice(8000)
    phone.opened()
    line.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", noise(10).tobytes(), last=True))
    line.step(60)
    heard = pcm_of(phone.opened()).tobytes()
    assert through_ulaw(noise(10)).tobytes() in heard


def test_one_packet_that_authenticates_latches_wherever_it_comes_from():
    line = Line()
    slot, phone = secured(line)
    phone.source = NAT
    line.talk(phone, noise(1))
    assert [(n.slot, n.source) for n in line.of(Latched)] == [(slot, NAT)]
    assert line.tap.of(slot).tolist() == through_ulaw(noise(1)).tolist()
    line.frame()
    assert {sent.remote for sent in line.datagrams.sent[-2:]} == {NAT}


def test_a_stranger_without_the_key_never_latches_not_even_from_the_signalled_address():
    line = Line()
    slot, phone = secured(line)
    for source in (PHONE, STRANGER):
        plain = Phone(line.datagrams, phone.port, source, ssrc=1)
        other = SecurePhone(line.datagrams, phone.port, source, ssrc=2, crypto=keys(seed=50))
        for _ in range(20):
            plain.send(noise(1))
            other.send(noise(1))
            line.frame()
    assert line.of(Latched) == []
    assert len(line.tap.of(slot)) == 0


def test_plain_forged_and_replayed_packets_beside_a_secured_phone_are_counted_and_never_heard():
    line = Line()
    slot, phone = secured(line)
    line.talk(phone, silence(5))
    before = len(line.tap.of(slot))
    plain = Phone(line.datagrams, phone.port, PHONE, phone.ssrc, phone.sequence, phone.timestamp)
    for _ in range(10):
        plain.send(noise(1))
        sealed = build_packet(RtpPacket(0, phone.sequence + 500, 0, phone.ssrc, bytes(170)))
        line.datagrams.arrive(sealed[:-1] + b"?", PHONE, phone.port)
        phone.send()
        line.datagrams._waiting.append(line.datagrams._waiting[-1])  # the network doubles it
        line.frame()
    assert len(line.tap.of(slot)) == before + 10 * 160
    assert not line.tap.of(slot)[before:].any()
    counters = line.plane.stats().counters
    assert counters.malformed["srtp"] == 20
    assert counters.malformed["srtp_replayed"] == 10
    assert counters.handler_errors == 0


def test_nothing_leaves_in_clear():
    line = Line()
    slot, phone = secured(line)
    voice = line.plane.add_voice(8000)
    line.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", noise(30).tobytes(), last=True))
    line.apply(SendDigits(slot, "1"))
    line.step(100)
    assert len(line.datagrams.sent) > 20
    wire = b"".join(sent.data for sent in line.datagrams.sent if not sent.rtcp)
    payloads = {packet.payload for packet in phone.opened()}
    assert len(payloads) > 10
    assert not any(payload in wire for payload in payloads)


def test_digits_both_ways_are_sealed():
    line = Line()
    slot, phone = secured(line)
    line.talk(phone, silence(5))
    phone.opened()
    line.apply(SendDigits(slot, "42"))
    line.step(80)
    events = [packet for packet in phone.opened() if packet.payload_type == 101]
    assert [event.payload[0] for event in events if event.payload[1] & 0x80] == [4] * 3 + [2] * 3


def test_reinvite_with_the_same_key_keeps_the_context():
    """Past a rollover of the sequence number, which a fresh context would not know of."""
    line = Line()
    slot, phone = secured(line, sequence=65530)
    line.talk(phone, noise(10))
    line.apply(ChangeRtp(slot, RtpParameters(PHONE, srtp=phone.crypto)))
    line.talk(phone, noise(10, seed=2))
    assert line.tap.of(slot)[-1600:].tolist() == through_ulaw(noise(10, seed=2)).tolist()
    assert line.plane.stats().counters.malformed["srtp"] == 0
    assert phone.opened()


def test_reinvite_with_a_new_key_rekeys_both_directions():
    line = Line()
    slot, phone = secured(line)
    line.talk(phone, noise(10))
    phone.opened()
    fresh = keys(Suite.AES_256_CM_HMAC_SHA1_80, seed=9)
    line.apply(ChangeRtp(slot, RtpParameters(PHONE, srtp=fresh)))
    line.talk(phone, noise(5))  # on their way when the answer left
    line.datagrams.sent.clear()
    phone.session.rekey(mirrored(fresh))
    line.talk(phone, noise(10, seed=2))
    assert len(line.tap.of(slot)) == 25 * 160
    assert line.tap.of(slot)[-1600:].tolist() == through_ulaw(noise(10, seed=2)).tolist()
    assert len(phone.opened()) == 10


def test_reinvite_may_turn_srtp_on_and_off():
    line = Line()
    slot, plain = line.latched()
    line.apply(ChangeRtp(slot, RtpParameters(PHONE, srtp=keys())))
    phone = SecurePhone(
        line.datagrams, plain.port, PHONE, plain.ssrc, plain.sequence, plain.timestamp
    )
    line.talk(phone, noise(5))
    assert line.tap.of(slot)[-800:].tolist() == through_ulaw(noise(5)).tolist()
    line.apply(ChangeRtp(slot, RtpParameters(PHONE)))
    again = Phone(line.datagrams, plain.port, PHONE, plain.ssrc, phone.sequence, phone.timestamp)
    line.talk(again, noise(5, seed=3))
    assert line.tap.of(slot)[-800:].tolist() == through_ulaw(noise(5, seed=3)).tolist()


def test_a_moved_phone_is_followed_after_a_reinvite_and_after_silence():
    line = Line()
    slot, phone = secured(line)
    line.talk(phone, silence(5))
    line.apply(ChangeRtp(slot, RtpParameters(("10.0.0.9", 9000), srtp=phone.crypto)))
    phone.source = ("10.0.0.9", 9000)
    line.talk(phone, silence(2))
    line.step(900)
    phone.source = NAT
    line.talk(phone, silence(2))
    assert [n.source for n in line.of(Latched)] == [PHONE, ("10.0.0.9", 9000), NAT]


def test_a_wideband_phone_is_secured_too():
    line = Line()
    number = (9, MediaCodec.G722)
    parameters = RtpParameters(
        PHONE,
        9,
        MediaCodec.G722,
        (number,),
        srtp=keys(),
        media_networks=(IPv4Network("10.0.0.0/8"),),
    )
    slot, plain = line.call(parameters)
    session = SrtpSession(mirrored(keys()))
    desk = WidePhone(line, MediaCodec.G722, port=plain.port)
    for frame in tone(30, hz=5000).reshape(-1, 320):
        line.datagrams.arrive(session.protect(desk.packet(frame)), PHONE, plain.port)
        line.frame()
    assert pitch(line.tap.of(slot)[-6400:]) == pytest.approx(5000, abs=10)
    sent = [session.unprotect(sent.data) for sent in line.datagrams.sent if not sent.rtcp]
    assert {len(data) for data in sent if data is not None} == {172}
    assert None not in sent


def test_muxed_reports_are_opened():
    line = Line()
    slot, plain = line.call(RtpParameters(PHONE, srtp=keys(), rtcp_mux=True))
    phone = SecurePhone(line.datagrams, plain.port, PHONE)
    line.talk(phone, silence(5))
    sealed = phone.session.protect_rtcp(build_compound(Report(phone.ssrc), "peer"))
    line.datagrams.arrive(sealed, PHONE, phone.port)
    line.frame()
    assert line.plane.stats().counters.malformed.total() == 0
    line.datagrams.arrive(build_compound(Report(phone.ssrc), "peer"), PHONE, phone.port)
    line.frame()
    assert line.plane.stats().counters.malformed["srtp"] == 1
    assert line.plane.stats().counters.handler_errors == 0
    assert slot


def test_keys_that_libsrtp_refuses_leave_the_slot_silent(caplog: pytest.LogCaptureFixture):
    line = Line()
    slot, port = line.plane.reserve_rtp(PHONE)
    short = Crypto(Suite.AES_CM_128_HMAC_SHA1_80, b"short", b"short")
    with caplog.at_level("CRITICAL"):
        line.apply(StartRtp(slot, RtpParameters(PHONE, srtp=short)))
        line.step(40)
    assert line.datagrams.sent == []
    line.apply(Remove(slot))
    line.step()
    assert line.plane.reserve_rtp(PHONE)[1] == port


def test_a_row_that_was_secured_is_plain_for_the_next_call():
    line = Line(settings=replace(Line().settings, rtp_capacity=4))
    for _ in range(5):
        slot, phone = secured(line)
        line.talk(phone, silence(3))
        line.apply(Remove(slot))
        line.step()
        slot, plain = line.call()
        line.talk(plain, noise(5))
        assert len(line.tap.of(slot)) == 160 * 3
        assert {len(sent.data) for sent in line.datagrams.sent[-2:]} == {172}
        line.apply(Remove(slot))
        line.step()
