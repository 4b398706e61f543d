"""Our INVITE and hand-written answers to it: forks, routes, repeated answers, strays."""

from telephony.sip.events import Answered, Provisional, Terminated
from telephony.sip.flow import Flow
from telephony.sip.session import EndKind, InviteOptions, Phase, Replaces
from tests.unit.sip_line import ANSWER, OFFER, answered_call
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


RELIABLE = "Require: 100rel\r\nRSeq: {}\r\nAllow: INVITE, UPDATE\r\n"


def test_each_fork_is_told_and_acknowledged_in_its_own_dialog():
    peer, _, invite = calling()

    one = peer.send(
        reply(
            invite,
            183,
            "one",
            contact="<sip:1@198.51.100.8>",
            extra=RELIABLE.format(5),
            body=ANSWER,
        )
    )
    two = peer.send(
        reply(invite, 180, "two", contact="<sip:2@198.51.100.9>", extra=RELIABLE.format(90))
    )

    told = [e for e in peer.engine.events() if isinstance(e, Provisional)]
    assert [(event.fork, event.status, event.sdp) for event in told] == [
        ("one", 183, ANSWER),
        ("two", 180, None),
    ]
    assert lines(one) == ["PRACK sip:1@198.51.100.8 SIP/2.0"]
    assert lines(two) == ["PRACK sip:2@198.51.100.9 SIP/2.0"]
    assert [sent[0][1].to.tag for sent in (one, two)] == ["one", "two"]
    assert [sent[0][1].cseq.number for sent in (one, two)] == [2, 2]


def test_the_numbers_of_a_fork_go_on_after_its_answer():
    peer, session, invite = calling()
    peer.send(reply(invite, 183, "one", extra=RELIABLE.format(1), body=ANSWER))

    peer.send(reply(invite, 200, "one"))
    session.bye(peer.now)

    [(_, bye)] = peer.out()
    assert bye.cseq.number == 3


def test_the_route_set_of_an_early_dialog_is_replaced_by_that_of_the_answer():
    peer, _session, invite = calling()
    early, final = (f"Record-Route: <sip:198.51.100.{n};lr>\r\n" for n in (60, 61))
    peer.send(reply(invite, 180, "one", extra=early))

    [(_, ack)] = peer.send(reply(invite, 200, "one", extra=final, body=ANSWER))

    assert ack.headers.all("route") == ["<sip:198.51.100.61;lr>"]


def test_a_fork_that_gives_up_leaves_the_others_ringing():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    peer.send(reply(invite, 180, "two"))

    ended = peer.send(from_fork(invite, "BYE", "two"))
    peer.send(reply(invite, 200, "one", body=ANSWER))

    assert lines(ended) == ["SIP/2.0 200 OK"]
    assert [type(event) for event in peer.engine.events()] == [Provisional, Provisional, Answered]
    assert session.phase is Phase.CONFIRMED


def test_requests_of_a_fork_that_lost_are_481():
    peer, session, invite = calling()
    peer.send(reply(invite, 180, "one"))
    peer.send(reply(invite, 200, "two", body=ANSWER))

    assert lines(peer.send(from_fork(invite, "UPDATE", "one"))) == [
        "SIP/2.0 481 Call/Transaction Does Not Exist"
    ]
    assert session.phase is Phase.CONFIRMED


def test_a_flood_of_forks_takes_no_memory_and_the_answer_still_counts():
    peer, session, invite = calling()
    for number in range(100):
        peer.send(reply(invite, 180, f"t{number}", extra=RELIABLE.format(1)))

    peer.send(reply(invite, 200, "t99", body=ANSWER))

    assert len([e for e in peer.engine.events() if isinstance(e, Answered)]) == 1
    assert session.phase is Phase.CONFIRMED


def test_a_redirection_hands_on_its_contacts_best_first_and_nothing_is_dialled():
    peer, _, invite = calling()
    contacts = "<sip:a@198.51.100.1>;q=0.2, <sip:b@198.51.100.2>;q=0.9, <tel:+4930123>"

    sent = peer.send(reply(invite, 302, "x", contact=contacts))

    assert lines(sent) == ["ACK sip:desk@peer.test SIP/2.0"]
    cause = peer.event(Terminated).cause
    assert (cause.kind, cause.status) == (EndKind.REJECTED, 302)
    assert cause.contacts == ("tel:+4930123", "sip:b@198.51.100.2", "sip:a@198.51.100.1")


def test_a_redirection_to_nowhere_is_a_refusal():
    peer, _, invite = calling()

    peer.send(reply(invite, 305, "x", contact="<sip:a@x>;q=z"))

    assert peer.event(Terminated).cause.contacts == ("sip:a@x",)


def test_our_invite_names_routes_and_the_dialog_it_replaces():
    options = InviteOptions(
        routes=("<sip:198.51.100.60;lr>", "<sip:198.51.100.61;lr>"),
        replaces=Replaces("c9@x", "to9", "from9", early_only=True),
    )

    _, _, invite = calling(options=options)

    assert invite.headers.all("route") == list(options.routes)
    assert invite.headers.first("replaces") == "c9@x;to-tag=to9;from-tag=from9;early-only"
    assert invite.tokens("require") == ["replaces"]


def test_a_host_that_says_nothing_is_given_up_when_asked_to():
    peer, _, _ = calling(options=InviteOptions(reply_s=4))

    peer.engine.timer(peer.now + 4)

    cause = peer.event(Terminated).cause
    assert (cause.kind, cause.status) == (EndKind.TIMEOUT, 408)


def test_a_host_that_says_100_is_waited_for():
    peer, session, invite = calling(options=InviteOptions(reply_s=4))
    peer.send(reply(invite, 100))

    peer.engine.timer(peer.now + 60)

    assert session.phase is Phase.CALLING


def test_the_dialog_is_named_as_the_other_side_knows_it():
    _line, mine, theirs = answered_call()

    named = mine.replaces

    assert named == Replaces(mine.call_id, theirs.local_tag, mine.local_tag)
    assert theirs.matches(named)
    assert not mine.matches(named)
    assert mine.matches(theirs.replaces)


def test_a_flood_of_answers_is_not_acked_without_end():
    peer, session, invite = calling()

    acked = sum(len(peer.send(reply(invite, 200, f"t{n}", body=ANSWER))) > 0 for n in range(100))

    assert acked == 16
    assert peer.engine.counters["too_many_answers"] == 84
    assert session.phase is Phase.CONFIRMED
