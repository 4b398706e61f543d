"""How much of a sentence was heard."""

from __future__ import annotations

import pytest

from agents.turn.heard import WordTime, heard_text

TEXT = "We are open from nine until five."


@pytest.mark.parametrize(
    ("sent_s", "total_s", "heard"),
    [
        (0.0, 3.3, ""),
        (0.05, 3.3, ""),
        (0.3, 3.3, "We"),
        (1.2, 3.3, "We are open"),
        (3.3, 3.3, TEXT),
        (9.0, 3.3, TEXT),
        (0.9, None, "We are open"),
        (9.0, None, TEXT),
    ],
)
def test_words_are_laid_out_in_proportion_to_characters(
    sent_s: float, total_s: float | None, heard: str
) -> None:
    assert heard_text(TEXT, sent_s, total_s) == heard


def test_word_times_of_the_voice_are_believed() -> None:
    words = [WordTime("One", 0.0, 0.2), WordTime("moment", 2.0, 2.6)]
    assert heard_text("One moment", 1.9, 2.6, words) == "One"
    assert heard_text("One moment", 2.4, 2.6, words) == "One moment"


def test_word_times_that_do_not_fit_the_text_are_not_used() -> None:
    assert heard_text("One moment", 1.0, 1.0, [WordTime("One", 5.0, 6.0)]) == "One moment"


def test_nothing_is_heard_of_nothing() -> None:
    assert heard_text("  ", 1.0, 1.0) == ""
