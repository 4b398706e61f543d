"""What was dialled, for the caps of `telephony.outbound_rules`: up now, in the last second, today. Pure: time is given.

One book per node. `today` is the day of UTC; `saved` and `restore` carry it over a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from telephony.outbound_rules import Counters, Usage

_SECOND: Final = 1.0


@dataclass(slots=True)
class _Account:
    calls: int = 0
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    calls_today: int = 0
    seconds_today: float = 0.0


@dataclass(slots=True)
class _Dialled:
    accounts: tuple[_Account, ...]
    talking_since: float | None = None


class UsageBook:
    """`now`: monotonic seconds. `at`: wall time with its zone. `key`: names one placed call."""

    def __init__(self) -> None:
        self._day = date.min
        self._total = _Account()
        self._trunks: dict[str, _Account] = {}
        self._agents: dict[str, _Account] = {}
        self._dialled: dict[str, _Dialled] = {}

    def began(self, key: str, trunk: str, agent: str, now: float, at: datetime) -> None:
        """A call was allowed and is being placed; each attempt at a further trunk is one more."""
        self._turn(now, at)
        accounts = self._accounts(trunk, agent)
        for account in accounts:
            account.calls += 1
            account.calls_today += 1
            account.starts.append(now)
        self._dialled[key] = _Dialled(accounts)

    def referred(self, trunk: str, agent: str, now: float, at: datetime) -> None:
        """The trunk was asked to make a call (REFER): one of today's, though none of ours is up for it."""
        self._turn(now, at)
        for account in self._accounts(trunk, agent):
            account.calls_today += 1

    def _accounts(self, trunk: str, agent: str) -> tuple[_Account, ...]:
        accounts = [self._total, self._trunks.setdefault(trunk, _Account())]
        if agent:
            accounts.append(self._agents.setdefault(agent, _Account()))
        return tuple(accounts)

    def answered(self, key: str, now: float) -> None:
        """The seconds that cost begin. Idempotent; unknown keys are ignored."""
        dialled = self._dialled.get(key)
        if dialled is not None and dialled.talking_since is None:
            dialled.talking_since = now

    def ended(self, key: str, now: float) -> None:
        """Idempotent; unknown keys are ignored."""
        dialled = self._dialled.pop(key, None)
        if dialled is None:
            return
        for account in dialled.accounts:
            account.calls -= 1
            if dialled.talking_since is not None:
                account.seconds_today += now - dialled.talking_since

    def counters(self, now: float, at: datetime, down: frozenset[str] = frozenset()) -> Counters:
        """What `judge` asks for; seconds of calls that are up count."""
        self._turn(now, at)
        up: dict[int, float] = {}
        for dialled in self._dialled.values():
            if dialled.talking_since is not None:
                for account in dialled.accounts:
                    up[id(account)] = up.get(id(account), 0.0) + now - dialled.talking_since

        def usage(account: _Account) -> Usage:
            while account.starts and account.starts[0] <= now - _SECOND and len(account.starts) > 1:
                account.starts.popleft()
            recent = sum(1 for start in account.starts if start > now - _SECOND)
            return Usage(
                calls=account.calls,
                last_second=recent,
                idle_s=now - account.starts[-1] if account.starts else float("inf"),
                calls_today=account.calls_today,
                seconds_today=account.seconds_today + up.get(id(account), 0.0),
            )

        return Counters(
            trunks={name: usage(account) for name, account in self._trunks.items()},
            agents={name: usage(account) for name, account in self._agents.items()},
            total=usage(self._total),
            down=down,
        )

    def _turn(self, now: float, at: datetime) -> None:
        """A new day: figures of the day begin again, calls that are up go on."""
        today = at.astimezone(UTC).date()
        if today == self._day:
            return
        self._day = today
        for account in (self._total, *self._trunks.values(), *self._agents.values()):
            account.calls_today, account.seconds_today = 0, 0.0
        for dialled in self._dialled.values():
            if dialled.talking_since is not None:
                dialled.talking_since = now

    def saved(self, now: float, at: datetime) -> dict[str, Any]:
        """Today's figures as JSON values."""
        counters = self.counters(now, at)

        def plain(usage: Usage) -> list[float]:
            return [usage.calls_today, round(usage.seconds_today, 1)]

        return {
            "day": self._day.isoformat(),
            "total": plain(counters.total),
            "trunks": {name: plain(usage) for name, usage in counters.trunks.items()},
            "agents": {name: plain(usage) for name, usage in counters.agents.items()},
        }

    def restore(self, saved: Mapping[str, Any], now: float, at: datetime) -> None:
        """Takes `saved` back if it is of today. Raises: ValueError, KeyError, TypeError for something else."""
        self._turn(now, at)
        if date.fromisoformat(saved["day"]) != self._day:
            return
        _take(self._total, saved["total"])
        for name, figures in saved["trunks"].items():
            _take(self._trunks.setdefault(name, _Account()), figures)
        for name, figures in saved["agents"].items():
            _take(self._agents.setdefault(name, _Account()), figures)


def _take(account: _Account, figures: Any) -> None:
    calls, seconds = figures
    account.calls_today += int(calls)
    account.seconds_today += float(seconds)
