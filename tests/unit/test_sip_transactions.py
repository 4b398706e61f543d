"""The four transaction machines: every state with every input (RFC 3261 17, RFC 6026 7, RFC 4320 4.1)."""

from typing import Any

import pytest

from telephony.sip.client_transaction import InviteClientTransaction, PlainClientTransaction
from telephony.sip.deadlines import Deadlines
from telephony.sip.flow import Flow
from telephony.sip.message import Request, make_response
from telephony.sip.server_transaction import InviteServerTransaction, PlainServerTransaction
from telephony.sip.transaction import State
from tests.unit.sip_line import read
from tests.unit.sip_peer import request

NOW = 10.0
UDP = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 5070), 1)


class Wire:
    """What one transaction sends, in words."""

    def __init__(self):
        self.deadlines = Deadlines()
        self.sent = []

    def send(self, flow, data):
        self.sent.append(read(data).start_line.split()[0 if not data.startswith(b"SIP") else 1])

    def take(self):
        sent, self.sent = self.sent, []
        return sent


class User:
    def __init__(self):
        self.told = []

    def responded(self, response, now):
        self.told.append(response.status)

    def failed(self, status, now):
        self.told.append(-status)

    def take(self):
        told, self.told = self.told, []
        return told


def client(kind, flow=UDP):
    message = read(request("INVITE" if kind is InviteClientTransaction else "OPTIONS"))
    assert isinstance(message, Request)
    gone: list[Any] = []
    wire, user = Wire(), User()
    transaction = kind(wire, ("b",), message, flow, gone.append, user=user)
    transaction.start(NOW)
    wire.take()
    return transaction, wire, user, gone


def server(kind, flow=UDP):
    message = read(request("INVITE" if kind is InviteServerTransaction else "OPTIONS"))
    gone: list[Any] = []
    wire = Wire()
    return kind(wire, ("b",), message, flow, gone.append), wire, gone


def response(transaction, status):
    return make_response(transaction.request, status, UDP, to_tag="t")


INVITE_STATES: dict[State, list[Any]] = {
    State.CALLING: [],
    State.PROCEEDING: [180],
    State.ACCEPTED: [200],
    State.COMPLETED: [486],
    State.TERMINATED: ["fail"],
}
PLAIN_STATES: dict[State, list[Any]] = {
    State.TRYING: [],
    State.PROCEEDING: [100],
    State.COMPLETED: [200],
    State.TERMINATED: ["fail"],
}
INPUTS = (180, 200, 486, "fail", 0.5, 32)
# State, then for each given: the next state, what is sent, what the user is told.
C, P, A, D, T = (
    State.CALLING,
    State.PROCEEDING,
    State.ACCEPTED,
    State.COMPLETED,
    State.TERMINATED,
)
TIMES = ["INVITE"] * 6
INVITE_CLIENT = {
    C: [
        (P, [], [180]),
        (A, [], [200]),
        (D, ["ACK"], [486]),
        (T, [], [-503]),
        (C, ["INVITE"], []),
        (T, TIMES, [-408]),
    ],
    P: [
        (P, [], [180]),
        (A, [], [200]),
        (D, ["ACK"], [486]),
        (T, [], [-503]),
        (P, [], []),
        (P, [], []),
    ],
    A: [(A, [], []), (A, [], [200]), (A, [], []), (T, [], []), (A, [], []), (T, [], [])],
    D: [(D, [], []), (D, [], []), (D, ["ACK"], []), (T, [], []), (D, [], []), (T, [], [])],
    T: [(T, [], [])] * 6,
}
Y = State.TRYING
PLAIN_CLIENT = {
    Y: [
        (P, [], []),
        (D, [], [200]),
        (D, [], [486]),
        (T, [], [-503]),
        (Y, ["OPTIONS"], []),
        (T, ["OPTIONS"] * 10, [-408]),
    ],
    P: [
        (P, [], []),
        (D, [], [200]),
        (D, [], [486]),
        (T, [], [-503]),
        (P, ["OPTIONS"], []),
        (T, ["OPTIONS"] * 8, [-408]),
    ],
    D: [(D, [], []), (D, [], []), (D, [], []), (T, [], []), (D, [], []), (T, [], [])],
    T: [(T, [], [])] * 6,
}


def feed(transaction, wire, given):
    if given == "fail":
        transaction.transport_failed(NOW)
    elif isinstance(given, int) and given >= 100:
        transaction.receive(response(transaction, given), NOW)
    else:
        run_until(wire, NOW + given)


def run_until(wire, end):
    while (at := wire.deadlines.next()) is not None and at <= end:
        wire.deadlines.fire(at)


def cases(table):
    return [
        (state, given, *expected)
        for state, row in table.items()
        for given, expected in zip(INPUTS, row, strict=True)
    ]


@pytest.mark.parametrize(("state", "given", "then", "sent", "told"), cases(INVITE_CLIENT))
def test_invite_client(state, given, then, sent, told):
    transaction, wire, user, gone = client(InviteClientTransaction)
    for step in INVITE_STATES[state]:
        feed(transaction, wire, step)
    assert transaction.state is state
    wire.take(), user.take()

    feed(transaction, wire, given)

    assert (transaction.state, wire.take(), user.take()) == (then, sent, told)
    assert bool(gone) == (then is State.TERMINATED)


@pytest.mark.parametrize(("state", "given", "then", "sent", "told"), cases(PLAIN_CLIENT))
def test_plain_client(state, given, then, sent, told):
    transaction, wire, user, gone = client(PlainClientTransaction)
    for step in PLAIN_STATES[state]:
        feed(transaction, wire, step)
    assert transaction.state is state
    wire.take(), user.take()

    feed(transaction, wire, given)

    assert (transaction.state, wire.take(), user.take()) == (then, sent, told)
    assert bool(gone) == (then is State.TERMINATED)


SERVER_INPUTS = (180, 200, 486, "again", "ACK", 0.5, 32)
N = State.CONFIRMED
INVITE_SERVER_STATES: dict[State, list[Any]] = {
    Y: [],
    P: [180],
    A: [200],
    D: [486],
    N: [486, "ACK"],
    T: [200, 40],
}
INVITE_SERVER = {
    Y: [(P, ["180"]), (A, ["200"]), (D, ["486"]), (Y, []), (Y, []), (Y, []), (Y, [])],
    P: [(P, ["180"]), (A, ["200"]), (D, ["486"]), (P, ["180"]), (P, []), (P, []), (P, [])],
    A: [(A, []), (A, []), (A, []), (A, []), (A, []), (A, []), (T, [])],
    D: [(D, []), (D, []), (D, []), (D, ["486"]), (N, []), (D, ["486"]), (T, ["486"] * 10)],
    N: [(N, []), (N, []), (N, []), (N, []), (N, []), (N, []), (T, [])],
    T: [(T, [])] * 7,
}
PLAIN_SERVER_STATES: dict[State, list[Any]] = {Y: [], D: [200], T: [200, 40]}
PLAIN_SERVER = {
    Y: [None, (D, ["200"]), (D, ["486"]), (Y, []), None, (Y, []), (Y, [])],
    D: [None, (D, []), (D, []), (D, ["200"]), None, (D, []), (T, [])],
    T: [None, (T, []), (T, []), (T, []), None, (T, []), (T, [])],
}


def serve(transaction, wire, given):
    if given == "again":
        transaction.repeat(NOW)
    elif given == "ACK":
        transaction.acknowledge(NOW)
    elif isinstance(given, int) and given >= 100:
        transaction.respond(response(transaction, given), NOW)
    else:
        run_until(wire, NOW + given)


def server_cases(table):
    return [
        (state, given, *expected)
        for state, row in table.items()
        for given, expected in zip(SERVER_INPUTS, row, strict=True)
        if expected is not None  # no ACK and no 1xx in a non-INVITE transaction
    ]


@pytest.mark.parametrize(("state", "given", "then", "sent"), server_cases(INVITE_SERVER))
def test_invite_server(state, given, then, sent):
    transaction, wire, gone = server(InviteServerTransaction)
    for step in INVITE_SERVER_STATES[state]:
        serve(transaction, wire, step)
    assert transaction.state is state
    wire.take()

    serve(transaction, wire, given)

    assert (transaction.state, wire.take()) == (then, sent)
    assert bool(gone) == (then is State.TERMINATED)


@pytest.mark.parametrize(("state", "given", "then", "sent"), server_cases(PLAIN_SERVER))
def test_plain_server(state, given, then, sent):
    transaction, wire, gone = server(PlainServerTransaction)
    for step in PLAIN_SERVER_STATES[state]:
        serve(transaction, wire, step)
    assert transaction.state is state
    wire.take()

    serve(transaction, wire, given)

    assert (transaction.state, wire.take()) == (then, sent)
    assert bool(gone) == (then is State.TERMINATED)


@pytest.mark.parametrize("kind", [InviteClientTransaction, PlainClientTransaction])
def test_a_stream_repeats_no_request_and_keeps_no_finished_one(kind):
    transaction, wire, user, _ = client(kind, TCP)

    run_until(wire, NOW + 31)
    repeated = wire.take()
    transaction.receive(response(transaction, 486), NOW)
    run_until(wire, NOW)

    assert repeated == []
    assert user.take() == [486]
    assert transaction.state is State.TERMINATED
    assert wire.deadlines.next() is None


def test_an_invite_on_a_stream_repeats_no_refusal():
    transaction, wire, _ = server(InviteServerTransaction, TCP)
    transaction.respond(response(transaction, 486), NOW)
    wire.take()

    run_until(wire, NOW + 31)

    assert wire.take() == []


def test_after_the_end_nothing_is_scheduled():
    for state, steps in INVITE_STATES.items():
        transaction, wire, _, _ = client(InviteClientTransaction)
        for step in steps:
            feed(transaction, wire, step)
        transaction.terminate(NOW)
        assert wire.deadlines.next() is None, state
