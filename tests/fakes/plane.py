"""A media plane that keeps what it was told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from telephony.media.commands import Command, Remove
from telephony.media.errors import NoMediaCapacityError
from telephony.media.handles import SlotHandle, VoiceHandle


class FakePlane:
    """`commands`: all that was applied, in order; `live`: handles that were not removed."""

    def __init__(self, *, capacity: int = 10) -> None:
        self.commands: list[Command] = []
        self.live: set[int] = set()
        self.remotes: list[tuple[str, int] | None] = []
        self.sends: dict[SlotHandle, Callable[[bytes], None]] = {}
        self.capacity = capacity
        self._numbers = count(1)

    def _take(self) -> int:
        if len(self.live) >= self.capacity:
            raise NoMediaCapacityError("full")
        number = next(self._numbers)
        self.live.add(number)
        return number

    def reserve_rtp(
        self, remote: tuple[str, int] | None = None, *, nat: bool = False, v6: bool = False
    ) -> tuple[SlotHandle, int]:
        self.remotes.append(remote)
        sixth = v6 if remote is None else ":" in remote[0]
        return SlotHandle(self._take()), 46_000 if sixth else 40_000

    def add_packet_slot(
        self, send: Callable[[bytes], None], *, payload_type: int = 111
    ) -> SlotHandle:
        slot = SlotHandle(self._take())
        self.sends[slot] = send
        return slot

    def packet_arrived(self, slot: SlotHandle, packet: bytes) -> bool:
        return slot in self.live

    def add_voice(self, rate_hz: int) -> VoiceHandle:
        return VoiceHandle(self._take())

    def apply(self, *commands: Command) -> None:
        self.commands += commands
        for command in commands:
            if isinstance(command, Remove):
                self.live.discard(command.handle)

    def last(self, kind: type[Command]) -> Command:
        return next(command for command in reversed(self.commands) if isinstance(command, kind))
