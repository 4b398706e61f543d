"""Grammars and pronunciations: `agents.speech.grammar`, `agents.speech.letters`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.speech import grammar
from agents.speech.errors import GrammarError, UnknownWordError
from agents.speech.letters import PHONES, spell
from agents.speech.ports import Grammar


def test_phrases_become_alternatives_in_the_dictionarys_spelling():
    part = grammar.phrases(["When are you open?", "Opening hours, please.", "when are you open"])

    assert part.alternatives == "when are you open | opening hours please"


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("That's right!", "that's right"),
        ("check-up", "check up"),
        ("at ten o\N{RIGHT SINGLE QUOTATION MARK}clock", "at ten o'clock"),
        ("  Dr. Smith ", "dr smith"),
    ],
)
def test_a_phrase_is_read_as_it_is_spoken(phrase, words):
    assert grammar.plain(phrase) == words


@pytest.mark.parametrize(
    "phrase", ["open at 9", "50 %", "", "?!", "a <b> c", "x | y", "$100", "a=b"]
)
def test_signs_without_one_pronunciation_are_refused(phrase):
    with pytest.raises(GrammarError):
        grammar.plain(phrase)


def test_a_grammar_has_one_public_rule_over_all_parts():
    built = grammar.build([grammar.yes_no(), grammar.phrases(["human please"])])

    assert built.jsgf.startswith("#JSGF V1.0;\n")
    assert built.jsgf.count("public ") == 1
    assert "(<part0> | <greeting> <part1>)" in built.jsgf
    assert built.words == ()


@pytest.mark.parametrize(
    "part",
    [
        grammar.yes_no(),
        grammar.digits(6, 12),
        grammar.date(),
        grammar.date(["monday", "friday"]),
        grammar.time(),
        grammar.name(["Ann", "Peter"], ["Smith"]),
    ],
)
def test_every_word_of_the_ready_parts_is_in_the_dictionary(part):
    assert set(grammar.words_of(part)) - grammar.dictionary_words() == set()


def test_a_word_in_no_dictionary_is_pronounced_by_its_letters():
    built = grammar.build([grammar.phrases(["Vikstroma clinic"])])

    assert built.words == (("vikstroma", "V IH K S T R AA M AH"),)


def test_a_given_pronunciation_comes_before_the_rules():
    built = grammar.build([grammar.phrases(["vikstroma"])], [("vikstroma", "V IY K")])

    assert built.words == (("vikstroma", "V IY K"),)


def test_a_word_that_cannot_be_pronounced_names_itself_and_its_step():
    with pytest.raises(UnknownWordError, match=r"'größe' \(step 'size'\)") as caught:
        grammar.build([grammar.phrases(["die größe"], "size")])

    assert (caught.value.word, caught.value.step) == ("größe", "size")


@pytest.mark.parametrize("alternatives", ["(a", "a)", "[a)", "a | (b | [c)]"])
def test_brackets_that_do_not_match_are_refused(alternatives):
    with pytest.raises(GrammarError):
        grammar.build([grammar.Part(alternatives, "x")])


def test_nothing_expected_is_refused():
    with pytest.raises(GrammarError):
        grammar.build([])


@pytest.mark.parametrize(("least", "most"), [(0, 4), (5, 4), (-1, 1)])
def test_a_senseless_count_of_digits_is_refused(least, most):
    with pytest.raises(GrammarError):
        grammar.digits(least, most)


def test_a_name_without_a_list_is_refused():
    with pytest.raises(GrammarError):
        grammar.name([])


def test_sentences_are_compiled_and_jsgf_is_left_alone():
    ready = Grammar(jsgf="#JSGF V1.0;")

    assert grammar.compiled(ready) is ready
    assert "good morning" in grammar.compiled(Grammar(sentences=("Good morning",))).jsgf
    with pytest.raises(GrammarError):
        grammar.compiled(Grammar())


@given(st.text(max_size=60))
def test_any_phrase_becomes_a_grammar_or_our_error(phrase):
    try:
        built = grammar.build([grammar.phrases([phrase])])
    except GrammarError:
        return
    assert built.jsgf


@given(st.text("abcdefghijklmnopqrstuvwxyz'", max_size=40))
def test_letters_become_known_phones_only(word):
    assert set(spell(word).split()) <= set(PHONES)


@pytest.mark.parametrize("word", ["", "'", "größe", "x" * 41])
def test_what_has_no_sound_in_english_has_no_phones(word):
    assert spell(word) == ""
