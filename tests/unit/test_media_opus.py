"""Libopus: the system's, else the copy inside PyAV's wheel."""

from collections.abc import Iterator

import numpy as np
import pytest

from telephony.media import opus

TONE_HZ = 440.0
FRAMES = 25


@pytest.fixture(params=["system", "wheel"])
def library_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "wheel":
        monkeypatch.setattr(opus, "_NAMES", ("libnone.so.9",))
        monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    opus.library.cache_clear()
    yield "libopus.so.0" if request.param == "system" else "/av.libs/libopus"
    opus.library.cache_clear()


def test_a_tone_survives_encoding_and_decoding(library_name: str) -> None:
    seconds = np.arange(FRAMES * opus.FRAME_SAMPLES) / opus.RATE_HZ
    tone = (8000 * np.sin(2 * np.pi * TONE_HZ * seconds)).astype(np.int16)
    sender, receiver = opus.OpusCodec(), opus.OpusCodec()

    packets = [sender.encode(frame) for frame in tone.reshape(FRAMES, -1)]
    heard = np.concatenate([receiver.decode(packet) for packet in packets])[opus.FRAME_SAMPLES :]

    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * opus.RATE_HZ / len(heard) == pytest.approx(TONE_HZ, abs=2)
    assert np.std(heard) == pytest.approx(np.std(tone), rel=0.1)


def test_the_library_in_use_is_named(library_name: str) -> None:
    assert library_name in opus.library_name()


def test_a_lost_frame_is_concealed(library_name: str) -> None:
    codec = opus.OpusCodec()
    codec.decode(codec.encode(np.full(opus.FRAME_SAMPLES, 1000, np.int16)))

    assert len(codec.conceal()) == opus.FRAME_SAMPLES
