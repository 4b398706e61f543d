"""Session timers (RFC 4028): what is asked for and agreed, who refreshes, and the end of a call nobody refreshes."""

import pytest

from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.session import Cause, EndKind, InviteOptions, Phase
from tests.unit.sip_line import ANSWER, OFFER, Line, answered_call, make_engine
from tests.unit.sip_peer import Peer, calling, from_fork, reply, request

EXPIRED = Cause(EndKind.TIMEOUT, reason="session timer")
UPDATES = "Allow: INVITE, ACK, BYE, UPDATE\r\n"
KNOWS = "Supported: timer\r\n"


def test_our_invite_asks_and_our_answer_names_who_refreshes():
    line, _, _ = answered_call()

    ok = line.last("SIP/2.0 200")
    assert line.messages[0].headers.first("session-expires") == "1800"
    assert line.messages[0].headers.first("min-se") is None
    assert ok.headers.first("session-expires") == "1800;refresher=uac"
    assert ok.tokens("require") == ["timer"]


def test_the_caller_refreshes_by_update_at_half_time_and_the_call_lives():
    line, mine, theirs = answered_call()

    line.advance(4000)

    times = [round(at - 100) for at, _, entry in line.sent if entry.startswith("UPDATE")]
    assert times == [900, 1800, 2700, 3600]
    refresh = line.last("UPDATE")
    assert refresh.headers.first("session-expires") == "1800;refresher=uac"
    assert refresh.body == b""
    assert mine.phase is theirs.phase is Phase.CONFIRMED
    assert line.events("alice") == line.events("bob") == []


def test_a_call_that_is_not_refreshed_ends_with_bye():
    line, _, theirs = answered_call()
    line.lose = lambda entry: "UPDATE" in entry or "BYE" in entry

    line.advance(1800 - 32 - 1)
    before = theirs.phase
    line.advance(2)

    assert before is Phase.CONFIRMED
    assert line.event("bob", Terminated).cause == EXPIRED


def test_a_refresh_without_an_answer_ends_the_call_of_the_refresher():
    line, _, _ = answered_call()
    line.lose = lambda entry: entry.startswith("bob")

    line.advance(900 + 33)

    assert line.event("alice", Terminated).cause.kind is EndKind.TIMEOUT


def test_nothing_of_the_timer_is_left_after_the_call():
    line, mine, _ = answered_call()

    mine.bye(line.now)
    line.deliver()
    line.advance(100)

    assert line.alice.next_timer() is None
    assert line.bob.next_timer() is None


def test_a_call_can_go_without_a_timer():
    line, _, _ = answered_call(options=InviteOptions(session_expires=0))

    assert line.messages[0].headers.first("session-expires") is None
    assert line.messages[0].tokens("supported") == ["100rel", "replaces", "norefersub"]
    assert line.last("SIP/2.0 200").headers.first("session-expires") is None
    line.advance(40)
    assert line.alice.next_timer() is None


# ------------------------------------------------------------------------------- as caller, by hand


def called(extra, **more):
    """Our call, answered with these headers."""
    peer, session, invite = calling(**more)
    peer.send(reply(invite, 200, "one", extra=extra, body=ANSWER))
    peer.events(Answered)
    return peer, session


def fire(peer, at):
    """Everything due until `at` seconds from the start of the call; what was sent."""
    peer.engine.timer(10.0 + at)
    peer.now = 10.0 + at
    return [message for _, message in peer.out()]


def test_without_session_expires_in_the_ok_there_is_no_timer():
    peer, session = called(UPDATES)

    assert fire(peer, 10_000) == []
    assert session.phase is Phase.CONFIRMED


def test_a_peer_that_takes_no_update_is_refreshed_by_a_reinvite_with_the_same_description():
    peer, _ = called("Allow: INVITE\r\nSession-Expires: 200;refresher=uac\r\n")

    [refresh] = fire(peer, 100)

    assert (refresh.method, refresh.body) == ("INVITE", OFFER)
    assert refresh.headers.first("session-expires") == "200;refresher=uac"


def test_the_answer_to_a_refresh_is_told_only_if_it_is_another():
    peer, session = called("Session-Expires: 200;refresher=uac\r\n")
    [refresh] = fire(peer, 100)

    again = "Session-Expires: 200;refresher=uac\r\n"
    peer.send(reply(refresh, 200, extra=again, body=ANSWER))
    same = peer.events(ReinviteAnswered)
    [refresh] = fire(peer, 200)
    peer.send(reply(refresh, 200, extra=again, body=ANSWER + b"a=sendonly\r\n"))

    assert same == []
    assert peer.events(ReinviteAnswered) == [ReinviteAnswered(session, ANSWER + b"a=sendonly\r\n")]


def test_a_refused_refresh_is_tried_again_and_ends_in_bye_before_the_session_does():
    peer, session = called(UPDATES + "Session-Expires: 800;refresher=uac\r\n")
    at = 400

    sent = fire(peer, at)
    while session.phase is Phase.CONFIRMED:
        peer.send(reply(sent[0], 503))
        at += 1
        while not (sent := fire(peer, at)):
            at += 1

    assert at == 800 - 32
    assert sent[-1].method == "BYE"
    assert peer.event(Terminated).cause == EXPIRED
    assert peer.events(ReinviteRejected) == []


def test_the_other_side_as_refresher_is_waited_for():
    peer, _ = called("Session-Expires: 300;refresher=uas\r\n")

    before = fire(peer, 300 - 32 - 1)
    after = fire(peer, 300 - 32)

    assert before == []
    assert [message.method for message in after] == ["BYE"]
    assert peer.event(Terminated).cause == EXPIRED


@pytest.mark.parametrize("value", ["1", "0", "x", "", "4294967296", '90;refresher="', "1800;;=;"])
def test_a_strange_session_expires_neither_ends_nor_floods_the_call(value):
    peer, session = called(f"{UPDATES}Session-Expires: {value}\r\n")

    assert fire(peer, 29) == []
    assert session.phase is Phase.CONFIRMED


def test_an_interval_too_small_for_them_is_raised():
    peer, session, invite = calling(options=InviteOptions(session_expires=100))

    ack, (_, again) = peer.send(reply(invite, 422, "x", extra="Min-SE: 600\r\n"))
    peer.send(reply(again, 200, "one", body=ANSWER))

    assert ack[1].method == "ACK"
    assert again.cseq.number == 2
    assert again.via.branch != invite.via.branch
    assert again.headers.all("session-expires") == ["600"]
    assert again.headers.all("min-se") == ["600"]
    assert peer.event(Answered).session is session


@pytest.mark.parametrize("extra", ["", "Min-SE: x\r\n"])
def test_a_422_that_does_not_say_what_would_do_is_final(extra):
    peer, _, invite = calling()

    assert len(peer.send(reply(invite, 422, "x", extra=extra))) == 1
    assert peer.event(Terminated).cause.status == 422


def test_a_peer_that_raises_again_and_again_is_left():
    peer, _, invite = calling()

    asked = invite
    for wanted in range(2000, 40_000, 1000):
        sent = peer.send(reply(asked, 422, "x", extra=f"Min-SE: {wanted}\r\n"))
        if len(sent) == 1:
            break
        asked = sent[1][1]

    assert asked.cseq.number == 4
    assert peer.event(Terminated).cause.status == 422


def test_a_refresh_too_small_for_them_is_raised():
    peer, session = called(UPDATES + "Session-Expires: 200;refresher=uac\r\n")
    [refresh] = fire(peer, 100)

    [(_, again)] = peer.send(reply(refresh, 422, extra="Min-SE: 500\r\n"))

    assert again.headers.first("session-expires") == "500;refresher=uac"
    assert session.phase is Phase.CONFIRMED


# ------------------------------------------------------------------------------- as called side, by hand


def answered(extra, **settings):
    """A call to us, answered and acknowledged: peer, session, our 200."""
    peer = Peer(make_engine(**settings))
    peer.send(request(body=OFFER, extra=extra))
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="ack", to_tag=ok.to.tag))
    peer.engine.events()
    return peer, session, ok


@pytest.mark.parametrize(
    ("extra", "agreed", "required"),
    [
        (KNOWS + "Session-Expires: 600\r\n", "600;refresher=uac", ["timer"]),
        (KNOWS + "Session-Expires: 600;refresher=uas\r\n", "600;refresher=uas", []),
        (KNOWS + "Session-Expires: 600;refresher=uac\r\n", "600;refresher=uac", ["timer"]),
        (KNOWS + "x: 600\r\n", "600;refresher=uac", ["timer"]),
        (KNOWS + "Session-Expires: 7200\r\n", "1800;refresher=uac", ["timer"]),
        (KNOWS + "Session-Expires: 7200\r\nMin-SE: 3600\r\n", "3600;refresher=uac", ["timer"]),
        (KNOWS, "1800;refresher=uas", []),
        (
            "Session-Expires: 600\r\n",
            "600;refresher=uas",
            [],
        ),  # a proxy asks, the phone does not know
        ("Session-Expires: 30\r\n", "90;refresher=uas", []),
        ("", None, []),
    ],
)
def test_what_we_agree_to(extra, agreed, required):
    _, _, ok = answered(extra)

    assert ok.headers.first("session-expires") == agreed
    assert ok.tokens("require") == required


def test_an_interval_below_ours_is_422():
    peer = Peer()

    [(_, refused)] = peer.send(request(body=OFFER, extra=KNOWS + "Session-Expires: 60\r\n"))

    assert refused.status == 422
    assert refused.headers.first("min-se") == "90"
    assert peer.engine.events() == []


def test_we_refresh_where_the_caller_does_not():
    peer, session, _ = answered("Session-Expires: 600\r\n" + UPDATES)

    [refresh] = fire(peer, 300)

    assert refresh.method == "UPDATE"
    assert refresh.headers.first("session-expires") == "600;refresher=uac"
    assert session.phase is Phase.CONFIRMED


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_their_refresh_keeps_the_call(method):
    peer, session, ok = answered(KNOWS + "Session-Expires: 600;refresher=uac\r\n")
    fire(peer, 500)
    extra = KNOWS + "Session-Expires: 600;refresher=uac\r\n"
    body = OFFER if method == "INVITE" else b""

    replies = peer.send(
        request(method, branch="re", to_tag=ok.to.tag, cseq=2, extra=extra, body=body)
    )
    if method == "INVITE":
        peer.event(ReinviteReceived)
        session.accept_reinvite(ANSWER, peer.now)
        replies = peer.out()
        peer.send(request("ACK", branch="ack2", to_tag=ok.to.tag, cseq=2))
    later = fire(peer, 500 + 600 - 33)

    assert replies[-1][1].headers.first("session-expires") == "600;refresher=uac"
    assert later == []
    assert session.phase is Phase.CONFIRMED


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_below_our_interval_is_422_and_the_call_goes_on(method):
    peer, session, ok = answered(KNOWS + "Session-Expires: 600\r\n")
    extra = KNOWS + "Session-Expires: 10\r\n"

    [(_, refused)] = peer.send(
        request(method, branch="re", to_tag=ok.to.tag, cseq=2, extra=extra, body=OFFER)
    )

    assert refused.status == 422
    assert refused.headers.first("min-se") == "90"
    assert session.phase is Phase.CONFIRMED
    assert peer.events(ReinviteReceived) == []


def test_a_refresh_that_finds_the_session_busy_is_sent_a_little_later():
    peer, session, ok = answered("Session-Expires: 600\r\n" + UPDATES)
    fire(peer, 299)
    peer.send(request(branch="re", to_tag=ok.to.tag, cseq=2, body=OFFER))

    busy = fire(peer, 300)
    session.reject_reinvite(488, peer.now)
    peer.out()
    later = fire(peer, 305)

    assert busy == []
    assert later[-1].start_line == "UPDATE sip:peer@198.51.100.7:5070 SIP/2.0"


def test_a_shorter_lowest_interval_is_said_in_the_invite():
    line = Line(alice={"min_se_s": 120})

    line.call()

    assert line.messages[0].headers.first("min-se") == "120"


def test_a_change_that_meets_a_refresh_follows_it():
    peer, session = called(UPDATES + "Session-Expires: 200;refresher=uac\r\n")
    [refresh] = fire(peer, 100)

    session.reinvite(ANSWER, peer.now)
    before = peer.out()
    [(_, change)] = peer.send(reply(refresh, 200, extra="Session-Expires: 200;refresher=uac\r\n"))

    assert before == []
    assert (change.method, change.body) == ("INVITE", ANSWER)
    with pytest.raises(SipStateError):
        session.reinvite(OFFER, peer.now)


def test_a_change_that_cannot_follow_a_refresh_is_rejected_in_an_event():
    peer, session, invite = calling()
    extra = UPDATES + "Session-Expires: 200;refresher=uac\r\n"
    peer.send(reply(invite, 200, "one", extra=extra, body=ANSWER))
    peer.events(Answered)
    [refresh] = fire(peer, 100)
    session.reinvite(ANSWER, peer.now)
    peer.send(from_fork(invite, "UPDATE", "one", body=OFFER))

    peer.send(reply(refresh, 200, extra="Session-Expires: 200;refresher=uac\r\n"))

    assert peer.event(ReinviteRejected).status == 491


def test_a_refresh_after_a_refused_change_has_the_description_of_before():
    peer, session = called("Allow: INVITE\r\nSession-Expires: 200;refresher=uac\r\n")
    session.reinvite(ANSWER, peer.now)
    [(_, change)] = peer.out()
    peer.send(reply(change, 488))

    [refresh] = fire(peer, 100)

    assert refresh.body == OFFER
