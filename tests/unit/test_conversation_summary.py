"""What a summary says of transfers: names and outcomes, no numbers."""

from __future__ import annotations

from agents.conversation.summary import summarise
from tests.scenario.test_golden_logs import GOLDEN, read


def summary_of(log: str) -> str:
    return summarise(read(GOLDEN / f"{log}.jsonl")).text


def test_a_transfer_is_summed_up_once_with_its_outcome_and_without_its_number() -> None:
    text = summary_of("refer_refused_then_bridged_and_back")
    assert text.count("Transfer to workshop: answered.") == 1
    assert "fell_back" not in text
    assert "777" not in text


def test_a_call_without_a_transfer_says_nothing_of_one() -> None:
    assert "Transfer" not in summary_of("phone_booking")
