"""The audio of a leg by SIP: what a trunk lets us offer, the slot it is carried by, and what the plane has to know.

Codecs, SRTP, digits and the networks of its media come from the trunk; a phone without one gets what all phones know.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Self

from telephony.legs.plane_port import Plane
from telephony.media.addresses import is_v6
from telephony.media.handles import SlotHandle
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import (
    CODECS,
    G722,
    OPUS,
    PCMA,
    PCMU,
    Agreed,
    Capabilities,
    Codec,
    NotAcceptable,
    SrtpPolicy,
)
from telephony.sdp.stream import is_loopback
from telephony.trunks import DtmfMode, Extension, Trunk

_DISCARD: Final = 9
_ANY_PHONE: Final = ("PCMU", "PCMA", "G722", "OPUS")
"""Codecs of a phone that nobody has set up, as the phones of old have them first."""
_NOWHERE: Final = ("0.0.0.0", "::")


class UnacceptableOfferError(Exception):
    """The SDP cannot be used; `warning` is the value of a Warning header for the 488."""

    def __init__(self, reason: str, warning: str) -> None:
        super().__init__(reason)
        self.warning = warning


@dataclass(frozen=True, slots=True, kw_only=True)
class LegPolicy:
    """What a leg may do. `address`: what our SDP names as ours; `other_address`: for offers of the other family.

    `trunk`: its name, empty for phones of ours. `media_networks`: where audio may come from beside the address of the
    SDP. `local`: the other side is on this machine.
    """

    address: str
    other_address: str = ""
    trunk: str = ""
    codecs: tuple[Codec, ...] = (PCMU, PCMA, G722, OPUS)
    srtp: SrtpPolicy = SrtpPolicy.OFF
    dtmf: DtmfMode = "auto"
    media_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    local: bool = False

    @property
    def v6(self) -> bool:
        """Whether our address is one of IPv6."""
        return is_v6(self.address)

    def heard_from(self, source: str) -> Self:
        """The same for signalling from this address."""
        return replace(self, local=is_loopback(source))

    def towards(self, address: str) -> Self:
        """The same for a leg whose audio goes to this address, and to none of the other family any more."""
        ours = self.address
        if self.other_address and is_v6(address) is not self.v6:
            ours = self.other_address
        return replace(self, address=ours, other_address="")

    def capabilities(self, port: int) -> Capabilities:
        """What our SDP says with this port. Keys are made when they are needed."""
        return Capabilities(
            self.address,
            port,
            codecs=self.codecs,
            dtmf=self.dtmf in ("auto", "rfc4733"),
            srtp=self.srtp,
            new_key=secrets.token_bytes,
            other_address=self.other_address,
            local=self.local,
        )


@dataclass(frozen=True, slots=True)
class Addresses:
    """What our SDP names as ours, by family; empty: nothing of that family is open."""

    v4: str = ""
    v6: str = ""

    @property
    def host(self) -> str:
        """One of them, as it stands in a URI."""
        return self.v4 or f"[{self.v6}]"

    def towards(self, host: str) -> tuple[str, str]:
        """Ours of this host's family, as far as there is one, and the other one."""
        if self.v6 and (is_v6(host) or not self.v4):
            return self.v6, self.v4
        return self.v4, self.v6


def policy_of(
    trunk: Trunk | None,
    addresses: tuple[str, str],
    *,
    secure: bool,
    phone: Extension | None = None,
) -> LegPolicy:
    """The policy of a trunk's legs, or of a phone's. `addresses`: ours, and that of the other family.

    `secure`: the signalling is encrypted, and so may be its keys.

    Raises: UnacceptableOfferError for a trunk that wants SRTP over signalling that everybody can read.
    """
    if trunk is None:
        srtp = SrtpPolicy.OPTIONAL if secure else SrtpPolicy.OFF
        names = phone.codecs if phone is not None else _ANY_PHONE
        codecs = tuple(CODECS[name] for name in names)
        return LegPolicy(address=addresses[0], other_address=addresses[1], srtp=srtp, codecs=codecs)
    srtp = SrtpPolicy(trunk.srtp)
    if srtp is not SrtpPolicy.OFF and not (secure or trunk.srtp_without_tls):
        if srtp is SrtpPolicy.REQUIRED:
            raise UnacceptableOfferError(
                "SRTP without TLS", '399 voiceapp "SRTP is taken over TLS only"'
            )
        srtp = SrtpPolicy.OFF
    address, other_address = (_advertised(trunk, ours) for ours in addresses)
    return LegPolicy(
        address=address,
        other_address=other_address,
        trunk=trunk.name,
        codecs=tuple(CODECS[name] for name in trunk.codecs),
        srtp=srtp,
        dtmf=trunk.dtmf,
        media_networks=trunk.media_networks,
    )


def _advertised(trunk: Trunk, ours: str) -> str:
    """What the trunk is to be told instead of an address of ours, if that is of the same family."""
    same_family = bool(ours and trunk.advertised) and is_v6(trunk.advertised) is is_v6(ours)
    return trunk.advertised if same_family else ours


@dataclass(frozen=True, slots=True)
class RtpPlace:
    """A reserved slot and what our SDP says of it."""

    slot: SlotHandle
    port: int
    policy: LegPolicy

    @property
    def capabilities(self) -> Capabilities:
        return self.policy.capabilities(self.port)


def reserve(
    plane: Plane, policy: LegPolicy, offer: bytes | None, source: str
) -> tuple[RtpPlace, Agreed | None]:
    """Judges the offer and reserves a slot for it; without an offer only the slot. `source`: who sent the INVITE.

    Raises: UnacceptableOfferError, NoMediaCapacityError.
    """
    policy = policy.heard_from(source)
    if offer is None:
        slot, port = plane.reserve_rtp(None, nat=True, v6=policy.v6)
        return RtpPlace(slot, port, policy.towards(policy.address)), None
    heard = offer_answer.hear(offer, policy.capabilities(_DISCARD))
    if isinstance(heard, NotAcceptable):
        raise UnacceptableOfferError(heard.reason, heard.warning)
    slot, port = plane.reserve_rtp(heard.remote, nat=heard.remote[0] != source)
    place = RtpPlace(slot, port, policy.towards(heard.remote[0]))
    return place, offer_answer.reply(heard, place.capabilities)


def rtp_parameters(agreed: Agreed, policy: LegPolicy, source: str) -> RtpParameters:
    """What the plane needs of an agreement. `source`: where the signalling came from, for phones behind NAT."""
    parameters = RtpParameters(
        remote=(agreed.remote_address, agreed.remote_port),
        payload_type=agreed.send_payload_type,
        codec=MediaCodec(agreed.codec.name),
        accepted=tuple((number, MediaCodec(codec.name)) for number, codec in agreed.accepted),
        dtmf_payload_type=agreed.dtmf_receive_type,
        dtmf_send_payload_type=agreed.dtmf_send_type,
        dtmf_rate_hz=agreed.dtmf_rate_hz,
        comfort_noise_payload_type=agreed.comfort_noise_type,
        inband_digits=_hears_tones(agreed, policy),
        media_networks=_networks(agreed, policy, source),
        ptime_ms=agreed.ptime_ms,
        sending=agreed.direction.sends,
        receiving=agreed.direction.receives,
        rtcp_mux=agreed.rtcp_mux,
        remote_rtcp=agreed.remote_rtcp,
        srtp=agreed.crypto,
        fec=agreed.fec,
        max_bitrate=agreed.max_bitrate,
    )
    if agreed.remote_address not in _NOWHERE:
        return parameters
    return replace(parameters, sending=False, remote=(agreed.remote_address, 0), remote_rtcp=None)


def is_held(agreed: Agreed) -> bool:
    """They do not want to hear us, in today's words or in those of RFC 2543."""
    return agreed.held or agreed.remote_address in _NOWHERE


def _hears_tones(agreed: Agreed, policy: LegPolicy) -> bool:
    """Digits in the audio where the trunk says so, or where nothing else was agreed on."""
    if policy.dtmf == "inband":
        return True
    return policy.dtmf == "auto" and agreed.dtmf_receive_type is None


def _networks(
    agreed: Agreed, policy: LegPolicy, source: str
) -> tuple[IPv4Network | IPv6Network, ...]:
    if agreed.remote_address == source:
        return policy.media_networks
    try:
        own = ip_network(source)  # a phone behind NAT
    except ValueError:
        return policy.media_networks
    return (*policy.media_networks, own)
