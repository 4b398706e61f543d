"""Reliable provisional responses both ways: numbers, repetition, queueing, offers in them, and nobody who answers."""

import pytest

from telephony.sip.errors import SipStateError, SipWriteError
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    InviteAcked,
    Provisional,
    ProvisionalAnswered,
    ReinviteReceived,
    Terminated,
)
from telephony.sip.session import Cause, EndKind, InviteOptions, Phase
from tests.unit.sip_line import ANSWER, OFFER, Line, make_engine
from tests.unit.sip_peer import Peer, calling, lines, reply, request

KNOWS = "Supported: 100rel\r\n"
RELIABLE = "Require: 100rel\r\nRSeq: {}\r\n"


def invited(line, **more):
    """What the called side may ring: the session."""
    line.call(**more)
    return line.event("bob", IncomingInvite).session


def test_a_183_with_media_is_reliable_and_acknowledged_by_the_engine():
    line = Line()
    session = invited(line)

    session.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()
    session.answer(ANSWER, line.now)
    line.deliver()

    assert line.methods("bob") == ["100", "183", "200", "200"]
    assert line.methods("alice") == ["INVITE", "PRACK", "ACK"]
    progress = line.last("SIP/2.0 183")
    rseq = progress.headers.first("rseq")
    assert progress.tokens("require") == ["100rel"]
    assert line.last("PRACK").headers.first("rack") == f"{rseq} 1 INVITE"
    assert session.phase is Phase.CONFIRMED


def test_a_plain_180_stays_unreliable_unless_the_caller_requires_it():
    line, strict = Line(), Line()
    session, required = invited(line), invited(strict, options=InviteOptions(reliable="required"))

    session.ring(line.now)
    line.deliver()
    required.ring(strict.now)
    strict.deliver()

    assert line.methods("alice") == ["INVITE"]
    assert strict.methods("alice") == ["INVITE", "PRACK"]


def test_a_caller_who_does_not_know_it_gets_plain_responses():
    line = Line()
    session = invited(line, options=InviteOptions(reliable="no"))

    session.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()

    assert line.methods("alice") == ["INVITE"]
    assert line.event("alice", Provisional).sdp == ANSWER
    with pytest.raises(SipStateError):
        session.ring(line.now, reliable=True)


def test_it_is_repeated_with_doubled_intervals_until_the_prack():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, reliable=True)
    line.deliver()

    line.advance(4)
    line.lose = lambda entry: False
    line.advance(30)

    times = [at - 100 for at, _, entry in line.sent if entry == "SIP/2.0 180 Ringing"]
    assert times == [0, 0.5, 1.5, 3.5, 7.5]
    assert len([e for e in line.events("alice") if isinstance(e, Provisional)]) == 1


def test_without_prack_the_call_is_refused_after_32_seconds():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()

    line.advance(33)

    assert line.event("bob", Terminated).cause == Cause(EndKind.TIMEOUT, 504, "no PRACK")
    assert line.event("alice", Terminated).cause.status == 504
    line.lose = lambda entry: False
    line.advance(100)
    assert line.bob.session_count == line.alice.session_count == 0
    assert line.bob.next_timer() is None


def test_the_second_one_waits_for_the_prack_of_the_first():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, reliable=True)
    session.ring(line.now, status=183, sdp=ANSWER, reliable=True)
    line.deliver()
    before = line.methods("bob")

    line.lose = lambda entry: False
    line.advance(1)

    assert before == ["100", "180"]
    told = [e for e in line.events("alice") if isinstance(e, Provisional)]
    assert [event.status for event in told] == [180, 183]
    numbers = [int(n) for m in line.messages if (n := m.headers.first("rseq"))]
    assert sorted(set(numbers)) == [numbers[0], numbers[0] + 1]
    assert 1 <= numbers[0] < 2**31


def test_the_queue_of_those_that_wait_has_an_end():
    peer = Peer()
    peer.send(request(body=OFFER, extra=KNOWS))
    session = peer.event(IncomingInvite).session

    for _ in range(17):
        session.ring(peer.now, reliable=True)
    with pytest.raises(SipStateError):
        session.ring(peer.now, reliable=True)

    assert len(peer.out()) == 1


def test_the_answer_waits_until_the_media_of_the_183_is_acknowledged():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, status=183, sdp=ANSWER)
    session.answer(ANSWER, line.now)
    line.deliver()
    before, phase = line.methods("bob"), session.phase

    line.lose = lambda entry: False
    line.advance(1)

    assert (before, phase) == (["100", "183"], Phase.RINGING)
    assert session.phase is Phase.CONFIRMED
    assert line.event("alice", Answered).sdp == ANSWER
    assert line.last("SIP/2.0 200").body == b""
    with pytest.raises(SipStateError):
        session.answer(ANSWER, line.now)


def test_a_waiting_answer_can_still_be_cancelled():
    line = Line()
    mine = line.call()
    session = line.event("bob", IncomingInvite).session
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, status=183, sdp=ANSWER)
    session.answer(ANSWER, line.now)
    line.deliver()

    mine.cancel(line.now)
    line.deliver()

    assert line.event("bob", Terminated).cause.kind is EndKind.CANCELLED
    assert "487" in line.methods("bob")


def test_a_waiting_answer_with_a_line_end_is_refused_at_once():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, status=183, sdp=ANSWER)

    with pytest.raises(SipWriteError):
        session.answer(ANSWER, line.now, headers=[("X-Note", "a\r\nX-Evil: 1")])


def test_an_answer_does_not_wait_for_the_prack_of_a_180():
    line = Line()
    session = invited(line)
    line.lose = lambda entry: entry.startswith("alice PRACK")
    session.ring(line.now, reliable=True)
    session.answer(ANSWER, line.now)
    line.deliver()

    line.lose = lambda entry: False
    line.advance(1)

    assert session.phase is Phase.CONFIRMED
    assert line.last("SIP/2.0 200").cseq.method == "PRACK"  # late, and known all the same


# ------------------------------------------------------------------------------- PRACKs by hand


def rung(**values):
    """A reliable 180 of ours to a hand-written caller: peer, session, response."""
    peer = Peer()
    peer.send(request(body=OFFER, extra=KNOWS))
    session = peer.event(IncomingInvite).session
    session.ring(peer.now, reliable=True, **values)
    [(_, ringing)] = peer.out()
    return peer, session, ringing


def prack(ringing, rack=None, **values):
    rack = rack or f"{ringing.headers.first('rseq')} 1 INVITE"
    values = {"branch": "pr", "cseq": 2, **values}
    return request("PRACK", to_tag=ringing.to.tag, extra=f"RAck: {rack}\r\n", **values)


@pytest.mark.parametrize(
    "rack", ["9 1 INVITE", "{} 2 INVITE", "{} 1 BYE", "x", "{} 1", "-1 1 INVITE"]
)
def test_a_prack_for_something_else_is_481_and_the_response_goes_on(rack):
    peer, _, ringing = rung()

    replies = peer.send(prack(ringing, rack.format(ringing.headers.first("rseq"))))
    peer.engine.timer(peer.now + 0.5)

    assert lines(replies) == ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    assert lines(peer.out()) == ["SIP/2.0 180 Ringing"]


def test_a_second_prack_is_481_and_a_repeated_one_gets_the_same_reply():
    peer, _, ringing = rung()

    first = peer.send(prack(ringing))
    repeated = peer.send(prack(ringing))
    second = peer.send(prack(ringing, branch="pr2", cseq=3))

    assert lines(first) == ["SIP/2.0 200 OK"]
    assert repeated == first
    assert lines(second) == ["SIP/2.0 481 Call/Transaction Does Not Exist"]


def test_an_offer_in_a_prack_is_answered_in_its_200():
    peer, session, progress = rung(status=183, sdp=ANSWER)

    waiting = peer.send(prack(progress, body=OFFER))
    asked = peer.event(ReinviteReceived)
    session.accept_reinvite(ANSWER, peer.now)
    [(_, ok)] = peer.out()

    assert waiting == []
    assert asked.sdp == OFFER
    assert (ok.status, ok.body, ok.cseq.method) == (200, ANSWER, "PRACK")


def test_an_offer_in_a_prack_while_the_first_is_open_is_asked_to_come_later():
    peer, _, ringing = rung()

    [(_, refused)] = peer.send(prack(ringing, body=OFFER))

    assert refused.status == 500
    assert 0 <= int(refused.headers.first("retry-after")) <= 10


def test_a_late_offer_in_a_reliable_183_is_answered_in_the_prack():
    line = Line()
    mine = line.call(sdp=None)
    session = line.event("bob", IncomingInvite).session

    session.ring(line.now, status=183, sdp=OFFER)
    line.deliver()
    offered = line.event("alice", Provisional).sdp
    before = line.methods("alice")
    mine.ack(ANSWER, line.now)
    line.deliver()
    answered = line.event("bob", ProvisionalAnswered).sdp
    session.answer(OFFER, line.now)
    line.deliver()

    assert offered == OFFER
    assert before == ["INVITE"]
    assert answered == ANSWER
    assert line.event("bob", InviteAcked).sdp is None
    assert line.event("alice", Answered).sdp == OFFER
    assert mine.phase is Phase.CONFIRMED


def test_a_late_offer_is_not_made_in_an_unreliable_183():
    line = Line()
    session = invited(line, sdp=None, options=InviteOptions(reliable="no"))

    session.ring(line.now, status=183, sdp=OFFER)
    line.deliver()

    assert line.event("alice", Provisional).sdp is None


# ------------------------------------------------------------------------------- as caller


def test_a_number_too_high_is_not_acknowledged_until_the_missing_one_came():
    peer, _, invite = calling()
    first = peer.send(reply(invite, 180, "one", extra=RELIABLE.format(7)))

    ahead = peer.send(reply(invite, 183, "one", extra=RELIABLE.format(9), body=ANSWER))
    missing = peer.send(reply(invite, 182, "one", extra=RELIABLE.format(8)))
    again = peer.send(reply(invite, 183, "one", extra=RELIABLE.format(9), body=ANSWER))

    assert lines(first) == ["PRACK sip:fork@198.51.100.8 SIP/2.0"]
    assert ahead == []
    assert [message.headers.first("rack") for _, message in (*missing, *again)] == [
        "8 1 INVITE",
        "9 1 INVITE",
    ]
    told = [e for e in peer.engine.events() if isinstance(e, Provisional)]
    assert [event.status for event in told] == [180, 182, 183]


def test_a_repeated_reliable_response_gets_no_second_prack():
    peer, _, invite = calling()
    peer.send(reply(invite, 180, "one", extra=RELIABLE.format(7)))

    assert peer.send(reply(invite, 180, "one", extra=RELIABLE.format(7))) == []


@pytest.mark.parametrize(
    "extra", ["RSeq: 7\r\n", "Require: 100rel\r\n", "Require: 100rel\r\nRSeq: x\r\n"]
)
def test_a_response_that_is_reliable_by_half_is_a_plain_one(extra):
    peer, _, invite = calling()

    assert peer.send(reply(invite, 180, "one", extra=extra)) == []
    assert peer.event(Provisional).status == 180


def test_the_answer_of_a_reliable_183_counts_and_that_of_the_200_is_ignored():
    peer, session, invite = calling()
    peer.send(reply(invite, 183, "one", extra=RELIABLE.format(1), body=ANSWER))

    sent = peer.send(reply(invite, 200, "one", body=OFFER))

    assert peer.events(Answered) == [Answered(session, ANSWER)]
    assert lines(sent) == ["ACK sip:fork@198.51.100.8 SIP/2.0"]


def test_a_200_without_description_goes_by_the_early_media():
    peer, session, invite = calling()
    peer.send(reply(invite, 183, "one", body=ANSWER))

    peer.send(reply(invite, 200, "one"))

    assert peer.events(Answered) == [Answered(session, ANSWER)]


@pytest.mark.parametrize(
    ("settings", "extra", "status", "header"),
    [
        ({"reliable": "no"}, "Require: 100rel\r\n", 420, ("unsupported", "100rel")),
        ({"reliable": "required"}, "", 421, ("require", "100rel")),
    ],
)
def test_a_caller_who_does_not_fit_our_setting_is_told_so(settings, extra, status, header):
    peer = Peer(make_engine(**settings))

    [(_, refused)] = peer.send(request(body=OFFER, extra=extra))

    assert refused.status == status
    assert refused.headers.first(header[0]) == header[1]
    assert peer.engine.events() == []


def test_our_invite_says_what_we_take_and_require():
    _, _, plain = calling()
    _, _, off = calling(options=InviteOptions(reliable="no"))
    _, _, strict = calling(options=InviteOptions(reliable="required"))

    assert "100rel" in plain.tokens("supported")
    assert "100rel" not in off.tokens("supported")
    assert strict.tokens("require") == ["100rel"]
