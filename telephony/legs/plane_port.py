"""What a leg needs of the media plane: `telephony.media.plane.MediaPlane` in production, a fake in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from telephony.media.commands import Command
from telephony.media.handles import SlotHandle, VoiceHandle


class Plane(Protocol):
    """Slots, voices and commands; all calls in the loop's thread."""

    def reserve_rtp(
        self, remote: tuple[str, int] | None = None, *, nat: bool = False, v6: bool = False
    ) -> tuple[SlotHandle, int]:
        """A slot and its local port, of IPv6 if `remote` or, without it, `v6` says so. Raises: NoMediaCapacityError."""

    def add_packet_slot(
        self, send: Callable[[bytes], None], *, payload_type: int = 111
    ) -> SlotHandle:
        """A slot for Opus packets. Raises: NoMediaCapacityError, CodecUnavailableError."""

    def packet_arrived(self, slot: SlotHandle, packet: bytes) -> bool: ...

    def add_voice(self, rate_hz: int) -> VoiceHandle:
        """A playout queue. Raises: NoMediaCapacityError."""

    def apply(self, *commands: Command) -> None: ...
