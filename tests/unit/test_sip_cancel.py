"""CANCEL: when it is sent, where it goes, and the race with the answer."""

from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.session import Cause, EndKind, Phase
from tests.unit.sip_line import ALICE, ANSWER, BOB, Line


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
