"""Sentences every agent needs beside its flow; each is a list, and is used in turn so that none is heard twice running."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from agents.conversation.reading import Reader

FILLED: Final = (
    "back_heard", "back_quoted", "corrected", "closed_day", "past_day", "far_day", "outside_hours",
    "wrong_digits", "kept",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wording:
    """Defaults for flite's pronunciation: short, no abbreviations.

    `fallback` is spoken while the brain is away and `filler` while it is slow; both are made ahead of need.
    `{heard}` in those of `FILLED` is what was understood; in the refusals, the day or the limits; in `kept`, what
    stays noted although something else was wished. `bad_line` comes before a question that is asked again, `cannot_hear`
    where no sound arrives. `anything_else` follows an answer where all was open before.
    """

    not_understood: tuple[str, ...] = (
        "Sorry, I did not catch that.",
        "I am sorry, I did not understand.",
        "Sorry, could you say that another way?",
    )
    offer_person: tuple[str, ...] = (
        "I am having trouble understanding. Shall I get a colleague for you?",
        "I still did not get that. Say yes for a colleague, or press zero at any time.",
    )
    person: tuple[str, ...] = (
        "Of course. I am asking a colleague to join us. One moment, please.",
    )
    person_waiting: tuple[str, ...] = (
        "A colleague has been told. Meanwhile, I can go on helping you.",
    )
    transfer: tuple[str, ...] = ("I am putting you through. One moment, please.",)
    transfer_failed: tuple[str, ...] = (
        "I am sorry, I could not reach them. I can go on helping you myself.",
        "I am sorry, nobody could take your call just now.",
    )
    person_declined: tuple[str, ...] = ("All right, let us try again.",)
    person_awaited: tuple[str, ...] = (
        "I am still asking for a colleague. Thank you for waiting.",
        "Nobody is free yet. Meanwhile, I can help you myself.",
    )
    anything_else: tuple[str, ...] = (
        "Is there anything else?",
        "What else can I do for you?",
        "Can I help you with anything else?",
    )
    closed_day: tuple[str, ...] = ("We are closed on {heard}.",)
    past_day: tuple[str, ...] = ("I am afraid {heard} is past.",)
    today_over: tuple[str, ...] = ("I am afraid it is too late for today.",)
    past_time: tuple[str, ...] = ("It is later than that already.",)
    far_day: tuple[str, ...] = ("I can only book {heard} ahead.",)
    outside_hours: tuple[str, ...] = ("I can offer times from {heard}.",)
    wrong_digits: tuple[str, ...] = ("I need {heard}.",)
    kept: tuple[str, ...] = ("I will keep {heard} for now.",)
    silence: tuple[str, ...] = ("Are you still there?", "Take your time. I am listening.")
    bad_line: tuple[str, ...] = (
        "The line is bad just now.",
        "I am sorry, the line is breaking up.",
    )
    cannot_hear: tuple[str, ...] = (
        "I cannot hear you at all. Are you muted?",
        "I still cannot hear you. If you hear me, please call again.",
    )
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
                reader.fault(name, f"only {{heard}} may be filled in, in {', '.join(FILLED)}")
    return Wording(**given)
