"""Persons who are rung for a caller: one, or all of a queue at once, again and again until somebody answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from telephony.call.ids import UserName
from telephony.sip.message import HeaderPair

RING_S: Final = 30.0
PAUSE_S: Final = 4.0
"""Between two rounds of a queue: phones that were just declined are left alone for a moment."""


@dataclass(frozen=True, slots=True)
class RingOrder:
    """One phone: an extension, or a number by a trunk. `who`: login name of the person behind it."""

    destination: str
    trunk: str | None = None
    who: UserName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """Whom a call is for. All ring at once, or `one_by_one` for `ring_s` each; the first who answers has it.

    `wait_s`: how long rounds go on (0: one round). `answer_first`: the caller is answered as soon as somebody is
    rung, and hears it, as in a queue; else the caller's own network rings until somebody answers. `passed`: headers of the caller's INVITE
    that go on to whoever is rung.
    """

    name: str
    orders: tuple[RingOrder, ...]
    ring_s: float = RING_S
    wait_s: float = 0.0
    one_by_one: bool = False
    answer_first: bool = False
    passed: tuple[HeaderPair, ...] = ()

    @property
    def destination(self) -> str:
        return ", ".join(order.destination for order in self.orders)[:256]
