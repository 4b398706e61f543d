"""Framing of a TCP stream, and which sources are read at all."""

import time

import pytest

from telephony.sip.parser import Limits, Refuse, parse
from telephony.sip.stream import Ping, Pong, StreamFramer

HEAD = b"OPTIONS sip:gw.test SIP/2.0\r\nVia: SIP/2.0/TCP a.test;branch=z9hG4bKx\r\n"


def test_two_messages_and_a_body_in_one_read():
    framer = StreamFramer()
    first = HEAD + b"l: 5\r\n\r\nhello"
    second = HEAD + b"Content-Length: 0\r\n\r\n"

    assert framer.feed(first + second) == [first, second]
    assert not framer.partial


def test_a_ping_between_messages_is_seen_and_a_pong_is_not_a_message():
    framer = StreamFramer()
    message = HEAD + b"Content-Length: 0\r\n\r\n"

    assert framer.feed(b"\r\n\r\n") == [Ping()]
    assert framer.feed(b"\r\n" + message) == [message]


def test_a_folded_content_length_is_read():
    message = HEAD + b"Content-Length:\r\n 3\r\n\r\nabc"

    assert StreamFramer().feed(message) == [message]


def test_half_a_message_is_partial():
    framer = StreamFramer()

    assert framer.feed(HEAD) == []
    assert framer.partial


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: -1\r\n\r\n", 400),
        (b"Content-Length: 1\r\nl: 2\r\n\r\n", 400),
        (b"Content-Length: 65537\r\n\r\n", 513),
        (b"X: " + b"x" * 9000, 513),
    ],
)
def test_an_unknown_frame_breaks_the_stream_and_its_head_is_refused(headers, status):
    framer = StreamFramer()

    [head] = framer.feed(HEAD + headers + b"v=0\r\n")

    assert framer.broken
    assert isinstance(head, bytes)
    assert framer.feed(HEAD) == []
    verdict = parse(head, stream=True)
    assert isinstance(verdict, Refuse)
    assert verdict.status == status


def test_octet_by_octet_costs_time_in_proportion():
    def cost(size):
        framer = StreamFramer(Limits(datagram_bytes=100_000))
        data = HEAD + b"X: " + b"x" * size + b"\r\n\r\n"
        start = time.process_time()
        for octet in data:
            framer.feed(bytes((octet,)))
        return time.process_time() - start

    small, large = cost(4_000), cost(16_000)

    assert large < 12 * small + 0.02


def test_a_lone_crlf_answers_our_ping_and_else_may_be_half_of_theirs():
    framer = StreamFramer()

    half = framer.feed(b"\r\n")
    whole = framer.feed(b"\r\n")
    ping = framer.ping()
    answered = framer.feed(b"\r\n")
    late = framer.feed(b"\r\n\r\n")

    assert (half, whole) == ([], [Ping()])
    assert (ping, answered) == (b"\r\n\r\n", [Pong()])
    assert late == [Ping()]


def test_a_ping_while_ours_is_out_is_answered_too():
    framer = StreamFramer()
    framer.ping()

    assert framer.feed(b"\r\n\r\n\r\n") == [Ping(), Pong()]


def test_line_ends_between_messages_are_no_message_that_has_begun():
    framer = StreamFramer()
    framer.feed(b"\r\n")
    between = framer.partial
    framer.feed(b"OPTIONS")

    assert (between, framer.partial) == (False, True)


@pytest.mark.parametrize(
    "data",
    [b"OPTIONS sip:a SIP/2.0\r\nV\n\r\n\r\n", b"\n\r\n\r\n\r\r\n\n\r\n\r\n\n", b"\r\n\rX\r\n\r\n"],
)
def test_what_is_found_does_not_depend_on_how_the_stream_was_cut(data):
    """Line ends of all kinds: found by `make fuzz`."""
    whole, pieces = StreamFramer(), StreamFramer()

    found = [item for octet in data for item in pieces.feed(bytes((octet,)))]

    assert found == whole.feed(data)
