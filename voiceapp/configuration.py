"""All settings of the product: `VOICEAPP_*` environment variables with defaults that work on one machine.

Django-free, because the media node and the agent worker read it too. `docs/configuration.md` lists the same table; a
test holds the two together. Every value is checked when it is read: a wrong one stops the start and says which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final

from telephony.admission import parse_networks
from telephony.sip.digest import ALGORITHMS

MOST_DIGITS: Final = 9
REPOSITORY: Final = Path(__file__).resolve().parent.parent


LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""RFC 1918 and RFC 4193."""


class ConfigurationError(Exception):
    """A variable has a value we cannot use; the text names the variable and what it takes."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """An inclusive range of UDP ports."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not _is_number(port) or int(port) > 65535:
        raise ValueError("an address such as 127.0.0.1:8000")
    return Address(host.strip("[]"), int(port))


def _ip(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError as error:
        raise ValueError(
            "an IP address: SDP carries no names that every phone can look up"
        ) from error


def _ip_and_port(text: str) -> Address:
    address = _address(text)
    try:
        ip_address(address.host)
    except ValueError as error:
        raise ValueError("an IP address and a port such as 127.0.0.1:5060") from error
    return address


def _ipv6(text: str) -> str:
    if text in {"auto", "off"}:
        return text
    try:
        return str(IPv6Address(text.strip("[]")))
    except ValueError as error:
        raise ValueError("an IPv6 address such as 2001:db8::1, auto or off") from error


def _optional_ip_and_port(text: str) -> Address | None:
    return _ip_and_port(text) if text else None


def _file(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    path = path if path.is_absolute() else REPOSITORY / path
    if not path.is_file():
        raise ValueError("the path of a file that is there")
    return path


def _ports(text: str) -> PortRange:
    first, _, last = text.partition("-")
    if not (_is_number(first) and _is_number(last)) or not 1024 <= int(first) <= int(last) <= 65535:
        raise ValueError("a range such as 16384-16447, within 1024-65535")
    return PortRange(int(first), int(last))


def _count(text: str) -> int:
    if not _is_number(text) or int(text) < 1:
        raise ValueError("a whole number from 1 up")
    return int(text)


def _switch(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("0 or 1")
    return text == "1"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def _networks(text: str) -> tuple[str, ...]:
    networks = _words(text)
    try:
        parse_networks(networks)
    except ValueError as error:
        raise ValueError("networks such as 127.0.0.0/8, 192.168.0.0/24") from error
    return networks


def _algorithms(text: str) -> tuple[str, ...]:
    names = _words(text)
    if not names or not set(names) <= set(ALGORITHMS):
        raise ValueError(f"some of {', '.join(ALGORITHMS)}, best first")
    return names


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _endpoint(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("an address that begins with http:// or https://")
    return text


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how it is read, its default (as text) and what it is for."""

    name: str
    default: str
    read: Callable[[str], Any]
    purpose: str


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable("VOICEAPP_HTTP", "127.0.0.1:8000", _address, "Where pages and WebSockets are served."),
    Variable("VOICEAPP_SIP", "127.0.0.1:5060", _ip_and_port, "Where SIP is received, UDP and TCP; `0.0.0.0:5060` opens it to the network."),
    Variable("VOICEAPP_IPV6", "auto", _ipv6, "The IPv6 address at which SIP and RTP are received as well, on the same ports: an address, `off`, or `auto`: `::1` beside 127.0.0.1 and `::` beside 0.0.0.0, where this machine has IPv6."),
    Variable("VOICEAPP_SIP_ALLOW", "", _networks, "Networks whose SIP is answered, in CIDR notation; all others get no reply. Empty: this machine, and where SIP is open to the network, private networks, until a trunk is set up; then trunks alone."),
    Variable("VOICEAPP_SIP_TLS", "", _optional_ip_and_port, "Where SIP over TLS is received, such as `0.0.0.0:5061`; empty: nowhere, and TLS trunks are called with the system's authorities."),
    Variable("VOICEAPP_SIP_TLS_CERTIFICATE", "", _file, "Certificate chain (PEM) for SIP over TLS; needed where it is received."),
    Variable("VOICEAPP_SIP_TLS_KEY", "", _file, "Private key (PEM) of that certificate."),
    Variable("VOICEAPP_SIP_TLS_CA", "", _file, "Authorities (PEM) that certificates of TLS peers must come from; empty: those of the system."),
    Variable("VOICEAPP_SIP_TLS_VERIFY", "0", _switch, "1: who connects to us by TLS must show a certificate of these authorities as well."),
    Variable("VOICEAPP_REGISTRAR", "0", _switch, "1: extensions (softphones, desk phones) may register, from the networks of VOICEAPP_SIP_ALLOW."),
    Variable("VOICEAPP_SIP_DIGEST", "SHA-256,MD5", _algorithms, "Algorithms of our digest challenges, best first; `MD5` alone for phones that give up on any other."),
    Variable("VOICEAPP_PUBLIC_ADDRESS", "", _ip, "Address written into SIP and SDP when it differs from the one bound (NAT, 0.0.0.0)."),
    Variable("VOICEAPP_RTP_PORTS", "16384-16447", _ports, "UDP ports for RTP; a few ports carry many calls."),
    Variable("VOICEAPP_WEBRTC_ADDRESSES", "", _words, "Host candidates offered to browsers; empty: all addresses of this machine."),
    Variable("VOICEAPP_ICE_SERVERS", "", _words, "STUN and TURN URLs given to browsers and used by the node; none unless set."),
    Variable("VOICEAPP_DATA", "var", Path, "Folder of database, spool, sockets and secrets; relative to the clone."),
    Variable("VOICEAPP_DATABASE_URL", "", str, "`postgresql://…` for several machines; empty: SQLite in the data folder."),
    Variable("VOICEAPP_REDIS_URL", "", str, "Broker for Celery; empty: tasks run in-process."),
    Variable("VOICEAPP_SECRET_KEY", "", str, "Secret of sessions and tokens; empty: made once and kept in the data folder."),
    Variable("VOICEAPP_HOSTS", "", _words, "Extra host names pages are served under."),
    Variable("VOICEAPP_MEDIA_NODES", "1", _count, "Media nodes on this machine; a crash takes only the calls of one."),
    Variable("VOICEAPP_AGENT_WORKERS", "1", _count, "Agent worker processes."),
    Variable("VOICEAPP_STT_PROCESSES", "2", _count, "Embedded speech recognisers per worker; each listens to four calls."),
    Variable("VOICEAPP_MAX_CALLS", "200", _count, "Calls a media node accepts, as long as its workers can listen to so many; more get 503 with Retry-After."),
    Variable("VOICEAPP_MAX_CPS", "100", _count, "Calls a media node begins in a second; more get 503 with Retry-After."),
    Variable("VOICEAPP_ENGINES", "embedded", _one_of("embedded", "fake"), "Speech parts: `embedded`, or `fake` (zero delay, for benchmarks)."),
    Variable("VOICEAPP_LLM_URL", "", _endpoint, "Base URL of an OpenAI-compatible endpoint; empty: the flow answers by itself."),
    Variable("VOICEAPP_LLM_KEY", "", str, "Key for that endpoint."),
    Variable("VOICEAPP_LLM_MODEL", "", str, "Model name for that endpoint."),
    Variable("VOICEAPP_RESUME_S", "30", _count, "Seconds a dropped browser call waits for its caller."),
    Variable("VOICEAPP_DEBUG", "0", _switch, "Django's debug pages; never on a machine others can reach."),
    Variable("VOICEAPP_LOG_LEVEL", "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "DEBUG, INFO, WARNING or ERROR."),
    Variable("VOICEAPP_LOG_PII", "0", _switch, "Personal data in logs; for a private test machine only."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Configuration:
    """The values in force, one attribute per variable (lower case, without the prefix)."""

    http: Address
    sip: Address
    ipv6: str
    sip_allow: tuple[str, ...]
    sip_tls: Address | None
    sip_tls_certificate: Path | None
    sip_tls_key: Path | None
    sip_tls_ca: Path | None
    sip_tls_verify: bool
    registrar: bool
    sip_digest: tuple[str, ...]
    public_address: str
    rtp_ports: PortRange
    webrtc_addresses: tuple[str, ...]
    ice_servers: tuple[str, ...]
    data: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    hosts: tuple[str, ...]
    media_nodes: int
    agent_workers: int
    stt_processes: int
    max_calls: int
    max_cps: int
    engines: str
    llm_url: str
    llm_key: str = field(repr=False)
    llm_model: str
    resume_s: int
    debug: bool
    log_level: str
    log_pii: bool

    @property
    def database(self) -> Path:
        return self.data / "db.sqlite3"

    @property
    def spool(self) -> Path:
        return self.data / "spool"

    def spool_of(self, node: str) -> Path:
        """The file a media node writes; the shipper finds all of them by this name."""
        return self.spool / f"{node}.db"

    @property
    def sip_networks(self) -> tuple[str, ...]:
        """Networks whose SIP is answered; unless they are named, never one of the public internet."""
        if self.sip_allow:
            return self.sip_allow
        hosts = [self.sip.host]
        if ":" not in self.sip.host and self.ipv6 not in ("auto", "off"):
            hosts.append(self.ipv6)
        alone = all(ip_address(host).is_loopback for host in hosts)
        return LOOPBACK if alone else LOOPBACK + PRIVATE

    def sip_of(self, node: int) -> Address:
        """Where the node with this index (from 0) receives SIP over UDP and TCP."""
        return Address(self.sip.host, self.sip.port + node)

    def sip_tls_of(self, node: int) -> Address | None:
        """Where it receives SIP over TLS."""
        if self.sip_tls is None:
            return None
        return Address(self.sip_tls.host, self.sip_tls.port + node)

    @property
    def run(self) -> Path:
        """Unix sockets and process ids."""
        return self.data / "run"

    @property
    def snapshot(self) -> Path:
        """Last configuration that was published, for a node that starts while the database is away."""
        return self.data / "snapshot.json"

    @property
    def data_key(self) -> Path:
        """Key that encrypts speech and personal data at rest."""
        return self.data / "secrets" / "data.key"


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """Reads the environment. Raises: ConfigurationError naming the variable and what it takes."""
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = source.get(variable.name, "") or variable.default
        try:
            value = variable.read(text)
        except ValueError as error:
            message = f"{variable.name}={text!r} cannot be used: it takes {error}."
            raise ConfigurationError(message) from error
        values[variable.name.removeprefix("VOICEAPP_").lower()] = value
    data = values["data"]
    values["data"] = data if data.is_absolute() else REPOSITORY / data
    known = {variable.name for variable in VARIABLES}
    unknown = sorted(name for name in source if name.startswith("VOICEAPP_") and name not in known)
    unknown = [name for name in unknown if not name.startswith("VOICEAPP_TEST_")]
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)}: no such setting; docs/configuration.md lists all."
        )
    configuration = Configuration(**values)
    _check_together(configuration)
    return configuration


def _check_together(configuration: Configuration) -> None:
    """Raises: ConfigurationError for values that do not fit each other."""
    tls, nodes = configuration.sip_tls, configuration.media_nodes
    if (configuration.sip_tls_certificate is None) != (configuration.sip_tls_key is None):
        raise ConfigurationError(
            "VOICEAPP_SIP_TLS_CERTIFICATE and VOICEAPP_SIP_TLS_KEY belong together: set both or none."
        )
    if tls is None:
        return
    if configuration.sip_tls_certificate is None:
        raise ConfigurationError(
            "VOICEAPP_SIP_TLS needs VOICEAPP_SIP_TLS_CERTIFICATE and VOICEAPP_SIP_TLS_KEY."
        )
    if abs(tls.port - configuration.sip.port) < nodes:
        raise ConfigurationError(
            f"VOICEAPP_SIP_TLS={tls} cannot be used: {nodes} media nodes need a port each from "
            f"{configuration.sip.port} on, and from {tls.port} on."
        )
