"""Lists as people type them in a form: one entry per line. Each form reads back what it writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError

OPTION_KEY: Final = re.compile(r"\[(?P<digit>[1-9])\]$")


def lines_of(text: str) -> list[str]:
    """Entries without empty lines and without space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words_of(text: str) -> list[str]:
    """Names, with commas or spaces between them."""
    return text.replace(",", " ").split()


def pairs_of(text: str, sign: str, example: str) -> list[tuple[str, str]]:
    """Each line's two sides of `sign`. Raises: ValidationError naming the lines that have only one."""
    pairs, problems = [], []
    for number, line in enumerate(lines_of(text), start=1):
        left, found, right = (part.strip() for part in line.partition(sign))
        if found and left and right:
            pairs.append((left, right))
        else:
            problems.append(f"Line {number}, “{line}”: write it like “{example}”.")
    if problems:
        raise ValidationError(problems)
    return pairs


def facts_of(text: str) -> dict[str, str]:
    """`business: Harbour Dental` on each line."""
    return dict(pairs_of(text, ":", "business: Harbour Dental"))


def facts_text(facts: Mapping[str, str]) -> str:
    """Reads back by `facts_of`."""
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


def answers_of(text: str) -> list[dict[str, str]]:
    """`yes -> booked` on each line."""
    pairs = pairs_of(text, "->", "yes -> booked")
    return [{"value": value, "next": step} for value, step in pairs]


def answers_text(answers: Sequence[Mapping[str, str]]) -> str:
    """Reads back by `answers_of`."""
    return "\n".join(f"{answer['value']} -> {answer['next']}" for answer in answers)


def options_of(text: str) -> list[dict[str, Any]]:
    """`checkup: check up, teeth cleaning [1]` on each line; phrases and key may be left out."""
    options: list[dict[str, Any]] = []
    for line in lines_of(text):
        key = OPTION_KEY.search(line)
        value, _, phrases = line[: key.start()].partition(":") if key else line.partition(":")
        option: dict[str, Any] = {"value": value.strip()}
        if spoken := [phrase.strip() for phrase in phrases.split(",") if phrase.strip()]:
            option["phrases"] = spoken
        if key:
            option["digit"] = key["digit"]
        options.append(option)
    return options


def options_text(options: Sequence[Mapping[str, Any]]) -> str:
    """Reads back by `options_of`."""
    lines = []
    for option in options:
        line = option["value"]
        if option.get("phrases"):
            line += f": {', '.join(option['phrases'])}"
        if option.get("digit"):
            line += f" [{option['digit']}]"
        lines.append(line)
    return "\n".join(lines)


def wording_of(text: str) -> dict[str, list[str]]:
    """`not_understood: Sorry?` on each line; a key that comes again adds a variant."""
    wording: dict[str, list[str]] = {}
    for key, sentence in pairs_of(text, ":", "not_understood: Sorry, I did not catch that."):
        wording.setdefault(key, []).append(sentence)
    return wording


def wording_text(wording: Mapping[str, Sequence[str]]) -> str:
    """Reads back by `wording_of`."""
    return "\n".join(f"{key}: {text}" for key, texts in wording.items() for text in texts)


TRANSFER_WORDS: Final = ("attended", "ends", "leaves")


def transfers_of(text: str) -> list[dict[str, Any]]:
    """`sales: +4930123456 attended | I have {name} for you.` on each line; the words and sentences may be left out."""
    transfers: list[dict[str, Any]] = []
    for name, rest in pairs_of(text, ":", "sales: +4930123456"):
        head, *brief = (part.strip() for part in rest.split("|"))
        words = head.split()
        given = {word for word in words[1:] if word in TRANSFER_WORDS}
        to = " ".join(word for word in words if word not in given)
        transfer: dict[str, Any] = {"name": name, "to": to}
        if "attended" in given:
            transfer["mode"] = "attended"
        if "ends" in given:
            transfer["then"] = "end"
        if "leaves" in given:
            transfer["leaves"] = True
        if brief:
            transfer["brief"] = brief
        transfers.append(transfer)
    return transfers


def transfers_text(transfers: Sequence[Mapping[str, Any]]) -> str:
    """Reads back by `transfers_of`."""
    rows = []
    for transfer in transfers:
        words = [transfer["to"]]
        words += ["attended"] if transfer.get("mode") == "attended" else []
        words += ["ends"] if transfer.get("then") == "end" else []
        words += ["leaves"] if transfer.get("leaves") else []
        rows.append(
            " | ".join([f"{transfer['name']}: {' '.join(words)}", *transfer.get("brief", ())])
        )
    return "\n".join(rows)


def validate_transfers(text: str) -> None:
    """Raises: ValidationError."""
    transfers_of(text)


def validate_facts(text: str) -> None:
    """Raises: ValidationError."""
    facts_of(text)


def validate_answers(text: str) -> None:
    """Raises: ValidationError."""
    answers_of(text)


def validate_wording(text: str) -> None:
    """Raises: ValidationError."""
    wording_of(text)
