"""Where phones are: bindings of addresses of record, and the REGISTERs that change them (RFC 3261 10.3).

Path (RFC 3327) and instances (RFC 5626 6) are kept; the flow a REGISTER came by is the way back to the phone.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from telephony.sip.core import Core
from telephony.sip.dialog import DEFAULT_PORT
from telephony.sip.errors import SipStateError, SipSyntaxError
from telephony.sip.events import RegisterReceived
from telephony.sip.extensions import parse_expires
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.message import HeaderPair, Request
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.uas_checks import Refusal
from telephony.sip.uri import Uri, equivalent, ip_literal, parse_uri, unescape

DEFAULT_EXPIRES: Final = 3600
# RFC 3261 10.3, 7: only intervals below an hour may be called too brief.
MIN_EXPIRES: Final = 60
MAX_BINDINGS: Final = 10
_MOST_CONTACTS: Final = 10
_Q: Final = re.compile(r"[01](?:\.[0-9]{0,3})?", re.ASCII)
_DECISION_SECONDS: Final = 10.0
_SWEEP: Final = "bindings"
_SWEEP_SECONDS: Final = 60.0
_SCHEMES: Final = ("sip", "sips")


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to a phone: INVITE `contact` by `flow`, with `path` as its Routes."""

    contact: str = field(repr=False)
    flow: Flow
    expires_at: float
    q: float = 1.0
    path: tuple[str, ...] = field(default=(), repr=False)
    call_id: str = ""
    cseq: int = 0
    instance: str = ""


@dataclass(frozen=True, slots=True)
class AskedContact:
    """A Contact of a REGISTER and the seconds asked for it; 0 takes it out."""

    address: NameAddr
    expires: int

    @property
    def uri(self) -> Uri:
        return self.address.uri

    @property
    def instance(self) -> str:
        """RFC 5626: the phone itself, whatever address it has now, and which of its flows."""
        named = (self.address.param("+sip.instance") or "").strip('"')
        return f"{named} {self.address.param('reg-id') or ''}" if named else ""

    @property
    def q(self) -> float:
        """1 unless it says otherwise (RFC 3261 20.10)."""
        text = self.address.param("q") or ""
        return min(float(text), 1.0) if _Q.fullmatch(text) else 1.0


@dataclass(frozen=True, slots=True)
class AskedBindings:
    """What a REGISTER wants. Neither contacts nor `wildcard`: only to know."""

    aor: str = field(repr=False)
    contacts: tuple[AskedContact, ...]
    wildcard: bool
    call_id: str
    cseq: int
    path: tuple[str, ...] = field(repr=False)

    @property
    def expires(self) -> int:
        return max((asked.expires for asked in self.contacts), default=0)


def aor_of(uri: Uri) -> str:
    """The canonical address of record (RFC 3261 10.3, 5): user unescaped, host in lower case, nothing else."""
    user = f"{unescape(uri.user)}@" if uri.user else ""
    return f"sip:{user}{uri.host.lower()}"


def read_register(request: Request) -> AskedBindings | Refusal:
    """RFC 3261 10.3, steps 5 to 7, as far as they need no bindings."""
    if request.to.uri.scheme not in _SCHEMES:
        return Refusal(404)
    values = request.headers.all("contact")
    wildcard = any(value.strip() == "*" for value in values)
    try:
        default = _seconds(request.headers.first("expires"), DEFAULT_EXPIRES)
        contacts = () if wildcard else _asked(request.contacts, default)
        path = request.hops("path")
    except SipSyntaxError:
        return Refusal(400)
    if wildcard and (len(values) > 1 or default != 0):
        return Refusal(400)
    if len(contacts) > _MOST_CONTACTS or any(c.uri.scheme not in _SCHEMES for c in contacts):
        return Refusal(400)
    aor = aor_of(request.to.uri)
    return AskedBindings(aor, contacts, wildcard, request.call_id, request.cseq.number, path)


def _asked(addresses: Iterable[NameAddr], default: int) -> tuple[AskedContact, ...]:
    return tuple(
        AskedContact(address, _seconds(address.param("expires"), default)) for address in addresses
    )


def _seconds(text: str | None, default: int) -> int:
    """A malformed value is as good as an hour (RFC 3261 10.2.1.1)."""
    if text is None:
        return default
    try:
        return parse_expires(text.strip('"'))
    except SipSyntaxError:
        return DEFAULT_EXPIRES


class Bindings:
    """All bindings of an engine, by address of record; at most `limit` for each, the soonest to end gives way."""

    def __init__(self, counters: Counter[str], limit: int = MAX_BINDINGS) -> None:
        self._counters = counters
        self._limit = limit
        self._by_aor: dict[str, tuple[Binding, ...]] = {}

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._by_aor.values())

    def of(self, aor: str, now: float) -> tuple[Binding, ...]:
        """Those that have not run out, best q first, then the latest."""
        living = [b for b in self._by_aor.get(aor, ()) if b.expires_at > now]
        return tuple(sorted(living, key=lambda b: (-b.q, -b.expires_at)))

    def change(
        self, asked: AskedBindings, flow: Flow, most_seconds: int, now: float
    ) -> Refusal | None:
        """Do all of what a REGISTER wants, or nothing of it (RFC 3261 10.3, 7)."""
        brief = any(0 < contact.expires < MIN_EXPIRES for contact in asked.contacts)
        if brief:
            return Refusal(423, (("Min-Expires", str(MIN_EXPIRES)),))
        kept = list(self.of(asked.aor, now))
        touched = kept if asked.wildcard else [b for b in kept if _is_touched(b, asked.contacts)]
        if any(b.call_id == asked.call_id and asked.cseq <= b.cseq for b in touched):
            return Refusal(500)  # it overtook, or was overtaken by, another one of its phone
        kept = [binding for binding in kept if binding not in touched]
        for position, contact in enumerate(asked.contacts):
            seconds = min(contact.expires, most_seconds)
            repeated = any(equivalent(contact.uri, c.uri) for c in asked.contacts[:position])
            if seconds > 0 and not repeated:
                kept.append(_bind(contact, asked, flow, now + seconds))
        while len(kept) > self._limit:
            kept.remove(min(kept, key=lambda b: b.expires_at))
            self._counters["binding_displaced"] += 1
        self._put(asked.aor, kept)
        return None

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone. Who can be reached by a new one to the same place stays."""
        if not flow.connection:
            return
        for aor, bindings in list(self._by_aor.items()):
            if any(binding.flow == flow for binding in bindings):
                self._put(aor, [b for b in map(_reconnected(flow), bindings) if b is not None])

    def sweep(self, now: float) -> bool:
        """Forget what has run out; if anything is left."""
        for aor in list(self._by_aor):
            self._put(aor, self.of(aor, now))
        return bool(self._by_aor)

    def _put(self, aor: str, bindings: Sequence[Binding]) -> None:
        if bindings:
            self._by_aor[aor] = tuple(bindings)
        else:
            self._by_aor.pop(aor, None)


def contact_headers(bindings: Iterable[Binding], now: float) -> list[HeaderPair]:
    """The Contacts of a 200 to a REGISTER."""
    return [
        ("Contact", f"<{b.contact}>;expires={max(1, round(b.expires_at - now))}") for b in bindings
    ]


def _is_touched(binding: Binding, contacts: Iterable[AskedContact]) -> bool:
    uri = parse_uri(binding.contact)
    return any(
        equivalent(uri, contact.uri) or (binding.instance and binding.instance == contact.instance)
        for contact in contacts
    )


def _bind(contact: AskedContact, asked: AskedBindings, flow: Flow, expires_at: float) -> Binding:
    return Binding(
        contact=str(contact.uri),
        flow=flow,
        expires_at=expires_at,
        q=contact.q,
        path=asked.path,
        call_id=asked.call_id,
        cseq=asked.cseq,
        instance=contact.instance,
    )


def _reconnected(flow: Flow) -> Callable[[Binding], Binding | None]:
    def moved(binding: Binding) -> Binding | None:
        if binding.flow != flow:
            return binding
        uri = parse_uri(binding.contact)
        reachable = ip_literal(uri.host) == flow.remote[0] and flow.transport in ("tcp", "tls")
        if not reachable or binding.path:
            return (
                None  # behind NAT, in a browser, or behind a proxy: only that connection led there
            )
        port = uri.port or (5061 if flow.transport == "tls" else DEFAULT_PORT)
        return replace(binding, flow=replace(flow, remote=(flow.remote[0], port), connection=0))

    return moved


class PhoneRegistration:
    """A REGISTER that waits for the gateway's word; without one it is refused in time."""

    def __init__(
        self,
        core: Core,
        bindings: Bindings,
        asked: AskedBindings,
        transaction: ServerTransaction,
        username: str,
    ) -> None:
        self.aor = asked.aor
        self.contacts = tuple(str(contact.uri) for contact in asked.contacts)
        self.expires = asked.expires
        self.wildcard = asked.wildcard
        self.flow = transaction.flow
        self.username = username
        self._core = core
        self._bindings = bindings
        self._asked = asked
        self._transaction: ServerTransaction | None = transaction

    def begin(self, now: float) -> None:
        self._core.deadlines.set((self, "decision"), now + _DECISION_SECONDS, self._undecided)
        self._core.emit(RegisterReceived(self))

    def accept(self, now: float, expires: int = DEFAULT_EXPIRES) -> None:
        """`expires`: the most that is granted. A REGISTER that came too late or asks for too little is refused."""
        transaction = self._take()
        refusal = self._bindings.change(self._asked, self.flow, expires, now)
        if refusal is not None:
            self._core.counters[f"refused_{refusal.status}"] += 1
            self._core.respond(transaction, refusal.status, now, extra=refusal.headers)
            return
        extra = contact_headers(self._bindings.of(self.aor, now), now)
        extra += [("Path", hop) for hop in self._asked.path]
        self._core.respond(transaction, 200, now, extra=extra)
        self._core.deadlines.set(_SWEEP, now + _SWEEP_SECONDS, self._sweep)

    def reject(self, status: int, now: float) -> None:
        if not 300 <= status < 700:
            raise SipStateError("a refusal takes a status of 300 to 699")
        self._core.respond(self._take(), status, now)

    def _take(self) -> ServerTransaction:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            raise SipStateError("this REGISTER was answered")
        self._core.deadlines.cancel((self, "decision"))
        return transaction

    def _undecided(self, now: float) -> None:
        self._core.counters["register_undecided"] += 1
        self.reject(500, now)

    def _sweep(self, now: float) -> None:
        if self._bindings.sweep(now):
            self._core.deadlines.set(_SWEEP, now + _SWEEP_SECONDS, self._sweep)
