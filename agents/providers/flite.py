"""Flite: the embedded voice (Debian's `flite`), in child processes."""

from typing import Final

from agents.providers.process_voice import ProcessVoice

VOICES: Final = ("slt", "rms", "awb", "kal16", "kal")


def flite_voice(processes: int = 1) -> ProcessVoice:
    """Voices slt, rms, awb, kal16, kal; the last two are the fastest and the least pleasant."""
    return ProcessVoice("agents.providers.flite_child", processes)
