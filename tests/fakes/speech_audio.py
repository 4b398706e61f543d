"""Spoken callers for tests: flite (or espeak-ng) says a sentence, kept in a folder for the whole run."""

import array
import hashlib
import math
import shutil
import subprocess
import tempfile
import wave
from functools import cache
from pathlib import Path

import numpy as np

from agents.speech.wave import Resampler


def spoken_wav(text: str, rate: int = 8_000, voice: str = "rms") -> Path:
    """A mono 16-bit WAV of the sentence at `rate` Hz, with 0.2 s of silence around it.

    Voices: slt, rms, awb, kal16 (flite), or any name of espeak-ng as "espeak:en-gb".
    """
    key = hashlib.sha256(f"{text}|{rate}|{voice}".encode()).hexdigest()[:20]
    path = _folder() / f"{key}.wav"
    if not path.exists():
        unfinished = path.with_suffix(f".{id(path)}.part")
        _speak(text, voice, unfinished)
        _convert(unfinished, rate)
        unfinished.replace(path)
    return path


def spoken_pcm(text: str, rate: int = 8_000, voice: str = "rms") -> bytes:
    """The same as int16 little-endian samples."""
    with wave.open(str(spoken_wav(text, rate, voice))) as wav:
        pcm: bytes = wav.readframes(wav.getnframes())
        return pcm


def frames_of(pcm: bytes, rate: int = 8_000) -> list[bytes]:
    """The samples as frames of 20 ms; an unfinished last one is filled up with silence."""
    size = rate // 50 * 2
    return [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]


def tone_pcm(seconds: float, rate: int = 8_000, hz: float = 440.0, level: float = 0.25) -> bytes:
    """A sine; `level` 1.0 is full scale."""
    step = 2 * math.pi * hz / rate
    values = (int(32767 * level * math.sin(step * n)) for n in range(int(seconds * rate)))
    return array.array("h", values).tobytes()


@cache
def _folder() -> Path:
    # One folder for all runs of a user: speaking is fast, but browser and SIP tests repeat it a lot.
    folder = Path(tempfile.gettempdir()) / f"voiceapp-spoken-{Path.home().owner()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _speak(text: str, voice: str, path: Path) -> None:
    if voice.startswith("espeak:"):
        command = ["espeak-ng", "-v", voice.removeprefix("espeak:"), "-w", str(path), text]
    else:
        command = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
    if shutil.which(command[0]) is None:
        message = f"{command[0]} is not installed: `make setup-test` installs it"
        raise FileNotFoundError(message)
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def _convert(path: Path, rate: int) -> None:
    with wave.open(str(path)) as wav:
        source_hz = wav.getframerate()
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
    resampler = Resampler(source_hz, rate)
    silence = np.zeros(rate // 5, np.int16)
    pieces = (silence, resampler.push(samples), resampler.finish(), silence)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(np.concatenate(pieces).astype("<i2").tobytes())
