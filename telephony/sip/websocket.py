"""SIP over WebSocket (RFC 7118), the server's end: one SIP message is one WebSocket message.

The protocol layer of `websockets` does RFC 6455, and is itself without sockets.
"""

from collections.abc import Callable, Sequence
from typing import Final

from websockets.exceptions import InvalidState, NegotiationError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from telephony.sip.parser import DEFAULT_LIMITS, Limits
from telephony.sip.stream import PING, Item, Ping, Pong

SUBPROTOCOL: Final = Subprotocol("sip")
_HEAD_END: Final = b"\r\n\r\n"
_HEAD_BYTES: Final = 16_384


class WebSocketFramer:
    """A `stream.Framing`: HTTP upgrade, subprotocol "sip", frames.

    `origins`: pages whose browsers may connect; a client without Origin is no browser and is let in. `ready`: the
    upgrade is done. `broken`: close once `outgoing()` is written.
    """

    def __init__(self, origins: Sequence[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self._protocol = ServerProtocol(
            origins=[None, *map(Origin, origins)],
            subprotocols=[SUBPROTOCOL],
            select_subprotocol=_only_sip,
            max_size=limits.message_bytes,
        )
        self._head = bytearray()
        self._parts = bytearray()
        self._in_message = False
        self.broken = False

    @property
    def ready(self) -> bool:
        return self._protocol.state is not State.CONNECTING

    @property
    def partial(self) -> bool:
        """True while a message has begun and not ended, and before the upgrade."""
        return not self.ready or self._in_message

    def feed(self, data: bytes) -> list[Item]:
        if self.broken:
            return []
        if not self.ready:
            data = self._opened(data)
        if data:
            self._protocol.receive_data(data)
        items: list[Item] = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                items += self._take(event)
        if self._protocol.close_expected() or self._protocol.state in (State.CLOSING, State.CLOSED):
            self.broken = True
        return items

    def _opened(self, data: bytes) -> bytes:
        """Answer the request once it is whole; the octets behind it. They may not reach a protocol that refuses it."""
        self._head += data
        end = self._head.find(_HEAD_END)
        if end < 0 and len(self._head) <= _HEAD_BYTES:
            return b""
        head, rest = self._head[: end + len(_HEAD_END)], self._head[end + len(_HEAD_END) :]
        self._head = bytearray()
        self._protocol.receive_data(bytes(head) if end >= 0 else b"\r\n")
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
        self.broken = self._protocol.state is not State.OPEN
        return b"" if self.broken else bytes(rest)

    def wrap(self, message: bytes) -> bytes:
        """The frame of one SIP message: text, as browsers' clients expect, where it is UTF-8."""
        try:
            message.decode()
        except UnicodeDecodeError:
            return self._framed(self._protocol.send_binary, message)
        return self._framed(self._protocol.send_text, message)

    def ping(self) -> bytes:
        return self._framed(self._protocol.send_ping, b"")

    def outgoing(self) -> bytes:
        """Drain what the upgrade and the control frames have to say."""
        return b"".join(self._protocol.data_to_send())

    def close(self) -> None:
        """Say goodbye in `outgoing()`."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY)

    def _take(self, frame: Frame) -> list[Item]:
        if frame.opcode is Opcode.PONG:
            return [Pong()]
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return []
        self._parts += frame.data
        self._in_message = not frame.fin
        if not frame.fin:
            return []
        message, self._parts = bytes(self._parts), bytearray()
        if not message.strip(b"\r\n"):  # keep-alive of clients that know TCP's (RFC 5626 4.4.1)
            return [Ping()] if message == PING else [Pong()]
        return [message]

    def _framed(self, send: Callable[[bytes], None], data: bytes) -> bytes:
        try:
            send(data)
        except InvalidState:
            return b""  # closing: nothing can be said any more
        return self.outgoing()


def _only_sip(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """RFC 7118 5.1: without "sip" among the offers the connection is of no use."""
    if SUBPROTOCOL not in offered:
        raise NegotiationError("subprotocol sip is required")
    return SUBPROTOCOL
