"""A browser: one media slot that outlives its peer connections. A new offer replaces the connection, not the leg."""

from __future__ import annotations

from typing import Final, Protocol, Self

from telephony.call.commands import CallCommand, ConnectLeg, LoseLeg, RemoveLeg
from telephony.call.errors import CallGoneError
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import Scheduler
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.media.commands import Remove, ReportTransport
from telephony.media.handles import SlotHandle
from telephony.webrtc.description import OUR_PAYLOAD_TYPE
from telephony.webrtc.media_path import Spawn
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer

WEBRTC_RATE_HZ: Final = 16_000
CODEC: Final = "opus"


class Calls(Protocol):
    """Where the leg's facts go: the mailbox of its call."""

    def post(self, command: CallCommand) -> None: ...


class WebRtcLeg:
    """A leg by WebRTC (`LegControl`): of a caller, or of a supervisor who listens."""

    def __init__(
        self,
        leg: LegId,
        plane: Plane,
        settings: PeerSettings,
        scheduler: Scheduler,
        spawn: Spawn,
    ) -> None:
        self.id = leg
        self._plane = plane
        self._settings = settings
        self._scheduler = scheduler
        self._spawn = spawn
        self._slot: SlotHandle | None = None
        self._payload_type = OUR_PAYLOAD_TYPE
        self._peer: WebRtcPeer | None = None
        self._call: Calls | None = None
        self._media: CallMedia | None = None
        self._gone = False

    def bind(self, call: Calls, media: CallMedia) -> Self:
        """The call this leg belongs to; before the command that adds the leg."""
        self._call, self._media = call, media
        self._attach()
        return self

    async def take_offer(self, sdp: str) -> str:
        """The answer to a first or a further offer; the old connection, if any, is closed.

        Raises: OfferRefusedError, WebRtcUnavailableError, NoMediaCapacityError, CodecUnavailableError; CallGoneError
        if the leg was closed meanwhile.
        """
        peer = self._new_peer()
        try:
            answer = await peer.accept(sdp)
            if self._gone:
                raise CallGoneError("the leg was closed")
            self._need_slot(peer.remote.payload_type if peer.remote else OUR_PAYLOAD_TYPE)
        except BaseException:
            await peer.close("refused")
            raise
        old, self._peer = self._peer, peer
        if old is not None:
            if (
                old.state is PeerState.CONNECTED
            ):  # one that never was is no loss: a leg without audio would end by it
                self._lose("replaced")
            self._spawn("webrtc_replaced", old.close("replaced"))
        return answer

    def _new_peer(self) -> WebRtcPeer:
        holder: list[WebRtcPeer] = []

        def state(state: PeerState, reason: str) -> None:
            if holder and holder[0] is self._peer:
                self._peer_changed(state, reason)

        def report() -> None:
            if holder and holder[0] is self._peer:
                self._tell_plane()

        peer = WebRtcPeer(
            self._settings,
            self._scheduler,
            self._spawn,
            on_rtp=self._heard,
            on_state=state,
            on_report=report,
        )
        holder.append(peer)
        return peer

    def _need_slot(self, payload_type: int) -> None:
        """The slot is kept over reconnects, so that the agent's ear stays on it, unless the payload type moved."""
        if self._slot is not None and payload_type == self._payload_type:
            return
        if self._slot is not None and self._media is not None:
            self._media.detach(self.id)
        self._payload_type = payload_type
        self._slot = self._plane.add_packet_slot(self._send, payload_type=payload_type)
        self._attach()

    def _attach(self) -> None:
        if self._media is not None and self._slot is not None:
            self._media.attach(self.id, self._slot, WEBRTC_RATE_HZ)

    def _send(self, packet: bytes) -> None:
        if self._peer is not None:
            self._peer.send_rtp(packet)

    def _heard(self, packet: bytes) -> None:
        if self._slot is not None:
            self._plane.packet_arrived(self._slot, packet)

    def _peer_changed(self, state: PeerState, reason: str) -> None:
        if self._gone or self._call is None:
            return
        self._tell_plane()
        if state is PeerState.CONNECTED:
            self._call.post(ConnectLeg(leg=self.id, codec=CODEC))
        elif state is PeerState.CLOSED and self.id != CALLER:
            self._call.post(RemoveLeg(leg=self.id, reason=reason))
        elif state in {PeerState.DISCONNECTED, PeerState.CLOSED}:
            self._lose(reason)

    def _tell_plane(self) -> None:
        """Whether audio is to come, and what the peer says of ours."""
        peer = self._peer
        if self._slot is None or peer is None or self._gone:
            return
        talks = peer.remote is not None and peer.remote.sends
        up = peer.state is PeerState.CONNECTED
        self._plane.apply(
            ReportTransport(self._slot, up and talks, peer.round_trip, peer.remote_loss)
        )

    def _lose(self, reason: str) -> None:
        if self._call is not None and not self._gone:
            self._call.post(LoseLeg(leg=self.id, reason=reason))

    # ------------------------------------------------------------------------------- LegControl

    def answer(self) -> None:
        """Nothing to do: the answer left with the signalling, and the connection comes up by itself."""

    def ring(self, *, early_media: bool) -> None:
        """Nothing to do: a browser has its connection from the beginning, and hears what is routed to it."""

    def become(self, leg: LegId) -> None:
        self.id = leg

    def close(self, cause: str) -> None:
        """Idempotent."""
        if self._gone:
            return
        self._gone = True
        if self._peer is not None:
            self._spawn("webrtc_close", self._peer.close(cause))
        if self._media is not None:
            self._media.detach(self.id)
        elif self._slot is not None:  # no call took the leg
            self._plane.apply(Remove(self._slot))
