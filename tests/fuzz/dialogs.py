"""Engines in the middle of a call, and the messages that belong to it: hostile input gets past the first door."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from telephony.sip.auth import Credentials
from telephony.sip.engine import SipEngine
from telephony.sip.errors import SipError
from telephony.sip.events import (
    IncomingInvite,
    ReferReceived,
    ReinviteReceived,
    SipEvent,
)
from telephony.sip.flow import Flow
from telephony.sip.message import Request
from telephony.sip.session import InviteOptions
from tests.unit.sip_line import ANSWER, OFFER, make_engine, read

FLOW = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
_RENEWED_AFTER = 300  # inputs
_SDP = b"Content-Type: application/sdp\r\n"
_HEAD = (
    "Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@peer.test>;tag=peer\r\nTo: <sip:b@gw.test>{tag}\r\nCall-ID: fuzz\r\nCSeq: {cseq} {method}\r\n"
    "Contact: <sip:a@198.51.100.7:5070>\r\nSupported: 100rel, timer, replaces, norefersub\r\n"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY\r\n"
)
_IN_DIALOG = [
    ("ACK", "", b""), ("BYE", "Reason: Q.850;cause=16\r\n", b""), ("OPTIONS", "", b""),
    ("INVITE", "Session-Expires: 90;refresher=uac\r\n", OFFER), ("INVITE", "", b""),
    ("UPDATE", "Session-Expires: 1800\r\nMin-SE: 90\r\n", OFFER), ("UPDATE", "", b""),
    ("PRACK", "RAck: 1 1 INVITE\r\n", b""), ("INFO", "", b"Signal=5\r\nDuration=160\r\n"),
    ("REFER", "Refer-To: <sip:c@gw.test?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nReferred-By: <sip:a@peer.test>\r\n", b""),
    ("REFER", "Refer-To: sip:+4912345@gw.test\r\nRefer-Sub: false\r\n", b""),
    ("NOTIFY", "Event: refer;id=1\r\nSubscription-State: terminated;reason=noresource\r\n", b"SIP/2.0 200 OK\r\n"),
    ("CANCEL", "Reason: SIP;cause=200\r\n", b""), ("MESSAGE", "", b"hello"), ("REGISTER", "Expires: 60\r\n", b""),
]  # fmt: skip
_BODY_TYPES = {
    "INFO": "application/dtmf-relay",
    "NOTIFY": "message/sipfrag",
    "MESSAGE": "text/plain",
}


def _request(method: str, cseq: int, tag: str, more: str = "", body: bytes = b"") -> bytes:
    head = _HEAD.format(branch=f"{method}{cseq}", tag=tag, cseq=cseq, method=method)
    kind = _BODY_TYPES.get(method, "application/sdp")
    typed = f"Content-Type: {kind}\r\n" if body else ""
    text = (
        f"{method} sip:b@gw.test SIP/2.0\r\n{head}{more}{typed}Content-Length: {len(body)}\r\n\r\n"
    )
    return text.encode() + body


class _Everybody:
    """Lets in whoever comes, phones that register too."""

    def policy(self, request: Request, flow: Flow) -> Literal["accept"]:
        return "accept"

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        return None


class _Side:
    """Feeds an engine, reacts to what it says, and begins again after a while."""

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self.engine = self.begun()

    def begun(self) -> SipEngine:
        raise NotImplementedError

    def check(self, data: bytes) -> None:
        self._count += 1
        self.now += 0.01
        self.engine.receive(data, FLOW, self.now)
        self._react()
        if self._count % _RENEWED_AFTER == 0:
            self.engine.timer(self.now + 4000.0)
            self._react()
            self.engine = self.begun()

    def _react(self) -> None:
        for _ in range(5):
            events = self.engine.events()
            for event in events:
                with suppress(SipError):  # a verb that comes too late is refused, as always
                    self._answer(event)
            if not events:
                break
        assert {flow.remote for flow, _ in self.engine.to_send() if flow.connection} == set()

    def _answer(self, event: SipEvent) -> None:
        if isinstance(event, IncomingInvite):
            event.session.ring(self.now, status=183, sdp=ANSWER)
            event.session.answer(ANSWER, self.now)
        elif isinstance(event, ReinviteReceived):
            event.session.accept_reinvite(ANSWER, self.now)
        elif isinstance(event, ReferReceived):
            event.session.accept_refer(self.now)
            event.session.notify_refer(180, "Ringing", self.now)
            event.session.notify_refer(200, "OK", self.now)


class Called(_Side):
    """They called us, and the call is up."""

    tag = ""

    def begun(self) -> SipEngine:
        engine = make_engine(1)
        engine.authority = _Everybody()
        engine.receive(_request("INVITE", 1, "", body=OFFER), FLOW, self.now)
        [invite] = [e for e in engine.events() if isinstance(e, IncomingInvite)]
        invite.session.answer(ANSWER, self.now)
        answer = read(engine.to_send()[-1][1])
        self.tag = f";tag={answer.to.tag}"
        engine.receive(_request("ACK", 1, self.tag), FLOW, self.now)
        return engine

    def seeds(self) -> list[bytes]:
        found = [_request("INVITE", 1, "", body=OFFER), _request("INVITE", 1, "")]
        for number, (method, more, body) in enumerate(_IN_DIALOG, 2):
            found.append(_request(method, number, self.tag, more, body))
        return found


class Calling(_Side):
    """We called them, and wait for the answer."""

    request = b""

    def begun(self) -> SipEngine:
        engine = make_engine(1)
        engine.invite(
            "sip:b@198.51.100.7:5070",
            from_="sip:us@gw.test",
            flow=FLOW,
            sdp=OFFER,
            now=self.now,
            options=InviteOptions(credentials=Credentials("us", "secret"), session_expires=1800),
        )
        self.request = engine.to_send()[0][1]
        return engine

    def seeds(self) -> list[bytes]:
        sent = read(self.request)
        first = {"From": "from", "Call-ID": "call-id", "CSeq": "cseq", "Via": "via"}
        kept = "".join(f"{name}: {sent.headers.first(key)}\r\n" for name, key in first.items())
        to = f"To: {sent.headers.first('to')};tag=peer\r\nContact: <sip:b@198.51.100.7:5070>\r\n"
        challenge = (
            'Digest realm="gw", nonce="n", algorithm=SHA-256, qop="auth,auth-int", opaque="o"'
        )
        lines = [
            ("100 Trying", "", b""), ("180 Ringing", "", b""),
            ("183 Session Progress", "Require: 100rel\r\nRSeq: 1\r\n", ANSWER),
            ("200 OK", "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n", ANSWER),
            ("200 OK", "Record-Route: <sip:p.test;lr>, <sip:q.test>\r\n", ANSWER),
            ("302 Moved", "Contact: <sip:c@x.test>;q=0.5, <sip:d@x.test>\r\n", b""),
            ("401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n", b""),
            ("407 Proxy", f"Proxy-Authenticate: {challenge}, stale=true\r\nProxy-Authenticate: Basic x\r\n", b""),
            ("422 Too Small", "Min-SE: 3600\r\n", b""), ("486 Busy Here", "Reason: Q.850;cause=17\r\n", b""),
            ("503 Unavailable", "Retry-After: 5 (busy);duration=60\r\n", b""),
        ]  # fmt: skip
        return [
            f"SIP/2.0 {status}\r\n{kept}{to}{more}".encode()
            + (_SDP if body else b"")
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
            for status, more, body in lines
        ]
