"""espeak-ng: the voice where flite is missing, always in a process of its own (GPL-3)."""

from agents.providers.process_voice import ProcessVoice


def espeak_voice(processes: int = 1) -> ProcessVoice:
    """Takes flite's voice names as well as its own (`en-gb`, `de`, `en-us+f4`, ...)."""
    return ProcessVoice("agents.providers.espeak_child", processes)
