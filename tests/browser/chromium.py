"""Debian's Chromium with a fake microphone, and what a page can measure of its own sound."""

from __future__ import annotations

import math
import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

PROGRAM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
RATE_HZ: Final = 48_000
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    # A page that only receives hides its addresses behind mDNS, which needs multicast.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)  # fmt: skip

# In the page: `heard()` is pitch and level of the newest remote track; `say(samples)` speaks into the microphone, over
# what the fake device plays.
MEASURE: Final = """
(() => {
  const Real = RTCPeerConnection;
  window.heard = () => ({ hz: 0, level: 0 });
  window.RTCPeerConnection = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("track", ({ track }) => {
        const context = new AudioContext({ sampleRate: 48000 });
        const analyser = context.createAnalyser();
        analyser.fftSize = 8192;
        context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
        window.heard = () => {
          const wave = new Float32Array(analyser.fftSize), bins = new Float32Array(analyser.frequencyBinCount);
          analyser.getFloatTimeDomainData(wave);
          analyser.getFloatFrequencyData(bins);
          const level = Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);
          return { hz: bins.indexOf(Math.max(...bins)) * 48000 / analyser.fftSize, level };
        };
      });
    }
  };
  // A sine as microphone must not be taken for an echo or for noise.
  const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (ask) navigator.mediaDevices.getUserMedia = async () => {
    const real = await ask({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    const context = new AudioContext({ sampleRate: 48000 });
    const voice = context.createMediaStreamDestination();
    context.createMediaStreamSource(real).connect(voice);
    window.say = (samples) => {
      const buffer = context.createBuffer(1, samples.length, 48000);
      buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(voice);
      source.start();
    };
    return voice.stream;
  };
})();
"""


_FAULTS: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()


def write_tone(path: Path, hz: float, seconds: float = 2.0) -> Path:
    """A sine at a third of full scale: 48 kHz, mono, int16."""
    times = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    samples = (0.33 * 32767 * np.sin(2 * math.pi * hz * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return path


@contextmanager
def chromium(play: Playwright, microphone: Path) -> Iterator[Browser]:
    """A browser whose microphone plays this file in a loop."""
    capture = f"--use-file-for-fake-audio-capture={microphone}"
    browser = play.chromium.launch(executable_path=PROGRAM, args=[*FLAGS, capture])
    try:
        yield browser
    finally:
        browser.close()


def open_page(browser: Browser, *, microphone: bool = True, **options: Any) -> Page:
    """A page of its own context, whose script errors and refused policies are kept."""
    granted = ["microphone"] if microphone else []
    context: BrowserContext = browser.new_context(permissions=granted, **options)
    context.add_init_script(MEASURE)
    page = context.new_page()
    faults = _FAULTS[page] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: _note_policy(faults, line.text))
    return page


def _note_policy(faults: list[str], text: str) -> None:
    if "Content Security Policy" in text:
        faults.append(text)


def faults_of(page: Page) -> list[str]:
    """Script errors and refused policies of the page so far."""
    return _FAULTS[page]
