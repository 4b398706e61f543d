"""INFO both ways: digits and vendor text, what is not taken, and a dialog the other side no longer knows."""

import pytest

from telephony.sip.errors import SipStateError
from telephony.sip.events import InfoReceived, Terminated
from telephony.sip.session import Phase
from tests.unit.sip_line import answered_call
from tests.unit.sip_peer import Peer, lines, reply, request

RELAY = b"Signal=5\r\nDuration=160\r\n"


def info(tag, kind, body, **more):
    raw = request("INFO", to_tag=tag, body=body, **{"branch": "i", "cseq": 2, **more})
    return raw.replace(b"Content-Type: application/sdp", b"Content-Type: " + kind.encode())


def test_a_digit_by_info_reaches_the_other_side_once():
    line, mine, theirs = answered_call()
    line.lose = lambda entry: entry == "bob SIP/2.0 200 OK"

    mine.info("application/dtmf-relay", RELAY, line.now)
    line.deliver()
    line.lose = lambda entry: False
    line.advance(2)

    got = [event for event in line.events("bob") if isinstance(event, InfoReceived)]
    assert got == [InfoReceived(theirs, "application/dtmf-relay", RELAY)]
    assert line.methods("alice").count("INFO") == 2
    assert line.events("alice") == []


@pytest.mark.parametrize(
    "kind",
    [
        "application/dtmf",
        "Application/DTMF-Relay; charset=utf-8",
        "text/plain",
        "application/vnd.x+y",
    ],
)
def test_what_is_taken_is_answered_200_and_told(kind):
    peer = Peer()
    session, tag = peer.answered()

    replies = peer.send(info(tag, kind, b"5"))

    assert lines(replies) == ["SIP/2.0 200 OK"]
    assert peer.events(InfoReceived) == [InfoReceived(session, kind, b"5")]


@pytest.mark.parametrize("kind", ["application/sdp", "image/png", "application/json", "x"])
def test_what_is_not_taken_is_415_and_says_what_would_be(kind):
    peer = Peer()
    session, tag = peer.answered()

    [(_, refused)] = peer.send(info(tag, kind, b"5"))

    assert refused.status == 415
    assert "application/dtmf-relay" in refused.headers.first("accept")
    assert peer.events(InfoReceived) == []
    assert session.phase is Phase.CONFIRMED


@pytest.mark.parametrize(("status", "ends"), [(481, True), (408, True), (415, False), (500, False)])
def test_only_a_lost_dialog_ends_the_call(status, ends):
    peer = Peer()
    session, _ = peer.answered()
    session.info("application/dtmf", b"5", peer.now)
    [(_, sent)] = peer.out()

    after = peer.send(reply(sent, status))

    assert [message.method for _, message in after] == (["BYE"] if ends else [])
    assert len(peer.events(Terminated)) == ends


def test_no_digit_is_in_the_text_of_an_event():
    line, mine, _ = answered_call()
    mine.info("application/dtmf", b"4711", line.now)
    line.deliver()

    assert "4711" not in repr(line.event("bob", InfoReceived))


def test_digits_arrive_in_order_though_the_first_was_lost():
    line, mine, _ = answered_call()
    line.lose = lambda entry: entry.startswith("alice INFO") and line.now < 101

    for digit in (b"1", b"2", b"3"):
        mine.info("application/dtmf", digit, line.now)
    line.deliver()
    line.advance(5)

    got = [event.body for event in line.events("bob") if isinstance(event, InfoReceived)]
    assert got == [b"1", b"2", b"3"]
    assert "500" not in line.methods("bob")


def test_digits_that_wait_have_an_end_and_go_with_the_call():
    peer = Peer()
    session, _ = peer.answered()
    for _ in range(65):
        session.info("application/dtmf", b"1", peer.now)
    [(_, first)] = peer.out()

    with pytest.raises(SipStateError):
        session.info("application/dtmf", b"1", peer.now)
    session.bye(peer.now)
    peer.send(reply(first, 200))

    assert peer.out() == []
