"""INVITE with Replaces (RFC 3891): the call it takes the place of, or why it may not."""

import pytest

from telephony.sip.events import IncomingInvite, ReferReceived
from telephony.sip.extensions import write_replaces
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import Request
from telephony.sip.options import Availability
from telephony.sip.session import InviteOptions, Phase, Replaces
from tests.unit.sip_line import ALICE, ANSWER, BOB, OFFER, Line, answered_call, make_engine
from tests.unit.sip_peer import FLOW, Peer, request


def invited(peer, *values, **more):
    """The status of an INVITE with these Replaces headers, and the event it led to."""
    extra = "".join(f"Replaces: {value}\r\n" for value in values)
    data = request(branch="x", call_id="new", extra=extra, body=OFFER, **more)
    status = peer.send(data)[-1][1].status
    events = [event for event in peer.engine.events() if isinstance(event, IncomingInvite)]
    return status, events[0] if events else None


def test_a_call_that_is_up_is_handed_over():
    peer = Peer()
    session, tag = peer.answered()

    status, event = invited(peer, f"c1;to-tag={tag};from-tag=p1")

    assert status == 100
    assert event.replaces is session
    assert event.session is not session
    assert session.phase is Phase.CONFIRMED  # whoever takes over ends it after the answer


def test_the_name_of_a_call_is_the_one_that_matches():
    peer = Peer()
    session, _ = peer.answered()

    _, event = invited(peer, write_replaces(session.replaces).replace(" ", ""))

    # `replaces` names the dialog for the far end: the tags are the other way round here.
    assert event is None
    mine = session.replaces
    swapped = Replaces(mine.call_id, mine.from_tag, mine.to_tag)
    assert session.matches(swapped)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (("nobody;to-tag=1;from-tag=2",), 481),
        (("c1;to-tag={tag};from-tag=other",), 481),
        (("c1;to-tag={tag}",), 400),
        (("c1;to-tag={tag};from-tag=p1", "c1;to-tag={tag};from-tag=p1"), 400),
        (("c1;to-tag={tag};from-tag=p1, c1;to-tag={tag};from-tag=p1",), 400),
        (('c1;to-tag="',), 400),
        (("c1;to-tag={tag};from-tag=p1;early-only",), 486),
    ],
)
def test_a_replaces_that_cannot_be_done_is_refused(values, status):
    peer = Peer()
    session, tag = peer.answered()

    found, event = invited(peer, *(value.format(tag=tag) for value in values))

    assert (found, event) == (status, None)
    assert session.phase is Phase.CONFIRMED


def test_a_call_that_has_ended_is_603():
    peer = Peer()
    session, tag = peer.answered()
    session.bye(peer.now)
    peer.out()

    assert invited(peer, f"c1;to-tag={tag};from-tag=p1") == (603, None)


def test_only_who_called_may_have_a_ringing_call_replaced():
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session
    session.ring(peer.now)
    [(_, ringing)] = peer.out()

    assert invited(peer, f"c1;to-tag={ringing.to.tag};from-tag=p1") == (481, None)


def test_a_ringing_call_of_ours_is_picked_up_by_another_phone():
    line = Line()
    mine = line.call()
    theirs = line.event("bob", IncomingInvite).session
    theirs.ring(line.now)
    line.deliver()
    named = theirs.replaces  # as we know that call

    line.bob.invite(
        "sip:voice@192.0.2.10:5060",
        from_="sip:bob2@192.0.2.20",
        flow=line.flow(BOB, ALICE),
        sdp=OFFER,
        now=line.now,
        options=InviteOptions(replaces=Replaces(named.call_id, named.to_tag, named.from_tag, True)),
    )
    line.deliver()

    assert line.event("alice", IncomingInvite).replaces is mine


def test_a_full_node_still_lets_a_call_be_replaced():
    peer = Peer()
    session, tag = peer.answered()
    peer.engine.availability = lambda request: Availability(503, 5)

    _, event = invited(peer, f"c1;to-tag={tag};from-tag=p1")
    [(_, other)] = peer.send(request(branch="y", call_id="c9", body=OFFER))

    assert event.replaces is session
    assert other.status == 503


def test_a_node_that_is_not_full_says_which_request_it_judges():
    peer = Peer(make_engine())
    asked: list[str] = []

    def judge(request: Request) -> Availability:
        asked.append(request.method)
        return Availability()

    peer.engine.availability = judge

    peer.send(request("OPTIONS"), FLOW)
    peer.send(request(branch="b2", call_id="c2", body=OFFER), FLOW)

    assert asked == ["OPTIONS", "INVITE"]


def test_the_whole_of_an_attended_transfer():
    """Alice has bob on one line and bob's second call on the other; bob's two calls become one."""
    line, mine, theirs = answered_call()
    line.call()
    consultation = line.event("bob", IncomingInvite).session
    consultation.answer(ANSWER, line.now)
    line.deliver()
    line.events("alice"), line.events("bob")
    # Alice asks bob to call carol (here: alice herself) in place of their first call.
    mine.refer("sip:voice@192.0.2.10:5060", line.now, replaces=theirs.replaces)
    line.deliver()
    refer = line.event("bob", ReferReceived).refer
    theirs.accept_refer(line.now)

    line.bob.invite(
        refer.target,
        from_="sip:bob@192.0.2.20",
        flow=line.flow(BOB, ALICE),
        sdp=ANSWER,
        now=line.now,
        headers=[("Referred-By", f"<{refer.referred_by}>")],
        options=InviteOptions(replaces=refer.replaces),
    )
    line.deliver()

    arrived = line.event("alice", IncomingInvite)
    assert arrived.replaces is mine
    assert (
        parse_name_addr(arrived.session.request.headers.first("referred-by")).uri == mine.local.uri
    )
