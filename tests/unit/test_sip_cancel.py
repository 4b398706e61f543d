"""CANCEL: when it is sent, where it goes, and the race with the answer."""

import pytest

from telephony.sip.errors import SipStateError, SipWriteError
from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.session import Cause, EndKind, Phase
from tests.unit.sip_line import ALICE, ANSWER, BOB, OFFER, Line
from tests.unit.sip_peer import Peer, calling, lines, reply, request


def test_caller_cancels_while_ringing():
    line = Line()
    mine = line.call()
    line.event("bob", IncomingInvite).session.ring(line.now)
    line.deliver()

    mine.cancel(line.now, reason='SIP;cause=200;text="Call completed elsewhere"')
    line.deliver()

    told = line.event("bob", Terminated).cause
    assert told == Cause(EndKind.CANCELLED, 487, 'SIP;cause=200;text="Call completed elsewhere"')
    assert line.event("alice", Terminated).cause.kind is EndKind.CANCELLED
    line.advance(100)
    assert line.alice.session_count == line.bob.session_count == 0


def test_cancel_before_any_reply_waits_for_the_first_one():
    line = Line()
    line.lose = lambda entry: entry.startswith("bob")
    mine = line.call()

    mine.cancel(line.now)
    line.deliver()
    before = line.count("CANCEL sip:bob@192.0.2.20 SIP/2.0")
    line.lose = lambda entry: False
    line.advance(1)

    assert before == 0
    assert line.count("CANCEL sip:bob@192.0.2.20 SIP/2.0") == 1
    assert line.event("alice", Terminated).cause.kind is EndKind.CANCELLED


def test_cancel_goes_where_the_invite_went():
    line = Line()
    mine = line.call(headers=[("Route", "<sip:192.0.2.99;lr>")])

    mine.cancel(line.now)
    [(flow, data)] = line.alice.to_send()

    invite = line.messages[0]
    assert flow == line.flow(ALICE, BOB)
    for name in ("via", "route", "call-id", "from", "to"):
        assert f"{invite.headers.first(name)}".encode() in data


def test_ok_after_cancel_gets_ack_and_bye():
    line = Line()
    mine = line.call()
    session = line.event("bob", IncomingInvite).session

    line.lose = lambda entry: entry.startswith("alice CANCEL")
    mine.cancel(line.now)
    session.answer(ANSWER, line.now)
    line.deliver()

    assert line.count("ACK sip:voice@192.0.2.20:5060 SIP/2.0") == 1
    assert line.count("BYE sip:voice@192.0.2.20:5060 SIP/2.0") == 1
    assert line.event("alice", Terminated).cause.kind is EndKind.CANCELLED
    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE


def test_cancel_after_the_answer_changes_nothing():
    line = Line()
    mine = line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: entry.startswith("bob SIP/2.0 200")
    session.answer(ANSWER, line.now)
    line.deliver()

    mine.cancel(line.now)
    line.deliver()

    assert session.phase is Phase.ANSWERED
    assert line.count("SIP/2.0 487 Request Terminated") == 0


def test_a_cancel_nobody_answers_ends_the_session_after_32_seconds():
    line = Line()
    mine = line.call()
    line.lose = lambda entry: entry.startswith(("alice CANCEL", "bob"))

    mine.cancel(line.now)
    line.deliver()
    line.advance(33)

    assert line.event("alice", Terminated).cause.kind is EndKind.CANCELLED


def test_transfer_cancel_then_retry_is_not_482():
    """The same Call-ID, From tag and CSeq within 32 s, as some transferors dial again after a CANCEL."""
    peer = Peer()
    peer.send(request(body=OFFER))
    peer.send(request("CANCEL"))
    peer.send(request("ACK"))

    again = peer.send(request(branch="b2", cseq=2, body=OFFER))

    assert lines(again) == ["SIP/2.0 100 Trying"]
    assert len(peer.events(IncomingInvite)) == 2


def test_cancel_of_a_ringing_call_stops_its_reliable_responses():
    line = Line()
    mine = line.call()
    line.lose = lambda entry: entry.startswith("alice PRACK")
    line.event("bob", IncomingInvite).session.ring(line.now, reliable=True)
    line.deliver()

    mine.cancel(line.now)
    line.deliver()
    before = line.count("SIP/2.0 180 Ringing")
    line.advance(100)

    assert line.count("SIP/2.0 180 Ringing") == before
    assert line.event("bob", Terminated).cause.kind is EndKind.CANCELLED
    assert line.bob.next_timer() is None


def test_cancel_and_answer_cross_and_one_bye_ends_it():
    """Both on their way at the same moment: the 200 wins, the CANCEL finds nothing to end."""
    line = Line()
    mine = line.call()
    session = line.event("bob", IncomingInvite).session
    session.ring(line.now)
    line.deliver()

    session.answer(ANSWER, line.now)
    mine.cancel(line.now)
    line.deliver()
    line.advance(100)

    assert line.count("SIP/2.0 487 Request Terminated") == 0
    assert line.methods("alice").count("BYE") == 1
    assert line.event("alice", Terminated).cause.kind is EndKind.CANCELLED
    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE
    assert line.alice.session_count == line.bob.session_count == 0


def test_each_fork_that_answers_a_cancelled_call_is_ended():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    session.cancel(peer.now)
    peer.out()

    first = peer.send(reply(invite, 200, "one", body=ANSWER))
    second = peer.send(reply(invite, 200, "two", body=ANSWER))
    repeated = peer.send(reply(invite, 200, "two", body=ANSWER))

    assert [message.method for _, message in first] == ["ACK", "BYE"]
    assert [message.method for _, message in second] == ["ACK", "BYE"]
    assert [message.method for _, message in repeated] == ["ACK"]
    assert len(peer.events(Terminated)) == 1


def test_hang_up_before_any_reply_is_a_cancel_too():
    peer, session, invite = calling()
    session.bye(peer.now, reason="Q.850;cause=16")
    before = peer.out()

    [(_, cancel)] = peer.send(reply(invite, 180, "one"))

    assert before == []
    assert cancel.method == "CANCEL"
    assert cancel.headers.first("reason") == "Q.850;cause=16"


def test_cancel_twice_is_refused_and_sends_one():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    session.cancel(peer.now)

    with pytest.raises(SipStateError):
        session.cancel(peer.now)
    session.bye(peer.now)

    assert lines(peer.out()) == ["CANCEL sip:desk@peer.test SIP/2.0"]


def test_ringing_after_the_cancel_does_not_keep_the_session_for_ever():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    session.cancel(peer.now)
    peer.out()
    peer.send(reply(invite, 180, "one"))

    peer.engine.timer(peer.now + 33)

    assert peer.event(Terminated).cause.kind is EndKind.CANCELLED


@pytest.mark.parametrize("verb", ["bye", "cancel"])
def test_a_reason_that_would_break_the_message_is_refused_at_once(verb):
    peer, session, invite = calling()

    with pytest.raises(SipWriteError):
        getattr(session, verb)(peer.now, reason="SIP\r\nX-Evil: 1")

    assert session.phase is Phase.CALLING
    assert lines(peer.send(reply(invite, 180, "t"))) == []


def test_a_bye_that_waits_for_the_ack_is_checked_before():
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)

    with pytest.raises(SipWriteError):
        session.bye(peer.now, reason="SIP\r\nX-Evil: 1")

    assert session.phase is Phase.ANSWERED
