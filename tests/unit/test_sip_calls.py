"""Whole calls between two engines: set-up, cancel, end, loss of each message."""

import pytest

from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    InviteAcked,
    Provisional,
    Terminated,
)
from telephony.sip.session import Cause, EndKind, Phase
from tests.unit.sip_line import ANSWER, OFFER, Line, answered_call


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_is_set_up_and_ended_by_the_caller(transport):
    line = Line(transport)
    mine = line.call()

    invite = line.event("bob", IncomingInvite)
    invite.session.ring(line.now)
    line.deliver()
    ringing = line.event("alice", Provisional)
    invite.session.answer(ANSWER, line.now)
    line.deliver()
    answered = line.event("alice", Answered)
    acked = line.event("bob", InviteAcked)
    mine.bye(line.now, reason="Q.850;cause=16")
    line.deliver()

    assert invite.sdp == OFFER
    assert (ringing.status, ringing.sdp) == (180, None)
    assert answered.sdp == ANSWER
    assert acked.sdp is None
    assert line.event("alice", Terminated).cause == Cause(EndKind.LOCAL)
    assert line.event("bob", Terminated).cause == Cause(EndKind.REMOTE, None, "Q.850;cause=16")
    assert [entry for _, _, entry in line.sent] == [
        "INVITE sip:bob@192.0.2.20 SIP/2.0",
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
        "ACK sip:voice@192.0.2.20:5060"
        + (";transport=tcp" if transport == "tcp" else "")
        + " SIP/2.0",
        "BYE sip:voice@192.0.2.20:5060"
        + (";transport=tcp" if transport == "tcp" else "")
        + " SIP/2.0",
        "SIP/2.0 200 OK",
    ]


def test_the_called_side_can_end_the_call():
    line, _, theirs = answered_call()

    theirs.bye(line.now)
    line.deliver()

    assert line.event("alice", Terminated).cause.kind is EndKind.REMOTE
    assert line.event("bob", Terminated).cause.kind is EndKind.LOCAL


def test_nothing_is_left_after_a_call():
    line, mine, _ = answered_call()

    mine.bye(line.now)
    line.deliver()
    line.advance(100)

    for engine in (line.alice, line.bob):
        assert engine.session_count == 0
        assert engine.next_timer() is None


def test_bye_twice_sends_one_bye():
    line, mine, _ = answered_call()

    mine.bye(line.now)
    mine.bye(line.now)
    line.deliver()

    assert line.count("BYE sip:voice@192.0.2.20:5060 SIP/2.0") == 1


def test_both_sides_hang_up_at_once():
    line, mine, theirs = answered_call()

    mine.bye(line.now)
    theirs.bye(line.now)
    line.deliver()
    line.advance(100)

    assert line.count("SIP/2.0 200 OK") == 3
    assert line.event("alice", Terminated).cause.kind is EndKind.LOCAL
    assert line.event("bob", Terminated).cause.kind is EndKind.LOCAL
    assert line.alice.session_count == line.bob.session_count == 0


def test_the_ok_is_repeated_until_the_ack_comes():
    line = Line()
    line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: entry.startswith("alice ACK")

    session.answer(ANSWER, line.now)
    line.deliver()
    line.advance(3.4)
    line.lose = lambda entry: False
    line.advance(4)

    repeats = [at - 100 for at, _, entry in line.sent if entry == "SIP/2.0 200 OK"]
    assert repeats == [0, 0.5, 1.5, 3.5]
    assert session.phase is Phase.CONFIRMED
    assert isinstance(line.events("bob")[-1], InviteAcked)
    assert len([e for e in line.events("alice") if isinstance(e, Answered)]) == 1


def test_without_any_ack_the_call_ends_with_bye_after_32_seconds():
    line = Line()
    line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: entry.startswith("alice ACK")

    session.answer(ANSWER, line.now)
    line.deliver()
    line.advance(32)

    assert line.event("bob", Terminated).cause.kind is EndKind.TIMEOUT
    assert line.event("alice", Terminated).cause.kind is EndKind.REMOTE
    line.advance(100)
    assert line.bob.session_count == 0


def test_hang_up_before_the_ack_waits_for_it():
    line = Line()
    line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: entry.startswith("alice ACK")
    session.answer(ANSWER, line.now)
    line.deliver()

    session.bye(line.now)
    line.deliver()
    before = [entry for _, name, entry in line.sent if name == "bob" and entry.startswith("BYE")]
    line.lose = lambda entry: False
    line.advance(1)

    assert before == []
    assert line.count("BYE sip:voice@192.0.2.10:5060 SIP/2.0") == 1
    assert line.event("alice", Terminated).cause.kind is EndKind.REMOTE


def test_invite_is_repeated_by_timer_a_and_given_up_by_timer_b():
    line = Line()
    line.lose = lambda entry: True

    line.call()
    line.advance(40)

    times = [at - 100 for at, _, _ in line.sent]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert line.event("alice", Terminated).cause == Cause(EndKind.TIMEOUT, 408)
    assert line.alice.session_count == 0


def test_invite_is_not_repeated_on_tcp_nor_after_a_provisional_response():
    reliable, ringing = Line("tcp"), Line()
    reliable.lose = lambda entry: True

    reliable.call()
    reliable.advance(20)
    ringing.call()
    ringing.advance(120)

    assert len(reliable.sent) == 1
    assert ringing.count("INVITE sip:bob@192.0.2.20 SIP/2.0") == 1
    assert ringing.events("alice") == []


def test_a_lost_bye_is_repeated():
    line, mine, _ = answered_call()
    line.lose = lambda entry: entry.startswith("alice BYE")

    mine.bye(line.now)
    line.deliver()
    line.advance(1)
    line.lose = lambda entry: False
    line.advance(1)

    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE


def test_a_lost_final_response_of_a_rejected_call_is_repeated_until_acked():
    line = Line()
    line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: "486" in entry

    session.reject(486, line.now)
    line.deliver()
    line.advance(1)
    line.lose = lambda entry: False
    line.advance(20)

    assert line.event("alice", Terminated).cause == Cause(EndKind.REJECTED, 486, "Busy Here")
    assert line.event("bob", Terminated).cause.kind is EndKind.REJECTED
    assert line.count("SIP/2.0 486 Busy Here") == 3
    assert line.count("ACK sip:bob@192.0.2.20 SIP/2.0") == 1


def test_reject_carries_reason_phrase_and_headers():
    line = Line()
    line.call()

    line.event("bob", IncomingInvite).session.reject(
        488, line.now, reason="No Common Codec", headers=[("Warning", '305 192.0.2.20 "x"')]
    )
    line.deliver()

    refused = next(m for m in line.messages if m.start_line == "SIP/2.0 488 No Common Codec")
    assert refused.headers.first("warning") == '305 192.0.2.20 "x"'


def test_early_media_both_ways_of_183():
    line = Line()
    line.call()

    line.event("bob", IncomingInvite).session.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()

    assert line.event("alice", Provisional).sdp == ANSWER


def test_ringing_is_repeated_each_minute():
    line = Line()
    line.call()
    line.event("bob", IncomingInvite).session.ring(line.now)

    line.deliver()
    line.advance(121)

    assert line.count("SIP/2.0 180 Ringing") == 3


# ------------------------------------------------------------------------------ late offer, verbs, options


def test_an_invite_without_sdp_gets_our_offer_and_answers_in_the_ack():
    line = Line()
    mine = line.call(sdp=None)
    invite = line.event("bob", IncomingInvite)

    invite.session.answer(OFFER, line.now)
    line.deliver()
    offered = line.event("alice", Answered).sdp
    mine.ack(ANSWER, line.now)
    line.deliver()

    assert invite.sdp is None
    assert offered == OFFER
    assert line.event("bob", InviteAcked).sdp == ANSWER


def test_hang_up_instead_of_answering_a_late_offer_acks_first():
    line = Line()
    mine = line.call(sdp=None)
    line.event("bob", IncomingInvite).session.answer(OFFER, line.now)
    line.deliver()

    mine.bye(line.now)
    line.deliver()

    told = [type(event) for event in line.events("bob")]
    assert told == [InviteAcked, Terminated]


@pytest.mark.parametrize("verb", ["ring", "answer", "reject", "reinvite", "accept", "refuse"])
def test_a_verb_out_of_phase_is_refused(verb):
    line, _, theirs = answered_call()
    theirs.bye(line.now)
    line.deliver()
    verbs = {
        "ring": lambda: theirs.ring(line.now),
        "answer": lambda: theirs.answer(ANSWER, line.now),
        "reject": lambda: theirs.reject(486, line.now),
        "reinvite": lambda: theirs.reinvite(OFFER, line.now),
        "accept": lambda: theirs.accept_reinvite(ANSWER, line.now),
        "refuse": lambda: theirs.reject_reinvite(488, line.now),
    }

    with pytest.raises(SipStateError):
        verbs[verb]()


def test_bye_of_a_call_that_still_rings_declines_it():
    line = Line()
    line.call()

    line.event("bob", IncomingInvite).session.bye(line.now)
    line.deliver()

    assert line.event("alice", Terminated).cause == Cause(EndKind.REJECTED, 603, "Decline")
    assert line.event("bob", Terminated).cause.kind is EndKind.LOCAL
