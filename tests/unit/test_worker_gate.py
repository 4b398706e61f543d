"""What of a leg's audio reaches the recogniser."""

from __future__ import annotations

from agents.speech.ports import Grammar
from agents.worker_hearing import PRE_ROLL_FRAMES, Gate

GRAMMAR = Grammar()


class Session:
    """Notes what it is given: turns by number, frames by content."""

    def __init__(self) -> None:
        self.given: list[int | bytes] = []

    def expect(self, turn: int, grammar: Grammar) -> None:
        self.given.append(turn)

    def feed(self, seq: int, pcm: bytes) -> None:
        self.given.append(pcm)

    def finish(self) -> None:
        self.given.append(-1)


def gate_with_session() -> tuple[Gate, Session]:
    gate, session = Gate(), Session()
    gate.connect(session)  # type: ignore[arg-type]  # only what the gate calls
    gate.expect(1, GRAMMAR)
    return gate, session


def frames(first: int, count: int) -> list[bytes]:
    return [bytes([number]) for number in range(first, first + count)]


def hear(gate: Gate, first: int, count: int, *, speech: bool) -> None:
    for number, pcm in enumerate(frames(first, count), first):
        gate.frame(number, pcm, speech=speech)


def test_400_ms_before_the_onset_are_heard() -> None:
    gate, session = gate_with_session()
    hear(gate, 0, 50, speech=False)
    hear(gate, 50, 2, speech=True)
    assert session.given == [1, *frames(50 - PRE_ROLL_FRAMES + 1, PRE_ROLL_FRAMES + 1)]


def test_turn_asked_for_in_mid_word_hears_the_word_from_its_beginning() -> None:
    gate, session = gate_with_session()
    hear(gate, 0, 30, speech=False)
    hear(gate, 30, 5, speech=True)
    gate.expect(2, GRAMMAR)
    hear(gate, 35, 1, speech=True)
    heard = session.given[session.given.index(2) + 1 :]
    assert heard == frames(36 - PRE_ROLL_FRAMES, PRE_ROLL_FRAMES)


def test_finished_turn_is_not_heard_again_in_the_next_one() -> None:
    gate, session = gate_with_session()
    hear(gate, 0, 30, speech=True)
    gate.finish()
    gate.expect(2, GRAMMAR)
    hear(gate, 30, 3, speech=True)
    assert session.given[-5:] == [-1, 2, *frames(30, 3)]
