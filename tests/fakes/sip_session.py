"""A SIP session, either way round, and its wire, that keep what was asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telephony.sip.auth import Credentials
from telephony.sip.errors import SipStateError
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr, parse_name_addr
from telephony.sip.message import HeaderPair, Headers, Request
from telephony.sip.session import Phase, Replaces


class FakeWire:
    def __init__(self) -> None:
        self.flushes = 0

    def now(self) -> float:
        return 100.0

    def flush(self) -> None:
        self.flushes += 1


class FakeSession:
    """`done`: the verbs, with their SDP or status. `cancelled`: the caller gave up before the answer."""

    def __init__(self, source: str = "127.0.0.1") -> None:
        self.call_id = "1@x"
        self.flow = Flow("udp", ("127.0.0.1", 5060), (source, 5070))
        self.phase = Phase.INCOMING
        self.request = Request(Headers(), b"", "INVITE", "sip:demo@127.0.0.1")
        self.done: list[tuple[Any, ...]] = []
        self.cancelled = False
        self.username: str | None = None

    @property
    def local(self) -> NameAddr:
        return parse_name_addr("<sip:demo@127.0.0.1>")

    @property
    def remote(self) -> NameAddr:
        return parse_name_addr("<sip:ann@127.0.0.1>")

    def ring(
        self,
        now: float,
        *,
        status: int = 180,
        sdp: bytes | None = None,
        headers: Sequence[HeaderPair] = (),
        reliable: bool | None = None,
    ) -> None:
        self.phase = Phase.RINGING
        self.done.append(("ring", status, sdp))

    def answer(self, sdp: bytes, now: float, *, headers: Sequence[HeaderPair] = ()) -> None:
        if self.cancelled:
            raise SipStateError("answer in ENDED")
        self.phase = Phase.ANSWERED
        self.done.append(("answer", sdp))

    def reject(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()
    ) -> None:
        self.phase = Phase.ENDED
        self.done.append(("reject", status))

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None:
        self.phase = Phase.ENDED
        self.done.append(("bye", reason))

    def reinvite(self, sdp: bytes, now: float) -> None:
        self.done.append(("reinvite", sdp))

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        self.done.append(("accept_reinvite", sdp))

    def reject_reinvite(
        self, status: int, now: float, *, headers: Sequence[HeaderPair] = ()
    ) -> None:
        self.done.append(("reject_reinvite", status))

    def update(self, sdp: bytes | None, now: float) -> None:
        self.done.append(("update", sdp))

    def info(self, content_type: str, body: bytes, now: float) -> None:
        self.done.append(("info", content_type, body))

    def refer(
        self, refer_to: str, now: float, *, referred_by: str = "", replaces: Replaces | None = None
    ) -> None:
        self.done.append(("refer", refer_to, replaces))

    def accept_refer(self, now: float) -> None:
        self.done.append(("accept_refer",))

    def notify_refer(self, status: int, reason: str, now: float) -> None:
        self.done.append(("notify_refer", status))

    def reject_refer(self, status: int, now: float) -> None:
        self.done.append(("reject_refer", status))

    def cancel(self, now: float, *, reason: str = "") -> None:
        self.done.append(("cancel",))

    def ack(self, sdp: bytes, now: float) -> None:
        self.done.append(("ack", sdp))

    @property
    def replaces(self) -> Replaces:
        return Replaces(self.call_id, "theirs", "ours")

    def use_credentials(self, credentials: Credentials) -> None:
        self.done.append(("use_credentials",))

    def allows(self, method: str) -> bool:
        return True

    def snapshot(self) -> dict[str, Any]:
        return {}
