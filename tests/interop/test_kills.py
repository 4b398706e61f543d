"""kill -9 of single processes while a caller talks: the call stays up, and the caller is not left in silence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import numpy as np
import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop.waiting import until
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.caller import Caller, Stage
from voiceapp.try_call.phone import PhoneLine

pytestmark = pytest.mark.timeout(120)


class Line:
    """A caller on the line, and a hook that runs once the agent has spoken for a second."""

    def __init__(self, product: RunningProduct, texts: tuple[str, ...]) -> None:
        turns = [speech(read_wav(spoken_wav(text), 8000), 8000) for text in texts]
        self.user = f"kill{secrets.token_hex(3)}"
        self.caller = Caller(turns, 8000)
        self.line = PhoneLine(product.uri, self.caller, user=self.user)

    async def hold(self, after_s: float, hook: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.line.hold())
            await until(lambda: self.caller.measured.first_audio_ms is not None)
            await asyncio.sleep(after_s)
            await asyncio.to_thread(hook)


def sound(line: Line) -> np.ndarray:
    """Loud or not, for each 20 ms frame that was heard."""
    heard = line.caller.recording.samples()
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
    loud: np.ndarray = np.abs(frames.astype(np.int32)).max(axis=1) > 300
    return loud


def longest_run(flags: np.ndarray) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


async def test_a_killed_agent_worker_costs_the_caller_no_more_than_two_seconds(
    product: RunningProduct,
) -> None:
    line = Line(product, ("what are your opening hours",))
    killed_at: list[int] = []

    def kill() -> None:
        killed_at.append(len(sound(line)))
        product.kill("worker1")

    await line.hold(1.0, kill)

    loud = sound(line)[killed_at[0] + 5 :]
    first = int(np.flatnonzero(loud)[0]) if loud.any() else len(loud)
    quiet_before_sound = longest_run(~loud[: first + 1]) * 0.02
    assert quiet_before_sound <= 2.0
    call = await asyncio.to_thread(product.newest_call, caller=line.user)
    kinds = [event["kind"] for event in await asyncio.to_thread(product.events, call)]
    assert "AgentFailed" in kinds
    assert kinds.count("AgentAttached") >= 2
    assert "opening hours" in await asyncio.to_thread(product.said, call, "caller")
    assert line.caller.measured.voice_to_voice_ms[0] is not None
    assert line.caller.stage is Stage.DONE
    await asyncio.to_thread(
        product.until, lambda: product.status()["processes"]["worker1"]["ready"], 20.0
    )


async def test_a_killed_web_process_is_not_heard(product: RunningProduct) -> None:
    line = Line(product, ("what are your opening hours",))

    await line.hold(1.0, lambda: product.kill("web"))

    # A gap of this length is far above the noise of a busy machine, and far below a restart.
    assert line.caller.measured.longest_gap_ms < 500
    assert line.caller.measured.voice_to_voice_ms[0] is not None
    await asyncio.to_thread(
        product.until, lambda: product.status()["processes"]["web"]["ready"], 20.0
    )
