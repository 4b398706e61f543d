"""espeak-ng in a process of its own: one global state in C, and a licence (GPL-3) kept out of ours.

Library and data are those of the wheel `espeakng-loader` where it is installed, else the system's. The wheel's
own module is never imported. Calls and numbers: espeak-ng's `speak_lib.h`, version 1.50 and later.
"""

import ctypes
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.providers.voice_child import Speak, serve
from agents.speech.wave import Samples

AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
# Without it, missing data files end the process with a line on stderr that nobody reads.
INITIALIZE_DONT_EXIT: Final = 0x8000
POS_CHARACTER: Final = 1
CHARS_UTF8: Final = 1
PARAMETER_RATE: Final = 1
WORDS_A_MINUTE: Final = 160
BUFFER_MS: Final = 40
# The breath of its voices is random, seeded by the clock: one seed, so that a sentence that is spoken
# again by a fresh process sounds the same.
RANDOM_SEED: Final = 1
# The voices of flite, so that one setting serves both engines; then what people write first. Scotland's own voice
# stands nearer to awb, but our recogniser understood 4 of 12 of its sentences, and 10 in received pronunciation.
VOICES: Final = {
    "slt": b"en-us+f3",
    "rms": b"en-us",
    "awb": b"en-gb-x-rp",
    "kal": b"en-us+m3",
    "kal16": b"en-us+m3",
    "en-gb": b"en-gb-x-rp",
}
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A library and the folder of its data; None where the library knows it."""

    library: str
    data: Path | None = None


SYSTEM: Final = Installation("libespeak-ng.so.1")


def installation() -> Installation:
    """The wheel's, else the system's; it may not be there."""
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
        data = folder / "espeak-ng-data"
        for library in sorted(folder.glob("libespeak-ng.*")):
            if data.is_dir():
                return Installation(str(library), data)
    return SYSTEM


class Espeak:
    """espeak-ng, ready to speak. Raises: OSError without library or data."""

    def __init__(self, installed: Installation) -> None:
        self._lib = ctypes.CDLL(installed.library)
        data = None if installed.data is None else str(installed.data).encode()
        self._rate_hz = self._lib.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, data, INITIALIZE_DONT_EXIT
        )
        if self._rate_hz <= 0:
            message = f"espeak-ng has no data files in {installed.data or 'their usual place'}"
            raise OSError(message)
        _seed(self._lib)
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

    def _on_audio(self, samples, count, events):  # type: ignore[no-untyped-def]  # - ctypes calls it with raw pointers
        if self._take is None or not samples or count <= 0:
            return 0
        heard = np.ctypeslib.as_array(samples, (count,)).copy()
        return 0 if self._take(heard, self._rate_hz) else 1


def _seed(lib: Any) -> None:
    seed = getattr(lib, "espeak_ng_SetRandSeed", None)  # since 1.52; before, it is always the same
    if seed is not None:
        seed(ctypes.c_long(RANDOM_SEED))


def load(installed: Installation | None = None) -> Speak:
    """Loads the library and speaks a word: the first synthesis costs 30 ms."""
    espeak = Espeak(installed or installation())
    espeak.speak("Hello.", "slt", lambda _samples, _rate: True)
    return espeak.speak


if __name__ == "__main__":
    serve(load)
