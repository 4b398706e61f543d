from __future__ import annotations

import pytest

from telephony.rtp.dtmf import DigitReceiver, DigitSender


def event(number: int, *, end: bool = False) -> bytes:
    return bytes([number, 0x8A if end else 0x0A, 0, 160])


def test_digit_is_told_at_the_first_end():
    receiver = DigitReceiver()
    assert receiver.receive(1000, event(4), 0.0) is None
    assert receiver.receive(1000, event(4, end=True), 0.1) == "4"


def test_retransmissions_of_the_end_tell_nothing():
    receiver = DigitReceiver()
    told = [receiver.receive(1000, event(4, end=True), 0.1) for _ in range(3)]
    assert told == ["4", None, None]


def test_same_digit_pressed_twice_is_two_digits():
    receiver = DigitReceiver()
    assert receiver.receive(1000, event(4, end=True), 0.0) == "4"
    assert receiver.receive(2600, event(4, end=True), 0.2) == "4"


def test_next_event_completes_one_whose_end_was_lost():
    receiver = DigitReceiver()
    receiver.receive(1000, event(1), 0.0)
    assert receiver.receive(2600, event(2), 0.2) == "1"
    assert receiver.receive(2600, event(2, end=True), 0.3) == "2"


def test_late_packet_of_a_told_event_tells_nothing():
    receiver = DigitReceiver()
    receiver.receive(1000, event(1, end=True), 0.0)
    receiver.receive(2600, event(2, end=True), 0.2)
    assert receiver.receive(1000, event(1), 0.3) is None
    assert not receiver.open


def test_event_that_fell_silent_is_told_once_after_200_ms():
    receiver = DigitReceiver()
    receiver.receive(1000, event(10), 0.0)
    assert receiver.silent(0.19) is None
    assert receiver.silent(0.21) == "*"
    assert receiver.silent(0.5) is None
    assert receiver.receive(1000, event(10, end=True), 0.6) is None


@pytest.mark.parametrize("payload", [b"", b"\x01\x80\x00", bytes([16, 0x80, 0, 0]), b"\xff" * 4])
def test_what_is_no_digit_is_ignored(payload: bytes):
    assert DigitReceiver().receive(1, payload, 0.0) is None


def test_sent_digits_are_received_as_sent():
    sender, receiver = DigitSender("19*#AD"), DigitReceiver()
    told = ""
    for step in range(60):
        packet = sender.next(160 * step)
        if packet is not None:
            told += receiver.receive(packet.timestamp, packet.payload, step * 0.02) or ""
    assert told == "19*#AD"
    assert sender.done


def test_digits_last_100_ms_with_60_ms_between():
    sender = DigitSender("12")
    pattern = "".join("-" if sender.next(160 * step) is None else "x" for step in range(16))
    assert pattern == "xxxxxxx-xxxxxxx-"


def test_first_packet_of_a_digit_is_marked():
    sender = DigitSender("1")
    packets = [sender.next(160 * step) for step in range(7)]
    assert [packet.marker for packet in packets if packet is not None] == [True] + [False] * 6
