"""A peer that asks for credentials: the INVITE and every request of its dialog are sent again with them."""

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.events import (
    Answered,
    ReinviteAnswered,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.session import EndKind, InviteOptions, Phase
from tests.unit.sip_line import ANSWER, OFFER
from tests.unit.sip_peer import Peer, calling, lines, reply

KNOWN = InviteOptions(credentials=Credentials("desk", "secret"))


def challenge(nonce="n1", *, proxy=False, stale=False):
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    again = ", stale=true" if stale else ""
    return (
        f'{name}: Digest realm="peer.test", nonce="{nonce}", qop="auth", algorithm=MD5{again}\r\n'
    )


def proofs(message):
    return message.headers.all("authorization") + message.headers.all("proxy-authorization")


@pytest.mark.parametrize(("status", "proxy"), [(401, False), (407, True)])
def test_invite_407_is_answered(status, proxy):
    peer, session, invite = calling(options=KNOWN)

    [(_, ack), (_, again)] = peer.send(reply(invite, status, "x", extra=challenge(proxy=proxy)))
    peer.send(reply(again, 200, "one", body=ANSWER))

    assert ack.start_line == "ACK sip:desk@peer.test SIP/2.0"
    assert ack.via.branch == invite.via.branch
    assert again.via.branch != invite.via.branch
    assert (invite.cseq.number, again.cseq.number) == (1, 2)
    assert again.call_id == invite.call_id
    assert again.from_.tag == invite.from_.tag
    assert again.to.tag == ""
    assert again.body == OFFER
    assert 'username="desk"' in proofs(again)[0]
    assert "secret" not in proofs(again)[0]
    assert peer.event(Answered).session is session


def test_the_ack_of_the_ok_proves_itself_as_the_invite_did():
    peer, _, invite = calling(options=KNOWN)
    [_, (_, again)] = peer.send(reply(invite, 407, "x", extra=challenge(proxy=True)))

    [(_, ack)] = peer.send(reply(again, 200, "one", body=ANSWER))

    assert proofs(ack) == proofs(again)
    assert ack.cseq.number == again.cseq.number


def test_without_credentials_a_challenge_is_a_refusal():
    peer, _, invite = calling()

    sent = peer.send(reply(invite, 401, "x", extra=challenge()))

    assert lines(sent) == ["ACK sip:desk@peer.test SIP/2.0"]
    cause = peer.event(Terminated).cause
    assert (cause.kind, cause.status) == (EndKind.REJECTED, 401)


def test_the_same_nonce_twice_means_that_the_password_is_wrong():
    peer, _, invite = calling(options=KNOWN)
    [_, (_, again)] = peer.send(reply(invite, 401, "x", extra=challenge()))

    sent = peer.send(reply(again, 401, "y", extra=challenge()))

    assert lines(sent) == ["ACK sip:desk@peer.test SIP/2.0"]
    assert peer.event(Terminated).cause.status == 401


def test_a_stale_nonce_is_answered_once_more():
    peer, _, invite = calling(options=KNOWN)
    [_, (_, again)] = peer.send(reply(invite, 401, "x", extra=challenge("n1")))

    [_, (_, third)] = peer.send(reply(again, 401, "y", extra=challenge("n2", stale=True)))

    assert third.cseq.number == 3
    assert 'nonce="n2"' in proofs(third)[0]


def test_a_server_with_a_new_nonce_each_time_does_not_keep_us_busy():
    peer, _, invite = calling(options=KNOWN)
    asked = invite

    for number in range(20):
        stale = challenge(f"n{number}", stale=True)
        sent = peer.send(reply(asked, 401, f"t{number}", extra=stale))
        if len(sent) == 1:
            break
        asked = sent[1][1]

    assert asked.cseq.number <= 6
    assert peer.event(Terminated).cause.status == 401


def test_a_challenge_after_our_cancel_is_not_answered():
    peer, session, invite = calling(options=KNOWN)
    peer.send(reply(invite, 100))
    session.cancel(peer.now)
    peer.out()

    sent = peer.send(reply(invite, 401, "x", extra=challenge()))

    assert lines(sent) == ["ACK sip:desk@peer.test SIP/2.0"]
    assert peer.event(Terminated).cause.kind is EndKind.CANCELLED


def test_cancel_after_a_challenge_names_the_invite_that_is_on_its_way():
    peer, session, invite = calling(options=KNOWN)
    [_, (_, again)] = peer.send(reply(invite, 401, "x", extra=challenge()))

    session.cancel(peer.now)
    waiting = peer.out()
    [(_, cancel)] = peer.send(reply(again, 100))

    assert waiting == []  # no reply to this INVITE yet
    assert str(cancel.cseq) == "2 CANCEL"
    assert cancel.via.branch == again.via.branch


def up():
    """A call of ours that is answered, with credentials nobody has asked for yet."""
    peer, session, invite = calling(options=KNOWN)
    allow = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO, REFER, NOTIFY\r\n"
    peer.send(reply(invite, 200, "one", extra=allow, body=ANSWER))
    peer.engine.events()
    return peer, session


VERBS = {
    "INVITE": lambda session, now: session.reinvite(OFFER, now),
    "UPDATE": lambda session, now: session.update(OFFER, now),
    "INFO": lambda session, now: session.info("application/dtmf-relay", b"Signal=1\r\n", now),
    "BYE": lambda session, now: session.bye(now),
    "REFER": lambda session, now: session.refer("sip:other@peer.test", now),
}


@pytest.mark.parametrize("method", list(VERBS))
def test_a_challenged_request_of_the_dialog_is_sent_again(method):
    peer, session = up()
    VERBS[method](session, peer.now)
    [(_, first)] = peer.out()

    sent = [message for _, message in peer.send(reply(first, 401, extra=challenge()))]

    again = sent[-1]
    assert again.method == method
    assert again.cseq.number == first.cseq.number + 1
    assert again.via.branch != first.via.branch
    assert again.body == first.body
    assert len(proofs(again)) == 1
    assert again.to.tag == "one"


def test_later_requests_of_the_dialog_are_signed_at_once_with_a_rising_count():
    peer, session = up()
    session.reinvite(OFFER, peer.now)
    [(_, first)] = peer.out()
    [_, (_, again)] = peer.send(reply(first, 401, extra=challenge()))
    peer.send(reply(again, 200, body=ANSWER))

    session.bye(peer.now)

    [(_, bye)] = peer.out()
    assert "nc=00000001" in proofs(again)[0]
    assert "nc=00000002" in proofs(bye)[0]


def test_a_reinvite_that_stays_refused_leaves_the_call_up():
    peer, session = up()
    session.reinvite(OFFER, peer.now)
    [(_, first)] = peer.out()
    [_, (_, again)] = peer.send(reply(first, 407, extra=challenge(proxy=True)))

    peer.send(reply(again, 407, extra=challenge(proxy=True)))

    assert peer.event(ReinviteRejected).status == 407
    assert session.phase is Phase.CONFIRMED


def test_an_update_of_the_caller_goes_on_after_its_challenge():
    peer, session = up()
    session.update(OFFER, peer.now)
    [(_, first)] = peer.out()
    [(_, again)] = peer.send(reply(first, 401, extra=challenge()))

    peer.send(reply(again, 200, body=ANSWER))

    assert peer.event(ReinviteAnswered).sdp == ANSWER


def test_a_password_is_in_no_text_of_a_session():
    peer = Peer()
    _, session, _ = calling(peer, options=KNOWN)

    assert "secret" not in repr(KNOWN)
    assert "secret" not in repr(session)


def test_a_call_they_began_can_answer_challenges_too():
    peer = Peer()
    session, _ = peer.answered()
    session.use_credentials(Credentials("desk", "secret"))
    session.bye(peer.now)
    [(_, bye)] = peer.out()

    [(_, again)] = peer.send(reply(bye, 407, extra=challenge(proxy=True)))

    assert (again.method, again.cseq.number) == ("BYE", 2)
    assert len(proofs(again)) == 1
