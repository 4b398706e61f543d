"""Who may send us SIP, and as whom: the trunk, the extension, or the open network that a request belongs to.

Answers for the source guard (before parsing), for the engine's digest (before a session is made) and for the door.
Without a trunk the networks of the settings are answered, so that a first call needs no configuration. Once there is
one, only trunks are, and networks that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from telephony.admission import Network, is_allowed
from telephony.dialplan import EMPTY, DialPlan
from telephony.sip.auth import Challenge
from telephony.sip.digest import ha1_of
from telephony.sip.errors import SipError
from telephony.sip.flow import Flow
from telephony.sip.message import Request
from telephony.sip.source_guard import OPEN, Source
from telephony.trunks import Extension, Trunk

_HOSTS_REMEMBERED: Final = 1000
_TRUNK: Final = Source("trunk", bannable=False)
_EXTENSION: Final = Source("extension", per_second=50.0, burst=200.0)


@dataclass(frozen=True, slots=True)
class OpenNetworks:
    """`networks`: of VOICEAPP_SIP_ALLOW; `explicit`: named by the operator, so that they count beside trunks as well.

    `algorithms` are offered to everybody alike, so that a challenge tells nothing of who exists.
    """

    networks: tuple[Network, ...]
    explicit: bool
    registrar: bool
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom an INVITE comes from. Neither: the open network."""

    trunk: Trunk | None = None
    extension: Extension | None = None


class Origins:
    """Implements the engine's `Authority`. `take` gives it another plan; `learn` addresses of trunks' host names.

    `wall`: the time of day, with its zone, until which bans of the plan hold.
    """

    def __init__(self, open_networks: OpenNetworks, wall: Callable[[], datetime]) -> None:
        self._open = open_networks
        self._wall = wall
        self._plan: DialPlan = EMPTY
        self._trunks: tuple[Trunk, ...] = ()
        self._learned: dict[str, frozenset[str]] = {}
        self._of_host: dict[str, list[Trunk]] = {}
        self._talking: frozenset[str] = frozenset()

    def take(self, plan: DialPlan) -> None:
        """The plan for requests from now on; the guard has to `forget` then."""
        self._plan = plan
        self._trunks = tuple(trunk for trunk in plan.trunks.values() if trunk.enabled)
        self._of_host.clear()
        self._learned = {name: self._learned.get(name, frozenset()) for name in plan.trunks}

    def learn(self, trunk: str, addresses: Iterable[str]) -> bool:
        """Addresses that a trunk's hosts resolve to are sources of it; True if they are others than before."""
        found = frozenset(addresses)
        changed = self._learned.get(trunk) != found
        self._learned[trunk] = found
        self._of_host.clear()
        return changed

    def talk(self, hosts: Iterable[str]) -> None:
        """Where calls are up from: their BYE is heard whatever became of the trunk; nothing new is."""
        self._talking = frozenset(hosts)

    # ------------------------------------------------------------------------------- before parsing

    def source(self, host: str) -> Source | None:
        """For `SourceGuard`: None is dropped without a reply."""
        if self._is_banned(host):
            return None
        if host in self._talking or any(self._is_of(trunk, host) for trunk in self._trunks):
            return _TRUNK
        if not self._is_open(host):
            return None
        if self._answers_open:
            return OPEN
        return _EXTENSION if self._open.registrar and self._plan.extensions else None

    def _is_banned(self, host: str) -> bool:
        return any(
            is_allowed(host, (ban.network,)) and (ban.until is None or self._wall() < ban.until)
            for ban in self._plan.bans
        )

    def _is_open(self, host: str) -> bool:
        return is_allowed(host, self._open.networks)

    @property
    def _answers_open(self) -> bool:
        return self._open.explicit or not self._trunks

    # ------------------------------------------------------------------------------- digest

    def policy(self, request: Request, flow: Flow) -> Literal["accept", "drop"] | Challenge:
        """For requests that begin something (INVITE, REGISTER and other requests outside of dialogs)."""
        candidates = self._candidates(flow)
        if self._is_phone(request, flow, candidates):
            return Challenge(self._plan.realm, self._open.algorithms)
        if candidates:
            return self._trunk_policy(request, flow)
        return "accept" if self._answers_open and self._is_open(flow.remote[0]) else "drop"

    def _trunk_policy(self, request: Request, flow: Flow) -> Literal["accept", "drop"] | Challenge:
        asks = any(trunk.challenge_inbound for trunk in self._candidates(flow))
        if request.method == "OPTIONS" or not asks:
            return "accept"
        return Challenge(self._plan.realm, self._open.algorithms)

    def _is_phone(self, request: Request, flow: Flow, trunks: list[Trunk]) -> bool:
        """Phones prove who they are; so does everybody who registers, whether there is such a name or not.

        A phone on a trunk's machine is known by a port that is none of the trunk's.
        """
        if not self._open.registrar or request.method == "OPTIONS":
            return False
        if not self._is_open(flow.remote[0]):
            return False
        if request.method == "REGISTER" or not (trunks or self._answers_open):
            return True
        named = any(_names_port(trunk, flow.remote) for trunk in trunks)
        return not named and _from_user(request) in self._plan.extensions

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """Of an extension, or of a trunk that is challenged; None for anybody else."""
        extension = self._plan.extensions.get(username)
        if extension is not None and extension.enabled and realm == self._plan.realm:
            return extension.ha1.get(algorithm)
        for trunk in self._trunks:
            if trunk.challenge_inbound and trunk.username == username and trunk.password:
                return ha1_of(algorithm, username, realm, trunk.password)
        return None

    # ------------------------------------------------------------------------------- at the door

    def of(self, flow: Flow, username: str | None) -> Origin | None:
        """Whom an INVITE comes from; None: nobody we know, or a trunk's address, but as none of its trunks.

        `username`: who proved it by digest.
        """
        candidates = self._candidates(flow)
        trunk = self._chosen(candidates, flow, username)
        if trunk is not None:
            return Origin(trunk=trunk)
        extension = self._plan.extensions.get(username) if username else None
        if extension is None and (candidates or not self._answers_open):
            return None
        return Origin(extension=extension)

    def _chosen(self, candidates: list[Trunk], flow: Flow, username: str | None) -> Trunk | None:
        fits = [trunk for trunk in candidates if flow.secure or trunk.transport != "tls"]
        if username is not None:
            fits = [trunk for trunk in fits if trunk.username == username]
        else:
            fits = [trunk for trunk in fits if not trunk.challenge_inbound]
        by_port = [trunk for trunk in fits if _names_port(trunk, flow.remote)]
        return next(iter(by_port or fits), None)

    def _candidates(self, flow: Flow) -> list[Trunk]:
        """Trunks of the source, the narrowest network first; remembered, as each request asks."""
        host = flow.remote[0]
        if host not in self._of_host:
            if len(self._of_host) >= _HOSTS_REMEMBERED:
                self._of_host.clear()
            self._of_host[host] = self._found(host)
        return self._of_host[host]

    def _found(self, host: str) -> list[Trunk]:
        found = [trunk for trunk in self._trunks if self._is_of(trunk, host)]
        best = self._plan.trunk_of(host)
        if best in found:
            found.remove(best)
            found.insert(0, best)
        return found

    def _is_of(self, trunk: Trunk, host: str) -> bool:
        return trunk.accepts(host) or host in self._learned.get(trunk.name, ())


def _names_port(trunk: Trunk, remote: tuple[str, int]) -> bool:
    host, port = remote
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return written in trunk.hosts


def _from_user(request: Request) -> str:
    try:
        return request.from_.uri.number
    except SipError:
        return ""
