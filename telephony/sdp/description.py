"""Session descriptions as values (RFC 8866): tolerant reading, strict writing, unknown lines kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

from telephony.sdp.errors import SdpError

Line = tuple[str, str]

MAX_MEDIA: Final = 8
MAX_FORMATS: Final = 64
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_PORT: Final = re.compile(r"([0-9]{1,5})(?:/[0-9]{1,5})?", re.ASCII)
_RTPMAP: Final = re.compile(r"([0-9]{1,3})[ \t]+([^/\s]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?", re.ASCII)
_SHORT: Final = 40  # what is longer is not kept in memory
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")


class Direction(Enum):
    """RFC 8866 6.7, seen from whoever wrote the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> "Direction":
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def mirrored(self) -> "Direction":
        """The same stream seen from the other end."""
        return Direction.of(sends=self.receives, receives=self.sends)


@dataclass(frozen=True, slots=True)
class RtpMap:
    """Encoding name in upper case, and RTP clock rate."""

    name: str
    rate_hz: int
    channels: int = 1


# RFC 3551 6; those a phone may offer without a=rtpmap.
STATIC_TYPES: Final = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    13: RtpMap("CN", 8000),
    18: RtpMap("G729", 8000),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line."""

    username: str
    session_id: int
    version: int
    address: str

    def __str__(self) -> str:
        family = "IP6" if ":" in self.address else "IP4"
        return f"{self.username} {self.session_id} {self.version} IN {family} {self.address}"


@dataclass(frozen=True)
class Media:
    """One m= section; `lines` are those below it, as (letter, value)."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = field(default=(), repr=False)  # they may hold keys

    def __str__(self) -> str:
        return " ".join((self.kind, str(self.port), self.protocol, *self.formats))

    @cached_property
    def _said(self) -> dict[str, tuple[str, ...]]:
        """Values of a= lines by name; flags have an empty one."""
        found: dict[str, list[str]] = {}
        for letter, value in self.lines:
            if letter == "a":
                key, _, rest = value.partition(":")
                found.setdefault(key, []).append(rest.strip())
        return {key: tuple(values) for key, values in found.items()}

    def attribute(self, name: str) -> str | None:
        """Value of the first a= line of that name, "" for a flag, None if absent."""
        found = self._said.get(name)
        return found[0] if found else None

    def attributes(self, name: str) -> tuple[str, ...]:
        """Values of all a= lines of that name."""
        return self._said.get(name, ())

    def parameters_of(self, payload_type: int) -> str:
        """What a=fmtp says of a payload type."""
        for value in self.attributes("fmtp"):
            number, _, parameters = value.partition(" ")
            if number == str(payload_type):
                return parameters.strip()
        return ""

    def rtpmaps(self, known: Mapping[int, RtpMap] = MappingProxyType({})) -> dict[int, RtpMap]:
        """What each payload type of the m= line means, in its order; unknown static types are left out.

        `known`: what numbers mean that need no explanation here.
        """
        stated: dict[int, RtpMap] = {}
        for value in self.attributes("rtpmap"):
            read = _read_rtpmap(value) if len(value) <= _SHORT else _read_rtpmap.__wrapped__(value)
            if read is not None:
                stated.setdefault(*read)
        maps: dict[int, RtpMap] = {}
        for text in self.formats:
            number = int(text) if len(text) <= 3 and _NUMBER.fullmatch(text) else 128
            found = stated.get(number) or known.get(number) or STATIC_TYPES.get(number)
            if found is not None and number < 128:
                maps.setdefault(number, found)
        return maps


@lru_cache(maxsize=256)
def _read_rtpmap(value: str) -> tuple[int, RtpMap] | None:
    """The value of a=rtpmap; the world has few of them."""
    match = _RTPMAP.match(value)
    if match is None:
        return None
    return int(match[1]), RtpMap(match[2].upper(), int(match[3]), int(match[4] or 1))


@dataclass(frozen=True, slots=True)
class Description:
    """`lines` are the session-level ones but v= and o=."""

    origin: Origin | None
    lines: tuple[Line, ...] = field(repr=False)  # they may hold keys
    media: tuple[Media, ...]

    def address_of(self, media: Media) -> str | None:
        """The c= address that applies to a section, without TTL; None if there is none."""
        for lines in (media.lines, self.lines):
            for letter, value in lines:
                if letter == "c":
                    words = value.split()
                    return words[2].partition("/")[0] if len(words) > 2 else None
        return None

    def direction_of(self, media: Media) -> Direction:
        """Media-level attribute, else session-level, else sendrecv."""
        for lines in (media.lines, self.lines):
            for letter, value in lines:
                if letter == "a" and value.strip() in _DIRECTIONS:
                    return Direction(value.strip())
        return Direction.SENDRECV


def find_attribute(lines: tuple[Line, ...], name: str) -> str | None:
    """Value of the first a= line of that name, "" for a flag, None if absent."""
    for letter, value in lines:
        key, _, rest = value.partition(":")
        if letter == "a" and key == name:
            return rest.strip()
    return None


def parse(data: bytes) -> Description:
    """Read a description. LF line ends, a missing last one, missing s= and t= are tolerated.

    Raises:
        SdpError: a line that is not `x=value`, no v=0 first, a bad m= or o= line, or too many of them.
    """
    lines = _read_lines(data)
    if not lines or lines[0] != (1, "v", "0"):
        raise SdpError("no v=0", 1)
    origin: Origin | None = None
    session: list[Line] = []
    media: list[Media] = []
    below: list[Line] = session
    sections: list[tuple[Media, list[Line]]] = []
    for number, letter, value in lines[1:]:
        if letter == "m":
            below = []
            sections.append((_parse_media(value, number), below))
            if len(sections) > MAX_MEDIA:
                raise SdpError("too many media", number)
        elif letter == "o" and not sections:
            origin = _parse_origin(value, number)
        else:
            below.append((letter, value))
    media = [
        Media(head.kind, head.port, head.protocol, head.formats, tuple(rest))
        for head, rest in sections
    ]
    return Description(origin, tuple(session), tuple(media))


def _read_lines(data: bytes) -> list[tuple[int, str, str]]:
    found: list[tuple[int, str, str]] = []
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    suspect = "\r" in text or "\x00" in text
    for number, line in enumerate(text.split("\n"), 1):
        if suspect:
            line = _without_controls(line, number)
        if not line:
            continue
        letter = line[0]
        if line[1:2] != "=" or not (letter.isascii() and letter.isalpha()):
            raise SdpError("not a type=value line", number)
        found.append((number, letter, line[2:]))
    return found


def _without_controls(line: str, number: int) -> str:
    line = line.rstrip("\r")
    if "\r" in line or "\x00" in line:
        raise SdpError("control character", number)
    return line


def _parse_origin(value: str, number: int) -> Origin:
    words = value.split()
    if len(words) != 6 or not (_NUMBER.fullmatch(words[1]) and _NUMBER.fullmatch(words[2])):
        raise SdpError("bad o=", number)
    return Origin(words[0], int(words[1]), int(words[2]), words[5])


def _parse_media(value: str, number: int) -> Media:
    words = value.split()
    port = _PORT.fullmatch(words[1]) if len(words) >= 4 else None
    if port is None or int(port[1]) > 65535 or len(words) - 3 > MAX_FORMATS:
        raise SdpError("bad m=", number)
    return Media(words[0].lower(), int(port[1]), words[2], tuple(words[3:]))


def write(description: Description) -> bytes:
    """Octets with CRLF line ends."""
    lines = ["v=0"]
    if description.origin is not None:
        lines.append(f"o={description.origin}")
    lines += [f"{letter}={value}" for letter, value in description.lines]
    for media in description.media:
        lines.append(f"m={media}")
        lines += [f"{letter}={value}" for letter, value in media.lines]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")
