"""A dialog that outlives its process: what is kept of it, and how the next process goes on with it."""

import json
from typing import Any

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.errors import SipStateError
from telephony.sip.events import InfoReceived, ReinviteAnswered, ReinviteReceived, Terminated
from telephony.sip.flow import Flow
from telephony.sip.restore import restore_session
from telephony.sip.session import EndKind, InviteOptions, Phase
from tests.unit.sip_line import ANSWER, OFFER, answered_call, make_engine
from tests.unit.sip_peer import Peer, request


def restarted(transport="udp", **more):
    """A call whose caller's engine was replaced: line, the restored session, the called side's."""
    line, mine, theirs = answered_call(transport, **more)
    kept = json.loads(json.dumps(mine.snapshot()))
    line.alice = make_engine(5_000_000)
    return line, line.alice.restore(kept, line.now), theirs


def test_a_restored_call_can_be_changed_and_ended_from_both_sides():
    line, mine, theirs = restarted(options=InviteOptions(session_expires=0))

    mine.reinvite(OFFER, line.now)
    line.deliver()
    theirs.accept_reinvite(ANSWER, line.now)
    line.deliver()
    changed = line.event("alice", ReinviteAnswered).sdp
    theirs.info("application/dtmf", b"5", line.now)
    line.deliver()
    digit = line.event("alice", InfoReceived)
    mine.bye(line.now)
    line.deliver()

    assert changed == ANSWER
    assert digit.session is mine
    assert line.event("bob", Terminated).cause.kind is EndKind.REMOTE
    line.advance(100)
    assert line.alice.session_count == line.bob.session_count == 0


def test_the_other_side_can_end_a_restored_call():
    line, mine, theirs = restarted()

    theirs.bye(line.now)
    line.deliver()

    assert line.event("alice", Terminated).cause.kind is EndKind.REMOTE
    assert mine.phase is Phase.ENDED


def test_a_restored_session_knows_its_parties_and_its_dialog():
    _line, mine, theirs = restarted()

    assert str(mine.remote.uri) == "sip:bob@192.0.2.20"
    assert str(mine.local.uri) == "sip:alice@192.0.2.10"
    assert mine.call_id == theirs.call_id
    assert mine.request.method == "INVITE"
    assert theirs.matches(mine.replaces)


def test_who_refreshed_before_does_so_at_once():
    line, mine, theirs = restarted()

    line.advance(0)

    assert line.methods("alice")[-1] == "UPDATE"
    line.advance(4000)
    assert mine.phase is theirs.phase is Phase.CONFIRMED


def test_the_connection_of_before_is_opened_anew():
    line, mine, _ = restarted("tcp")

    mine.bye(line.now)

    [(flow, _)] = line.alice.to_send()
    assert flow == Flow("tcp", ("192.0.2.10", 5060), ("192.0.2.20", 5060), 0)


def test_the_version_of_our_description_and_the_route_set_are_kept():
    peer = Peer()
    session, _ = peer.answered(extra="Record-Route: <sip:198.51.100.50;lr>\r\n")

    kept = session.snapshot()
    again = make_engine().restore(kept, peer.now)

    assert kept["origin"] == "o=- 2 2 IN IP4 192.0.2.20"
    assert again.snapshot()["dialog"] == kept["dialog"]
    assert kept["dialog"]["routes"] == ["<sip:198.51.100.50;lr>"]


def test_only_a_call_that_is_up_has_a_snapshot():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(request("BYE", branch="bye", to_tag=tag, cseq=2))

    with pytest.raises(SipStateError):
        session.snapshot()


def test_a_request_of_before_is_still_old_after_the_restart():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(request("OPTIONS", branch="o", to_tag=tag, cseq=9))
    kept = session.snapshot()
    fresh = Peer(make_engine())
    fresh.engine.restore(kept, fresh.now)

    [(_, old)] = fresh.send(request(branch="re", to_tag=tag, cseq=8, body=OFFER))
    fresh.send(request(branch="re2", to_tag=tag, cseq=10, body=OFFER))

    assert old.status == 500
    assert len(fresh.events(ReinviteReceived)) == 1


def test_a_snapshot_keeps_no_password():
    _line, mine, _ = answered_call(options=InviteOptions(credentials=Credentials("u", "secret")))

    assert "secret" not in json.dumps(mine.snapshot())


BROKEN: dict[str, dict[str, Any]] = {
    "empty": {},
    "another version": {"version": 99},
    "no dialog": {"dialog": None},
    "no flow": {"dialog": {"flow": None}},
    "no methods": {"allows": None},
    "no timer": {"timer": None},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_snapshot_is_refused(name):
    peer = Peer()
    session, _ = peer.answered()
    kept = {} if name == "empty" else {**session.snapshot(), **BROKEN[name]}

    with pytest.raises(SipStateError):
        make_engine().restore(kept, peer.now)


@pytest.mark.parametrize("field", ["local", "remote", "target", "local_cseq", "call_id", "routes"])
def test_a_snapshot_with_a_field_that_cannot_be_read_is_refused(field):
    peer = Peer()
    session, _ = peer.answered()
    kept = session.snapshot()
    kept["dialog"][field] = ["<"] if field == "routes" else None

    with pytest.raises(SipStateError):
        make_engine().restore(kept, peer.now)


def test_a_restored_session_takes_credentials_again():
    peer = Peer()
    session, _ = peer.answered()

    again = restore_session(
        make_engine()._core, session.snapshot(), peer.now, Credentials("desk", "secret")
    )

    assert again.auth is not None
