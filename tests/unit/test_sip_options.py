"""OPTIONS both ways, failures of the transport, and draining."""

from telephony.sip.core import ALLOW
from telephony.sip.events import OptionsAnswered, Terminated
from telephony.sip.options import Availability
from telephony.sip.session import Cause, EndKind
from tests.unit.sip_line import ALICE, BOB, Line, answered_call


def test_options_is_answered_and_reported():
    line = Line()

    id = line.alice.options(
        "sip:192.0.2.20", from_="sip:ping@192.0.2.10", flow=line.flow(ALICE, BOB), now=line.now
    )
    line.deliver()

    assert line.events("alice") == [OptionsAnswered(id, 200)]
    assert line.messages[-1].headers.first("allow") == ALLOW[1]


def test_options_to_nobody_is_a_408_and_to_a_dead_connection_a_503():
    line = Line()
    line.lose = lambda entry: True
    flow = line.flow(ALICE, BOB)

    silent = line.alice.options("sip:192.0.2.20", from_="sip:p@192.0.2.10", flow=flow, now=line.now)
    line.deliver()
    line.advance(33)
    dead = line.alice.options("sip:192.0.2.20", from_="sip:p@192.0.2.10", flow=flow, now=line.now)
    line.alice.failed(flow, line.now)
    line.deliver()

    assert line.events("alice") == [OptionsAnswered(silent, 408), OptionsAnswered(dead, 503)]


def test_an_invite_whose_transport_fails_ends_at_once():
    line = Line()
    line.lose = lambda entry: True
    line.call()

    line.alice.failed(line.flow(ALICE, BOB), line.now)
    line.deliver()

    assert line.event("alice", Terminated).cause == Cause(EndKind.TRANSPORT, 503)


def test_while_draining_new_calls_and_options_get_503_and_calls_go_on():
    line, mine, _ = answered_call()
    line.bob.availability = lambda request: Availability(503, 30)

    line.call()
    refused = line.messages[-2]
    line.alice.options(
        "sip:192.0.2.20", from_="sip:ping@192.0.2.10", flow=line.flow(ALICE, BOB), now=line.now
    )
    line.deliver()
    pinged = line.messages[-1]
    mine.bye(line.now)
    line.deliver()

    for response in (refused, pinged):
        assert response.start_line == "SIP/2.0 503 Service Unavailable"
        assert response.headers.first("retry-after") == "30"
    assert line.messages[-1].start_line == "SIP/2.0 200 OK"
