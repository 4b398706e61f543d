"""SDP of one audio-only WebRTC stream: reads a browser's description, writes ours (RFC 8866, 8839, 8842, 7587).

No I/O. A description has exactly one media section, and it is audio: a second one, and above all `m=application`
(which would open SCTP), is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from telephony.webrtc.errors import OfferRefusedError

MAX_BYTES: Final = 32 * 1024
MAX_CANDIDATES: Final = 20
OUR_PAYLOAD_TYPE: Final = 111
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRRORED: Final = {"sendonly": "recvonly", "recvonly": "sendonly"}
_DIGESTS: Final = {"sha-256", "sha-384", "sha-512"}
_SETUPS: Final = {"actpass", "active", "passive"}
_CANDIDATE_TYPES: Final = {"host", "srflx", "relay"}


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """One UDP candidate with an address in figures; names (mDNS) are left to peer-reflexive discovery."""

    foundation: str
    priority: int
    host: str
    port: int
    kind: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digest of a DTLS certificate (RFC 8122)."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Description:
    """What the two sides tell each other. `setup`: DTLS role (RFC 8842); `mid` names the media section."""

    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    candidates: tuple[IceCandidate, ...]
    mid: str = "0"
    direction: str = "sendrecv"
    payload_type: int = OUR_PAYLOAD_TYPE

    @property
    def sends(self) -> bool:
        return self.direction in {"sendrecv", "sendonly"}

    @property
    def receives(self) -> bool:
        return self.direction in {"sendrecv", "recvonly"}


def mirrored(direction: str) -> str:
    """The answer's direction to an offered one (RFC 3264 6.1)."""
    return _MIRRORED.get(direction, direction)


def parse_description(sdp: str) -> Description:
    """Raises: OfferRefusedError naming what is wrong."""
    if len(sdp.encode("utf-8", "replace")) > MAX_BYTES:
        raise OfferRefusedError(f"a description may have {MAX_BYTES} bytes")
    lines = [line.strip() for line in sdp.splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise OfferRefusedError("a description begins with v=0")
    media = [line for line in lines if line.startswith("m=")]
    if len(media) != 1 or not media[0].startswith("m=audio "):
        raise OfferRefusedError("exactly one media section, audio, is accepted")
    attributes = [line[2:].partition(":")[::2] for line in lines if line.startswith("a=")]
    first = dict(reversed(attributes))
    _check_transport(media[0], first)
    return Description(
        ufrag=first["ice-ufrag"],
        password=first["ice-pwd"],
        fingerprints=_fingerprints(attributes),
        setup=_setup(first.get("setup", "")),
        candidates=_candidates(attributes),
        mid=first.get("mid", "0")[:32] or "0",
        direction=next((name for name in _DIRECTIONS if name in first), "sendrecv"),
        payload_type=_opus(attributes, media[0]),
    )


def _check_transport(media: str, first: dict[str, str]) -> None:
    if "UDP/TLS/RTP/SAVP" not in media:
        raise OfferRefusedError("audio must use DTLS-SRTP over UDP")
    ufrag, password = first.get("ice-ufrag", ""), first.get("ice-pwd", "")
    if not (4 <= len(ufrag) <= 256 and 22 <= len(password) <= 256):
        raise OfferRefusedError("ice-ufrag or ice-pwd is missing or has the wrong length")
    if "rtcp-mux" not in first:
        raise OfferRefusedError("rtcp-mux is required")
    if "ice-lite" in first:
        raise OfferRefusedError("two ice-lite sides cannot find each other")


def _fingerprints(attributes: list[tuple[str, str]]) -> tuple[Fingerprint, ...]:
    found = []
    for name, value in attributes:
        algorithm, _, digest = value.partition(" ")
        if name == "fingerprint" and algorithm.lower() in _DIGESTS and digest:
            found.append(Fingerprint(algorithm.lower(), digest.strip()))
    if not found:
        raise OfferRefusedError("no certificate fingerprint with a known digest")
    return tuple(found[:4])


def _setup(value: str) -> str:
    if value not in _SETUPS:
        raise OfferRefusedError("setup must be actpass, active or passive")
    return value


def _opus(attributes: list[tuple[str, str]], media: str) -> int:
    offered = media.split()[3:]
    for name, value in attributes:
        number, _, codec = value.partition(" ")
        if name != "rtpmap" or not codec.lower().startswith("opus/48000"):
            continue
        if number in offered and number.isascii() and number.isdigit() and int(number) < 128:
            return int(number)
    raise OfferRefusedError("the audio section offers no Opus")


def _candidates(attributes: list[tuple[str, str]]) -> tuple[IceCandidate, ...]:
    values = [value for name, value in attributes if name == "candidate"]
    if len(values) > MAX_CANDIDATES:
        raise OfferRefusedError(f"at most {MAX_CANDIDATES} candidates are accepted")
    return tuple(c for c in map(_candidate, values) if c is not None)


def _candidate(value: str) -> IceCandidate | None:
    """None for what we cannot use: TCP, other components, names; checks from there still find us."""
    words = value.split()
    if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp" or words[6] != "typ":
        return None
    if not (words[3].isdigit() and words[5].isdigit()) or words[7] not in _CANDIDATE_TYPES:
        return None
    try:
        host = str(ip_address(words[4]))
    except ValueError:
        return None
    port = int(words[5])
    return IceCandidate(words[0], int(words[3]), host, port, words[7]) if 0 < port < 65536 else None


def write_description(description: Description, session: int, *, name: str = "voice") -> str:
    """Our offer or answer; `session` is the number of the `o=` line, `name` that of stream and track."""
    number = description.payload_type
    lines = [
        "v=0",
        f"o=- {session} 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {description.mid}",
        "a=msid-semantic: WMS *",
        f"m=audio 9 UDP/TLS/RTP/SAVPF {number}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        *(
            f"a=candidate:{c.foundation} 1 udp {c.priority} {c.host} {c.port} typ {c.kind}"
            for c in description.candidates
        ),
        "a=end-of-candidates",
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.password}",
        *(f"a=fingerprint:{f.algorithm} {f.value}" for f in description.fingerprints),
        f"a=setup:{description.setup}",
        f"a=mid:{description.mid}",
        f"a={description.direction}",
        f"a=msid:{name} {name}",
        "a=rtcp-mux",
        f"a=rtpmap:{number} opus/48000/2",
        f"a=fmtp:{number} minptime=10;useinbandfec=1",
        "a=ptime:20",
    ]
    return "\r\n".join(lines) + "\r\n"
