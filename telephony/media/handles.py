"""Handles of the media plane: an index into its tables and the generation of what lives there.

A handle outlives what it names: the generation tells a stale one, which is then a counted no-op.
"""

from __future__ import annotations

from typing import Final, NewType

SlotHandle = NewType("SlotHandle", int)
"""One leg's audio: RTP on a local port, or packets handed in by the owner of another transport."""
VoiceHandle = NewType("VoiceHandle", int)
"""One playout queue: the agent's speech, a greeting, a test tone."""
SourceHandle = SlotHandle | VoiceHandle
"""What can be heard: the received audio of a slot, or a voice."""

INDEX_BITS: Final = 20
INDEX_MASK: Final = (1 << INDEX_BITS) - 1


def compose(index: int, generation: int) -> int:
    """The integer behind a handle; generations start at 1, so that 0 is never a handle."""
    return generation << INDEX_BITS | index


def index_of(handle: int) -> int:
    """Row of the plane's source table."""
    return handle & INDEX_MASK


def generation_of(handle: int) -> int:
    """Generation the handle was given out with."""
    return handle >> INDEX_BITS
