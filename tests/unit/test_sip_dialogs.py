"""One engine and hand-written peers: routes, NAT, forks, RFC 2543, double INVITEs, foreign CANCELs."""

import pytest

from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import Answered, IncomingInvite, Provisional, Terminated
from telephony.sip.flow import Flow
from telephony.sip.session import EndKind, Phase
from tests.unit.sip_line import ANSWER, OFFER, counting_ids, make_engine, read

PEER = ("198.51.100.7", 5070)
FLOW = Flow("udp", ("192.0.2.1", 5060), PEER)


def request(
    method="INVITE", *, branch="b1", to_tag="", cseq=1, call_id="c1", extra="", body=b"", **values
):
    via = values.get("via", f"SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{branch}")
    contact = values.get("contact", "<sip:peer@198.51.100.7:5070>")
    tag = f";tag={to_tag}" if to_tag else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:desk@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nFrom: <sip:peer@peer.test>;tag=p1\r\n"
        f"To: <sip:desk@gw.test>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: {contact}\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Peer:
    """Feeds an engine by hand."""

    def __init__(self, engine=None):
        self.engine = engine or make_engine()
        self.now = 10.0

    def send(self, data, flow=FLOW):
        """What comes back at once, as (flow, message)."""
        self.engine.receive(data, flow, self.now)
        return self.out()

    def out(self):
        return [(flow, read(data)) for flow, data in self.engine.to_send()]

    def event(self, kind):
        [found] = [event for event in self.engine.events() if isinstance(event, kind)]
        return found

    def answered(self, **values):
        """A call of the peer that is answered and ACKed: session, our tag."""
        self.send(request(body=OFFER, **values))
        session = self.event(IncomingInvite).session
        session.answer(ANSWER, self.now)
        [(_, ok)] = self.out()
        self.send(request("ACK", branch="ack", to_tag=ok.to.tag))
        self.engine.events()
        return session, ok.to.tag


def lines(sent):
    return [message.start_line for _, message in sent]


def test_replies_go_back_on_the_flow_with_received_and_rport():
    peer = Peer()
    natted = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 41000))

    [(flow, trying)] = peer.send(
        request(body=OFFER, via="SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKn;rport"), natted
    )

    assert flow == natted
    assert (
        str(trying.via) == "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKn;received=203.0.113.9;rport=41000"
    )


def test_a_peer_behind_nat_gets_its_bye_through_the_mapping():
    peer = Peer()
    natted = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 41000))
    invite = request(
        body=OFFER, via="SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKn;rport", contact="<sip:p@10.0.0.5>"
    )
    peer.send(invite, natted)
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="a", to_tag=ok.to.tag), natted)

    session.bye(peer.now)

    [(flow, bye)] = peer.out()
    assert flow == natted
    assert bye.start_line == "BYE sip:p@10.0.0.5 SIP/2.0"


def test_bye_after_ack_uses_the_route_set_in_order():
    peer = Peer()
    session, _ = peer.answered(
        extra="Record-Route: <sip:198.51.100.50;lr>, <sip:198.51.100.51;lr>\r\n"
        "Record-Route: <sip:far.test;lr>\r\n"
    )

    session.bye(peer.now)

    [(flow, bye)] = peer.out()
    assert bye.headers.all("route") == [
        "<sip:198.51.100.50;lr>",
        "<sip:198.51.100.51;lr>",
        "<sip:far.test;lr>",
    ]
    assert bye.uri_text == "sip:peer@198.51.100.7:5070"
    assert flow.remote == ("198.51.100.50", 5060)


def test_a_strict_router_gets_its_own_uri_and_the_target_last():
    peer = Peer()
    session, _ = peer.answered(extra="Record-Route: <sip:198.51.100.50>\r\n")

    session.bye(peer.now)

    [(_, bye)] = peer.out()
    assert bye.uri_text == "sip:198.51.100.50"
    assert bye.headers.all("route") == ["<sip:peer@198.51.100.7:5070>"]


def test_the_2xx_repeats_the_record_route_of_the_invite():
    peer = Peer()
    peer.send(request(body=OFFER, extra="Record-Route: <sip:198.51.100.50;lr>\r\n"))

    peer.event(IncomingInvite).session.answer(ANSWER, peer.now)

    [(_, ok)] = peer.out()
    assert ok.headers.all("record-route") == ["<sip:198.51.100.50;lr>"]
    assert ok.headers.first("contact") == "<sip:voice@192.0.2.1:5060>"


def test_the_advertised_address_replaces_that_of_the_socket():
    settings = EngineSettings(user="pbx", advertised=("203.0.113.1", 5099), product="Voice")
    peer = Peer(SipEngine(settings, counting_ids()))
    peer.send(request(body=OFFER))

    peer.event(IncomingInvite).session.answer(ANSWER, peer.now)

    [(_, ok)] = peer.out()
    assert ok.headers.first("contact") == "<sip:pbx@203.0.113.1:5099>"
    assert ok.headers.first("server") == "Voice"


def test_ims_double_invite_is_merged_and_the_first_goes_on():
    peer = Peer()
    peer.send(request(branch="one", body=OFFER))

    second = peer.send(request(branch="two", body=OFFER))

    assert lines(second) == ["SIP/2.0 482 Loop Detected"]
    peer.event(IncomingInvite).session.answer(ANSWER, peer.now)
    assert lines(peer.out()) == ["SIP/2.0 200 OK"]


def test_a_retry_after_cancel_is_not_482():
    peer = Peer()
    peer.send(request(body=OFFER))
    peer.send(request("CANCEL"))

    again = peer.send(request(branch="b2", cseq=2, body=OFFER))

    assert lines(again) == ["SIP/2.0 100 Trying"]


def test_cancel_with_other_sent_by_matches():
    peer = Peer()
    peer.send(request(body=OFFER))

    replies = peer.send(request("CANCEL", via="SIP/2.0/UDP 10.9.9.9:1234;branch=z9hG4bKb1"))

    assert lines(replies) == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    assert replies[0][1].to.tag == replies[1][1].to.tag
    terminated = [e for e in peer.engine.events() if isinstance(e, Terminated)]
    assert [event.cause.kind for event in terminated] == [EndKind.CANCELLED]


def test_cancel_of_another_call_with_the_same_branch_does_not_match():
    peer = Peer()
    peer.send(request(body=OFFER))

    replies = peer.send(
        request("CANCEL", call_id="other", via="SIP/2.0/UDP x.test;branch=z9hG4bKb1")
    )

    assert lines(replies) == ["SIP/2.0 481 Call/Transaction Does Not Exist"]


def test_a_repeated_invite_gets_the_last_reply_again_and_makes_no_second_call():
    peer = Peer()
    peer.send(request(body=OFFER))
    peer.event(IncomingInvite).session.ring(peer.now)
    peer.out()

    assert lines(peer.send(request(body=OFFER))) == ["SIP/2.0 180 Ringing"]
    assert peer.engine.events() == []


def test_an_rfc_2543_call_from_invite_to_bye():
    peer = Peer()
    old = (
        b"INVITE sip:desk@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5070\r\nFrom: <sip:old@198.51.100.7>\r\n"
        b"To: <sip:desk@gw.test>\r\nCall-ID: old\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n"
    ) + OFFER

    peer.send(old)
    repeated = peer.send(old)
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()
    tagged = old.replace(b"gw.test>", b"gw.test>;tag=" + ok.to.tag.encode()).split(b"Content-Type")[
        0
    ]
    peer.send(tagged.replace(b"INVITE", b"ACK") + b"\r\n")
    phase = session.phase
    bye = peer.send(tagged.replace(b"INVITE", b"BYE").replace(b"CSeq: 1", b"CSeq: 2") + b"\r\n")

    assert lines(repeated) == ["SIP/2.0 100 Trying"]
    assert phase is Phase.CONFIRMED
    assert lines(bye) == ["SIP/2.0 200 OK"]


def test_an_ack_that_reuses_the_branch_of_the_invite_confirms_the_call():
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()

    peer.send(request("ACK", to_tag=ok.to.tag))

    assert session.phase is Phase.CONFIRMED


def test_requests_with_a_foreign_tag_are_481_and_change_nothing():
    peer = Peer()
    session, tag = peer.answered()
    stranger = request("BYE", branch="x", to_tag=tag, cseq=2).replace(b"tag=p1", b"tag=evil")

    replies = peer.send(stranger)

    assert lines(replies) == ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    assert session.phase is Phase.CONFIRMED


def test_bye_before_the_answer_ends_the_invite_with_487():
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session
    session.ring(peer.now)
    [(_, ringing)] = peer.out()

    replies = peer.send(request("BYE", branch="bye", to_tag=ringing.to.tag, cseq=2))

    assert sorted(lines(replies)) == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    assert peer.event(Terminated).cause.kind is EndKind.REMOTE


@pytest.mark.parametrize("method", ["INFO", "NOTIFY", "MESSAGE", "UPDATE", "PRACK", "REFER"])
def test_a_method_we_do_not_serve_leaves_the_call_alone(method):
    peer = Peer()
    session, tag = peer.answered()

    [(_, reply)] = peer.send(request(method, branch="m", to_tag=tag, cseq=2))

    assert reply.status == 405
    assert reply.headers.first("allow") == "INVITE, ACK, BYE, CANCEL, OPTIONS"
    assert session.phase is Phase.CONFIRMED


def test_options_inside_a_call_is_answered():
    peer = Peer()
    _, tag = peer.answered()

    assert lines(peer.send(request("OPTIONS", branch="o", to_tag=tag, cseq=2))) == [
        "SIP/2.0 200 OK"
    ]


def test_a_call_over_tcp_that_lost_its_connection_opens_one_to_the_contact():
    peer = Peer()
    inbound = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 49999), 3)
    contact = "<sip:peer@198.51.100.7:5070;transport=tcp>"
    peer.send(request(body=OFFER, contact=contact), inbound)
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="a", to_tag=ok.to.tag), inbound)

    peer.engine.failed(inbound, peer.now)
    session.bye(peer.now)

    [(flow, _)] = peer.out()
    assert flow == Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 5070), 0)


# ------------------------------------------------------------------------------ our INVITE, their forks


def calling():
    peer = Peer()
    session = peer.engine.invite(
        "sip:desk@peer.test", from_="<sip:us@192.0.2.1>", flow=FLOW, sdp=OFFER, now=peer.now
    )
    [(_, invite)] = peer.out()
    return peer, session, invite


def reply(invite, status, tag, *, contact="<sip:fork@198.51.100.8>", extra="", body=b""):
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"SIP/2.0 {status} Text\r\nVia: {invite.headers.first('via')}\r\n"
        f"From: {invite.headers.first('from')}\r\nTo: {invite.headers.first('to')};tag={tag}\r\n"
        f"Call-ID: {invite.call_id}\r\nCSeq: 1 INVITE\r\nContact: {contact}\r\n{extra}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def test_the_first_answer_wins_and_another_fork_is_acked_and_ended():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    peer.send(reply(invite, 183, "two", body=ANSWER))
    provisional = [e for e in peer.engine.events() if isinstance(e, Provisional)]

    won = peer.send(reply(invite, 200, "two", body=ANSWER))
    lost = peer.send(reply(invite, 200, "one", contact="<sip:other@198.51.100.9>", body=ANSWER))

    assert [event.sdp for event in provisional] == [None, ANSWER]
    assert lines(won) == ["ACK sip:fork@198.51.100.8 SIP/2.0"]
    assert lines(lost) == [
        "ACK sip:other@198.51.100.9 SIP/2.0",
        "BYE sip:other@198.51.100.9 SIP/2.0",
    ]
    assert lost[1][1].to.tag == "one"
    assert peer.event(Answered).session is session
    assert session.phase is Phase.CONFIRMED


def test_a_repeated_ok_gets_the_same_ack_again():
    peer, _, invite = calling()
    first = peer.send(reply(invite, 200, "one", body=ANSWER))

    again = peer.send(reply(invite, 200, "one", body=ANSWER))

    assert again == first
    assert len(peer.engine.events()) == 1


def test_ack_and_bye_of_ours_follow_the_reversed_route_of_the_ok():
    peer, session, invite = calling()
    routes = "Record-Route: <sip:198.51.100.60;lr>\r\nRecord-Route: <sip:198.51.100.61;lr>\r\n"

    [(flow, ack)] = peer.send(reply(invite, 200, "one", extra=routes, body=ANSWER))
    session.bye(peer.now)
    [(_, bye)] = peer.out()

    expected = ["<sip:198.51.100.61;lr>", "<sip:198.51.100.60;lr>"]
    assert ack.headers.all("route") == bye.headers.all("route") == expected
    assert flow.remote == ("198.51.100.61", 5060)
    assert (ack.cseq.number, bye.cseq.number) == (1, 2)


def test_headers_of_ours_reach_the_peer_and_line_ends_in_them_do_not():
    peer = Peer()
    engine = peer.engine

    engine.invite(
        "sip:desk@peer.test",
        from_='"Our Desk" <sip:us@192.0.2.1>',
        to='"Them" <sip:desk@peer.test>',
        flow=FLOW,
        sdp=OFFER,
        now=peer.now,
        headers=[("X-Campaign", "7")],
    )

    [(_, invite)] = peer.out()
    assert invite.headers.first("x-campaign") == "7"
    assert (invite.from_.display, invite.to.display) == ("Our Desk", "Them")


def test_a_stray_response_is_counted_and_nothing_is_sent():
    peer, _, invite = calling()
    stray = reply(invite, 200, "one").replace(b"branch=z9hG4bK", b"branch=z9hG4bKno")

    assert peer.send(stray) == []
    assert peer.engine.counters == {"stray_response": 1}


def test_a_non_2xx_on_tcp_is_acked_at_once_and_forgotten():
    peer = Peer()
    flow = Flow("tcp", ("192.0.2.1", 5060), PEER)
    peer.engine.invite(
        "sip:desk@peer.test", from_="sip:us@192.0.2.1", flow=flow, sdp=OFFER, now=peer.now
    )
    [(_, invite)] = peer.out()

    sent = peer.send(reply(invite, 404, "x"), flow)
    peer.engine.timer(peer.now)

    assert lines(sent) == ["ACK sip:desk@peer.test SIP/2.0"]
    assert peer.event(Terminated).cause.status == 404
    assert peer.engine.next_timer() is None
