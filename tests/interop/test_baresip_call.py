"""A call by baresip: its own recording has the agent's voice, and the agent understood what it played."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop.baresip import baresip
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(90)


def padded(wav: Path, folder: Path, before_s: float, after_s: float) -> Path:
    """The speech after a silence: baresip's file source begins with the call and loops."""
    out = folder / "source.wav"
    subprocess.run(["sox", str(wav), str(out), "pad", str(before_s), str(after_s)], check=True)
    return out


def test_a_softphone_hears_the_agent_and_is_understood(
    product: RunningProduct, tmp_path: Path
) -> None:
    source = padded(spoken_wav("what are your opening hours"), tmp_path, 9.0, 30.0)
    with baresip(tmp_path, source) as phone:
        phone.command("dial", product.uri)
        phone.until("CALL_ESTABLISHED")
        phone.listen(20.0)
        phone.command("hangup")
        phone.until("CALL_CLOSED")

    heard = read_wav(phone.recording(), 8000).astype(np.float64)
    seconds = heard[: len(heard) // 8000 * 8000].reshape(-1, 8000)
    assert (np.sqrt((seconds**2).mean(axis=1)) > 300).sum() >= 5
    call = product.newest_call(caller="bob")
    assert "opening hours" in product.said(call, "caller")
    assert "nine" in product.said(call, "agent")
