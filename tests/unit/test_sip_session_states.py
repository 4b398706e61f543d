"""Every phase of a session with every request of the other side, and with every verb of ours."""

from typing import Any

import pytest

from telephony.sip.errors import SipError, SipStateError
from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.session import Phase
from tests.unit.sip_line import ANSWER, OFFER
from tests.unit.sip_peer import Peer, calling, from_fork, reply, request

HELD = 0  # no response yet: the application decides


def uas(until: Phase):
    """A call to us: session, and how the peer sends a request of its dialog."""
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session
    tag = session.local_tag
    if until is Phase.RINGING:
        session.ring(peer.now)
    elif until is not Phase.INCOMING:
        session.answer(ANSWER, peer.now)
    if until in (Phase.CONFIRMED, Phase.ENDED):
        peer.send(request("ACK", branch="ack", to_tag=tag))
    if until is Phase.ENDED:
        session.bye(peer.now)
    peer.out(), peer.engine.events()
    return (
        peer,
        session,
        lambda method, **more: request(method, branch="in", to_tag=tag, cseq=2, **more),
    )


def uac(until: Phase):
    """A call of ours, the same."""
    late = until is Phase.ANSWERED
    peer, session, invite = calling(sdp=None if late else OFFER)
    if until in (Phase.RINGING, Phase.CANCELLING):
        peer.send(reply(invite, 180, "one"))
    elif until is not Phase.CALLING:
        peer.send(reply(invite, 200, "one", body=ANSWER))
    if until is Phase.CANCELLING:
        session.cancel(peer.now)
    if until is Phase.ENDED:
        session.bye(peer.now)
    peer.out(), peer.engine.events()
    return peer, session, lambda method, **more: from_fork(invite, method, "one", cseq=2, **more)


SIDES = {"uas": uas, "uac": uac}
PHASES = {
    "uas": (Phase.INCOMING, Phase.RINGING, Phase.ANSWERED, Phase.CONFIRMED, Phase.ENDED),
    "uac": (
        Phase.CALLING,
        Phase.RINGING,
        Phase.CANCELLING,
        Phase.ANSWERED,
        Phase.CONFIRMED,
        Phase.ENDED,
    ),
}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "bye": ("BYE", {}),
    "reinvite": ("INVITE", {"body": OFFER}),
    "empty reinvite": ("INVITE", {}),
    "update": ("UPDATE", {}),
    "offer": ("UPDATE", {"body": OFFER}),
    "prack": ("PRACK", {"extra": "RAck: 1 1 INVITE\r\n"}),
    "info": ("INFO", {"extra": "Content-Type: application/dtmf\r\n"}),
    "options": ("OPTIONS", {}),
    "refer": ("REFER", {"extra": "Refer-To: <sip:x@peer.test>\r\n"}),
    "notify": ("NOTIFY", {"extra": "Event: refer\r\nSubscription-State: active\r\n"}),
    "message": ("MESSAGE", {}),
}
# The final status of each request, by phase; in the order of REQUESTS.
STATUSES = {
    ("uas", Phase.INCOMING): (200, 500, 500, 200, 500, 481, 200, 200, HELD, 481, 405),
    ("uas", Phase.RINGING): (200, 500, 500, 200, 500, 481, 200, 200, HELD, 481, 405),
    ("uas", Phase.ANSWERED): (200, 491, 491, 200, HELD, 481, 200, 200, HELD, 481, 405),
    ("uas", Phase.CONFIRMED): (200, HELD, HELD, 200, HELD, 481, 200, 200, HELD, 481, 405),
    ("uas", Phase.ENDED): (200, 481, 481, 481, 481, 481, 481, 200, 481, 481, 405),
    ("uac", Phase.CALLING): (481, 481, 481, 481, 481, 481, 481, 481, 481, 481, 405),
    ("uac", Phase.RINGING): (200, 500, 500, 200, 491, 481, 200, 200, HELD, 481, 405),
    ("uac", Phase.CANCELLING): (200, 500, 500, 481, 481, 481, 200, 200, HELD, 481, 405),
    ("uac", Phase.ANSWERED): (200, 500, 500, 200, 500, 481, 200, 200, HELD, 481, 405),
    ("uac", Phase.CONFIRMED): (200, HELD, HELD, 200, HELD, 481, 200, 200, HELD, 481, 405),
    ("uac", Phase.ENDED): (200, 481, 481, 481, 481, 481, 481, 200, 481, 481, 405),
}
CASES = [
    (side, phase, name, status)
    for (side, phase), statuses in STATUSES.items()
    for name, status in zip(REQUESTS, statuses, strict=True)
]


def test_the_table_is_whole():
    assert set(STATUSES) == {(side, phase) for side, phases in PHASES.items() for phase in phases}


@pytest.mark.parametrize(("side", "phase", "name", "status"), CASES)
def test_a_request_gets_the_final_response_of_its_phase(side, phase, name, status):
    peer, session, write = SIDES[side](phase)
    assert session.phase is phase
    method, more = REQUESTS[name]

    replies = [message for _, message in peer.send(write(method, **more))]

    finals = [r.status for r in replies if r.cseq.method == method and r.status >= 200]
    assert finals[-1:] == ([status] if status else [])
    if status and name != "bye":
        assert session.phase is phase


@pytest.mark.parametrize(("side", "phase", "name", "status"), CASES)
def test_hang_up_is_allowed_everywhere_and_ends_exactly_once(side, phase, name, status):
    peer, session, write = SIDES[side](phase)
    method, more = REQUESTS[name]
    peer.send(write(method, **more))
    ends = len(peer.events(Terminated))

    session.bye(peer.now)
    session.bye(peer.now)
    for at in (0.5, 32, 64, 100, 200):
        peer.engine.timer(peer.now + at)

    ends += len(peer.events(Terminated))
    assert session.phase is Phase.ENDED
    assert ends == (0 if phase is Phase.ENDED else 1)
    assert peer.engine.next_timer() is None
    assert peer.engine.session_count == 0


VERBS = {
    "ring": lambda s, now: s.ring(now),
    "early media": lambda s, now: s.ring(now, status=183, sdp=ANSWER),
    "answer": lambda s, now: s.answer(ANSWER, now),
    "reject": lambda s, now: s.reject(486, now),
    "cancel": lambda s, now: s.cancel(now),
    "ack": lambda s, now: s.ack(ANSWER, now),
    "reinvite": lambda s, now: s.reinvite(OFFER, now),
    "update": lambda s, now: s.update(OFFER, now),
    "accept": lambda s, now: s.accept_reinvite(ANSWER, now),
    "refuse": lambda s, now: s.reject_reinvite(488, now),
    "info": lambda s, now: s.info("application/dtmf", b"5", now),
    "refer": lambda s, now: s.refer("sip:x@peer.test", now),
    "accept refer": lambda s, now: s.accept_refer(now),
    "notify refer": lambda s, now: s.notify_refer(200, "OK", now),
    "reject refer": lambda s, now: s.reject_refer(603, now),
    "snapshot": lambda s, now: s.snapshot(),
}
ALLOWED_VERBS = {
    ("uas", Phase.INCOMING): {"ring", "early media", "answer", "reject", "info"},
    ("uas", Phase.RINGING): {"ring", "early media", "answer", "reject", "info"},
    ("uas", Phase.ANSWERED): {"info"},
    ("uas", Phase.CONFIRMED): {"reinvite", "info", "refer", "snapshot"},
    ("uas", Phase.ENDED): set(),
    ("uac", Phase.CALLING): {"cancel"},
    ("uac", Phase.RINGING): {"cancel", "info"},
    ("uac", Phase.CANCELLING): {"info"},
    ("uac", Phase.ANSWERED): {"ack", "info"},
    ("uac", Phase.CONFIRMED): {"reinvite", "info", "refer", "snapshot"},
    ("uac", Phase.ENDED): set(),
}
ONLY_UAS = {"ring", "early media", "answer", "reject"}
ONLY_UAC = {"cancel"}


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize(("side", "phase"), list(ALLOWED_VERBS))
def test_a_verb_is_done_or_refused_by_its_phase(side, phase, name):
    if name in (ONLY_UAC if side == "uas" else ONLY_UAS):
        return  # the protocol of that side has no such verb
    peer, session, _ = SIDES[side](phase)

    try:
        VERBS[name](session, peer.now)
        done = True
    except SipStateError:
        done = False

    assert done == (name in ALLOWED_VERBS[side, phase])
    if not done:
        assert peer.out() == []
        assert session.phase is phase


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize(("side", "phase"), list(ALLOWED_VERBS))
def test_after_any_verb_the_session_can_be_ended_and_leaves_nothing(side, phase, name):
    if name in (ONLY_UAC if side == "uas" else ONLY_UAS):
        return
    peer, session, _ = SIDES[side](phase)
    try:
        VERBS[name](session, peer.now)
    except SipError:
        peer.out()

    session.bye(peer.now)
    for at in range(1, 700, 7):
        peer.engine.timer(peer.now + at)

    assert session.phase is Phase.ENDED
    assert peer.engine.session_count == 0
    assert peer.engine.next_timer() is None
