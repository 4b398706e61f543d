"""REGISTER of ours at a trunk (RFC 3261 10.2, RFC 3327, RFC 3608, RFC 5626): kept alive until it is stopped."""

from dataclasses import replace
from typing import Final

from telephony.sip.attempt import Attempt
from telephony.sip.auth import ClientAuth, Credentials
from telephony.sip.core import Core
from telephony.sip.errors import SipSyntaxError
from telephony.sip.events import RegistrationChanged, RegistrationState
from telephony.sip.extensions import parse_expires, read_optional
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr, parse_name_addr, split_commas
from telephony.sip.initial import initial_request
from telephony.sip.message import HeaderPair, Response
from telephony.sip.uri import Uri, equivalent

LONGEST_SECONDS: Final = 7 * 86_400
_MOST_423: Final = 2
# RFC 5626 4.5 in spirit: doubled with each failure, half of it by chance so that a thousand nodes do not return
# as one. A registrar that said no is asked seldom: many ban those who insist.
_RETRY: Final = (4.0, 300.0)
_RETRY_REFUSED: Final = (60.0, 1800.0)
_LONGEST_RETRY_AFTER: Final = 3600
_PASSING: Final = frozenset({408, 423, 480, 491})


class Registration:
    """One contact of ours at one registrar. States come as `RegistrationChanged`; nothing leaves STOPPED."""

    def __init__(
        self,
        core: Core,
        registrar: str,
        aor: str,
        flow: Flow,
        credentials: Credentials | None,
        expires: int,
        instance: str = "",
    ) -> None:
        self.id = core.ids.call_id()
        self.flow = flow
        self.state = RegistrationState.REGISTERING
        self.expires_at: float | None = None
        self.service_route: tuple[str, ...] = ()
        self._core = core
        self._registrar = registrar
        self._aor = parse_name_addr(aor)
        self._auth = None if credentials is None else ClientAuth(credentials, core.ids)
        self._expires = expires
        self._instance = instance
        self._tag = core.ids.tag()
        self._cseq = 0
        self._contact: Uri
        self._in_flight = False
        self._removing = False
        self._stopping = False
        self._moved = False
        self._failures = 0
        self._too_brief = 0

    def start(self, now: float) -> None:
        """Send the first REGISTER.

        Raises:
            SipSyntaxError: the registrar's URI cannot be read.
        """
        self._register(now)
        self._enter(RegistrationState.REGISTERING, 0)

    def stop(self, now: float) -> None:
        """Take our contact out again; STOPPED comes when that is answered, or after 32 s. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        self._core.deadlines.cancel((self, "register"))
        if not self._in_flight:
            self._remove_or_stop(now)

    def move(self, flow: Flow, now: float) -> None:
        """Go on by another flow, such as the next server of the same domain."""
        self.flow = flow
        if self._stopping:
            return
        if self._in_flight:
            self._moved = True
        else:
            self._register(now)

    def flow_lost(self, flow: Flow, now: float) -> None:
        """A connection is gone: calls would not find us by it any more."""
        same = (flow.transport, flow.remote) == (self.flow.transport, self.flow.remote)
        up = self.state is RegistrationState.REGISTERED  # else the back-off decides
        if up and same and flow.reliable and not self._in_flight:
            self._again_at(now + 2 * self._core.ids.fraction())

    # ------------------------------------------------------------------ responses

    def responded(self, response: Response, now: float) -> None:
        self._in_flight = False
        if self._removing:
            self._finish(response.status)
        elif response.status < 300:
            self._granted(response, now)
        elif response.status == 423 and self._ask_for_longer(response):
            self._register(now)
        else:
            wait = read_optional(response, "retry-after", parse_expires, self._core.counters)
            self._failed(response.status, wait or 0, now)

    def failed(self, status: int, now: float) -> None:
        self._in_flight = False
        if self._removing:
            self._finish(status)
        else:
            self._failed(status, 0, now)

    def _granted(self, response: Response, now: float) -> None:
        seconds = min(self._seconds_granted(response), LONGEST_SECONDS)
        if not seconds:
            self._failed(response.status, 0, now)
            return
        self._failures = self._too_brief = 0
        self.expires_at = now + seconds
        self.service_route = _routes(response)
        if self._stopping:
            self._remove_or_stop(now)
            return
        if self._moved:
            self._register(now)
        else:
            early = 0.8 + 0.1 * self._core.ids.fraction()
            self._again_at(now + max(1.0, early * seconds))
        self._enter(RegistrationState.REGISTERED, response.status)

    def _seconds_granted(self, response: Response) -> int:
        """Of our Contact; of the only one, which a registrar behind NAT may have rewritten; of Expires."""
        contacts = response.contacts
        ours = [c for c in contacts if equivalent(c.uri, self._contact)]
        ours = ours or [c for c in contacts if _same_place(c, self._contact)]
        ours = ours or (list(contacts) if len(contacts) == 1 else [])
        if ours and (text := ours[0].param("expires")) is not None:
            try:
                return parse_expires(text)
            except SipSyntaxError:
                self._core.counters["bad_expires"] += 1
        seconds = read_optional(response, "expires", parse_expires, self._core.counters)
        return self._expires if seconds is None else seconds

    def _ask_for_longer(self, response: Response) -> bool:
        least = read_optional(response, "min-expires", parse_expires, self._core.counters) or 0
        self._too_brief += 1
        if not self._expires < least <= LONGEST_SECONDS or self._too_brief > _MOST_423:
            return False
        self._expires = least
        return not self._stopping

    def _failed(self, status: int, retry_after: int, now: float) -> None:
        if self._stopping:
            self._remove_or_stop(now)
            return
        if self._moved:
            self._register(now)
            return
        self._failures += 1
        refused = 400 <= status < 500 and status not in _PASSING
        first, longest = _RETRY_REFUSED if refused else _RETRY
        wait: float = min(longest, first * 2 ** min(self._failures - 1, 16))
        wait *= 0.5 + 0.5 * self._core.ids.fraction()
        wait = max(wait, min(retry_after, _LONGEST_RETRY_AFTER))
        self._again_at(now + wait)
        self._enter(RegistrationState.FAILED, status, retry_at=now + wait)

    # ------------------------------------------------------------------ requests

    def _register(self, now: float) -> None:
        self._moved = False
        self._send(self._expires, now)

    def _send(self, expires: int, now: float) -> None:
        self._core.deadlines.cancel((self, "register"))
        contact = parse_name_addr(self._core.contact(self.flow)[1]).uri
        self._contact = replace(contact, user=self._aor.uri.user)
        options = "path, outbound" if self._instance else "path"
        instance = f';+sip.instance="<{self._instance}>";reg-id=1' if self._instance else ""
        extra: list[HeaderPair] = [
            ("Contact", f"<{self._contact}>;expires={expires}{instance}"),
            ("Expires", str(expires)),
            ("Supported", options),
        ]
        request = initial_request(
            self._core,
            "REGISTER",
            self._registrar,
            self.flow,
            from_=str(self._aor),
            to=str(self._aor),
            call_id=self.id,
            tag=self._tag,
            cseq=self._next_cseq(),
            extra=extra,
        )
        self._in_flight = True
        Attempt(self._core, self, self._auth, self._next_cseq).start(request, self.flow, now)

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _again_at(self, at: float) -> None:
        self._core.deadlines.set((self, "register"), at, self._register)

    # ------------------------------------------------------------------ inside

    def _is_registered(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at > now

    def _remove_or_stop(self, now: float) -> None:
        if self._is_registered(now):
            self._removing = True
            self._send(0, now)
        else:
            self._finish(0)

    def _finish(self, status: int) -> None:
        self.expires_at = None
        self._enter(RegistrationState.STOPPED, status)

    def _enter(
        self, state: RegistrationState, status: int, *, retry_at: float | None = None
    ) -> None:
        """The one place where the state changes."""
        self.state = state
        self._core.emit(RegistrationChanged(self.id, state, status, self.expires_at, retry_at))


def _routes(response: Response) -> tuple[str, ...]:
    """Service-Route (RFC 3608): what our requests go by; one bad element makes all of it absent."""
    try:
        values = response.headers.all("service-route")
        routes = tuple(part for value in values for part in split_commas(value))
        for route in routes:
            parse_name_addr(route)
    except SipSyntaxError:
        return ()
    return routes


def _same_place(contact: NameAddr, ours: Uri) -> bool:
    theirs = contact.uri
    return (theirs.user, theirs.host.lower(), theirs.port) == (
        ours.user,
        ours.host.lower(),
        ours.port,
    )
