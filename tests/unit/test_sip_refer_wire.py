"""REFER and NOTIFY as odd peers send them: each case is defined, none ends the call."""

import pytest

from telephony.sip.events import ReferEnded, ReferProgress, ReferReceived
from telephony.sip.message import Response
from telephony.sip.session import Phase, ReferOutcome
from telephony.sip.sipfrag import write_sipfrag
from tests.unit.sip_peer import Peer, request

CAROL = "sip:carol@example.com"


def accepted(status=202, extra=""):
    """A call in which we sent REFER and the peer answered it: peer, session, our tag."""
    peer = Peer()
    session, tag = peer.answered()
    session.refer(CAROL, peer.now)
    [(_, refer)] = peer.out()
    peer.send(reply(refer, status, extra))
    return peer, session, tag


def reply(sent, status=200, extra=""):
    kept = "".join(
        f"{name}: {value}\r\n"
        for name, value in sent.headers.items
        if name in ("Via", "From", "To", "Call-ID", "CSeq")
    )
    return f"SIP/2.0 {status} X\r\n{kept}{extra}Content-Length: 0\r\n\r\n".encode()


def notify(tag, body=b"SIP/2.0 200 OK\r\n", *, state="active;expires=60", event="refer", cseq=2,
           kind="message/sipfrag;version=2.0"):  # fmt: skip
    extra = f"Event: {event}\r\nSubscription-State: {state}\r\n" if event else ""
    extra += f"Content-Type: {kind}\r\n" if kind and body else ""
    data = request("NOTIFY", branch=f"n{cseq}", to_tag=tag, cseq=cseq, extra=extra)
    return data.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body


def ended(peer):
    event = peer.event(ReferEnded)
    return event.outcome, event.status


def status_of(sent):
    return [message.status for _, message in sent]


def test_a_notify_may_come_before_the_202():
    peer = Peer()
    session, tag = peer.answered()
    session.refer(CAROL, peer.now)
    [(_, refer)] = peer.out()

    replies = peer.send(notify(tag, b"SIP/2.0 180 Ringing\r\n"))
    progress = peer.event(ReferProgress)
    peer.send(reply(refer, 202))
    peer.send(notify(tag, cseq=3, state="terminated;reason=noresource"))

    assert status_of(replies) == [200]
    assert (progress.status, progress.reason) == (180, "Ringing")
    assert ended(peer) == (ReferOutcome.ANSWERED, 200)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, ReferOutcome.ANSWERED),
        (204, ReferOutcome.ANSWERED),
        (302, ReferOutcome.FAILED),
        (404, ReferOutcome.FAILED),
        (480, ReferOutcome.FAILED),
        (486, ReferOutcome.DECLINED),
        (503, ReferOutcome.FAILED),
        (600, ReferOutcome.DECLINED),
        (603, ReferOutcome.DECLINED),
    ],
)
def test_each_final_status_has_its_outcome(status, expected):
    peer, _, tag = accepted()

    peer.send(notify(tag, b"SIP/2.0 %d So\r\n" % status))

    assert ended(peer) == (expected, status)


def test_a_repeated_or_late_final_notify_changes_nothing():
    peer, _, tag = accepted()
    peer.send(notify(tag))
    first = ended(peer)

    again = peer.send(notify(tag))  # the same, retransmitted
    late = peer.send(notify(tag, b"SIP/2.0 486 Busy\r\n", cseq=3))
    closing = peer.send(notify(tag, b"", cseq=4, state="terminated;reason=noresource"))
    after = peer.send(notify(tag, cseq=5))

    assert first == (ReferOutcome.ANSWERED, 200)
    assert [status_of(sent) for sent in (again, late, closing, after)] == [
        [200],
        [200],
        [200],
        [481],
    ]
    assert peer.engine.events() == []


def test_a_notify_out_of_order_is_refused_and_the_newer_one_counts():
    peer, _, tag = accepted()
    peer.send(notify(tag, b"SIP/2.0 183 Progress\r\n", cseq=5))
    peer.engine.events()

    assert status_of(peer.send(notify(tag, b"SIP/2.0 100 Trying\r\n", cseq=4))) == [500]
    assert peer.engine.events() == []


def test_a_notify_without_body_tells_nothing():
    peer, session, tag = accepted()

    assert status_of(peer.send(notify(tag, b""))) == [200]
    assert peer.engine.events() == []
    assert peer.engine.counters["notify_without_sipfrag"] == 1
    assert session.phase is Phase.CONFIRMED


def test_a_body_of_another_type_tells_nothing():
    peer, _, tag = accepted()

    peer.send(notify(tag, b"SIP/2.0 200 OK\r\n", kind="text/plain"))

    assert peer.engine.events() == []


def test_a_sipfrag_without_version_or_reason_is_understood():
    peer, _, tag = accepted()

    peer.send(notify(tag, b"SIP/2.0 200", kind="message/sipfrag"))

    assert ended(peer) == (ReferOutcome.ANSWERED, 200)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("terminated;reason=noresource", ReferOutcome.TIMEOUT),
        ("terminated;reason=timeout", ReferOutcome.TIMEOUT),
        ("terminated", ReferOutcome.TIMEOUT),
        ("terminated;reason=rejected", ReferOutcome.FAILED),
        ("Terminated ; Reason=Rejected", ReferOutcome.FAILED),
    ],
)
def test_a_subscription_that_ends_without_a_final_status(state, expected):
    peer, _, tag = accepted()

    peer.send(notify(tag, b"SIP/2.0 100 Trying\r\n", state=state))

    found = [event for event in peer.engine.events() if isinstance(event, ReferEnded)]
    assert [(event.outcome, event.status) for event in found] == [(expected, 100)]


def test_a_short_subscription_does_not_cut_the_ringing_short():
    peer, _, tag = accepted()
    peer.send(notify(tag, b"SIP/2.0 180 Ringing\r\n", state="active;expires=20"))
    peer.engine.timer(peer.now + 100)
    peer.event(ReferProgress)
    peer.now += 100

    peer.send(notify(tag, cseq=3))

    assert ended(peer) == (ReferOutcome.ANSWERED, 200)


def test_a_bad_subscription_state_is_as_good_as_active():
    peer, _, tag = accepted()

    peer.send(notify(tag, b"SIP/2.0 180 Ringing\r\n", state="active;expires=soon"))

    assert peer.event(ReferProgress).status == 180
    assert peer.engine.counters["bad_subscription-state"] == 1


def test_refer_sub_false_is_an_answer_without_reports():
    peer, session, tag = accepted(200, "Refer-Sub: false\r\n")

    assert ended(peer) == (ReferOutcome.ANSWERED, 200)
    assert status_of(peer.send(notify(tag))) == [481]
    session.refer(CAROL, peer.now)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("refer;id=77", 481),  # of a REFER that is not ours
        ("refer;id=1", 200),
        ("REFER", 200),
        ("message-summary", 489),
        ("", 489),
        ('refer;id="', 400),
    ],
)
def test_the_event_of_a_notify_is_looked_at(event, status):
    peer, _, tag = accepted()

    assert status_of(peer.send(notify(tag, event=event))) == [status]


def test_a_notify_nobody_asked_for_is_481_in_a_call_and_outside_of_one():
    peer = Peer()
    session, tag = peer.answered()

    inside = peer.send(notify(tag))
    outside = peer.send(notify("", cseq=7))

    assert status_of(inside) == status_of(outside) == [481]
    assert session.phase is Phase.CONFIRMED


def refer_to(*values, tag, cseq=2, extra=""):
    lines = "".join(f"Refer-To: {value}\r\n" for value in values)
    return request("REFER", branch=f"r{cseq}", to_tag=tag, cseq=cseq, extra=lines + extra)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ((), 400),
        (("<sip:a@b.test>", "<sip:c@b.test>"), 400),
        (("<sip:a@b.test>, <sip:c@b.test>",), 400),
        (("<sip:a@b.test",), 400),
        (("<sip:a@b.test?Replaces=x>",), 400),
        (("<sip:a@b.test?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y%3Bto-tag%3D1>",), 400),
        (("<mailto:a@b.test>",), 416),
        (("<sip:a@b.test;method=BYE>",), 403),
    ],
)
def test_a_refer_that_cannot_be_served_is_refused(values, status):
    peer = Peer()
    _, tag = peer.answered()

    assert status_of(peer.send(refer_to(*values, tag=tag))) == [status]
    assert peer.engine.events() == []


@pytest.mark.parametrize(
    ("value", "target", "tag_wanted"),
    [
        ("<sip:a@b.test;method=INVITE>", "sip:a@b.test;method=INVITE", None),
        ("sip:a@b.test", "sip:a@b.test", None),
        ("sip:a@b.test?Replaces=1%40x%3Bto-tag%3Dt%3Bfrom-tag%3Df", "sip:a@b.test", "t"),
        ('"Anna"<sip:a@b.test?Replaces=1%40x%3bfrom-tag%3df%3bto-tag%3dt>', "sip:a@b.test", "t"),
        ("<tel:+15550100>", "tel:+15550100", None),
    ],
)
def test_targets_as_peers_write_them(value, target, tag_wanted):
    peer = Peer()
    _, tag = peer.answered()
    peer.send(refer_to(value, tag=tag, extra="Referred-By: <sip:x@y.test\r\n"))

    refer = peer.event(ReferReceived).refer

    assert refer.target == target
    assert (refer.replaces.to_tag if refer.replaces else None) == tag_wanted
    assert refer.referred_by == ""
    assert peer.engine.counters["bad_referred-by"] == 1


def test_who_wants_no_reports_gets_none():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(refer_to("<sip:a@b.test>", tag=tag, extra="Refer-Sub: false\r\n"))

    session.accept_refer(peer.now)
    [(_, ok)] = peer.out()
    session.notify_refer(200, "OK", peer.now)

    assert (ok.status, ok.headers.first("refer-sub")) == (200, "false")
    assert peer.out() == []


def test_a_second_refer_while_one_is_open_is_491():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(refer_to("<sip:a@b.test>", tag=tag))

    waiting = peer.send(refer_to("<sip:c@b.test>", tag=tag, cseq=3))
    session.accept_refer(peer.now)
    peer.out()
    open_ = peer.send(refer_to("<sip:c@b.test>", tag=tag, cseq=4))

    assert status_of(waiting) == status_of(open_) == [491]


def test_who_refuses_a_notify_gets_no_more_of_them():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(refer_to("<sip:a@b.test>", tag=tag))
    session.accept_refer(peer.now)
    _, (_, first) = peer.out()
    session.notify_refer(180, "Ringing", peer.now)

    peer.send(reply(first, 481))
    session.notify_refer(200, "OK", peer.now)

    assert peer.out() == []
    assert peer.engine.counters["notify_refused"] == 1
    assert session.phase is Phase.CONFIRMED


def test_a_refused_transfer_may_be_tried_as_often_as_one_likes():
    peer = Peer()
    session, _ = peer.answered()

    for _ in range(6):
        session.refer(CAROL, peer.now)
        [(_, refer)] = peer.out()
        peer.send(reply(refer, 503))
        assert ended(peer) == (ReferOutcome.REFUSED, 503)


def test_a_lost_dialog_ends_its_transfers_both_ways():
    peer, session, tag = accepted()
    peer.send(refer_to("<sip:a@b.test>", tag=tag))
    session.info("application/dtmf", b"1", peer.now)
    [(_, info)] = peer.out()[-1:]

    sent = peer.send(reply(info, 481))
    outcomes = [event for event in peer.engine.events() if isinstance(event, ReferEnded)]
    peer.engine.timer(peer.now + 400)

    assert [(event.outcome, event.status) for event in outcomes] == [(ReferOutcome.FAILED, 481)]
    assert [m.status for _, m in sent if isinstance(m, Response)] == [481]  # to their REFER
    assert session.phase is Phase.ENDED
    assert peer.engine.session_count == 0


def test_a_refer_outside_of_a_call_is_forbidden():
    peer = Peer()

    assert status_of(peer.send(refer_to("<sip:a@b.test>", tag=""))) == [403]


def test_a_reason_with_line_breaks_breaks_no_body():
    assert write_sipfrag(500, "x\r\nSIP/2.0 200 OK") == b"SIP/2.0 500 x  SIP/2.0 200 OK\r\n"
