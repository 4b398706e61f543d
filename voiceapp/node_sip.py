"""SIP of a media node: sockets and engine, whom they hear, the trunks' life, the door for calls and the way out."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from telephony.admission import Refusal, parse_networks
from telephony.call.ports import Scheduler
from telephony.call.timers import TimerSet
from telephony.dialplan import DialPlan
from telephony.gateway.dialler import Dialler, DiallerParts
from telephony.gateway.origins import OpenNetworks, Origins
from telephony.gateway.phone import PhoneGateway, PhoneParts
from telephony.gateway.phones import Phones
from telephony.gateway.replacement import ReplacementParts, Replacements
from telephony.gateway.sessions import Sessions
from telephony.gateway.switchboard import Spawn, Switchboard
from telephony.gateway.transfer import TransferParts, Transfers
from telephony.gateway.trunk_address import Identity
from telephony.gateway.trunk_room import TrunkRooms
from telephony.gateway.trunk_watch import TrunkWatch
from telephony.outbound_usage import UsageBook
from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import IncomingInvite, SipEvent
from telephony.sip.ids import TokenIds
from telephony.sip.message import Request
from telephony.sip.options import Availability
from telephony.sip.source_guard import SourceGuard
from telephony.sip.tls import TlsSettings
from telephony.sip.transport import SipTransport, TransportSettings
from telephony.trunks import Trunk
from voiceapp.configuration import Address, Configuration
from voiceapp.node_parts import Ports, addresses_for_peers

log = logging.getLogger(__name__)

PRODUCT: Final = "voiceapp"
KEEP_S: Final = 30.0
"""How often what was dialled today is written down, and what is known of sources is asked anew."""
_AVAILABLE: Final = Availability()


@dataclass(frozen=True, slots=True, kw_only=True)
class SipParts:
    """What SIP needs of its node. `call_refusal`, `options_refusal`: why one more call is not taken."""

    board: Switchboard
    scheduler: Scheduler
    spawn: Spawn
    call_refusal: Callable[[], Refusal | None]
    options_refusal: Callable[[], Refusal | None]
    usage: Path


class NodeSip:
    """Builds its parts at once, opens sockets in `start`."""

    def __init__(self, configuration: Configuration, ports: Ports, parts: SipParts) -> None:
        self._parts = parts
        self._ports = ports
        self._started = False
        self._saved = ""
        self._timers = TimerSet(parts.scheduler)
        self._addresses = ours = addresses_for_peers(configuration)
        port = ports.sip.port
        identity = Identity(ours.v4 or ours.v6, port, v6=ours.v6)
        self._engine = SipEngine(
            EngineSettings(
                advertised=(ours.v4, port) if ours.v4 else None,
                advertised_v6=(ours.v6, port) if ":" in configuration.public_address else None,
                product=PRODUCT,
            ),
            TokenIds(os.urandom),
        )
        self._origins = Origins(_open_networks(configuration), self._wall)
        self._guard = SourceGuard(table=self._origins.source)
        self.wire = SipTransport(
            self._engine, self._event, _transport_settings(configuration, ports, self._guard)
        )
        self._engine.authority = self._origins
        self._engine.availability = self._availability
        self._rooms = TrunkRooms()
        self._book = UsageBook()
        self._phones = Phones(self._engine.bindings, self.wire, lambda: parts.board.plan)
        self._watch = TrunkWatch(
            self._engine, self.wire, parts.scheduler, parts.spawn, identity, self._moved
        )
        self._sessions: Sessions = {}
        self.dialler = Dialler(self._dialler_parts(identity))
        self.transfers = Transfers(
            TransferParts(
                plan=lambda: parts.board.plan,
                dial=self.dialler.dial,
                check=self.dialler.check,
                refer_uri=self.dialler.refer_uri,
                wire=self.wire,
                plane=parts.board.plane,
                new_id=_new_id,
            )
        )
        parts.board.accompany(self.transfers.companion)
        self.phone = PhoneGateway(self._phone_parts())

    def _dialler_parts(self, identity: Identity) -> DiallerParts:
        parts = self._parts
        return DiallerParts(
            plan=lambda: parts.board.plan,
            invite=self._engine.invite,
            wire=self.wire,
            plane=parts.board.plane,
            scheduler=parts.scheduler,
            spawn=parts.spawn,
            sessions=self._sessions,
            watch=self._watch,
            rooms=self._rooms,
            book=self._book,
            phones=self._phones,
            identity=identity,
            addresses=self._addresses,
        )

    def _phone_parts(self) -> PhoneParts:
        return PhoneParts(
            board=self._parts.board,
            wire=self.wire,
            scheduler=self._parts.scheduler,
            origins=self._origins,
            rooms=self._rooms,
            watch=self._watch,
            phones=self._phones,
            sessions=self._sessions,
            addresses=self._addresses,
            transfers=self.transfers,
            replacements=Replacements(
                ReplacementParts(
                    board=self._parts.board,
                    transfers=self.transfers,
                    wire=self.wire,
                    sessions=self._sessions,
                    new_id=_new_id,
                )
            ),
        )

    # ------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Raises: OSError if an address is taken."""
        self._read_usage()
        await self.wire.start()
        self._started = True
        self._watch.take(_in_use(self._parts.board.plan))
        self._keep()

    async def close(self) -> None:
        """Takes back registrations, closes the sockets, and writes down what was dialled."""
        self._timers.close()
        self._watch.close()
        self.phone.close()
        await self.wire.close()
        self._write_usage()

    def take_plan(self, plan: DialPlan) -> None:
        """Another snapshot: new calls go by it at once, calls that are up go on as they are."""
        self._origins.take(plan)
        self._forget_sources()
        if self._started:
            self._watch.take(_in_use(plan))

    def _moved(self, trunk: str, addresses: frozenset[str]) -> None:
        if self._origins.learn(trunk, addresses):
            self._guard.forget()

    def _forget_sources(self) -> None:
        """Each is judged anew; those with calls that are up are heard until these have ended."""
        self._origins.talk(session.flow.remote[0] for session in self._sessions)
        self._guard.forget()

    # ------------------------------------------------------------------------------- events

    def _event(self, event: SipEvent) -> None:
        try:
            self.phone.handle(event)
        except Exception:
            log.exception("sip_event_failed", extra={"event_kind": type(event).__name__})
            if isinstance(event, IncomingInvite):
                event.session.bye(self.wire.now())
                self.wire.flush()

    def _availability(self, request: Request) -> Availability:
        """What OPTIONS and new INVITEs are told before anything is made of them."""
        is_call = request.method == "INVITE"
        refusal = self._parts.call_refusal() if is_call else self._parts.options_refusal()
        if refusal is None:
            return _AVAILABLE
        if is_call:
            self.phone.counters[refusal.reason] += 1
        return Availability(503, refusal.retry_after_s)

    # ------------------------------------------------------------------------------- usage

    def _wall(self) -> datetime:
        return datetime.fromtimestamp(self._parts.scheduler.wall_us() / 1_000_000, UTC)

    def _keep(self) -> None:
        self._timers.set("keep", KEEP_S, self._keep)
        self._forget_sources()
        self._write_usage()

    def _read_usage(self) -> None:
        """A restart opens no new day for the caps of calls out."""
        try:
            saved = json.loads(self._parts.usage.read_text(encoding="utf-8"))
            self._book.restore(saved, self.wire.now(), self._wall())
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("usage_unreadable", extra={"reason": type(error).__name__})

    def _write_usage(self) -> None:
        saved = json.dumps(self._book.saved(self.wire.now(), self._wall()))
        if saved == self._saved:
            return
        draft = self._parts.usage.with_suffix(".new")
        try:
            draft.write_text(saved, encoding="utf-8")
            draft.replace(self._parts.usage)
        except OSError as error:
            log.error("usage_not_kept", extra={"reason": error.strerror})
        else:
            self._saved = saved

    # ------------------------------------------------------------------------------- health

    def health(self) -> Mapping[str, Any]:
        """Counters of the door, the guard and the way out."""
        now = self.wire.now()
        return {
            "port": self._ports.sip.port,
            "tls_port": self._ports.tls.port if self._ports.tls else None,
            "counters": dict(self._engine.counters),
            "calls": dict(self.phone.counters),
            "dialled": dict(self.dialler.counters),
            "registrations": dict(self._phones.counters),
            "dropped": dict(self._guard.dropped),
            "networks": dict(self._guard.networks.most_common(20)),
            "bans": len(self._guard.bans(now)),
        }

    def trunks(self) -> Mapping[str, Mapping[str, Any]]:
        """The trunks' state, for the admin and for `doctor`."""
        return {
            name: {
                **state,
                "calls": self._rooms.calls(name),
                "counters": self._rooms.counters(name),
            }
            for name, state in self._watch.states().items()
        }

    def extensions(self) -> Mapping[str, Mapping[str, Any]]:
        """Which phones are connected."""
        return self._phones.states()


def _new_id() -> str:
    return secrets.token_hex(4)


def _in_use(plan: DialPlan) -> Mapping[str, Trunk]:
    return {name: trunk for name, trunk in plan.trunks.items() if trunk.enabled}


def _open_networks(configuration: Configuration) -> OpenNetworks:
    return OpenNetworks(
        parse_networks(configuration.sip_networks),
        explicit=bool(configuration.sip_allow),
        registrar=configuration.registrar,
        algorithms=configuration.sip_digest,
    )


def _transport_settings(
    configuration: Configuration, ports: Ports, guard: SourceGuard
) -> TransportSettings:
    return TransportSettings(
        bind=(ports.sip.host, ports.sip.port),
        bind_v6=_pair(ports.sip_v6),
        tls_bind_v6=_pair(ports.tls_v6),
        guard=guard,
        tls=_tls_settings(configuration, ports),
    )


def _pair(address: Address | None) -> tuple[str, int] | None:
    return None if address is None else (address.host, address.port)


def _tls_settings(configuration: Configuration, ports: Ports) -> TlsSettings | None:
    certificate, key = configuration.sip_tls_certificate, configuration.sip_tls_key
    if ports.tls is None or certificate is None or key is None:
        return None
    authorities = configuration.sip_tls_ca
    return TlsSettings(
        bind=(ports.tls.host, ports.tls.port),
        certificate=str(certificate),
        key=str(key),
        ca=None if authorities is None else str(authorities),
        verify_peer=configuration.sip_tls_verify,
    )
