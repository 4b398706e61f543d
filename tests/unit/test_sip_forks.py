"""Our INVITE and hand-written answers to it: forks, routes, repeated answers, strays."""

from telephony.sip.events import Answered, Provisional, Terminated
from telephony.sip.flow import Flow
from telephony.sip.session import Phase
from tests.unit.sip_line import ANSWER, OFFER
from tests.unit.sip_peer import FLOW, PEER, Peer, calling, from_fork, lines, reply


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


def test_a_repeated_refusal_gets_the_ack_again():
    peer, session, invite = calling()

    first = peer.send(reply(invite, 486, "x"))
    again = peer.send(reply(invite, 486, "x"))

    assert lines(first) == ["ACK sip:desk@peer.test SIP/2.0"]
    assert again == first
    assert str(session.local.uri) == "sip:us@192.0.2.1"
    assert str(session.remote.uri) == "sip:desk@peer.test"


def test_bye_from_an_early_fork_ends_the_call_and_its_late_answer_too():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    bye = (
        f"BYE sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP peer.test;branch=z9hG4bKbye\r\n"
        f"From: {invite.headers.first('to')};tag=one\r\nTo: {invite.headers.first('from')}\r\n"
        f"Call-ID: {invite.call_id}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
    ).encode()

    ended = peer.send(bye)
    late = peer.send(reply(invite, 200, "one", body=ANSWER))

    assert lines(ended) == ["SIP/2.0 200 OK"]
    assert lines(late) == ["ACK sip:fork@198.51.100.8 SIP/2.0", "BYE sip:fork@198.51.100.8 SIP/2.0"]
    assert session.phase is Phase.ENDED


def test_a_provisional_answer_to_options_slows_its_repetition():
    peer = Peer()
    peer.engine.options("sip:peer.test", from_="sip:us@192.0.2.1", flow=FLOW, now=peer.now)
    [(_, ping)] = peer.out()
    peer.send(reply(ping, 100, "x"))

    times = []
    while (at := peer.engine.next_timer()) is not None and at < 25:
        peer.engine.timer(at)
        times += [at - peer.now for _ in peer.out()]

    assert times == [0.5, 4.5, 8.5, 12.5]
