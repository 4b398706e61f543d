"""The table of trunks and extensions that a media node works by, read from the published snapshot. Pure.

Secrets travel sealed and are opened when the table is read; no repr shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal, get_args

from telephony.snapshot_rows import Network, OpenSecret, Row, SnapshotError

REALM: Final = "voiceapp"
"""Realm of our own challenges unless the snapshot names another; HA1 values are made for it."""

TransportName = Literal["udp", "tcp", "tls"]
NumberFormat = Literal["plus", "plain", "national", "as_is"]
SrtpMode = Literal["off", "optional", "required"]
DtmfMode = Literal["auto", "rfc4733", "info", "inband"]
CallerIdRule = Literal["fixed", "match", "rotate"]

CODECS: Final = ("PCMU", "PCMA", "G722", "OPUS")
TRUNK_CODECS: Final = ("PCMU", "PCMA", "G722")
EXTENSION_CODECS: Final = ("OPUS", "G722", "PCMU", "PCMA")
ALGORITHMS: Final = ("MD5", "SHA-256", "SHA-512-256")
NUMBER_FORMATS: Final = get_args(NumberFormat)
"""How a trunk wants numbers: +4930…, 4930…, 030… (00 for other countries), or as they were given."""
LONGEST_OWN: Final = 6
"""Figures of a PBX's own number: a longer pattern would let telephone numbers pass as own ones."""
_FIGURES: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """One carrier or PBX. Empty `allowed_prefixes`: nothing may be dialled. A limit of 0: no calls; None: no limit.

    `hosts`: where calls are sent, in the order of failover. `networks`: where its calls come from (an address among
    `hosts` is added); `media_networks`: where its RTP may come from beside the address of its SDP. `prefix`: set
    before each dialled number. `country`, `national_prefix`, `international_prefix`: how numbers of other spellings are read and written.
    `trusted`: its P-Asserted-Identity is believed. `caller_ids`: the pool; no other is ever shown.
    """

    name: str
    label: str = ""
    enabled: bool = True
    hosts: tuple[str, ...] = ()
    transport: TransportName = "udp"
    networks: tuple[Network, ...] = ()
    media_networks: tuple[Network, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    realm: str = ""
    challenge_inbound: bool = False
    register: bool = False
    register_expires_s: int = 3600
    trusted: bool = False
    send_pai: bool = False
    number_format: NumberFormat = "plus"
    prefix: str = ""
    country: str = ""
    national_prefix: str = "0"
    international_prefix: str = "00"
    codecs: tuple[str, ...] = TRUNK_CODECS
    srtp: SrtpMode = "off"
    srtp_without_tls: bool = False
    dtmf: DtmfMode = "auto"
    session_expires_s: int = 1800
    max_calls: int | None = 10
    max_cps: float | None = 2.0
    max_calls_per_day: int | None = None
    max_minutes_per_day: int | None = None
    ping_s: int = 30
    allow_refer_in: bool = False
    send_refer: bool = False
    advertised: str = ""
    caller_ids: tuple[str, ...] = ()
    caller_id_rule: CallerIdRule = "fixed"
    allowed_prefixes: tuple[str, ...] = ()

    def accepts(self, host: str) -> bool:
        """Does SIP from this address belong to the trunk?"""
        return self.enabled and _width(self.networks, host) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A softphone or desk phone that registers here. `ha1`: by algorithm (RFC 7616, RFC 8760), for the snapshot's realm."""

    name: str
    ha1: Mapping[str, str] = field(repr=False, hash=False)
    label: str = ""
    person: str = ""
    codecs: tuple[str, ...] = EXTENSION_CODECS
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SourceBan:
    """A source whose packets are dropped unread. `until`: wall time with its zone; None: for good."""

    network: Network
    until: datetime | None = None


def trunk_of_source(trunks: Iterable[Trunk], host: str) -> Trunk | None:
    """The enabled trunk whose networks name this address most narrowly; of equals, the first."""
    best: tuple[int, Trunk] | None = None
    for trunk in trunks:
        width = _width(trunk.networks, host) if trunk.enabled else None
        if width is not None and (best is None or width > best[0]):
            best = (width, trunk)
    return best[1] if best else None


def _width(networks: Iterable[Network], host: str) -> int | None:
    """Length of the longest prefix that holds the address; None if none does."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return max((net.prefixlen for net in networks if address in net), default=None)


# ------------------------------------------------------------------------------------------------------- reading


def parse_trunks(rows: Iterable[Row], open_secret: OpenSecret) -> dict[str, Trunk]:
    """By name. Raises: SnapshotError."""
    trunks: dict[str, Trunk] = {}
    for row in rows:
        trunk = _trunk(row, open_secret)
        if trunk.name in trunks:
            raise row.error("name", "this trunk is there already")
        trunks[trunk.name] = trunk
    return trunks


def _trunk(row: Row, open_secret: OpenSecret) -> Trunk:
    name = row.text("name")
    hosts = row.texts("hosts")
    values: dict[str, Any] = {
        "hosts": hosts,
        "transport": row.choice("transport", get_args(TransportName), "udp"),
        "networks": row.networks("networks") + _host_networks(hosts),
        "media_networks": row.networks("media_networks"),
        "password": row.secret("password", f"trunk {name}", open_secret),
        "register_expires_s": row.whole("register_expires_s", 3600, 60, 86_400),
        "number_format": row.choice("number_format", NUMBER_FORMATS, "plus"),
        "codecs": _codecs(row, TRUNK_CODECS),
        "srtp": row.choice("srtp", get_args(SrtpMode), "off"),
        "dtmf": row.choice("dtmf", get_args(DtmfMode), "auto"),
        "session_expires_s": _session_expires(row),
        "max_calls": row.optional_whole("max_calls", 0, 100_000),
        "max_cps": row.number("max_cps", 0.0, 0.0, 10_000.0) if "max_cps" in row else None,
        "max_calls_per_day": row.optional_whole("max_calls_per_day"),
        "max_minutes_per_day": row.optional_whole("max_minutes_per_day"),
        "ping_s": row.whole("ping_s", 30, 0, 3600),
        "caller_ids": tuple(_caller_id(row, i, v) for i, v in enumerate(row.texts("caller_ids"))),
        "caller_id_rule": row.choice("caller_id_rule", get_args(CallerIdRule), "fixed"),
        "allowed_prefixes": _destinations(row, "allowed_prefixes"),
        "enabled": row.flag("enabled", default=True),
    }
    values |= {key: row.text_or(key) for key in ("label", "username", "realm", "advertised")}
    values |= {key: row.flag(key) for key in _FLAGS}
    values |= {key: _figures(row, key, default) for key, default in _DIGITS.items()}
    trunk = Trunk(name=name, **values)
    _check_together(trunk, row)
    return trunk


_FLAGS: Final = (
    "challenge_inbound", "register", "trusted", "send_pai", "srtp_without_tls", "allow_refer_in", "send_refer",
)  # fmt: skip
_DIGITS: Final = {"prefix": "", "country": "", "national_prefix": "0", "international_prefix": "00"}


def _check_together(trunk: Trunk, row: Row) -> None:
    if trunk.register and not (trunk.hosts and trunk.username):
        raise row.error("register", "a host and a user name are needed to register")
    if trunk.challenge_inbound and not (trunk.username and trunk.password):
        raise row.error("challenge_inbound", "a user name and a password are needed")
    if trunk.srtp == "required" and trunk.transport != "tls" and not trunk.srtp_without_tls:
        raise row.error("srtp", "keys would travel in clear: use TLS, or allow SRTP without it")
    if trunk.number_format == "national" and not trunk.country:
        raise row.error("country", "national numbers need the country's calling code")


def _host_networks(hosts: Iterable[str]) -> tuple[Network, ...]:
    """Hosts that are addresses are sources as well."""
    found: list[Network] = []
    for host in hosts:
        bare = host.partition("]")[0].removeprefix("[")
        bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
        try:
            found.append(ip_network(bare))
        except ValueError:
            continue  # a name: its addresses are not known here
    return tuple(found)


def _codecs(row: Row, default: tuple[str, ...]) -> tuple[str, ...]:
    names = row.texts("codecs") or default
    for index, name in enumerate(names):
        if name not in CODECS:
            raise row.error(f"codecs[{index}]", f"one of {', '.join(CODECS)} is needed")
    return tuple(dict.fromkeys(names))


def _session_expires(row: Row) -> int:
    seconds = row.whole("session_expires_s", 1800, 0, 86_400)
    if 0 < seconds < 90:
        raise row.error("session_expires_s", "at least 90 seconds (RFC 4028), or 0 for off")
    return seconds


def _figures(row: Row, name: str, default: str) -> str:
    value = row.text_or(name, default, 16)
    if not set(value) <= (_FIGURES | {"#", "*"} if name == "prefix" else _FIGURES):
        raise row.error(name, "figures are needed")
    return value


def _caller_id(row: Row, index: int, value: str) -> str:
    if not value.isascii() or not value.removeprefix("+").isalnum() or len(value) > 32:
        raise row.error(f"caller_ids[{index}]", "a number such as +4930123456 is needed")
    return value


def _destinations(row: Row, name: str) -> tuple[str, ...]:
    values = row.texts(name)
    for index, value in enumerate(values):
        if not is_destination(value):
            place = f"{row.place(name)}[{index}]"
            raise SnapshotError(
                place, "a prefix such as +49, or a pattern of own numbers such as 2XX"
            )
    return values


def is_destination(text: str) -> bool:
    """`+` and figures (whatever begins so), or figures and X (own short numbers of exactly that length)."""
    if text.startswith("+"):
        return 1 < len(text) <= 16 and set(text[1:]) <= _FIGURES
    return 0 < len(text) <= LONGEST_OWN and set(text) <= _FIGURES | {"X"}


def parse_extensions(rows: Iterable[Row], open_secret: OpenSecret) -> dict[str, Extension]:
    """By name. Raises: SnapshotError."""
    found: dict[str, Extension] = {}
    for row in rows:
        name = row.text("name")
        if name in found:
            raise row.error("name", "this extension is there already")
        sealed = row.row("ha1")
        ha1 = {
            algorithm: sealed.secret(algorithm, f"extension {name} {algorithm}", open_secret)
            for algorithm in ALGORITHMS
            if algorithm in sealed
        }
        if not ha1:
            raise row.error("ha1", "at least one value is needed")
        found[name] = Extension(
            name=name,
            ha1=ha1,
            label=row.text_or("label"),
            person=row.text_or("person"),
            codecs=_codecs(row, EXTENSION_CODECS),
            enabled=row.flag("enabled", default=True),
        )
    return found


def parse_bans(rows: Iterable[Row]) -> tuple[SourceBan, ...]:
    """Raises: SnapshotError."""
    return tuple(_ban(row) for row in rows)


def _ban(row: Row) -> SourceBan:
    try:
        network = ip_network(row.text("network"), strict=False)
        until = datetime.fromisoformat(row.text("until")) if "until" in row else None
    except ValueError as error:
        raise row.error("network", "a network, and a time with its zone or nothing") from error
    if until is not None and until.tzinfo is None:
        raise row.error("until", "a time with its zone is needed")
    return SourceBan(network, until)
