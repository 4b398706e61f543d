"""One WebRTC peer connection with one Opus stream: the only home of aiortc.

aiortc does ICE and DTLS; its RTP half (80 ms of jitter buffer, a decoder thread per call, no concealment) is not used:
plain RTP goes to and comes from the media plane (`telephony.webrtc.media_path`). That needs private names of aiortc and
aioice, all of them in this package and checked at start (`telephony.webrtc.adapter`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiortc import (
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
from telephony.rtp.errors import RtpError
from telephony.webrtc.adapter import Stage, adapter
from telephony.webrtc.certificate import current_certificate
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
from telephony.webrtc.media_path import MediaPath, PublicMedia, Spawn, TappedMedia

log = logging.getLogger(__name__)

_COMPONENT: Final = 1


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


class WebRtcPeer:
    """Answers one offer (`accept`), or makes one (`offer`, `take_answer`); all calls in the loop's thread.

    `on_rtp` gets plain RTP as it arrives; `on_state` each change with its reason, and CLOSED exactly once; `on_report`
    is called when `round_trip` and `remote_loss` may have changed.
    """

    def __init__(
        self,
        settings: PeerSettings,
        scheduler: Scheduler,
        spawn: Spawn,
        *,
        on_rtp: Callable[[bytes], None],
        on_state: Callable[[PeerState, str], None],
        on_report: Callable[[], None] = lambda: None,
    ) -> None:
        chosen = adapter()
        if chosen.stage is Stage.OFF:
            raise WebRtcUnavailableError(chosen.reason)
        self.state = PeerState.NEW
        self.remote: Description | None = None
        self._settings = settings
        self._scheduler = scheduler
        self._spawn = spawn
        self._on_state = on_state
        self._on_report = on_report
        servers = [RTCIceServer(urls=url) for url in settings.ice_servers]
        self._gatherer = RTCIceGatherer(iceServers=servers)
        self._connection: Any = self._gatherer._connection
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [current_certificate(scheduler.monotonic())])
        self._tapped = chosen.stage is Stage.TAP
        self._path: MediaPath
        if self._tapped:
            self._path = TappedMedia(self._connection, self._dtls, on_rtp, self._count)
        else:
            self._path = PublicMedia(self._dtls, on_rtp, spawn)
        self._guard = DatagramGuard(
            self._connection,
            self._media_arrived if self._path.takes_datagrams else None,
            self._peer_alive,
            scheduler.monotonic,
        )
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
        self._take_role("server" if role == "passive" else "client")
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
        self._take_role("server" if self.remote.setup == "active" else "client")
        self._connect()

    def _take_role(self, role: str) -> None:
        """Raises: OfferRefusedError, if only the other role is to be had."""
        if self._tapped:
            self._dtls._set_role(role)
        elif role != ("server" if self._connection.ice_controlling else "client"):
            # The public API derives the DTLS role from that of ICE.
            raise OfferRefusedError("this DTLS role is not available here")

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
        try:
            self._path.start(remote.payload_type, remote.mid)
        except (KeyError, RtpError) as error:  # an unknown SRTP profile; keys that libsrtp refuses
            log.warning("peer_keys_refused", extra={"error": repr(error)})
            await self._fail("no usable keys for the audio")
            return
        self._cancel_timer("connect")
        self._guard.in_call = True
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
        await self._path.stop(self._session & 0xFFFFFFFF, self._scheduler.monotonic())
        await self._dtls.stop()
        await self._ice.stop()
        self._dtls.remove_all_listeners()

    # ------------------------------------------------------------------------------------ media

    def send_rtp(self, packet: bytes) -> bool:
        """Protects and sends one RTP packet; False if there is no connection to send it on."""
        return not self._closing and self._path.send(packet, self._scheduler.monotonic())

    def _media_arrived(self, data: bytes) -> None:
        if not self._closing and self._path.arrived(data, self._scheduler.monotonic()):
            self._on_report()

    def _report(self) -> None:
        self._path.report(self._session & 0xFFFFFFFF, self._scheduler.monotonic())
        self._set_timer("report", self._settings.report_interval, self._report)
        if not self._path.takes_datagrams:
            self._on_report()

    def _count(self, reason: str) -> None:
        self._guard.counters[reason] += 1

    @property
    def round_trip(self) -> float | None:
        """Seconds, by the peer's last report."""
        return self._path.round_trip

    @property
    def remote_loss(self) -> float | None:
        """0..1 of what we sent lately, by the same."""
        return self._path.remote_loss

    def dropped(self) -> dict[str, int]:
        """Datagrams that were refused, by reason."""
        return self._guard.dropped()

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
