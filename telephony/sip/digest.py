"""Digest values and sums (RFC 7616, RFC 8760): what challenges and credentials say, and the hashes over them.

Values stay as they stood between their quotes (`unq` of RFC 7616 3.3), so that an odd realm or nonce goes back
octet by octet.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from telephony.sip.errors import HeaderError
from telephony.sip.headers import TOKEN

# Best first. The names hashlib has for them.
_HASHES: Final = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
ALGORITHMS: Final = tuple(_HASHES)
_SESSION: Final = "-SESS"
_PAIR: Final = re.compile(
    r'[ \t,]*([^\s,="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.DOTALL
)
_SEPARATORS: Final = " \t,"
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NC: Final = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)
_MOST_PARAMS: Final = 32


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """A WWW-Authenticate or Proxy-Authenticate we can answer. `qop` "": as RFC 2069, without counter."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    session: bool = False
    qop: str = ""
    opaque: str | None = None
    stale: bool = False
    algorithm_text: str = ""

    def __str__(self) -> str:
        parts = [f'realm="{self.realm}"', f'nonce="{self.nonce}"', f"algorithm={self.algorithm}"]
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += [f'opaque="{self.opaque}"'] if self.opaque is not None else []
        return "Digest " + ", ".join([*parts, *(["stale=true"] if self.stale else [])])


@dataclass(frozen=True, slots=True)
class DigestAnswer:
    """An Authorization or Proxy-Authorization. `username` is unescaped, all else as between the quotes."""

    username: str = field(repr=False)
    realm: str
    nonce: str
    uri: str = field(repr=False)
    response: str = field(repr=False)
    algorithm: str = "MD5"
    qop: str = ""
    nc: int = 0
    nc_text: str = ""
    cnonce: str = ""


def parse_challenge(value: str) -> DigestChallenge | None:
    """None for a scheme, algorithm or quality of protection that is not known here.

    Raises:
        HeaderError: it cannot be read.
    """
    params = _digest_params(value)
    if params is None:
        return None
    if "realm" not in params or "nonce" not in params:
        raise HeaderError("challenge without realm or nonce")
    named = params.get("algorithm", "")
    algorithm, session = _known_algorithm(named)
    offered = [item.strip().lower() for item in params.get("qop", "").split(",") if item.strip()]
    qop = next((item for item in ("auth", "auth-int") if item in offered), "")
    if algorithm is None or (offered and not qop):
        return None
    return DigestChallenge(
        params["realm"],
        params["nonce"],
        algorithm,
        session,
        qop,
        params.get("opaque"),
        params.get("stale", "").lower() == "true",
        named,
    )


def parse_answer(value: str) -> DigestAnswer | None:
    """None for a scheme or algorithm that is not known here.

    Raises:
        HeaderError: it cannot be read.
    """
    params = _digest_params(value)
    if params is None:
        return None
    algorithm, session = _known_algorithm(params.get("algorithm", ""))
    if algorithm is None or session:
        return None
    count = params.get("nc", "")
    if any(name not in params for name in ("realm", "nonce", "uri", "response")):
        raise HeaderError("incomplete credentials")
    if count and not _NC.fullmatch(count):
        raise HeaderError("bad nonce count")
    return DigestAnswer(
        _username(params),
        params["realm"],
        params["nonce"],
        params["uri"],
        params["response"].lower(),
        algorithm,
        params.get("qop", "").strip().lower(),
        int(count or "0", 16),
        count,
        params.get("cnonce", ""),
    )


def _digest_params(value: str) -> dict[str, str] | None:
    """By lower-case name; quotes may stand around any value, or be missing. None: another scheme."""
    scheme, _, rest = value.strip().partition(" ")
    if not TOKEN.fullmatch(scheme):
        raise HeaderError("no authentication scheme")
    if scheme.lower() != "digest":
        return None
    params: dict[str, str] = {}
    position = 0
    while position < len(rest) and rest[position:].strip(_SEPARATORS):
        found = _PAIR.match(rest, position)
        if found is None or len(params) >= _MOST_PARAMS:
            raise HeaderError("bad authentication parameter")
        quoted = found[2]
        params.setdefault(found[1].lower(), found[3] if quoted is None else quoted)
        position = found.end()
    return params


def _known_algorithm(text: str) -> tuple[str | None, bool]:
    upper = text.strip().upper() or "MD5"
    session = upper.endswith(_SESSION)
    name = upper.removesuffix(_SESSION)
    return (name if name in _HASHES else None), session


def _username(params: dict[str, str]) -> str:
    extended = params.get("username*")  # RFC 7616 3.4: charset'language'percent-encoded
    if extended is not None and extended[:7].lower() == "utf-8''":
        return unquote(extended[7:], errors="replace")
    if "username" not in params:
        raise HeaderError("credentials without username")
    return _ESCAPED.sub(r"\1", params["username"])


def escape(text: str) -> str:
    """Fit to stand between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def digest(algorithm: str, *parts: str | bytes) -> str:
    """Lower hex of the hash over the parts joined by colons; `algorithm` is one of `ALGORITHMS`."""
    octets = b":".join(
        part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        for part in parts
    )
    return hashlib.new(_HASHES[algorithm], octets, usedforsecurity=False).hexdigest()


def ha1_of(algorithm: str, username: str, realm: str, password: str) -> str:
    """H(username:realm:password): what may be kept instead of a password."""
    return digest(algorithm, username, realm, password)


def response_of(
    ha1: str,
    method: str,
    answer: DigestAnswer,
    *,
    body: bytes = b"",
) -> str:
    """The sum that proves knowledge of `ha1` (RFC 7616 3.4.1); `response` of the answer is not looked at."""
    algorithm = answer.algorithm
    ha2 = digest(algorithm, method, answer.uri)
    if answer.qop == "auth-int":
        ha2 = digest(algorithm, method, answer.uri, digest(algorithm, body))
    if not answer.qop:
        return digest(algorithm, ha1, answer.nonce, ha2)
    return digest(algorithm, ha1, answer.nonce, answer.nc_text, answer.cnonce, answer.qop, ha2)
