"""What the agent knows of a bad line, and what it makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from agents.conversation.audio import RECENT_S, AudioTrouble, troubles_at
from agents.conversation.context import Situation, situation_of
from agents.conversation.flow import parse_definition
from agents.conversation.model_responder import messages_of
from agents.conversation.responder import respond
from telephony.call.events import CallEvent, CallStarted, LegAdded, MediaTroubled, Recorded
from telephony.call.evolution import replay
from telephony.call.ids import CALLER, CallId
from telephony.call.state import CallState, Trouble
from tests.fakes.conversation import RECEPTIONIST

FLOW = parse_definition(RECEPTIONIST)
TODAY = "2026-11-17"
Kind = Literal["lost", "gap", "garbled", "one_way", "silent", "clipping", "poor", "ok"]
START_US = 1_763_000_000_000_000
GAPS = AudioTrouble("gap", "120 ms", over=True)
MUTED = AudioTrouble("silent", "only digital silence", over=False)


def troubled(*kinds: Kind) -> CallState:
    """A call whose caller's audio had these, one a second from the third second on."""
    events: list[CallEvent] = [
        CallStarted(
            direction="inbound", transport="loopback", called="1", caller="2", agent=None,
            variables={},
        ),
        LegAdded(leg=CALLER, role="caller", transport="loopback"),
        *(MediaTroubled(leg=CALLER, kind=kind, detail="x") for kind in kinds),
    ]  # fmt: skip
    return replay(
        Recorded(
            call=CallId("c-1"),
            seq=n + 1,
            at_us=START_US + n * 1_000_000,
            actor="media",
            event=event,
        )
        for n, event in enumerate(events)
    )


def situation(state: CallState, after_s: float) -> Situation:
    now = datetime.fromtimestamp(START_US / 1e6 + after_s, UTC)
    return situation_of(state, "speech", now, text="hm")


def test_trouble_that_goes_on_is_in_the_context() -> None:
    (trouble,) = situation(troubled("garbled"), 600).audio
    assert (trouble.kind, trouble.over) == ("garbled", False)
    assert "At present the audio is garbled" in trouble.note


def test_gap_is_in_the_context_for_twenty_seconds() -> None:
    state = troubled("gap")
    (gap,) = situation(state, 10).audio
    assert "A moment ago the audio had gaps (x)" in gap.note
    assert situation(state, 3 + RECENT_S).audio == ()


def test_trouble_that_is_over_is_told_as_past() -> None:
    found = situation(troubled("poor", "one_way", "ok"), 6).audio
    assert [(t.kind, t.over) for t in found] == [("poor", True), ("one_way", True)]


def test_each_kind_is_told_once_and_as_it_is_now() -> None:
    troubles = [Trouble("poor", "a", 0, 1), Trouble("gap", "b", 1, 1), Trouble("poor", "c", 2)]
    found = troubles_at(troubles, 3)
    assert [(t.kind, t.detail, t.over) for t in found] == [
        ("gap", "b", True),
        ("poor", "c", False),
    ]


@pytest.mark.parametrize(
    "kind", ["lost", "gap", "garbled", "one_way", "silent", "clipping", "poor"]
)
def test_every_kind_of_trouble_has_words_of_its_own(kind: str) -> None:
    assert "disturbed" not in AudioTrouble(kind, "", over=True).note
    assert AudioTrouble(kind, "", over=True).note != AudioTrouble(kind, "", over=False).note


def test_model_is_told_that_the_audio_had_gaps() -> None:
    asked = Situation("speech", TODAY, "day", text="hm", audio=(GAPS,))
    assert "the audio had gaps (120 ms)" in messages_of(FLOW, asked)[0].content


def test_situation_with_trouble_survives_its_way_to_the_worker() -> None:
    asked = Situation("speech", TODAY, "day", text="hm", audio=(GAPS, MUTED))
    assert Situation.from_json(asked.to_json()) == asked


def test_what_was_not_understood_on_a_bad_line_is_blamed_on_the_line() -> None:
    said = respond(FLOW, Situation("speech", TODAY, "day", text="gnarf", audio=(GAPS,))).sentences
    assert "line" in said[0]
    assert len(said) > 1


def test_caller_of_whom_nothing_is_heard_is_asked_for_the_microphone() -> None:
    muted = Situation("silence", TODAY, "day", silences=1, audio=(MUTED,))
    assert respond(FLOW, muted).sentences == ("I cannot hear you at all. Are you muted?",)
    again = Situation("silence", TODAY, "day", silences=1, audio=(GAPS,))
    assert respond(FLOW, again).sentences[0] == "Are you still there?"
