"""Whether a caller who speaks over the agent means it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agents.turn.backchannel import is_backchannel
from agents.turn.barge_in import Action, BargeIn, State, Verdict, Words
from agents.turn.echo import is_echo

Evidence = Callable[[BargeIn], Action]


def ducked(*, protected: bool = False) -> BargeIn:
    machine = BargeIn()
    machine.began(10.0, protected=protected)
    return machine


def held() -> BargeIn:
    machine = ducked()
    machine.due(10.3)
    return machine


def words(kind: Words, at: float = 10.2) -> Evidence:
    return lambda machine: machine.words(kind, at)


def verdict(kind: Verdict, number: int = 1) -> Evidence:
    return lambda machine: machine.verdict(number, kind)


def due(at: float) -> Evidence:
    return lambda machine: machine.due(at)


def paused(machine: BargeIn) -> Action:
    return machine.paused()


@pytest.mark.parametrize(
    ("evidence", "action", "state"),
    [
        (words(Words.CONTENT, 10.35), Action.PAUSE, State.HELD),
        (words(Words.CONTENT, 10.36), Action.CONFIRM, State.QUIET),
        (words(Words.ECHO), Action.RESUME, State.QUIET),
        (words(Words.BACKCHANNEL), Action.PAUSE, State.HELD),
        (verdict(Verdict.SPEECH), Action.PAUSE, State.HELD),
        (verdict(Verdict.HUM), Action.PAUSE, State.HELD),
        (verdict(Verdict.NOISE), Action.RESUME, State.QUIET),
        (verdict(Verdict.SPEECH, 7), Action.NOTHING, State.DUCKED),
        (paused, Action.RESUME, State.QUIET),
        (due(10.29), Action.NOTHING, State.DUCKED),
        (due(10.3), Action.PAUSE, State.HELD),
    ],
)
def test_what_a_ducked_voice_does_with_evidence(
    evidence: Evidence, action: Action, state: State
) -> None:
    machine = ducked()
    assert evidence(machine) is action
    assert machine.state is state


@pytest.mark.parametrize(
    ("evidence", "action", "state"),
    [
        (words(Words.CONTENT), Action.NOTHING, State.HELD),
        (words(Words.CONTENT, 10.4), Action.CONFIRM, State.QUIET),
        (words(Words.ECHO), Action.RESUME, State.QUIET),
        (words(Words.BACKCHANNEL), Action.NOTHING, State.HELD),
        (verdict(Verdict.SPEECH), Action.NOTHING, State.HELD),
        (verdict(Verdict.HUM), Action.NOTHING, State.HELD),
        (verdict(Verdict.NOISE), Action.RESUME, State.QUIET),
        (paused, Action.RESUME, State.QUIET),
        (due(10.44), Action.NOTHING, State.HELD),
        (due(10.45), Action.CONFIRM, State.QUIET),
    ],
)
def test_what_a_paused_voice_does_with_evidence(
    evidence: Evidence, action: Action, state: State
) -> None:
    machine = held()
    assert evidence(machine) is action
    assert machine.state is state


@pytest.mark.parametrize(
    "evidence",
    [words(Words.CONTENT), verdict(Verdict.SPEECH), paused, due(99.0)],
)
def test_evidence_without_an_onset_does_nothing(evidence: Evidence) -> None:
    assert evidence(BargeIn()) is Action.NOTHING


@pytest.mark.parametrize(
    "evidence", [words(Words.CONTENT), verdict(Verdict.SPEECH), due(99.0), verdict(Verdict.HUM)]
)
def test_protected_sentence_is_only_ducked(evidence: Evidence) -> None:
    machine = ducked(protected=True)
    assert evidence(machine) is Action.NOTHING
    assert machine.deadline is None
    assert machine.paused() is Action.RESUME


def test_speech_verdict_on_acknowledging_words_waits_for_more() -> None:
    machine = ducked()
    machine.words(Words.BACKCHANNEL, 10.1)
    assert machine.verdict(1, Verdict.SPEECH) is Action.NOTHING
    assert machine.due(10.4) is Action.NOTHING
    assert machine.due(10.9) is Action.CONFIRM


def test_speech_by_verdict_is_silence_at_once_and_a_cut_when_it_goes_on() -> None:
    machine = ducked()
    assert machine.verdict(1, Verdict.SPEECH) is Action.PAUSE
    assert machine.due(10.35) is Action.NOTHING
    assert machine.due(10.36) is Action.CONFIRM


def test_a_word_is_silence_at_once_and_a_cut_when_the_speech_goes_on() -> None:
    machine = ducked()
    assert machine.words(Words.CONTENT, 10.15) is Action.PAUSE
    assert machine.due(10.35) is Action.NOTHING
    assert machine.due(10.36) is Action.CONFIRM


def test_short_acknowledgement_is_over_before_it_would_cut() -> None:
    machine = ducked()
    machine.verdict(1, Verdict.SPEECH)
    assert machine.paused() is Action.RESUME


def test_second_onset_while_held_is_the_same_speech() -> None:
    machine = held()
    assert machine.began(10.4, protected=False) is Action.NOTHING
    assert (machine.state, machine.number, machine.onset) == (State.HELD, 1, 10.0)


def test_silent_agent_cannot_be_interrupted() -> None:
    machine = held()
    machine.reset()
    assert machine.state is State.QUIET
    assert machine.due(99.0) is Action.NOTHING


@pytest.mark.parametrize(
    ("said", "expected", "yes"),
    [
        ("mm hm", False, True),
        ("yeah okay", False, True),
        ("Right.", False, True),
        ("yes", True, False),
        ("mm", True, True),
        ("stop", False, False),
        ("yeah but wait", False, False),
        ("", False, False),
        ("yes yes yes yes yes", False, False),
    ],
)
def test_backchannels_are_a_closed_list(said: str, expected: bool, yes: bool) -> None:
    assert is_backchannel(said.split(), answer_expected=expected) is yes


PLAYED = ["We", "are", "open", "Monday", "to", "Friday", "from", "nine", "in", "the", "morning"]


@pytest.mark.parametrize(
    ("heard", "echo"),
    [
        ("nine in the morning", True),
        ("from nine", True),
        ("morning", False),
        ("we are", False),  # long ago
        ("in the evening", False),
        ("", False),
    ],
)
def test_words_just_played_are_our_own_echo(heard: str, echo: bool) -> None:
    assert is_echo(heard.split(), PLAYED) is echo
