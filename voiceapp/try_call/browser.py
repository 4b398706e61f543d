"""A browser without a browser: the widget's WebSocket (docs/widget-protocol.md) and a WebRTC peer of our own."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Coroutine
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin

from telephony.call.timers import LoopScheduler
from telephony.media.opus import OpusCodec
from telephony.rtp.errors import RtpError
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer
from voiceapp.try_call.audio import FRAME_S
from voiceapp.try_call.caller import Caller, Stage
from voiceapp.try_call.phone import CallFailedError

log = logging.getLogger(__name__)

RATE_HZ: Final = 16_000
CONNECT_S: Final = 10.0
_CLOCK_STEP: Final = 960


class BrowserLine:
    """Calls a widget key. `messages`: all that the server said, in order."""

    def __init__(
        self,
        site: str,
        key: str,
        caller: Caller,
        *,
        addresses: tuple[str, ...] = ("127.0.0.1",),
        variables: dict[str, str] | None = None,
        origin: str = "",
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.call = ""
        self.offered_at: float | None = None
        """When the offer was sent, by the loop's clock."""
        self._site = site.rstrip("/")
        self._origin = origin or self._site
        self._key = key
        self._caller = caller
        self._addresses = addresses
        self._variables = variables or {}
        self._resume = ""
        self._ended = asyncio.Event()
        self._connected = asyncio.Event()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._group: asyncio.TaskGroup | None = None
        self._socket: ClientConnection | None = None
        self._peer: WebRtcPeer | None = None
        self._codec = OpusCodec()
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._ssrc = secrets.randbits(32)

    async def hold(self) -> None:
        """The whole call: dials, talks until the caller is done or the other side ends it.

        Raises: CallFailedError.
        """
        async with asyncio.TaskGroup() as self._group:
            try:
                await self.open()
                await self.talk()
            finally:
                await self.close()

    # ------------------------------------------------------------------------------- the line

    async def open(self) -> None:
        """Socket, offer, answer, ICE, DTLS. Raises: CallFailedError."""
        await self._open_socket()
        peer, offer = await self._new_peer()
        start = {"type": "start", "v": 1, "key": self._key, "sdp": offer}
        self.offered_at = asyncio.get_running_loop().time()
        await self._send({**start, "variables": self._variables})
        await self._take_started(peer)

    async def reconnect(self) -> None:
        """Drops socket and peer without a word, and comes back into the call. Raises: CallFailedError."""
        await self._drop()
        await self._open_socket()
        peer, offer = await self._new_peer()
        await self._send({"type": "resume", "v": 1, "token": self._resume, "sdp": offer})
        await self._take_started(peer)

    async def close(self) -> None:
        """Hangs up and frees everything. Idempotent."""
        if self._socket is not None and not self._ended.is_set():
            try:
                await self._send({"type": "end"})
                await _until(self._ended, 2.0)
            except (CallFailedError, ConnectionClosed):
                log.debug("widget_socket_was_gone")
        await self._drop()

    async def _drop(self) -> None:
        self._connected.clear()
        socket, self._socket = self._socket, None
        peer, self._peer = self._peer, None
        if socket is not None:
            await socket.close()
        if peer is not None:
            await peer.close()

    async def _open_socket(self) -> None:
        url = f"{self._site.replace('http', 'ws', 1)}/ws/widget/"
        try:
            self._socket = await connect(url, origin=Origin(self._origin), proxy=None)
        except (OSError, WebSocketException, TimeoutError) as error:
            raise CallFailedError(f"the widget's socket: {error}") from error
        self._spawn("widget_socket", self._read(self._socket))

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                message = json.loads(text)
                self.messages.append(message)
                if message["type"] in {"started", "error"}:
                    self._answers.put_nowait(message)
                if message["type"] == "ended":
                    self._ended.set()
        except ConnectionClosed:
            log.debug("widget_socket_closed")

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is None:
            raise CallFailedError("the widget's socket is closed")
        await self._socket.send(json.dumps(message))

    async def _new_peer(self) -> tuple[WebRtcPeer, str]:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        settings = PeerSettings(addresses=self._addresses)
        peer = WebRtcPeer(
            settings, scheduler, self._spawn, on_rtp=self._packet, on_state=self._state
        )
        return peer, await peer.offer()

    async def _take_started(self, peer: WebRtcPeer) -> None:
        self._peer = peer
        try:
            async with asyncio.timeout(CONNECT_S):
                answer = await self._answers.get()
                if answer["type"] == "error":
                    raise CallFailedError(f"{answer['code']}: {answer.get('text', '')}")
                self.call, self._resume = answer["call"], answer["resume"]
                peer.take_answer(answer["sdp"])
                await self._connected.wait()
        except TimeoutError as error:
            raise CallFailedError("the call did not connect in time") from error
        self._caller.connected(asyncio.get_running_loop().time())

    def _state(self, state: PeerState, reason: str) -> None:
        if state is PeerState.CONNECTED:
            self._connected.set()

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            work.close()
            raise CallFailedError("a line lives inside `hold` or `within`")
        self._group.create_task(work, name=name)

    def within(self, group: asyncio.TaskGroup) -> BrowserLine:
        """The line with its tasks in this group, for calls that are not one `hold`."""
        self._group = group
        return self

    # ------------------------------------------------------------------------------- audio

    async def talk(self, until: Stage = Stage.DONE) -> None:
        """Sends a frame each 20 ms until the caller has reached the stage, or the call ended."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._ended.is_set() and self._caller.stage is not until:
            self.send_frame(loop.time())
            due += FRAME_S
            await _until(self._ended, max(0.0, due - loop.time()))

    def send_frame(self, now: float) -> None:
        """One frame of the caller's voice."""
        payload = self._codec.encode(self._caller.next_frame(now))
        packet = RtpPacket(111, self._sequence, self._timestamp, self._ssrc, payload)
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + _CLOCK_STEP & 0xFFFFFFFF
        if self._peer is not None:
            self._peer.send_rtp(build_packet(packet))

    def _packet(self, data: bytes) -> None:
        try:
            packet = parse_packet(data)
            pcm = self._codec.decode(packet.payload)
        except RtpError:
            return
        self._caller.heard(packet.timestamp // 3, pcm, asyncio.get_running_loop().time())

    def transcript(self) -> list[dict[str, str]]:
        """Final lines, as the page would show them."""
        return [
            {"role": message["role"], "text": message["text"]}
            for message in self.messages
            if message["type"] == "transcript" and message.get("final")
        ]


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
