"""UPDATE both ways: early and confirmed dialogs, glare by RFC 3311 5.2 and RFC 6337 2.2, the re-INVITE beside it."""

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    IncomingInvite,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.session import InviteOptions, Phase
from telephony.sip.update import Busy, refusal_of_offer, refusal_of_reinvite
from telephony.sip.usage import REFUSAL_OF_OFFER, OfferState
from tests.unit.sip_line import ANSWER, OFFER, Line, answered_call
from tests.unit.sip_peer import Peer, calling, from_fork, lines, reply, request

CHANGED = OFFER.replace(b"4000", b"4100")
KNOWN = InviteOptions(credentials=Credentials("desk", "secret"))
RELIABLE = "Require: 100rel\r\nRSeq: 1\r\nAllow: INVITE, UPDATE\r\n"


def test_an_update_changes_the_session_without_an_ack():
    line, mine, theirs = answered_call()

    mine.update(CHANGED, line.now)
    line.deliver()
    asked = line.event("bob", ReinviteReceived)
    theirs.accept_reinvite(ANSWER, line.now)
    line.deliver()

    assert asked.sdp == CHANGED
    assert line.event("alice", ReinviteAnswered).sdp == ANSWER
    assert line.methods("alice") == ["INVITE", "ACK", "UPDATE"]
    assert line.last("SIP/2.0 200").headers.first("contact") == "<sip:voice@192.0.2.20:5060>"


def test_a_refused_update_leaves_the_call_as_it_was():
    line, mine, theirs = answered_call()

    mine.update(CHANGED, line.now)
    line.deliver()
    theirs.reject_reinvite(488, line.now)
    line.deliver()
    mine.update(OFFER, line.now)
    line.deliver()

    assert line.event("alice", ReinviteRejected).status == 488
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_an_update_without_description_is_answered_by_the_engine():
    line, mine, theirs = answered_call()

    theirs.update(None, line.now)
    line.deliver()

    assert line.event("bob", ReinviteAnswered).sdp is None
    assert line.events("alice") == []
    assert mine.phase is Phase.CONFIRMED


def test_updates_that_cross_are_both_refused_and_tried_again():
    line, mine, theirs = answered_call()

    mine.update(CHANGED, line.now)
    theirs.update(ANSWER, line.now)
    line.deliver()
    line.advance(2)
    line.event("alice", ReinviteReceived).session.accept_reinvite(OFFER, line.now)
    line.deliver()
    line.advance(3)
    line.event("bob", ReinviteReceived).session.accept_reinvite(ANSWER, line.now)
    line.deliver()

    assert line.count("SIP/2.0 491 Request Pending") == 2
    assert line.event("alice", ReinviteAnswered).sdp == ANSWER
    assert theirs.phase is Phase.CONFIRMED


def test_an_update_crossing_a_reinvite_of_ours_is_491():
    line, mine, theirs = answered_call()

    mine.reinvite(CHANGED, line.now)
    theirs.update(ANSWER, line.now)
    line.deliver()
    line.advance(0)

    assert line.count("SIP/2.0 491 Request Pending") == 2
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_a_second_update_while_the_first_waits_gets_500_with_retry_after_and_is_sent_again():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(request("UPDATE", branch="u1", to_tag=tag, cseq=2, body=OFFER))

    [(_, second)] = peer.send(request("UPDATE", branch="u2", to_tag=tag, cseq=3, body=CHANGED))
    session.accept_reinvite(ANSWER, peer.now)
    [(_, first)] = peer.out()

    assert second.status == 500
    assert 0 <= int(second.headers.first("retry-after")) <= 10
    assert (first.status, first.cseq.number) == (200, 2)


def test_our_update_that_is_asked_to_come_later_comes_later():
    peer, session, invite = calling()
    peer.send(reply(invite, 200, "one", extra="Allow: INVITE, UPDATE\r\n", body=ANSWER))
    session.update(CHANGED, peer.now)
    [(_, update)] = peer.out()

    peer.send(reply(update, 500, extra="Retry-After: 3\r\n"))
    peer.engine.timer(peer.now + 2.9)
    before = peer.out()
    peer.engine.timer(peer.now + 3)

    assert before == []
    assert lines(peer.out()) == ["UPDATE sip:fork@198.51.100.8 SIP/2.0"]
    assert peer.events(ReinviteRejected) == []


@pytest.mark.parametrize("status", [408, 481])
def test_an_update_of_a_dialog_they_lost_ends_the_call(status):
    peer, session, invite = calling()
    peer.send(reply(invite, 200, "one", extra="Allow: INVITE, UPDATE\r\n", body=ANSWER))
    session.update(None, peer.now)
    [(_, update)] = peer.out()

    sent = peer.send(reply(update, status))

    assert lines(sent) == ["BYE sip:fork@198.51.100.8 SIP/2.0"]
    assert peer.event(Terminated).cause.status == status


def test_no_update_goes_to_a_peer_that_does_not_take_it():
    peer, session, invite = calling()
    peer.send(reply(invite, 200, "one", extra="Allow: INVITE, ACK, BYE\r\n", body=ANSWER))

    with pytest.raises(SipStateError):
        session.update(CHANGED, peer.now)
    session.reinvite(CHANGED, peer.now)

    assert lines(peer.out()) == ["INVITE sip:fork@198.51.100.8 SIP/2.0"]


def test_an_update_moves_the_target_of_later_requests():
    peer = Peer()
    session, tag = peer.answered()

    moved = "<sip:new@198.51.100.9:5080>"
    peer.send(request("UPDATE", branch="u", to_tag=tag, cseq=2, contact=moved))
    session.bye(peer.now)
    [(flow, bye)] = peer.out()

    assert bye.uri_text == "sip:new@198.51.100.9:5080"
    assert flow.remote == ("198.51.100.9", 5080)


# ------------------------------------------------------------------------------- before the answer


def test_update_before_the_answer_moves_early_media():
    """Avaya, Genesys and CUBE send one while the call still rings."""
    line = Line()
    mine = line.call()
    theirs = line.event("bob", IncomingInvite).session
    theirs.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()
    line.events("alice")

    theirs.update(CHANGED, line.now)
    line.deliver()
    asked = line.event("alice", ReinviteReceived)
    mine.accept_reinvite(OFFER, line.now)
    line.deliver()
    theirs.answer(ANSWER, line.now)
    line.deliver()

    assert asked.sdp == CHANGED
    assert line.methods("alice") == ["INVITE", "PRACK", "200", "ACK"]
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_the_caller_can_update_before_the_answer():
    line = Line()
    mine = line.call()
    theirs = line.event("bob", IncomingInvite).session
    theirs.ring(line.now, status=183, sdp=ANSWER)
    line.deliver()

    mine.update(CHANGED, line.now)
    line.deliver()
    theirs.accept_reinvite(ANSWER, line.now)
    line.deliver()

    assert line.last("UPDATE").headers.first("session-expires") is None
    assert line.event("alice", ReinviteAnswered).sdp == ANSWER
    assert mine.phase is theirs.phase is Phase.RINGING


def test_an_offer_before_our_invite_has_its_answer_is_491():
    peer, _, invite = calling()
    peer.send(reply(invite, 180, "one"))

    assert lines(peer.send(from_fork(invite, "UPDATE", "one", body=OFFER))) == [
        "SIP/2.0 491 Request Pending"
    ]


def test_an_offer_before_we_answered_their_invite_is_500():
    peer = Peer()
    peer.send(request(body=OFFER))
    peer.event(IncomingInvite).session.ring(peer.now)
    [(_, ringing)] = peer.out()

    [(_, refused)] = peer.send(
        request("UPDATE", branch="u", to_tag=ringing.to.tag, cseq=2, body=CHANGED)
    )

    assert refused.status == 500
    assert refused.headers.first("retry-after")


def test_each_fork_has_its_own_offer():
    peer, session, invite = calling()
    peer.send(reply(invite, 183, "one", extra=RELIABLE, body=ANSWER))
    peer.send(reply(invite, 180, "two"))

    first = peer.send(from_fork(invite, "UPDATE", "one", body=CHANGED))
    second = peer.send(from_fork(invite, "UPDATE", "two", body=CHANGED))
    session.accept_reinvite(ANSWER, peer.now)
    [(_, ok)] = peer.out()

    assert first == []
    assert second[0][1].status == 500
    assert ok.from_.tag == "one"


def test_an_update_of_a_call_we_are_cancelling_is_481():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    session.cancel(peer.now)
    peer.out()

    assert lines(peer.send(from_fork(invite, "UPDATE", "one"))) == [
        "SIP/2.0 481 Call/Transaction Does Not Exist"
    ]


def test_an_early_update_that_fails_does_not_end_the_call():
    peer, session, invite = calling()
    peer.send(reply(invite, 183, "one", extra=RELIABLE, body=ANSWER))
    session.update(CHANGED, peer.now)
    [(_, update)] = peer.out()

    peer.send(reply(update, 481))

    assert peer.event(ReinviteRejected).status == 481
    assert session.phase is Phase.RINGING


# ------------------------------------------------------------------------------- the empty re-INVITE, and the tables


def test_empty_reinvite_gets_offer_and_our_answer_goes_in_the_ack():
    line, mine, theirs = answered_call()

    mine.reinvite(b"", line.now)
    line.deliver()
    theirs.accept_reinvite(CHANGED, line.now)
    line.deliver()
    offered = line.event("alice", ReinviteAnswered).sdp
    before = line.methods("alice")
    mine.ack(ANSWER, line.now)
    line.deliver()

    assert offered == CHANGED
    assert before == ["INVITE", "ACK", "INVITE"]
    assert line.event("bob", ReinviteAcked).sdp == ANSWER


def test_hang_up_instead_of_answering_that_offer_acks_first():
    line, mine, theirs = answered_call()
    mine.reinvite(b"", line.now)
    line.deliver()
    theirs.accept_reinvite(CHANGED, line.now)
    line.deliver()

    mine.bye(line.now)
    line.deliver()

    assert line.methods("alice")[-2:] == ["ACK", "BYE"]


def test_a_reinvite_that_stays_refused_with_491_is_given_up():
    peer, session, invite = calling()
    peer.send(reply(invite, 200, "one", body=ANSWER))
    session.reinvite(CHANGED, peer.now)

    sent = 0
    for _ in range(20):
        found = [message for _, message in peer.out() if message.method == "INVITE"]
        if not found:
            break
        sent += 1
        peer.send(reply(found[0], 491))
        peer.now += 5
        peer.engine.timer(peer.now)

    assert sent == 9
    assert peer.event(ReinviteRejected).status == 491
    assert session.phase is Phase.CONFIRMED


PHASES = [phase for phase in Phase if phase is not Phase.ENDED]


@pytest.mark.parametrize("offer", OfferState)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("acks", [False, True])
@pytest.mark.parametrize("changing", [False, True])
def test_every_change_is_judged_in_every_state(phase, offer, waiting, acks, changing):
    busy = Busy(phase, waiting=waiting, acks=acks, changing=changing)
    early = phase not in (Phase.ANSWERED, Phase.CONFIRMED)

    reinvite, update = refusal_of_reinvite(busy, offer), refusal_of_offer(busy, offer)

    assert (reinvite is None) == (
        not (early or waiting or acks or changing) and offer is OfferState.NONE
    )
    assert (update is None) == (not (waiting or changing) and offer is OfferState.NONE)
    assert {reinvite, update} <= {None, 491, 500}
    assert update != 491 or changing or offer is OfferState.OURS


def test_the_table_of_offers_is_whole():
    assert set(REFUSAL_OF_OFFER) == set(OfferState)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_change_nobody_decides_is_refused_after_20_seconds(method):
    peer = Peer()
    session, tag = peer.answered()
    peer.send(request(method, branch="u", to_tag=tag, cseq=2, body=OFFER))

    peer.engine.timer(peer.now + 20)
    [(_, refused)] = peer.out()

    assert refused.status == 504
    assert session.phase is Phase.CONFIRMED
    with pytest.raises(SipStateError):
        session.accept_reinvite(ANSWER, peer.now)


@pytest.mark.parametrize("status", [401, 408, 422, 481, 488, 491, 500])
def test_nothing_of_a_change_goes_on_after_the_call_has_ended(status):
    peer, session, invite = calling(options=KNOWN)
    peer.send(reply(invite, 200, "one", body=ANSWER))
    session.reinvite(CHANGED, peer.now)
    [(_, change)] = peer.out()
    session.bye(peer.now)
    [(_, bye)] = peer.out()

    extra = 'WWW-Authenticate: Digest realm="x", nonce="n"\r\nMin-SE: 9000\r\nRetry-After: 1\r\n'
    sent = peer.send(reply(change, status, extra=extra))
    peer.send(reply(bye, 200))
    for at in range(1, 60):
        peer.engine.timer(peer.now + at)

    assert [message.method for _, message in sent] == ["ACK"]
    assert peer.out() == []
    assert peer.engine.session_count == 0


@pytest.mark.parametrize("sdp", [CHANGED, b""])
def test_a_change_accepted_after_the_call_has_ended_is_acked(sdp):
    peer, session, invite = calling()
    peer.send(reply(invite, 200, "one", body=ANSWER))
    session.reinvite(sdp, peer.now)
    [(_, change)] = peer.out()
    session.bye(peer.now)
    peer.out()

    first = peer.send(reply(change, 200, body=ANSWER))
    again = peer.send(reply(change, 200, body=ANSWER))

    assert [message.method for _, message in first] == ["ACK"]
    assert again == first
    assert peer.events(ReinviteAnswered) == []
