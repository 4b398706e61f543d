"""RTP over IPv6: addresses as numbers of the plane, its own ports, and the same rules of latching as over IPv4."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from telephony.media.addresses import AddressBook
from telephony.media.commands import ChangeRtp, Remove, Route, StartRtp
from telephony.media.notices import Latched
from telephony.media.parameters import RtpParameters
from telephony.media.receive_loops import RESERVED
from telephony.media.registry import PortLedger
from tests.unit.media_line import PHONE, Line, Phone, noise, silence, through_ulaw

SIXTH = ("2001:db8::10", 4000)
INSIDE = ("2001:db8:1::77", 5555)
STRANGER = ("2001:db8:666::6", 6666)
FIRST_V6 = 20000
BEHIND_NAT = RtpParameters(SIXTH, media_networks=(IPv6Network("2001:db8:1::/48"),))


def line() -> Line:
    return Line(v6_ports=(FIRST_V6, FIRST_V6 + 2))


# ------------------------------------------------------------------------------------------------- addresses


def test_an_ipv4_address_is_its_own_number():
    book = AddressBook()
    assert book.number("10.0.0.1") == 0x0A000001
    assert book.host(0x0A000001) == "10.0.0.1"


def test_an_ipv6_address_has_one_reserved_number_however_it_is_written():
    book = AddressBook()
    number = book.number("2001:db8::1")
    assert number >= RESERVED
    assert book.number("2001:DB8:0:0::0001") == number
    assert book.number("2001:db8::2") != number
    assert book.host(number) == "2001:db8::1"


@pytest.mark.parametrize("host", ["", "phone.test", "10.0.0", "2001:db8::x", "240.0.0.1"])
def test_what_is_no_address_is_number_0(host: str):
    assert AddressBook().number(host) == 0


def test_a_flood_of_addresses_is_forgotten_again_and_those_in_use_stay():
    book = AddressBook(strangers=100)
    kept = book.number("2001:db8::1")
    book.in_use = lambda: [kept]
    seen = {book.number(f"2001:db8:6::{n:x}") for n in range(5000)}
    assert book.known <= 300
    assert len(seen) == 5000
    assert book.host(kept) == "2001:db8::1"
    assert book.number("2001:db8::1") == kept


def test_a_number_that_was_forgotten_means_nobody():
    book = AddressBook(strangers=10)
    number = book.number("2001:db8::1")
    for n in range(100):
        book.number(f"2001:db8:6::{n:x}")
    assert book.octets(number) is None
    assert not book.lies_in(number, [IPv6Network("::/0")])
    assert book.number("2001:db8::1") != number


def test_who_is_heard_of_again_is_not_forgotten():
    book = AddressBook(strangers=10)
    number = book.number("2001:db8::1")
    for n in range(1000):
        book.number(f"2001:db8:6::{n:x}")
        assert book.number("2001:db8::1") == number


# ------------------------------------------------------------------------------------------------- ports


def test_a_leg_gets_a_port_of_its_remotes_family():
    ledger = PortLedger(4, first_v6=2)
    assert {ledger.take(handle, PHONE, nat=False) for handle in (1, 2)} == {0, 1}
    assert {ledger.take(handle, SIXTH, nat=False) for handle in (3, 4)} == {2, 3}
    assert ledger.take(5, None, nat=True) in (0, 1)
    assert ledger.take(6, None, nat=True, v6=True) in (2, 3)


# ------------------------------------------------------------------------------------------------- calls


def test_a_call_over_ipv6_latches_is_heard_and_hears():
    own = line()
    slot, phone = own.call(RtpParameters(SIXTH))
    voice = own.voice_on(slot)
    own.talk(phone, noise(10))
    assert phone.port in (FIRST_V6, FIRST_V6 + 2)
    assert [n.source for n in own.of(Latched)] == [SIXTH]
    assert own.tap.of(slot).tolist() == through_ulaw(noise(10))[2 * 160 :].tolist()
    assert {sent.remote for sent in own.datagrams.sent if not sent.rtcp} == {SIXTH}
    own.apply(Route(slot, ((voice, 1.0),)), Remove(slot))
    own.step()


def test_calls_of_both_families_do_not_hear_each_other():
    own = line()
    fourth_slot, fourth = own.call(RtpParameters(PHONE))
    sixth_slot, sixth = own.call(RtpParameters(SIXTH))
    for frame in noise(10).reshape(-1, 160):
        fourth.send(silence())
        sixth.send(frame)
        own.frame()
    assert not own.tap.of(fourth_slot).any()
    assert own.tap.of(sixth_slot).any()
    assert fourth.received()
    assert sixth.received()


@pytest.mark.parametrize("times", [1, 10, 100])
def test_an_ipv6_stranger_cannot_latch(times: int):
    own = line()
    slot, phone = own.call(RtpParameters(SIXTH))
    strangers = [
        Phone(own.datagrams, phone.port, (f"2001:db8:666::{n:x}", 6666), ssrc=1)
        for n in range(times)
    ]
    for _ in range(20):
        for stranger in strangers:
            stranger.send(noise(1))
        own.frame()
    assert own.of(Latched) == []
    assert {sent.remote for sent in own.datagrams.sent} == {SIXTH}
    assert len(own.tap.of(slot)) == 0


def test_a_stranger_beside_a_latched_ipv6_phone_is_never_heard():
    own = line()
    slot, phone = own.call(RtpParameters(SIXTH))
    own.talk(phone, silence(5))
    before = len(own.tap.of(slot))
    stranger = Phone(own.datagrams, phone.port, STRANGER, ssrc=phone.ssrc)
    for _ in range(20):
        stranger.send(noise(1))
        phone.send()
        own.frame()
    assert not own.tap.of(slot)[before:].any()
    assert own.plane.stats().counters.strays == 20


def test_a_flood_of_ipv6_addresses_neither_moves_a_call_nor_fills_memory():
    own = line()
    slot, phone = own.call(RtpParameters(SIXTH))
    own.talk(phone, silence(5))
    for number in range(30_000):
        own.datagrams.arrive(bytes(172), (f"2001:db8:666:{number:x}::1", 6666), phone.port)
        if number % 1000 == 0:
            phone.send(silence())
            own.frame()
    assert own.datagrams.addresses.known < 20_000
    assert [n.source for n in own.of(Latched)] == [SIXTH]
    assert not own.tap.of(slot).any()
    assert own.datagrams.sent[-1].remote == SIXTH


def test_an_ipv6_phone_behind_another_address_latches_inside_the_trunks_networks():
    own = line()
    _, phone = own.call(BEHIND_NAT)
    phone.source = INSIDE
    own.talk(phone, silence(3))
    assert [n.source for n in own.of(Latched)] == [INSIDE]
    assert phone.received()


@pytest.mark.parametrize("network", ["2001:db8:2::/48", "::ffff:0:0/96"])
def test_outside_of_the_trunks_ipv6_networks_nobody_latches(network: str):
    own = line()
    _, phone = own.call(RtpParameters(SIXTH, media_networks=(IPv6Network(network),)))
    phone.source = INSIDE
    own.talk(phone, silence(10))
    assert own.of(Latched) == []


def test_networks_of_ipv4_admit_no_ipv6_source():
    own = line()
    _, phone = own.call(RtpParameters(SIXTH, media_networks=(IPv4Network("0.0.0.0/0"),)))
    phone.source = INSIDE
    own.talk(phone, silence(10))
    assert own.of(Latched) == []


def test_a_new_sdp_moves_an_ipv6_call():
    own = line()
    slot, phone = own.call(RtpParameters(SIXTH))
    own.talk(phone, silence(5))
    moved = ("2001:db8::20", 4002)
    own.apply(ChangeRtp(slot, RtpParameters(moved)))
    own.step()
    phone.source = moved
    own.talk(phone, silence(5))
    assert [n.source for n in own.of(Latched)] == [SIXTH, moved]


@pytest.mark.parametrize(
    ("agreed", "nowhere"),
    [
        (PHONE, RtpParameters(("0.0.0.0", 0), sending=False)),
        (SIXTH, RtpParameters(("::", 0), sending=False)),
        (PHONE, RtpParameters(SIXTH)),
        (SIXTH, RtpParameters(PHONE)),
    ],
    ids=["hold", "hold_of_ipv6", "ipv6_for_ipv4", "ipv4_for_ipv6"],
)
def test_nothing_is_sent_while_an_sdp_names_no_place_of_the_legs_family(
    agreed: tuple[str, int], nowhere: RtpParameters
):
    own = line()
    slot, phone = own.call(RtpParameters(agreed))
    own.talk(phone, silence(5))
    own.apply(ChangeRtp(slot, nowhere))
    own.step()
    own.datagrams.sent.clear()
    heard = len(own.tap.of(slot))
    own.talk(phone, noise(400))
    assert own.datagrams.sent == []
    assert own.tap.of(slot)[heard:].any()

    own.apply(ChangeRtp(slot, RtpParameters(agreed)))
    own.talk(phone, silence(5))
    assert {sent.remote for sent in own.datagrams.sent} == {agreed}


@pytest.mark.parametrize(("own_place", "other"), [(PHONE, SIXTH), (SIXTH, PHONE)])
def test_a_leg_that_begins_with_a_place_of_the_other_family_sends_nothing(
    own_place: tuple[str, int], other: tuple[str, int]
):
    own = line()
    slot, _ = own.plane.reserve_rtp(own_place, nat=False)
    own.apply(StartRtp(slot, RtpParameters(other)))
    for _ in range(400):
        own.frame()
    assert own.datagrams.sent == []


def test_reports_of_an_ipv6_call_go_to_the_port_above():
    own = line()
    _, phone = own.call(RtpParameters(SIXTH))
    own.talk(phone, silence(400))
    assert {sent.remote for sent in own.datagrams.sent if sent.rtcp} == {(SIXTH[0], SIXTH[1] + 1)}
