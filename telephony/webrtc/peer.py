"""One WebRTC peer connection with one Opus stream: the only home of aiortc.

aiortc does ICE and DTLS; its RTP half (80 ms of jitter buffer, a decoder thread per call, no concealment) is not used:
SRTP is unprotected and protected here, in the loop, and plain RTP goes to and comes from the media plane. That needs
private names of aiortc and aioice, all of them in this package and checked at start for the versions below.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import pylibsrtp
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
)

from telephony.call.ports import Scheduler, TimerHandle
from telephony.webrtc.description import (
    Description,
    Fingerprint,
    IceCandidate,
    mirrored,
    parse_description,
    write_description,
)
from telephony.webrtc.errors import OfferRefusedError, WebRtcUnavailableError
from telephony.webrtc.guard import DatagramGuard
from telephony.webrtc.reports import StreamReports

log = logging.getLogger(__name__)

KNOWN_VERSIONS: Final = {("1.16", "0.13")}
_CERTIFICATE_LIFE: Final = 24 * 3600.0
_COMPONENT: Final = 1

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]
"""Starts a task that the process owns; a failure is logged there and ends nothing else."""


class PeerState(StrEnum):
    """Where a peer is. From DISCONNECTED it may come back; CLOSED is final."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """`addresses`: host candidates (empty: all of this machine). `ice_servers`: URLs; none is contacted unless set.

    `silence`: seconds without any datagram of the peer until it counts as disconnected.
    """

    addresses: tuple[str, ...] = ()
    ice_servers: tuple[str, ...] = ()
    connect_timeout: float = 15.0
    silence: float = 3.0
    silence_listener: float = 8.0
    report_interval: float = 5.0


@cache
def unavailable_reason() -> str | None:
    """Why browser calls are off on this node, in words for the health page; None if they are on."""
    found = version("aiortc"), version("aioice")
    if tuple(".".join(v.split(".")[:2]) for v in found) not in KNOWN_VERSIONS:
        known = ", ".join(f"aiortc {a} with aioice {b}" for a, b in sorted(KNOWN_VERSIONS))
        return f"aiortc {found[0]} with aioice {found[1]} is not known here; use {known}"
    missing = _missing_names()
    return f"aiortc or aioice lacks {', '.join(missing)}" if missing else None


def _missing_names() -> list[str]:
    gatherer = RTCIceGatherer(iceServers=[])
    connection = gatherer._connection
    dtls = RTCDtlsTransport(RTCIceTransport(gatherer), [_Certificate.current(0.0)])
    wanted: dict[Any, tuple[str, ...]] = {
        connection: (
            "_protocols",
            "_check_list",
            "_nominated",
            "_queue",
            "data_received",
            "get_component_candidates",
            "ice_controlling",
        ),
        dtls: ("_rx_srtp", "_tx_srtp", "_set_role", "_recv_next"),
    }
    return [name for thing, names in wanted.items() for name in names if not hasattr(thing, name)]


class _Certificate:
    """The process's DTLS certificate: making one takes a millisecond, and callers gain nothing by their own."""

    _made: RTCCertificate | None = None
    _made_at: float = 0.0

    @classmethod
    def current(cls, now: float) -> RTCCertificate:
        if cls._made is None or now - cls._made_at > _CERTIFICATE_LIFE:
            cls._made, cls._made_at = RTCCertificate.generateCertificate(), now
        return cls._made


class WebRtcPeer:
    """Answers one offer (`accept`), or makes one (`offer`, `take_answer`); all calls in the loop's thread.

    `on_rtp` gets plain RTP as it arrives; `on_state` each change with its reason, and CLOSED exactly once.
    """

    def __init__(
        self,
        settings: PeerSettings,
        scheduler: Scheduler,
        spawn: Spawn,
        *,
        on_rtp: Callable[[bytes], None],
        on_state: Callable[[PeerState, str], None],
    ) -> None:
        reason = unavailable_reason()
        if reason:
            raise WebRtcUnavailableError(reason)
        self.state = PeerState.NEW
        self.remote: Description | None = None
        self._settings = settings
        self._scheduler = scheduler
        self._spawn = spawn
        self._on_rtp = on_rtp
        self._on_state = on_state
        servers = [RTCIceServer(urls=url) for url in settings.ice_servers]
        self._gatherer = RTCIceGatherer(iceServers=servers)
        self._connection: Any = self._gatherer._connection
        self._ice = RTCIceTransport(self._gatherer)
        certificate = _Certificate.current(scheduler.monotonic())
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._guard = DatagramGuard(self._connection, self._media_arrived, self._peer_alive)
        self._reports = StreamReports("voice")
        self._heard_at = scheduler.monotonic()
        self._session = int.from_bytes((self._ice_parameters.password or "").encode()[:6], "big")
        self._timers: dict[str, TimerHandle] = {}
        self._closing = False

    # ------------------------------------------------------------------------------------ signalling

    async def accept(self, sdp: str) -> str:
        """The answer to an offer; the connection then comes up by itself or frees everything after 15 s.

        Raises: OfferRefusedError.
        """
        self.remote = parse_description(sdp)
        await self._gather()
        role = "passive" if self.remote.setup == "active" else "active"
        self._dtls._set_role("server" if role == "passive" else "client")
        answer = self._describe(
            role, self.remote.mid, mirrored(self.remote.direction), self.remote.payload_type
        )
        self._connect()
        return answer

    async def offer(self, direction: str = "sendrecv") -> str:
        """Our own offer, for a client; `take_answer` must follow."""
        self._connection.ice_controlling = True
        await self._gather()
        return self._describe("actpass", "0", direction, 111)

    def take_answer(self, sdp: str) -> None:
        """Raises: OfferRefusedError."""
        self.remote = parse_description(sdp)
        if self.remote.setup == "actpass":
            raise OfferRefusedError("an answer decides the DTLS role")
        self._dtls._set_role("server" if self.remote.setup == "active" else "client")
        self._connect()

    @property
    def _ice_parameters(self) -> RTCIceParameters:
        return self._gatherer.getLocalParameters()

    async def _gather(self) -> None:
        ours = self._connection.get_component_candidates

        async def from_configured(component: int, addresses: list[str]) -> Any:
            wanted = list(self._settings.addresses) or [*addresses, "127.0.0.1"]
            return await ours(component, wanted)

        self._connection.get_component_candidates = from_configured
        await self._gatherer.gather()
        self._guard.stand_before()

    def _describe(self, setup: str, mid: str, direction: str, payload_type: int) -> str:
        candidates = tuple(
            IceCandidate(c.foundation, c.priority, c.ip, c.port, c.type)
            for c in self._gatherer.getLocalCandidates()
        )
        digests = self._dtls.getLocalParameters().fingerprints
        description = Description(
            ufrag=self._ice_parameters.usernameFragment or "",
            password=self._ice_parameters.password or "",
            fingerprints=tuple(
                Fingerprint(d.algorithm, d.value) for d in digests if d.algorithm == "sha-256"
            ),
            setup=setup,
            candidates=candidates,
            mid=mid,
            direction=direction,
            payload_type=payload_type,
        )
        return write_description(description, self._session)

    # ------------------------------------------------------------------------------------ life

    def _connect(self) -> None:
        self._enter(PeerState.CONNECTING, "")
        self._set_timer("connect", self._settings.connect_timeout, self._give_up)
        if self.remote is not None:
            self._spawn("webrtc_connect", self._run_connect(self.remote))

    async def _run_connect(self, remote: Description) -> None:
        for candidate in remote.candidates:
            await self._ice.addRemoteCandidate(_for_aiortc(candidate))
        # The end of candidates is never told to aioice: a page behind mDNS names sends none that we
        # can use, and is found by its own checks; the connect timer bounds the wait.
        await self._ice.start(
            RTCIceParameters(usernameFragment=remote.ufrag, password=remote.password)
        )
        if self._ice.state != "completed":
            await self._fail("no candidate pair worked")
            return
        digests = [RTCDtlsFingerprint(f.algorithm, f.value) for f in remote.fingerprints]
        await self._dtls.start(RTCDtlsParameters(fingerprints=digests))
        if self._dtls.state != "connected":
            await self._fail("the DTLS handshake failed")
            return
        self._dtls.on("statechange", self._transport_changed)
        self._ice.on("statechange", self._transport_changed)
        self._cancel_timer("connect")
        self._peer_alive()
        self._enter(PeerState.CONNECTED, "")
        self._watch()
        self._report()

    async def _fail(self, reason: str) -> None:
        if not self._closing:
            await self.close(reason)

    def _give_up(self) -> None:
        self._spawn("webrtc_give_up", self.close("not connected in time"))

    def _transport_changed(self) -> None:
        if not self._closing and (
            self._dtls.state in {"closed", "failed"} or self._ice.state in {"closed", "failed"}
        ):
            self._spawn("webrtc_gone", self.close("closed by the peer"))

    def _watch(self) -> None:
        """Tells silence from presence twice a second; a closed laptop sends no goodbye."""
        sends = self.remote is not None and self.remote.sends
        limit = self._settings.silence if sends else self._settings.silence_listener
        if self._scheduler.monotonic() - self._heard_at > limit:
            self._enter(PeerState.DISCONNECTED, "nothing heard from the peer")
        self._set_timer("watch", 0.5, self._watch)

    def _peer_alive(self) -> None:
        self._heard_at = self._scheduler.monotonic()
        if self.state is PeerState.DISCONNECTED:
            self._enter(PeerState.CONNECTED, "heard again")

    def _enter(self, state: PeerState, reason: str) -> None:
        if self.state in {state, PeerState.CLOSED}:
            return
        log.debug("peer_state_changed", extra={"old": self.state, "new": state, "reason": reason})
        self.state = state
        self._on_state(state, reason)

    async def close(self, reason: str = "closed") -> None:
        """Frees sockets, keys and timers. Idempotent."""
        if self._closing:
            return
        self._closing = True
        for name in list(self._timers):
            self._cancel_timer(name)
        self._enter(PeerState.CLOSED, reason)
        await self._dtls.stop()
        await self._ice.stop()
        self._dtls.remove_all_listeners()

    # ------------------------------------------------------------------------------------ media

    def send_rtp(self, packet: bytes) -> bool:
        """Protects and sends one RTP packet; False if there is no connection to send it on."""
        if not self._send(packet, rtcp=False):
            return False
        self._reports.sent(packet, self._scheduler.monotonic())
        return True

    def _send(self, packet: bytes, *, rtcp: bool) -> bool:
        session: pylibsrtp.Session | None = self._dtls._tx_srtp
        pair = self._connection._nominated.get(_COMPONENT)
        if session is None or pair is None or self._closing:
            return False
        try:
            protected = session.protect_rtcp(packet) if rtcp else session.protect(packet)
        except pylibsrtp.Error:
            self._guard.counters["protect_failed"] += 1
            return False
        pair.protocol.transport.sendto(protected, pair.remote_addr)
        return True

    def _media_arrived(self, data: bytes) -> None:
        session: pylibsrtp.Session | None = self._dtls._rx_srtp
        if session is None or self._closing:
            self._guard.counters["media_before_keys"] += 1
            return
        now = self._scheduler.monotonic()
        try:
            if 192 <= data[1] <= 223:  # RFC 5761 4
                if not self._reports.take(session.unprotect_rtcp(data), now):
                    self._guard.counters["malformed_rtcp"] += 1
                return
            packet = session.unprotect(data)
        except (pylibsrtp.Error, IndexError):
            self._guard.counters["unprotect_failed"] += 1
            return
        self._reports.received(packet, now)
        self._on_rtp(packet)

    def _report(self) -> None:
        compound = self._reports.compound(self._session & 0xFFFFFFFF, self._scheduler.monotonic())
        self._send(compound, rtcp=True)
        self._set_timer("report", self._settings.report_interval, self._report)

    @property
    def round_trip(self) -> float | None:
        """Seconds, by the peer's last report."""
        return self._reports.round_trip

    def dropped(self) -> dict[str, int]:
        """Datagrams that were refused, by reason."""
        return dict(self._guard.counters)

    # ------------------------------------------------------------------------------------ timers

    def _set_timer(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel_timer(name)
        self._timers[name] = self._scheduler.call_later(seconds, callback)

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _for_aiortc(candidate: IceCandidate) -> RTCIceCandidate:
    return RTCIceCandidate(
        component=_COMPONENT,
        foundation=candidate.foundation,
        ip=candidate.host,
        port=candidate.port,
        priority=candidate.priority,
        protocol="udp",
        type=candidate.kind,
    )
