"""Changes of a session that is up: hold, moved media, late offer, glare, and what must not end the call."""

import pytest

from telephony.sdp import offer_answer
from telephony.sdp.description import Direction
from telephony.sdp.offer_answer import (
    PCMA,
    PCMU,
    Agreed,
    Capabilities,
    accept_answer,
    offer,
)
from telephony.sip.events import (
    IncomingInvite,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.message import write
from telephony.sip.session import EndKind, Phase
from tests.unit.sip_line import ALICE, ANSWER, BOB, OFFER, Line


def answer(sdp: bytes | None, capabilities: Capabilities, previous: Agreed | None = None) -> Agreed:
    assert sdp is not None
    found = offer_answer.answer(sdp, capabilities, previous)
    assert isinstance(found, Agreed), found
    return found


CALLER = Capabilities("192.0.2.10", 4000)
CALLED = Capabilities("192.0.2.20", 5000)


def settled():
    """A call with real SDP on both sides: line, both sessions, what the called side agreed to."""
    line = Line()
    mine = line.call(sdp=offer(CALLER).sdp)
    invite = line.event("bob", IncomingInvite)
    agreed = answer(invite.sdp, CALLED)
    invite.session.answer(agreed.sdp, line.now)
    line.deliver()
    line.events("alice")
    line.events("bob")
    return line, mine, invite.session, agreed


def test_hold_sendonly_is_answered_recvonly():
    line, mine, theirs, agreed = settled()

    mine.reinvite(offer(CALLER, direction=Direction.SENDONLY).sdp, line.now)
    line.deliver()
    held = answer(line.event("bob", ReinviteReceived).sdp, CALLED, agreed)
    theirs.accept_reinvite(held.sdp, line.now)
    line.deliver()

    assert held.direction is Direction.RECVONLY
    assert b"a=recvonly" in line.event("alice", ReinviteAnswered).sdp
    assert line.event("bob", ReinviteAcked).sdp is None
    assert held.version == agreed.version + 1


def test_reinvite_changes_codec_both_ways():
    line, mine, theirs, agreed = settled()
    change = offer(Capabilities("192.0.2.10", 4000, codecs=(PCMA,)))

    mine.reinvite(change.sdp, line.now)
    line.deliver()
    changed = answer(line.event("bob", ReinviteReceived).sdp, CALLED, agreed)
    theirs.accept_reinvite(changed.sdp, line.now)
    line.deliver()
    mirrored = accept_answer(change, line.event("alice", ReinviteAnswered).sdp)
    assert isinstance(mirrored, Agreed)

    assert agreed.codec == PCMU
    assert (changed.codec, changed.send_payload_type, changed.receive_payload_type) == (PCMA, 8, 8)
    assert (mirrored.codec, mirrored.send_payload_type) == (PCMA, 8)


def test_changed_c_line_moves_rtp():
    line, mine, _theirs, agreed = settled()

    mine.reinvite(offer(Capabilities("192.0.2.77", 4100)).sdp, line.now)
    line.deliver()
    moved = answer(line.event("bob", ReinviteReceived).sdp, CALLED, agreed)

    assert (moved.remote_address, moved.remote_port) == ("192.0.2.77", 4100)
    assert (agreed.remote_address, agreed.remote_port) == ("192.0.2.10", 4000)


def test_reinvite_in_dialog_is_answered_from_either_side():
    line, mine, theirs, _ = settled()

    theirs.reinvite(OFFER, line.now)
    line.deliver()
    line.event("alice", ReinviteReceived).session.accept_reinvite(ANSWER, line.now)
    line.deliver()

    assert line.event("bob", ReinviteAnswered).sdp == ANSWER
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_empty_reinvite_gets_an_offer_and_answers_in_the_ack():
    line, mine, theirs, agreed = settled()

    mine.reinvite(b"", line.now)
    line.deliver()
    asked = line.event("bob", ReinviteReceived)
    theirs.accept_reinvite(offer(CALLED, agreed).sdp, line.now)
    line.deliver()
    offered = line.event("alice", ReinviteAnswered).sdp

    assert asked.sdp is None
    assert b"m=audio 5000" in offered
    assert b"a=sendrecv" in offered


def test_a_refused_reinvite_leaves_the_call_as_it_was():
    line, mine, theirs, _ = settled()

    mine.reinvite(OFFER, line.now)
    line.deliver()
    theirs.reject_reinvite(488, line.now, headers=[("Warning", '305 192.0.2.20 "x"')])
    line.deliver()

    assert line.event("alice", ReinviteRejected).status == 488
    assert mine.phase is theirs.phase is Phase.CONFIRMED


@pytest.mark.parametrize("status", [400, 415, 420, 486, 488, 500, 503, 603])
def test_reinvite_never_ends_the_call(status):
    line, mine, theirs, _ = settled()

    mine.reinvite(OFFER, line.now)
    line.deliver()
    theirs.reject_reinvite(status, line.now)
    line.deliver()
    line.advance(60)

    assert mine.phase is theirs.phase is Phase.CONFIRMED
    assert not [event for event in line.events("alice") if isinstance(event, Terminated)]


def test_a_reinvite_the_other_side_no_longer_knows_ends_the_call():
    line, mine, theirs, _ = settled()

    mine.reinvite(OFFER, line.now)
    line.deliver()
    theirs.reject_reinvite(481, line.now)
    line.deliver()

    assert line.event("alice", Terminated).cause.status == 481


def test_glare_is_retried_and_the_owner_of_the_call_id_waits_longer():
    line, mine, theirs, _ = settled()

    mine.reinvite(OFFER, line.now)
    theirs.reinvite(ANSWER, line.now)
    line.deliver()
    start = line.now
    line.advance(2)
    at_bob = [at - start for at, name, entry in line.sent if name == "bob" and "INVITE" in entry]
    line.event("alice", ReinviteReceived).session.accept_reinvite(ANSWER, line.now)
    line.deliver()
    line.advance(3)
    at_alice = [
        at - start
        for at, name, entry in line.sent
        if name == "alice" and "INVITE sip:voice" in entry
    ]

    assert line.count("SIP/2.0 491 Request Pending") == 2
    assert at_bob[0] == 0
    assert 0 <= at_bob[1] <= 2.0
    assert at_alice[0] == 0
    assert 2.1 <= at_alice[1] <= 4.0
    assert line.event("bob", ReinviteReceived).sdp == OFFER


def test_a_second_reinvite_while_one_is_open_gets_500_with_retry_after():
    line, mine, _theirs, _ = settled()
    mine.reinvite(OFFER, line.now)
    line.deliver()
    invite = next(
        m for m in reversed(line.messages) if m.start_line.startswith("INVITE sip:voice@192.0.2.20")
    )

    again = _with_next_cseq(invite)
    line.bob.receive(again, line.flow(("192.0.2.20", 5060), ("192.0.2.10", 5060)), line.now)
    [(_, data)] = line.bob.to_send()

    assert data.startswith(b"SIP/2.0 500 ")
    assert b"\r\nRetry-After: " in data


def _with_next_cseq(invite):
    return (
        write(invite)
        .replace(b"CSeq: 2 ", b"CSeq: 3 ")
        .replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")
    )


def test_an_old_cseq_is_refused():
    line, mine, theirs, _ = settled()
    mine.reinvite(OFFER, line.now)
    line.deliver()
    theirs.accept_reinvite(ANSWER, line.now)
    line.deliver()

    old = _with_next_cseq(line.messages[0])
    tag = theirs.local_tag.encode()
    old = old.replace(b"To: <sip:bob@192.0.2.20>", b"To: <sip:bob@192.0.2.20>;tag=" + tag)
    old = old.replace(b"CSeq: 1 ", b"CSeq: 0 ")
    line.bob.receive(old, line.flow(("192.0.2.20", 5060), ("192.0.2.10", 5060)), line.now)
    [(_, data)] = line.bob.to_send()

    assert data.startswith(b"SIP/2.0 500 CSeq Out Of Order")


def test_a_lost_ack_of_a_reinvite_is_repeated():
    line, mine, theirs, _ = settled()
    mine.reinvite(OFFER, line.now)
    line.deliver()
    line.lose = lambda entry: entry.startswith("alice ACK")
    theirs.accept_reinvite(ANSWER, line.now)
    line.deliver()

    line.lose = lambda entry: False
    line.advance(1)

    assert len([e for e in line.events("bob") if isinstance(e, ReinviteAcked)]) == 1
    assert len([e for e in line.events("alice") if isinstance(e, ReinviteAnswered)]) == 1


def test_bye_during_an_open_reinvite_closes_both():
    line, mine, _theirs, _ = settled()
    mine.reinvite(OFFER, line.now)
    line.deliver()

    mine.bye(line.now)
    line.deliver()
    line.advance(100)

    assert line.count("SIP/2.0 487 Request Terminated") == 1
    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE
    assert line.alice.next_timer() is None
    assert line.bob.next_timer() is None


def test_a_reinvite_moves_the_target_of_later_requests():
    line, mine, theirs, _ = settled()
    mine.reinvite(OFFER, line.now)
    [(flow, data)] = line.alice.to_send()
    moved = data.replace(b"<sip:voice@192.0.2.10:5060>", b"<sip:desk@192.0.2.11:5070>")
    line.bob.receive(moved, line.flow(flow.remote, flow.local), line.now)

    theirs.accept_reinvite(ANSWER, line.now)
    line.bob.to_send()
    line.bob.receive(_ack_of(data), line.flow(flow.remote, flow.local), line.now)
    theirs.bye(line.now)
    [(flow, bye)] = line.bob.to_send()

    assert bye.startswith(b"BYE sip:desk@192.0.2.11:5070 SIP/2.0\r\n")
    assert flow.remote == ("192.0.2.11", 5070)


def _ack_of(invite):
    return invite.replace(b"INVITE", b"ACK").replace(b"branch=z9hG4bK", b"branch=z9hG4bKack")


def test_a_bye_of_ours_ends_the_wait_for_the_ack_of_their_reinvite():
    line, mine, theirs, _ = settled()
    line.lose = lambda text: text.startswith("alice ACK")
    mine.reinvite(OFFER, line.now)
    line.deliver()
    line.event("bob", ReinviteReceived).session.accept_reinvite(ANSWER, line.now)
    line.deliver()

    theirs.bye(line.now)
    line.deliver()
    before = line.methods("bob").count("200")
    line.advance(40)

    assert line.methods("bob").count("BYE") == 1
    assert line.methods("bob").count("200") == before


def test_a_reinvite_that_cannot_be_sent_leaves_the_call_up():
    line, mine, _, _ = settled()
    mine.reinvite(OFFER, line.now)
    line.alice.to_send()

    line.alice.failed(line.flow(ALICE, BOB), line.now)

    assert line.alice.events() == [ReinviteRejected(mine, 503, "")]
    assert mine.phase is Phase.CONFIRMED
