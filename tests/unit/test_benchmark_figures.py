"""The latency benchmark's arithmetic, on packets whose delays are known."""

from __future__ import annotations

import numpy as np
import pytest

from agents.turn.endpointing import Completeness
from benchmarks.listening import figures
from benchmarks.listening.probe import Probe, Task, cut_to_voice
from voiceapp.try_call.audio import Speech

RATE_HZ = 8000
LOUD = 300.0
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(160) / RATE_HZ)).astype(np.int16)
SILENCE = np.zeros(160, np.int16)


def probe() -> Probe:
    speech = Speech(np.stack([TONE] * 10), 9)
    return Probe(Task("test", speech, speech, RATE_HZ, LOUD))


def answered(gains: list[float], interrupted_frame: int = 40) -> Probe:
    """Answer frames of these gains each 20 ms, the first at 10.1 s; interrupted when frame `interrupted_frame` comes."""
    found = probe()
    found.asked_at = 10.0
    for number, gain in enumerate(gains):
        found.heard(number * 160, (TONE * gain).astype(np.int16), 10.1 + number * 0.02)
    found.interrupted_at = 10.1 + interrupted_frame * 0.02
    return found


FULL = figures.levels(answered([1.0] * 150))


def test_voice_to_voice_counts_from_the_last_voiced_packet() -> None:
    assert figures.voice_to_voice_ms(answered([1.0])) == pytest.approx(100)


def test_no_answer_is_no_figure() -> None:
    assert figures.voice_to_voice_ms(answered([0.0] * 100)) is None


def test_stop_is_the_last_loud_packet_before_the_gap() -> None:
    cut = answered([1.0] * 46 + [0.0] * 100)
    assert figures.stop_ms(cut, LOUD, FULL) == pytest.approx(100)


def test_a_short_pause_is_no_stop() -> None:
    resumed = answered([1.0] * 46 + [0.0] * 15 + [1.0] * 90)
    assert figures.stop_ms(resumed, LOUD, FULL) is None


def test_an_answer_that_was_over_by_itself_was_not_stopped() -> None:
    over = [1.0] * 46 + [0.0] * 100
    assert figures.stop_ms(answered(over), LOUD, figures.levels(answered(over))) is None


def test_an_answer_that_goes_on_can_be_interrupted_and_one_that_is_over_cannot() -> None:
    short = figures.levels(answered([1.0] * 40))
    assert figures.goes_on(answered([1.0] * 150), FULL)
    assert not figures.goes_on(answered([1.0] * 40 + [0.0] * 100), short)


def test_duck_is_the_first_packet_6_db_down() -> None:
    ducked = answered([1.0] * 43 + [0.8, 0.4] + [0.178] * 100)
    assert figures.duck_ms(ducked, FULL) == pytest.approx(80)


def test_an_answer_that_sounds_as_before_was_not_ducked() -> None:
    assert figures.duck_ms(answered([1.0] * 150), FULL) is None


def test_no_duck_is_told_from_another_answer() -> None:
    other = figures.levels(answered([0.3] * 150))
    assert figures.duck_ms(answered([1.0] * 43 + [0.178] * 100), other) is None


def test_silence_waited_for_is_the_configured_one() -> None:
    assert figures.configured_ms(Completeness.COMPLETE, 224.0) == 220
    assert figures.configured_ms(Completeness.COMPLETE, 219.8) == 220
    assert figures.configured_ms(Completeness.COMPLETE, 206.0) == 200
    assert figures.configured_ms(Completeness.OPEN, 420.0) == 350


def test_stimulus_begins_and_ends_with_voice() -> None:
    spoken = cut_to_voice(np.concatenate([SILENCE[:100], TONE, TONE, SILENCE]), RATE_HZ)
    assert abs(int(spoken.frames[0, 10])) > 0
    assert spoken.last_voiced == len(spoken.frames) - 1 == 1


def test_summary_leaves_out_what_was_not_measured() -> None:
    assert figures.summary([None, 2.0, 1.0, 3.0]) == {
        "median": 2.0, "p95": 2.9, "n": 3, "min": 1.0, "max": 3.0,
    }  # fmt: skip
    assert figures.summary([None]) is None
