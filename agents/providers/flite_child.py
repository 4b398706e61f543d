"""Flite in a process of its own: ctypes on libflite 2.x, speech handed out by its audio callback.

Struct layouts: flite's `cst_wave.h`, `cst_audio.h` and `cst_voice.h`, version 2.2.
"""

import ctypes
from collections.abc import Callable
from typing import Final

import numpy as np

from agents.providers.voice_child import Speak, serve
from agents.speech.wave import Samples

VOICES: Final = ("slt", "rms", "awb", "kal16", "kal")
CHUNK_SAMPLES: Final = 512
GO_ON: Final = 0
STOP: Final = -1


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(_Wave),
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
)


class _Streaming(ctypes.Structure):
    _fields_ = (
        ("min_buffsize", ctypes.c_int),
        ("asc", _Callback),
        ("utt", ctypes.c_void_p),
        ("item", ctypes.c_void_p),
        ("userdata", ctypes.c_void_p),
    )


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class Flite:
    """Flite with the voices that are installed. Raises: OSError without library or voice."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        lib = self._lib
        lib.flite_synth_text.restype = ctypes.c_void_p
        lib.flite_synth_text.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
        lib.delete_utterance.argtypes = (ctypes.c_void_p,)
        lib.new_audio_streaming_info.restype = ctypes.POINTER(_Streaming)
        lib.audio_streaming_info_val.restype = ctypes.c_void_p
        lib.audio_streaming_info_val.argtypes = (ctypes.POINTER(_Streaming),)
        lib.feat_set.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        lib.flite_init()
        self._take: Callable[[Samples, int], bool] | None = None
        self._callback = _Callback(self._on_audio)  # kept: C holds the pointer
        self._voices = {name: pointer for name in VOICES if (pointer := self._register(name))}
        if not self._voices:
            message = "libflite has no voice of " + ", ".join(VOICES)
            raise OSError(message)

    def speak(self, text: str, voice: str, take: Callable[[Samples, int], bool]) -> None:
        """Synthesises; `take` may stop it. Raises: ValueError for a voice that is not here."""
        if voice not in self._voices:
            message = f"flite has no voice {voice!r}; it has {', '.join(self._voices)}"
            raise ValueError(message)
        self._take = take
        utterance = self._lib.flite_synth_text(text.encode(), self._voices[voice])
        if utterance:
            self._lib.delete_utterance(utterance)

    def _register(self, name: str) -> int | None:
        try:
            voice_lib = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        except OSError:
            return None
        register = getattr(voice_lib, f"register_cmu_us_{name}")
        register.restype = ctypes.c_void_p
        register.argtypes = (ctypes.c_char_p,)
        pointer: int = register(None)
        streaming = self._lib.new_audio_streaming_info()
        streaming.contents.min_buffsize = CHUNK_SAMPLES
        streaming.contents.asc = self._callback
        features = ctypes.cast(pointer, ctypes.POINTER(_Voice)).contents.features
        value = self._lib.audio_streaming_info_val(streaming)
        self._lib.feat_set(features, b"streaming_info", value)
        return pointer

    def _on_audio(self, wave, start, size, last, info):  # type: ignore[no-untyped-def]  # - ctypes calls it with raw pointers
        if self._take is None:
            return STOP
        rate_hz = wave.contents.sample_rate
        if size <= 0 or rate_hz <= 0:
            return GO_ON
        samples = np.ctypeslib.as_array(wave.contents.samples, (start + size,))[start:].copy()
        return GO_ON if self._take(samples, rate_hz) else STOP


def load() -> Speak:
    """Loads library and voices and speaks a word, so that the first sentence is not the slow one."""
    flite = Flite()
    for voice in ("slt", "rms"):
        if voice in flite._voices:
            flite.speak("Hello.", voice, lambda _samples, _rate: True)
    return flite.speak


if __name__ == "__main__":
    serve(load)
