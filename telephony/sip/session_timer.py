"""Session timers (RFC 4028): how long a session may live without a refresh, and who refreshes it."""

from collections import Counter
from typing import Any, Final, Literal, Protocol

from telephony.sip.core import Core, EngineSettings
from telephony.sip.extensions import (
    SessionExpires,
    parse_min_se,
    parse_session_expires,
    read_optional,
)
from telephony.sip.message import HeaderPair, Message, Request, Response

TIMER: Final = "timer"
TOO_SMALL: Final = 422
# RFC 4028 7.2: a number that is raised again and again is not worth asking for.
_MOST_RAISES: Final = 3
_BUSY_SECONDS: Final = 5.0
_DEFAULT_MIN_SE: Final = 90


def refusal_of_interval(request: Request, settings: EngineSettings) -> int | None:
    """The Min-SE to put into a 422; None if the interval will do (RFC 4028 9).

    A proxy may have put a small one into the request of a phone that knows no 422: that is taken, and raised.
    """
    asked = read_optional(request, "session-expires", parse_session_expires, Counter())
    if asked is None or asked.seconds >= settings.min_se_s:
        return None
    return settings.min_se_s if TIMER in request.tokens("supported") else None


def wanted_seconds(settings: EngineSettings, asked: int | None) -> int:
    """What we ask for: 0 for no timer; `asked` None: as the engine is set."""
    wanted = settings.session_expires_s if asked is None else asked
    return max(wanted, settings.min_se_s) if wanted else 0


def first_headers(settings: EngineSettings, asked: int | None) -> list[HeaderPair]:
    """For a new INVITE of ours; who refreshes is left to the other side (RFC 4028 7.1)."""
    seconds = wanted_seconds(settings, asked)
    return _headers(SessionExpires(seconds), settings.min_se_s) if seconds else []


def _headers(expires: SessionExpires, min_se: int) -> list[HeaderPair]:
    # RFC 4028 5: 90 is what the absence of Min-SE means.
    lowest = [("Min-SE", str(min_se))] if min_se > _DEFAULT_MIN_SE else []
    return [("Session-Expires", str(expires)), *lowest]


class TimedSession(Protocol):
    """The session that is kept alive."""

    def refresh_session(self, now: float) -> bool:
        """Send a refresh; False if that is not possible just now."""
        ...

    def session_expired(self, now: float) -> None: ...


class SessionTimer:
    """What both sides agreed, renewed by each refresh. `seconds` 0: no session timer."""

    def __init__(self, core: Core, user: TimedSession, asked: int | None = None) -> None:
        self.seconds = 0
        self.we_refresh = False
        self._floor = core.settings.min_se_s
        self._counters = core.counters
        self._deadlines = core.deadlines
        self._user = user
        self._wanted = wanted_seconds(core.settings, asked)
        self._min_se = 0  # as a 422 told us
        self._raises = 0

    # ------------------------------------------------------------------ our requests

    def request_headers(self) -> list[HeaderPair]:
        """For our INVITE or UPDATE (RFC 4028 7.1, 7.4): an agreed refresher stays in office."""
        seconds = self.seconds or self._wanted
        if not seconds:
            return []
        seconds = max(seconds, self._min_se)
        if self.seconds:
            expires = SessionExpires(seconds, "uac" if self.we_refresh else "uas")
        else:
            expires = SessionExpires(seconds)
        return _headers(expires, max(self._min_se, self._floor))

    def raised(self, response: Response) -> bool:
        """After a 422: whether to ask again, for at least as much as they want."""
        wanted = read_optional(response, "min-se", parse_min_se, self._counters)
        if wanted is None or wanted <= self._min_se or self._raises >= _MOST_RAISES:
            return False
        self._raises += 1
        self._min_se = wanted
        return bool(self.seconds or self._wanted)

    def answered(self, response: Response, now: float) -> None:
        """A 2xx to our request (RFC 4028 7.2): without Session-Expires there is no timer."""
        agreed = self._expires_of(response)
        if agreed is None:
            self.stop()
        else:
            self._begin(agreed.seconds, agreed.refresher != "uas", now)

    # ------------------------------------------------------------------ their requests

    def accept(self, request: Request, now: float) -> list[HeaderPair]:
        """Headers of our 2xx, and the timer begins anew (RFC 4028 9)."""
        asked = self._expires_of(request)
        knows = TIMER in request.tokens("supported")
        if asked is None and not (knows and self._wanted):
            self.stop()
            return []
        refresher = self._refresher(asked, knows)
        self._begin(self._interval(asked, request), refresher == "uas", now)
        headers = [("Session-Expires", str(SessionExpires(self.seconds, refresher)))]
        return [("Require", TIMER), *headers] if refresher == "uac" else headers

    def _expires_of(self, message: Message) -> SessionExpires | None:
        return read_optional(message, "session-expires", parse_session_expires, self._counters)

    def _refresher(self, asked: SessionExpires | None, knows: bool) -> Literal["uac", "uas"]:
        if not knows:
            return "uas"
        if asked is not None and asked.refresher:
            return asked.refresher
        if self.seconds:  # RFC 4028 9: who does it goes on doing it
            return "uas" if self.we_refresh else "uac"
        return "uas" if asked is None else "uac"

    def _interval(self, asked: SessionExpires | None, request: Request) -> int:
        theirs = read_optional(request, "min-se", parse_min_se, self._counters)
        lowest = max(self._floor, theirs or 0)
        wanted = self._wanted or lowest
        if asked is None:
            return max(wanted, lowest)
        return max(min(asked.seconds, wanted) if self._wanted else asked.seconds, lowest)

    # ------------------------------------------------------------------ time

    def resume(self, seconds: int, we_refresh: bool, now: float) -> None:
        """After a restart nobody knows how much is left: we refresh at once, or give them one full interval."""
        if seconds:
            self._begin(seconds, we_refresh, now)
            if we_refresh:
                self._deadlines.set((self, "refresh"), now, self._refresh)

    def stop(self) -> None:
        self.seconds = 0
        self._deadlines.cancel((self, "refresh"))
        self._deadlines.cancel((self, "expire"))

    def snapshot(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "we_refresh": self.we_refresh}

    def _begin(self, seconds: int, we_refresh: bool, now: float) -> None:
        self.seconds = max(seconds, self._floor)
        self.we_refresh = we_refresh
        # RFC 4028 10: the BYE goes a little before the end.
        self._deadlines.set(
            (self, "expire"), now + self.seconds - min(32.0, self.seconds / 3), self._expire
        )
        if we_refresh:
            self._deadlines.set((self, "refresh"), now + self.seconds / 2, self._refresh)
        else:
            self._deadlines.cancel((self, "refresh"))

    def _refresh(self, now: float) -> None:
        sent = self._user.refresh_session(now)
        wait = self.seconds / 8 if sent else min(self.seconds / 8, _BUSY_SECONDS)
        self._deadlines.set((self, "refresh"), now + wait, self._refresh)

    def _expire(self, now: float) -> None:
        self.stop()
        self._user.session_expired(now)
