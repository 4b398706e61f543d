"""espeak-ng in a process of its own: one global state in C, and a licence (GPL-3) kept out of ours.

Uses the wheel `espeakng-loader` where it is installed, else the system's library. Calls and numbers:
espeak-ng's `speak_lib.h`, version 1.50 and later.
"""

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from agents.providers.voice_child import Speak, serve
from agents.speech.wave import Samples

AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
POS_CHARACTER: Final = 1
CHARS_UTF8: Final = 1
PARAMETER_RATE: Final = 1
WORDS_A_MINUTE: Final = 160
BUFFER_MS: Final = 40
# The voices of flite, so that one setting serves both engines.
VOICES: Final = {
    "slt": b"en-us+f3",
    "rms": b"en-us",
    "awb": b"en-gb-scotland",
    "kal": b"en-us+m3",
    "kal16": b"en-us+m3",
}
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def _library() -> tuple[str, bytes | None]:
    """Path of the library and of its data (None: where the library looks by itself)."""
    spec = importlib.util.find_spec("espeakng_loader")
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
        found = sorted(folder.glob("libespeak-ng*"))
        if found:
            return str(found[0]), str(folder).encode()
    return "libespeak-ng.so.1", None


class Espeak:
    """espeak-ng, ready to speak. Raises: OSError without library or data."""

    def __init__(self) -> None:
        path, data = _library()
        self._lib = ctypes.CDLL(path)
        self._rate_hz = self._lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, data, 0)
        if self._rate_hz <= 0:
            raise OSError("espeak-ng found no data files")
        self._take: Callable[[Samples, int], bool] | None = None
        self._callback = _Callback(self._on_audio)  # kept: C holds the pointer
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_SetParameter(PARAMETER_RATE, WORDS_A_MINUTE, 0)

    def speak(self, text: str, voice: str, take: Callable[[Samples, int], bool]) -> None:
        """Synthesises; `take` may stop it. Raises: ValueError for a voice that is not here."""
        name = VOICES.get(voice, voice.encode())
        if self._lib.espeak_SetVoiceByName(name) != 0:
            message = f"espeak-ng has no voice {voice!r}"
            raise ValueError(message)
        self._take = take
        data = text.encode() + b"\0"
        self._lib.espeak_Synth(data, len(data), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)

    def _on_audio(self, samples, count, events):  # type: ignore[no-untyped-def]
        if self._take is None or not samples or count <= 0:
            return 0
        heard = np.ctypeslib.as_array(samples, (count,)).copy()
        return 0 if self._take(heard, self._rate_hz) else 1


def load() -> Speak:
    """Loads the library and speaks a word: the first synthesis costs 30 ms."""
    espeak = Espeak()
    espeak.speak("Hello.", "slt", lambda _samples, _rate: True)
    return espeak.speak


if __name__ == "__main__":
    serve(load)
