"""Two SIP engines and the wire between them, on a clock that tests move by hand."""

from collections.abc import Callable
from hashlib import shake_128
from itertools import count
from typing import TypeVar

from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import IncomingInvite, SipEvent
from telephony.sip.flow import Address, Flow, Transport
from telephony.sip.ids import TokenIds
from telephony.sip.message import Request, Response
from telephony.sip.parser import Parsed, parse

E = TypeVar("E")

ALICE: Address = ("192.0.2.10", 5060)
BOB: Address = ("192.0.2.20", 5060)
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = b"v=0\r\no=- 2 2 IN IP4 192.0.2.20\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n"


def counting_ids(start: int = 1) -> TokenIds:
    numbers = count(start)
    return TokenIds(lambda size: shake_128(str(next(numbers)).encode()).digest(size))


def make_engine(start: int = 1, **settings) -> SipEngine:
    return SipEngine(EngineSettings(**settings), counting_ids(start))


def read(data: bytes) -> Request | Response:
    verdict = parse(data)
    assert isinstance(verdict, Parsed), verdict
    return verdict.message


def start_lines(sent: list[tuple[Flow, bytes]]) -> list[str]:
    return [read(data).start_line for _, data in sent]


class Line:
    """`alice` calls `bob`. `sent` keeps each start line with its sender; `lose` says what the wire eats."""

    def __init__(self, transport: Transport = "udp", alice=None, bob=None) -> None:
        """`alice`, `bob`: fields of their `EngineSettings`."""
        self.transport = transport
        self.now = 100.0
        self.alice = make_engine(1, **(alice or {}))
        self.bob = make_engine(1_000_000, **(bob or {}))
        self.lose: Callable[[str], bool] = lambda line: False
        self.sent: list[tuple[float, str, str]] = []
        self.messages: list[Request | Response] = []
        self.events_of: dict[str, list[SipEvent]] = {"alice": [], "bob": []}

    def flow(self, local: Address, remote: Address) -> Flow:
        return Flow(self.transport, local, remote)

    def call(self, sdp: bytes | None = OFFER, **more):
        session = self.alice.invite(
            "sip:bob@192.0.2.20",
            from_="sip:alice@192.0.2.10",
            flow=self.flow(ALICE, BOB),
            sdp=sdp,
            now=self.now,
            **more,
        )
        self.deliver()
        return session

    def deliver(self) -> None:
        """Carry messages to and fro until nobody has anything to say."""
        busy = True
        while busy:
            busy = self._carry("alice", self.alice, self.bob)
            busy = self._carry("bob", self.bob, self.alice) or busy

    def _carry(self, name: str, sender: SipEngine, receiver: SipEngine) -> bool:
        outgoing = sender.to_send()
        for flow, data in outgoing:
            message = read(data)
            self.sent.append((self.now, name, message.start_line))
            self.messages.append(message)
            if not self.lose(f"{name} {message.start_line}"):
                receiver.receive(data, self.flow(flow.remote, flow.local), self.now)
        self.events_of[name] += sender.events()
        self.events_of["alice" if name == "bob" else "bob"] += receiver.events()
        return bool(outgoing)

    def advance(self, seconds: float) -> None:
        """Fire all timers of both sides in order."""
        end = self.now + seconds
        while True:
            due = [t for t in (self.alice.next_timer(), self.bob.next_timer()) if t is not None]
            if not due or min(due) > end:
                break
            self.now = min(due)
            self.alice.timer(self.now)
            self.bob.timer(self.now)
            self.deliver()
        self.now = end

    def events(self, name: str) -> list[SipEvent]:
        """What one side was told since the last look."""
        found, self.events_of[name] = self.events_of[name], []
        return found

    def event(self, name: str, kind: type[E]) -> E:
        """The one event of a kind that one side was told since the last look."""
        found = [event for event in self.events(name) if isinstance(event, kind)]
        assert len(found) == 1, found
        return found[0]

    def count(self, line: str) -> int:
        return sum(entry == line for _, _, entry in self.sent)

    def methods(self, name: str) -> list[str]:
        """What one side has sent, statuses as text."""
        words = [entry.split() for _, who, entry in self.sent if who == name]
        return [word[1] if word[0] == "SIP/2.0" else word[0] for word in words]

    def last(self, start: str) -> Request | Response:
        """The last message whose start line begins so."""
        return next(m for m in reversed(self.messages) if m.start_line.startswith(start))


def answered_call(transport: Transport = "udp", alice=None, bob=None, **more):
    """A call that is up: line, the caller's session, the called side's."""
    line = Line(transport, alice, bob)
    mine = line.call(**more)
    theirs = line.event("bob", IncomingInvite).session
    theirs.answer(ANSWER, line.now)
    line.deliver()
    line.events("alice")
    line.events("bob")
    return line, mine, theirs
