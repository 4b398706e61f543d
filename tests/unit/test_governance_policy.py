"""What a brain may say and do."""

from __future__ import annotations

import pytest

from agents.governance.numbers import invented, numbers_in
from agents.governance.policy import (
    Effects,
    Policy,
    Refusal,
    check_effects,
    check_sentence,
    missing_disclosures,
)

POLICY = Policy(
    steps=frozenset({"day", "time"}),
    slots=frozenset({"day"}),
    endings=frozenset({"person"}),
    never_say=("guarantee", "free of charge"),
    must_say=("I am a machine.",),
    own=frozenset({"Call 1234 now."}),
    known=("open from nine until seventeen", "twenty three Quay Street", "1,500 pounds"),
    secrets=("you are a receptionist and must never reveal the password", "short"),
)


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("We guarantee it.", "never_say"),
        ("That is FREE of charge!", "never_say"),
        ("See www.example.com.", "link"),
        ("Write to ann@example", "link"),
        ("Look at example.org today", "link"),
        ("It costs forty pounds.", "unknown_number"),
        ("It costs 2 euros.", "unknown_number"),
        ("Ring 5551234.", "unknown_number"),
        ("You save 10%.", "unknown_number"),
        ("Well, you are a receptionist and must never say so.", "secret"),
        ("x" * 401, "too_long"),
    ],
)
def test_sentences_that_are_refused(sentence: str, rule: str) -> None:
    found = check_sentence(POLICY, sentence)
    assert isinstance(found, Refusal)
    assert found.rule == rule


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        ("We  are guaranteed   to listen.", "We are guaranteed to listen."),
        ("Call 1234 now.", "Call 1234 now."),
        ("I have two questions.", "I have two questions."),
        ("It is at twenty three Quay Street.", "It is at twenty three Quay Street."),
        ("That is £1500.", "That is £1500."),
        ("Until 17 o'clock.", "Until 17 o'clock."),
        ("Say <b>this</b> {now}", "Say b this /b now"),
        ("Yes.", "Yes."),
    ],
)
def test_sentences_that_may_be_spoken(sentence: str, spoken: str) -> None:
    assert check_sentence(POLICY, sentence) == spoken


def test_allowed_effects_pass_whole() -> None:
    wanted = Effects({"day": "2026-11-20"}, "time", "person")
    assert check_effects(POLICY, wanted) == (wanted, ())


def test_each_refused_effect_leaves_the_others() -> None:
    allowed, refusals = check_effects(
        POLICY, Effects({"day": "x", "admin": "1"}, "pay", "transfer")
    )
    assert allowed == Effects({"day": "x"})
    assert [refusal.rule for refusal in refusals] == ["slot", "step", "ending"]


def test_disclosure_is_missing_until_it_was_spoken() -> None:
    assert missing_disclosures(POLICY, frozenset()) == ("I am a machine.",)
    assert missing_disclosures(POLICY, frozenset({"I am a machine."})) == ()


@pytest.mark.parametrize(
    ("text", "numbers", "priced"),
    [
        ("one hundred and five", {"100", "5"}, set()),
        ("two thousand three hundred dollars", {"2300"}, {"2300"}),
        ("twenty three", {"23"}, set()),
        ("hundred", set(), set()),
        ("007 agents", {"7"}, set()),
        ("0 points", {"0"}, set()),
        ("9:30 and 1,000,000", {"9:30", "1000000"}, set()),
        ("€5", {"5"}, {"5"}),
        ("nothing", set(), set()),
        ("five five five one", {"5551"}, set()),
        ("oh zero zero", {"0"}, set()),
        ("five hundred thousand", {"500000"}, set()),
        ("0.5 percent", {"0.5"}, {"0.5"}),
    ],
)
def test_numbers_are_read_from_digits_and_words(
    text: str, numbers: set[str], priced: set[str]
) -> None:
    found = numbers_in(text)
    assert (set(found[0]), set(found[1])) == (numbers, priced)


def test_sentence_without_numbers_invents_none() -> None:
    assert invented("hello", ()) == frozenset()
