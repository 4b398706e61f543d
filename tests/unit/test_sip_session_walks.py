"""Seeded random walks of two engines over a bad wire: no step raises, each session ends once, nothing is left."""

import re
from random import Random
from typing import Any

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    IncomingInvite,
    ReferEnded,
    ReferReceived,
    ReinviteReceived,
    Terminated,
)
from telephony.sip.flow import Flow
from telephony.sip.session import InviteOptions, Phase
from tests.unit.sip_line import ALICE, ANSWER, BOB, OFFER, make_engine

VERBS = (
    lambda s, now: s.ring(now),
    lambda s, now: s.ring(now, status=183, sdp=ANSWER),
    lambda s, now: s.ring(now, reliable=True),
    lambda s, now: s.answer(ANSWER, now),
    lambda s, now: s.answer(ANSWER, now),
    lambda s, now: s.reject(486, now),
    lambda s, now: s.ack(ANSWER, now),
    lambda s, now: s.reinvite(OFFER, now),
    lambda s, now: s.reinvite(b"", now),
    lambda s, now: s.update(OFFER, now),
    lambda s, now: s.update(None, now),
    lambda s, now: s.accept_reinvite(ANSWER, now),
    lambda s, now: s.accept_reinvite(ANSWER, now),
    lambda s, now: s.reject_reinvite(488, now),
    lambda s, now: s.info("application/dtmf", b"1", now),
    lambda s, now: s.refer("sip:carol@192.0.2.30", now),
    lambda s, now: s.accept_refer(now),
    lambda s, now: s.notify_refer(180, "Ringing", now),
    lambda s, now: s.notify_refer(200, "OK", now),
    lambda s, now: s.reject_refer(603, now),
    lambda s, now: s.snapshot(),
)
ENDS = (lambda s, now: s.cancel(now), lambda s, now: s.bye(now))


class Walk:
    """Messages wait in a bag; each may be delivered late, twice, out of order, or never."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 100.0
        settings = {"session_expires_s": self.random.choice((0, 90, 400)), "min_se_s": 30}
        self.engines = (make_engine(seed, **settings), make_engine(10**6 + seed, **settings))
        self.sessions: tuple[list[Any], list[Any]] = ([], [])
        self.bag: list[tuple[int, bytes]] = []
        self.told: list[Any] = []

    def run(self) -> None:
        self.call()
        if self.random.random() < 0.6:
            self.set_up()
        for _ in range(self.random.randrange(10, 60)):
            self.step(self.random.random())
            self.collect()

    def call(self) -> None:
        flow = self.flow(0)
        options = InviteOptions(
            credentials=Credentials("u", "p"),
            reliable=self.random.choice(("no", "supported", "required")),
        )
        sdp = self.random.choice((OFFER, OFFER, None))
        session = self.engines[0].invite(
            "sip:bob@192.0.2.20", from_="sip:a@x", flow=flow, sdp=sdp, now=self.now, options=options
        )
        self.sessions[0].append(session)
        self.collect()

    def set_up(self) -> None:
        """Most of what can go wrong needs a call that is up."""
        self.carry()
        self.sessions[1][0].ring(self.now, status=183, sdp=ANSWER)
        self.carry()
        self.do(VERBS[6])
        self.carry()
        self.sessions[1][0].answer(ANSWER, self.now)
        self.carry()

    def carry(self) -> None:
        """Everything arrives, in order."""
        self.collect()
        while self.bag:
            side, data = self.bag.pop(0)
            self.engines[side].receive(data, self.flow(side), self.now)
            self.collect()

    def step(self, dice: float) -> None:
        if dice < 0.45:
            self.deliver()
        elif dice < 0.8:
            self.do(self.random.choice(VERBS))
        elif dice < 0.83:
            self.do(self.random.choice(ENDS))
        else:
            self.wait(self.random.choice((0.01, 0.5, 2, 5, 33, 120)))

    def do(self, verb) -> None:
        known = [session for side in self.sessions for session in side]
        try:
            verb(self.random.choice(known), self.now)
        except (SipStateError, AttributeError):
            return  # not now; or a verb of the other kind of session

    def deliver(self) -> None:
        if not self.bag:
            return
        index = self.random.choice((0, 0, 0, self.random.randrange(len(self.bag))))
        fate = self.random.random()
        side, data = self.bag[index] if fate < 0.1 else self.bag.pop(index)
        if fate < 0.85:
            self.engines[side].receive(data, self.flow(side), self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for engine in self.engines:
            engine.timer(self.now)

    def collect(self) -> None:
        for side, engine in enumerate(self.engines):
            self.bag += [(1 - side, data) for _, data in engine.to_send()]
            for event in engine.events():
                self.told.append(event)
                if isinstance(event, IncomingInvite):
                    self.sessions[side].append(event.session)
        del self.bag[:-50]

    def finish(self) -> None:
        """The wire is good again; everybody hangs up."""
        for _ in range(60):
            self.carry()
            for session in (*self.sessions[0], *self.sessions[1]):
                session.bye(self.now)
            self.carry()
            self.wait(15)

    def flow(self, side: int):
        return Flow("udp", *((ALICE, BOB) if side == 0 else (BOB, ALICE)))


VALUES = (
    b"", b"0", b"-1", b"4294967296", b"x", b"100rel", b"timer", b"1;refresher=uac", b'"', b"<>", b"*",
    b"90;refresher=uas", b"<sip:a@[::1]>", b"tel:+49", b";", b"1 1 INVITE", b"sip:x@192.0.2.9",
)  # fmt: skip
NAMES = (
    b"Session-Expires", b"Min-SE", b"RSeq", b"RAck", b"Require", b"Supported", b"Allow", b"Contact",
    b"Record-Route", b"Retry-After", b"Content-Type", b"Refer-To", b"Event", b"Subscription-State",
    b"Replaces", b"WWW-Authenticate", b"CSeq", b"To", b"From", b"Via", b"Reason", b"Refer-Sub",
)  # fmt: skip
STATUSES = (100, 180, 183, 200, 202, 302, 401, 407, 408, 422, 481, 491, 500, 503, 603, 699)
METHODS = (b"PRACK", b"UPDATE", b"INFO", b"BYE", b"NOTIFY", b"REFER", b"INVITE", b"OPTIONS")


class HostileWalk(Walk):
    """Some messages arrive as another status, as another request, or with a header that should not be there."""

    def deliver(self) -> None:
        if self.bag and self.random.random() < 0.4:
            index = self.random.randrange(len(self.bag))
            side, data = self.bag[index]
            change = self.random.choice((self.add, self.replace, self.restate, self.rename))
            self.bag[index] = (side, change(data))
        super().deliver()

    def header(self, name: bytes) -> bytes:
        return name + b": " + self.random.choice(VALUES)

    def add(self, data: bytes) -> bytes:
        line = self.header(self.random.choice(NAMES))
        return data.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)

    def replace(self, data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        index = self.random.randrange(1, max(2, len(lines) - 2))
        lines[index] = self.header(lines[index].partition(b":")[0])
        return b"\r\n".join(lines)

    def restate(self, data: bytes) -> bytes:
        status = f"SIP/2.0 {self.random.choice(STATUSES)}".encode()
        return re.sub(rb"^SIP/2.0 \d{3}", status, data)

    def rename(self, data: bytes) -> bytes:
        if data.startswith(b"SIP/"):
            return data
        method = self.random.choice(METHODS)
        data = re.sub(rb"^[A-Z]+ ", method + b" ", data)
        return re.sub(rb"CSeq: (\d+) [A-Z]+", rb"CSeq: \1 " + method, data)


@pytest.mark.parametrize("seed", range(150))
def test_a_hostile_walk_raises_nothing_and_leaves_nothing_behind(seed):
    walk = HostileWalk(seed)

    walk.run()
    walk.finish()

    assert [engine.session_count for engine in walk.engines] == [0, 0]
    assert [engine.next_timer() for engine in walk.engines] == [None, None]


@pytest.mark.parametrize("seed", range(150))
def test_a_walk_leaves_nothing_behind(seed):
    walk = Walk(seed)

    walk.run()
    walk.finish()

    sessions = [session for side in walk.sessions for session in side]
    ends = [event.session for event in walk.told if isinstance(event, Terminated)]
    assert sorted(map(id, ends)) == sorted(map(id, sessions))
    assert all(session.phase is Phase.ENDED for session in sessions)
    assert [engine.session_count for engine in walk.engines] == [0, 0]
    assert [engine.next_timer() for engine in walk.engines] == [None, None]


def test_walks_reach_what_they_are_for():
    kinds = set()
    for seed in range(150):
        walk = Walk(seed)
        walk.run()
        kinds |= {type(event) for event in walk.told}

    assert {ReinviteReceived, ReferReceived, ReferEnded, Terminated} <= kinds
