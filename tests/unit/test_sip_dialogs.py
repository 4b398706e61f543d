"""One engine and hand-written peers: routes, NAT, RFC 2543, double INVITEs, foreign CANCELs."""

import pytest

from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.errors import SipStateError, SipWriteError
from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.flow import Flow
from telephony.sip.session import EndKind, Phase
from tests.unit.sip_line import ANSWER, OFFER, counting_ids
from tests.unit.sip_peer import FLOW, Peer, lines, request


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


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("INFO", 200),  # without a body it only asks whether we are there
        ("UPDATE", 200),  # without a description it renews
        ("PRACK", 481),
        ("NOTIFY", 489),
        ("REFER", 400),
        ("MESSAGE", 405),
        ("SUBSCRIBE", 489),
    ],
)
def test_a_request_that_asks_for_nothing_leaves_the_call_alone(method, status):
    peer = Peer()
    session, tag = peer.answered()

    [(_, reply)] = peer.send(request(method, branch="m", to_tag=tag, cseq=2))

    assert reply.status == status
    assert session.phase is Phase.CONFIRMED


def test_options_inside_a_call_is_answered():
    peer = Peer()
    _, tag = peer.answered()

    assert lines(peer.send(request("OPTIONS", branch="o", to_tag=tag, cseq=2))) == [
        "SIP/2.0 200 OK"
    ]


def answered_by(peer, flow, **values):
    peer.send(request(body=OFFER, **values), flow)
    session = peer.event(IncomingInvite).session
    session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()
    peer.send(request("ACK", branch="a", to_tag=ok.to.tag), flow)
    return session


def test_a_call_over_tcp_that_lost_its_connection_opens_one_to_the_contact():
    peer = Peer()
    inbound = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 49999), 3)
    contact = "<sip:peer@198.51.100.7:5070;transport=tcp>"
    session = answered_by(peer, inbound, contact=contact)

    peer.engine.failed(inbound, peer.now)
    session.bye(peer.now)

    [(flow, _)] = peer.out()
    assert flow == Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 5070), 0)


def test_cancel_of_a_reinvite_leaves_the_call_up():
    peer = Peer()
    session, tag = peer.answered()
    peer.send(request(branch="re", to_tag=tag, cseq=2, body=OFFER))

    replies = peer.send(request("CANCEL", branch="re", to_tag=tag, cseq=2))

    assert lines(replies) == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    assert session.phase is Phase.CONFIRMED


def test_a_reinvite_before_the_ack_is_asked_to_wait():
    peer = Peer()
    peer.send(request(body=OFFER))
    peer.event(IncomingInvite).session.answer(ANSWER, peer.now)
    [(_, ok)] = peer.out()

    replies = peer.send(request(branch="re", to_tag=ok.to.tag, cseq=2, body=OFFER))

    assert lines(replies) == ["SIP/2.0 491 Request Pending"]


def test_requests_after_our_bye_are_481_but_their_bye_is_answered():
    peer = Peer()
    session, tag = peer.answered()
    session.bye(peer.now)
    peer.out()

    invite = peer.send(request(branch="re", to_tag=tag, cseq=2, body=OFFER))
    bye = peer.send(request("BYE", branch="bye", to_tag=tag, cseq=3))

    assert lines(invite) == ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    assert lines(bye) == ["SIP/2.0 200 OK"]


def test_a_repeated_bye_gets_the_same_reply():
    peer = Peer()
    _, tag = peer.answered()
    bye = request("BYE", branch="bye", to_tag=tag, cseq=2)

    assert peer.send(bye) == peer.send(bye)


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        (
            "multipart/mixed;boundary=b1",
            b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--",
            b"v=0\r\n",
        ),
        (
            'multipart/mixed; boundary="b 1"',
            b"--b 1\r\nContent-Type: application/SDP\r\n\r\nv=0\r\n--b 1--",
            b"v=0\r\n",
        ),
        ("multipart/mixed", b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--", None),
        (
            "multipart/mixed;boundary=b1",
            b"--b1\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b1--",
            None,
        ),
    ],
)
def test_sdp_is_found_in_multipart_bodies(content_type, body, found):
    peer = Peer()
    extra = f"Content-Type: {content_type}\r\n"

    sdp_type = b"Content-Type: application/sdp\r\nContent-Length"
    peer.send(request(extra=extra, body=body).replace(sdp_type, b"Content-Length"))

    assert peer.event(IncomingInvite).sdp == found


def test_a_session_knows_both_parties():
    peer = Peer()
    peer.send(request(body=OFFER))

    session = peer.event(IncomingInvite).session

    assert str(session.remote.uri) == "sip:peer@peer.test"
    assert str(session.local.uri) == "sip:desk@gw.test"
    assert (session.call_id, session.flow) == ("c1", FLOW)


@pytest.mark.parametrize("status", [100, 200, 299, 700])
def test_a_refusal_with_a_status_that_refuses_nothing_is_not_sent(status):
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session

    with pytest.raises(SipStateError):
        session.reject(status, peer.now)
    with pytest.raises(SipStateError):
        session.reject_reinvite(status, peer.now)
    with pytest.raises(SipStateError):
        session.ring(peer.now, status=status + 100)

    assert peer.out() == []


def test_a_header_of_ours_with_a_line_end_is_refused_and_the_call_can_still_be_answered():
    peer = Peer()
    peer.send(request(body=OFFER))
    session = peer.event(IncomingInvite).session

    with pytest.raises(SipWriteError):
        session.answer(ANSWER, peer.now, headers=[("X-Note", "a\r\nX-Evil: 1")])
    session.answer(ANSWER, peer.now)

    assert lines(peer.out()) == ["SIP/2.0 200 OK"]


def test_a_call_through_a_proxy_that_lost_its_connection_opens_one_to_the_proxy():
    peer = Peer()
    inbound = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.50", 49999), 3)
    route = "<sip:198.51.100.50:5080;transport=tcp;lr>"
    session = answered_by(peer, inbound, extra=f"Record-Route: {route}\r\n")

    peer.engine.failed(inbound, peer.now)
    session.bye(peer.now)

    [(flow, bye)] = peer.out()
    assert flow == Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.50", 5080), 0)
    assert bye.headers.all("route") == [route]
