"""Sentences every agent needs beside its flow; each is a list, and is used in turn so that none is heard twice running."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from agents.conversation.reading import Reader

FILLED: Final = ("back_heard", "back_quoted", "corrected")


@dataclass(frozen=True, slots=True)
class Wording:
    """Defaults for flite's pronunciation: short, no abbreviations.

    `fallback` is spoken while the brain is away and `filler` while it is slow; both are made ahead of need.
    `{heard}` in `back_heard`, `back_quoted` and `corrected` is what was understood.
    """

    not_understood: tuple[str, ...] = (
        "Sorry, I did not catch that.",
        "I am sorry, I did not understand.",
        "Sorry, could you say that another way?",
    )
    offer_person: tuple[str, ...] = (
        "I am having trouble understanding. Shall I get a colleague for you?",
    )
    person: tuple[str, ...] = (
        "Of course. I am asking a colleague to join us. One moment, please.",
    )
    person_waiting: tuple[str, ...] = (
        "A colleague has been told. Meanwhile, I can go on helping you.",
    )
    person_declined: tuple[str, ...] = ("All right, let us try again.",)
    silence: tuple[str, ...] = ("Are you still there?", "Take your time. I am listening.")
    silence_goodbye: tuple[str, ...] = (
        "I cannot hear you, so I will hang up now. Please call again. Goodbye.",
    )
    limit_goodbye: tuple[str, ...] = (
        "I am afraid we have to stop here. Please call again. Goodbye.",
    )
    help: tuple[str, ...] = ("Just tell me what you need. You can ask for a person at any time.",)
    filler: tuple[str, ...] = ("One moment, please.", "Just a second.")
    fallback: tuple[str, ...] = ("Sorry, I lost my place for a moment. Please bear with me.",)
    back: tuple[str, ...] = ("Thank you for waiting. I am back.",)
    back_heard: tuple[str, ...] = ("Thank you, I am back. I have noted {heard}.",)
    back_quoted: tuple[str, ...] = ("Thank you, I am back. I heard you say, {heard}.",)
    back_asked: tuple[str, ...] = ("Thank you, I am back. My colleague asked me to carry on.",)
    corrected: tuple[str, ...] = ("All right, {heard}.",)
    refused: tuple[str, ...] = ("I am sorry, I cannot help with that.",)


def read_wording(reader: Reader) -> Wording:
    """The wording of a definition: what is not given keeps its default."""
    standard = Wording()
    given = {
        each.name: reader.texts(each.name, getattr(standard, each.name)) for each in fields(Wording)
    }
    reader.close()
    for name, sentences in given.items():
        if not sentences:
            reader.fault(name, "at least one sentence is needed")
            continue
        for sentence in sentences:
            extra = sentence.replace("{heard}", "") if name in FILLED else sentence
            if "{" in extra or "}" in extra:
                reader.fault(
                    name, "only {heard} may be filled in, in back_heard, back_quoted and corrected"
                )
    return Wording(**given)
