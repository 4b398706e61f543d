"""One leg's slow path as data: what the arrays of the slots do not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network

from telephony.media.addresses import AddressBook, is_v6
from telephony.media.handles import SlotHandle
from telephony.media.ordered import OrderedDecoder
from telephony.media.parameters import RtpParameters
from telephony.media.slots import FRAME_SAMPLES
from telephony.rtp.dtmf import DigitReceiver
from telephony.rtp.latch import Latch, LatchRule, Source
from telephony.rtp.lengths import PacketLengths
from telephony.rtp.recut import Recutter
from telephony.rtp.srtp import SrtpSession


@dataclass(slots=True)
class Leg:
    """What the arrays do not hold. `latch` is None while the source is known and not to be learnt again."""

    row: int
    handle: SlotHandle
    parameters: RtpParameters
    signalled: Source
    started_at: float
    latch: Latch | None
    ever_latched: bool = False
    may_move: bool = True
    """A new SDP allows another source at once; a mere silence only the same stream."""
    secure: SrtpSession | None = None
    """None: plain RTP."""
    decoder: OrderedDecoder | None = None
    """For what is not G.711 on a narrow slot; `decoded` is the sequence number up to which it has followed."""
    decoded: int = -1
    newest_payload: bytes = b""
    """Of the packets that go to the decoder."""
    digits: DigitReceiver = field(default_factory=DigitReceiver)
    lengths: PacketLengths = field(default_factory=PacketLengths)
    recutter: Recutter = field(default_factory=lambda: Recutter(FRAME_SAMPLES))
    probation: tuple[int, int, int, int] = (0, 0, 0, 0)
    """(ssrc, next sequence, next timestamp's step base, packets in order) of a stream that does not fit."""


def latch_rule(parameters: RtpParameters, signalled: Source, addresses: AddressBook) -> LatchRule:
    """The guard of one leg, from its SDP and its trunk. Networks of the other family say nothing to it."""
    v6 = is_v6(parameters.remote[0])
    sixth = tuple(net for net in parameters.media_networks if v6 and isinstance(net, IPv6Network))
    networks = tuple(
        (int(net.network_address), int(net.netmask))
        for net in parameters.media_networks
        if not v6 and isinstance(net, IPv4Network)
    )
    accepted = {parameters.payload_type, *(number for number, _ in parameters.accepted)}
    # A key may be pressed before anything is said, and a silent phone may send comfort noise alone.
    beside = (parameters.dtmf_payload_type, parameters.comfort_noise_payload_type)
    accepted.update(number for number in beside if number is not None)
    ptime = max(parameters.ptime_ms, 20) / 1000
    further = partial(addresses.lies_in, networks=sixth) if sixth else None
    return LatchRule(signalled, networks, frozenset(accepted), ptime, further)
