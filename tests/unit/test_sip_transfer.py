"""REFER both ways on two engines (RFC 3515, RFC 3892, RFC 4488, RFC 6665), and what other stacks got wrong."""

import pytest

from telephony.sip.errors import SipStateError, SipSyntaxError
from telephony.sip.events import (
    ReferEnded,
    ReferProgress,
    ReferReceived,
    Terminated,
)
from telephony.sip.session import EndKind, Phase, ReferOutcome, Replaces
from tests.unit.sip_line import ALICE, ANSWER, BOB, answered_call

CAROL = "sip:carol@192.0.2.30"


def referred(**more):
    """A call in which alice has asked bob to call carol; bob has not said anything yet."""
    line, mine, theirs = answered_call()
    mine.refer(CAROL, line.now, **more)
    line.deliver()
    return line, mine, theirs, line.event("bob", ReferReceived).refer


def lines(line):
    """Start lines since the call was up, with their sender."""
    return [f"{who} {text}" for _, who, text in line.sent[4:]]


def sent_by(line, who, method):
    return [
        message
        for (_, sender, text), message in zip(line.sent, line.messages, strict=True)
        if sender == who and text.startswith(method)
    ]


def outcome(line):
    ended = line.event("alice", ReferEnded)
    return ended.outcome, ended.status


def test_a_blind_transfer_is_told_from_trying_to_the_answer():
    line, mine, theirs, refer = referred()

    theirs.accept_refer(line.now)
    line.deliver()
    theirs.notify_refer(180, "Ringing", line.now)
    line.deliver()
    theirs.notify_refer(200, "OK", line.now)
    line.deliver()

    assert refer.target == CAROL
    assert refer.replaces is None
    assert line.events("alice") == [
        ReferProgress(mine, 100, "Trying"),
        ReferProgress(mine, 180, "Ringing"),
        ReferEnded(mine, ReferOutcome.ANSWERED, 200),
    ]
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_refer_says_who_asks_and_whom_to_call():
    line, _, _, refer = referred(referred_by='"Desk" <sip:desk@example.com>')
    [request] = sent_by(line, "alice", "REFER")

    assert request.headers.first("refer-to") == f"<{CAROL}>"
    assert request.headers.first("referred-by") == '"Desk" <sip:desk@example.com>'
    assert request.contacts
    assert refer.referred_by == "sip:desk@example.com"


def test_referred_by_is_us_unless_somebody_else_is_named():
    _, mine, _, refer = referred()

    assert refer.referred_by == str(mine.local.uri)


def test_an_attended_transfer_names_the_call_to_replace():
    replaces = Replaces("other@call", "their;tag".replace(";", "-"), "our-tag", early_only=True)
    line, _, _, refer = referred(replaces=replaces)
    [request] = sent_by(line, "alice", "REFER")

    assert refer.replaces == replaces
    assert refer.target == CAROL
    assert request.headers.first("refer-to") == (
        f"<{CAROL}?Replaces=other%40call%3Bto-tag%3Dtheir-tag%3Bfrom-tag%3Dour-tag%3Bearly-only>"
    )


def test_headers_of_the_target_reach_the_gateway_without_line_breaks():
    line, mine, _theirs = answered_call()
    mine.refer(f"{CAROL}?X-Case=17%2B4&X-Evil=a%0D%0AVia:%20x&Subject=a%20b", line.now)
    line.deliver()

    refer = line.event("bob", ReferReceived).refer

    assert refer.target == CAROL
    assert refer.headers.items == (("X-Case", "17+4"), ("Subject", "a b"))


def test_final_notify_has_sipfrag():
    line, _, theirs, _ = referred()
    theirs.accept_refer(line.now)
    theirs.notify_refer(486, "Busy Here", line.now)
    line.deliver()

    first, final = sent_by(line, "bob", "NOTIFY")

    assert first.body == b"SIP/2.0 100 Trying\r\n"
    assert first.headers.first("subscription-state") == "active;expires=180"
    assert final.body == b"SIP/2.0 486 Busy Here\r\n"
    assert final.headers.first("content-type") == "message/sipfrag;version=2.0"
    assert final.headers.first("subscription-state") == "terminated;reason=noresource"
    assert final.headers.first("event") == "refer"
    assert final.contacts
    assert outcome(line) == (ReferOutcome.DECLINED, 486)


def test_final_notify_after_provisional():
    line, _, theirs, _ = referred()
    theirs.accept_refer(line.now)
    for status in (180, 183, 200):  # while the first NOTIFY has no reply yet
        theirs.notify_refer(status, "", line.now)
    line.deliver()

    bodies = [notify.body for notify in sent_by(line, "bob", "NOTIFY")]

    assert bodies[0] == b"SIP/2.0 100 Trying\r\n"
    assert bodies[-1] == b"SIP/2.0 200 OK\r\n"
    assert outcome(line) == (ReferOutcome.ANSWERED, 200)


def test_notify_order_on_udp():
    line, _, theirs, _ = referred()
    line.lose = lambda entry: entry.startswith("alice SIP/2.0 200")  # replies to NOTIFY get lost
    theirs.accept_refer(line.now)
    theirs.notify_refer(200, "OK", line.now)
    line.deliver()

    before = {notify.cseq.number for notify in sent_by(line, "bob", "NOTIFY")}
    line.lose = lambda entry: False
    line.advance(1)
    after = [notify.cseq.number for notify in sent_by(line, "bob", "NOTIFY")]

    assert len(before) == 1
    assert sorted(after) == after
    assert outcome(line) == (ReferOutcome.ANSWERED, 200)


def test_bye_is_sent_after_refer():
    line, mine, theirs, _ = referred()
    theirs.accept_refer(line.now)
    theirs.notify_refer(200, "OK", line.now)
    line.deliver()

    mine.bye(line.now)
    line.deliver()

    said = lines(line)
    assert said.index("alice REFER sip:voice@192.0.2.20:5060 SIP/2.0") < said.index(
        "alice BYE sip:voice@192.0.2.20:5060 SIP/2.0"
    )
    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE
    assert said[-1] == "bob SIP/2.0 200 OK"


def test_bye_waits_for_notify_reply():
    line, _, theirs, _ = referred()
    theirs.accept_refer(line.now)
    theirs.notify_refer(200, "OK", line.now)

    theirs.bye(line.now)
    line.deliver()

    said = lines(line)
    order = [text.split()[1] for text in said if text.startswith("bob ")]
    assert order == ["SIP/2.0", "NOTIFY", "NOTIFY", "BYE"]
    before_bye = said[: said.index("bob BYE sip:voice@192.0.2.10:5060 SIP/2.0")]
    assert before_bye.count("alice SIP/2.0 200 OK") == 2
    assert outcome(line) == (ReferOutcome.ANSWERED, 200)


def test_a_bye_does_not_wait_longer_than_two_seconds_for_the_reply_to_a_notify():
    line, _, theirs, _ = referred()
    line.lose = lambda entry: entry.startswith("alice")
    theirs.accept_refer(line.now)
    line.deliver()

    theirs.bye(line.now)
    line.deliver()
    early = line.count("BYE sip:voice@192.0.2.10:5060 SIP/2.0")
    line.advance(2.0)

    assert early == 0
    assert line.count("BYE sip:voice@192.0.2.10:5060 SIP/2.0") == 1


def test_transferor_bye_keeps_survivor():
    line, mine, theirs, _ = referred()
    theirs.accept_refer(line.now)
    line.deliver()
    mine.bye(line.now)
    line.deliver()
    ended = line.event("bob", Terminated)

    theirs.notify_refer(200, "OK", line.now)  # the new call is up: told to who has left
    line.deliver()

    assert ended.session is theirs
    assert outcome(line) == (ReferOutcome.ANSWERED, 200)
    line.advance(40)
    assert line.alice.session_count == line.bob.session_count == 0


def test_refer_rejected_without_notify_keeps_call():
    line, mine, theirs, _ = referred()

    theirs.reject_refer(403, line.now)
    line.deliver()
    line.advance(300)

    assert line.event("alice", ReferEnded) == ReferEnded(mine, ReferOutcome.REFUSED, 403)
    assert sent_by(line, "bob", "NOTIFY") == []
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_refer_603_falls_back_to_bridge():
    line, mine, theirs, _ = referred()

    theirs.reject_refer(603, line.now)
    line.deliver()

    # What the caller of `refer` needs to go on by itself: refused, at once, and the call as it was.
    assert line.events("alice") == [ReferEnded(mine, ReferOutcome.REFUSED, 603)]
    mine.reinvite(ANSWER, line.now)


def test_a_refer_whose_notifys_never_come_times_out():
    line, mine, theirs, _ = referred()
    line.lose = lambda entry: entry.startswith("bob NOTIFY")
    theirs.accept_refer(line.now)
    line.deliver()

    line.advance(31)
    waiting = [e for e in line.events("alice") if isinstance(e, ReferEnded)]
    line.advance(2)

    assert waiting == []
    assert line.event("alice", ReferEnded).outcome is ReferOutcome.TIMEOUT
    assert mine.phase is Phase.CONFIRMED


def test_a_transfer_that_rings_for_ever_times_out():
    line, _, theirs, _ = referred()
    theirs.accept_refer(line.now)
    line.deliver()
    theirs.notify_refer(180, "Ringing", line.now)
    line.deliver()
    line.events("alice")

    line.advance(179)
    waiting = line.events("alice")
    line.advance(2)

    assert waiting == []
    # Their side ends its subscription at the same moment: whichever comes first, it is a timeout.
    assert outcome(line) == (ReferOutcome.TIMEOUT, 180)


def test_a_refer_nobody_answers_is_a_timeout_and_a_dead_connection_a_refusal():
    line, mine, _ = answered_call("tcp")
    line.lose = lambda entry: True
    mine.refer(CAROL, line.now)
    line.deliver()
    line.alice.failed(line.flow(ALICE, BOB), line.now)
    line.deliver()
    dead = outcome(line)
    mine.refer(CAROL, line.now)
    line.deliver()
    line.advance(33)

    assert dead == (ReferOutcome.REFUSED, 503)
    assert outcome(line) == (ReferOutcome.TIMEOUT, 408)


def test_a_refer_nobody_decides_is_declined_in_time():
    line, _, theirs, _ = referred()

    line.advance(21)

    assert outcome(line) == (ReferOutcome.REFUSED, 603)
    with pytest.raises(SipStateError):
        theirs.accept_refer(line.now)


def test_one_transfer_at_a_time():
    line, mine, theirs, _ = referred()
    with pytest.raises(SipStateError):
        mine.refer(CAROL, line.now)
    theirs.accept_refer(line.now)
    theirs.notify_refer(486, "", line.now)
    line.deliver()
    line.events("alice")

    mine.refer(CAROL, line.now)
    line.deliver()
    again = line.event("bob", ReferReceived)
    theirs.accept_refer(line.now)
    theirs.notify_refer(200, "", line.now)
    line.deliver()

    refer = sent_by(line, "alice", "REFER")[-1]
    assert again.refer.target == CAROL
    assert outcome(line) == (ReferOutcome.ANSWERED, 200)
    # RFC 3515 2.4.6: from the second REFER of a dialog on, its NOTIFYs say which one they are about.
    event = sent_by(line, "bob", "NOTIFY")[-1].headers.first("event")
    assert event == f"refer;id={refer.cseq.number}"


def test_a_transfer_in_both_directions_at_once():
    line, mine, theirs = answered_call()
    mine.refer(CAROL, line.now)
    theirs.refer("sip:dave@192.0.2.40", line.now)
    line.deliver()
    line.events("alice"), line.events("bob")

    mine.accept_refer(line.now)
    theirs.accept_refer(line.now)
    mine.notify_refer(486, "", line.now)
    theirs.notify_refer(200, "", line.now)
    line.deliver()

    assert outcome(line) == (ReferOutcome.ANSWERED, 200)
    assert line.event("bob", ReferEnded).outcome is ReferOutcome.DECLINED


def test_the_verbs_need_their_moment():
    line, mine, theirs = answered_call()
    for verb in (
        lambda: theirs.accept_refer(line.now),
        lambda: theirs.reject_refer(603, line.now),
        lambda: theirs.notify_refer(200, "", line.now),
    ):
        with pytest.raises(SipStateError):
            verb()
    with pytest.raises(SipSyntaxError):
        mine.refer("carol", line.now)
    mine.refer(CAROL, line.now)
    line.deliver()
    for verb in (
        lambda: theirs.reject_refer(202, line.now),
        lambda: theirs.notify_refer(180, "", line.now),
    ):
        with pytest.raises(SipStateError):
            verb()
    theirs.accept_refer(line.now)
    with pytest.raises(SipStateError):
        theirs.notify_refer(99, "", line.now)
    theirs.notify_refer(200, "", line.now)
    line.deliver()

    theirs.notify_refer(200, "", line.now)  # after the end: nobody listens, nothing happens

    assert line.alice.to_send() == line.bob.to_send() == []


def test_a_subscription_that_is_never_finished_ends_by_itself():
    line, _, theirs, _ = referred()
    theirs.accept_refer(line.now)
    theirs.notify_refer(183, "Session Progress", line.now)
    line.deliver()

    line.advance(181)

    last = sent_by(line, "bob", "NOTIFY")[-1]
    assert last.headers.first("subscription-state") == "terminated;reason=timeout"
    assert last.body == b"SIP/2.0 183 Session Progress\r\n"


def test_a_transfer_is_told_about_even_when_the_call_of_who_asked_is_gone():
    line, _mine, theirs, _ = referred()
    theirs.accept_refer(line.now)
    line.deliver()
    line.events("alice")
    theirs.bye(line.now)
    line.deliver()

    theirs.notify_refer(200, "OK", line.now)
    line.deliver()

    kinds = [type(event) for event in line.events("alice")]
    assert kinds == [Terminated, ReferEnded]
