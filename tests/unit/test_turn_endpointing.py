"""When a turn is over."""

from __future__ import annotations

import pytest

from agents.turn.endpointing import LONGEST_S, SHORTEST_S, Completeness, Endpointer


def paused_after(words: Completeness, last_voiced: float = 10.0) -> Endpointer:
    ear = Endpointer()
    ear.began(last_voiced - 1)
    ear.understood(words)
    ear.paused(last_voiced)
    return ear


@pytest.mark.parametrize(
    ("words", "commit", "ahead"),
    [
        (Completeness.FULL, 10.0, 10.12),
        (Completeness.COMPLETE, 10.22, 10.12),
        (Completeness.OPEN, 10.5, 10.12),
        (Completeness.UNFINISHED, 10.9, None),
        (Completeness.NOTHING, 10.8, None),
    ],
)
def test_silence_needed_depends_on_what_was_understood(
    words: Completeness, commit: float, ahead: float | None
) -> None:
    ear = paused_after(words)
    assert ear.commit_at == pytest.approx(commit)
    assert ear.speculate_at == (None if ahead is None else pytest.approx(ahead))


def test_nothing_is_due_before_anybody_spoke() -> None:
    ear = Endpointer()
    assert (ear.commit_at, ear.speculate_at, ear.open) == (None, None, False)


def test_speech_takes_the_deadline_back() -> None:
    ear = paused_after(Completeness.COMPLETE)
    ear.began(10.1)
    assert (ear.commit_at, ear.speculate_at) == (None, None)
    assert ear.speaking
    assert ear.open


def test_deadline_counts_from_the_last_voiced_sample_of_all() -> None:
    ear = paused_after(Completeness.OPEN)
    ear.paused(9.0)  # a report that came late
    assert ear.last_voiced == 10.0


@pytest.mark.parametrize(("pause", "expected"), [(0.1, 0.35), (0.9, 0.65), (0.35, 0.5)])
def test_own_pauses_move_the_wait_by_150_ms_at_most(pause: float, expected: float) -> None:
    ear = paused_after(Completeness.OPEN)
    for _ in range(3):
        last = ear.last_voiced or 0.0
        ear.began(last + pause)
        ear.paused(last + pause + 1)
    wait = (ear.commit_at or 0.0) - (ear.last_voiced or 0.0)
    assert wait == pytest.approx(expected)
    assert SHORTEST_S <= wait <= LONGEST_S


def test_quick_speaker_never_shortens_the_wait_below_the_least() -> None:
    ear = paused_after(Completeness.COMPLETE)
    for _ in range(3):
        last = ear.last_voiced or 0.0
        ear.began(last + 0.05)
        ear.paused(last + 0.5)
    assert (ear.commit_at or 0.0) - (ear.last_voiced or 0.0) == pytest.approx(SHORTEST_S)


def test_finished_turn_leaves_nothing_due() -> None:
    ear = paused_after(Completeness.COMPLETE)
    ear.finish()
    assert (ear.commit_at, ear.open, ear.last_voiced) == (None, False, None)
