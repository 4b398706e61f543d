"""Whole spoken calls to the receptionist, by phone and by browser: was it understood, and was the errand done?

    python -m benchmarks.conversation [--voices slt,rms,awb,kal16,espeak:en-gb] [--lines phone,browser] [--at-once 4]

Starts `manage.py run` with a data folder of its own. Each scenario is one call with fixed turns, spoken when the
agent has finished: a turn that is not understood is not said again, so what follows it may fail as well. A turn is
understood if the agent's next words match; an errand is done if the slots at the end are the ones wanted. Speech is
synthetic, so real error rates are higher. Prints what failed, a table, and one JSON object.
"""

import argparse
import asyncio
import json
import re
import secrets
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agents.conversation.dates import WEEKDAYS
from tests.fakes.speech_audio import spoken_wav
from tests.running_product import RunningProduct, running_product
from voiceapp.try_call import browser, phone
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.browser import BrowserLine
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import CallFailedError, PhoneLine
from voiceapp.try_call.transcript import events_of, find_call

VOICES: Final = "slt,rms,awb,kal16,espeak:en-gb"
RATES: Final = {"phone": phone.RATE_HZ, "browser": browser.RATE_HZ}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call: what is said, and what the agent's answer to it has to match.

    `slots`: what is known at the end, a day by its weekday.
    """

    name: str
    turns: tuple[tuple[str, str], ...]
    slots: Mapping[str, str] = field(default_factory=dict)


SCENARIOS: Final = (
    Scenario(
        "plain",
        (
            ("What are your opening hours?", "We are open"),
            ("I would like to book an appointment.", "Which day"),
            ("Next Tuesday.", "what time"),
            ("At half past two.", "name"),
            ("My name is Peter.", "half past two .* for Peter"),
            ("Yes, that is right.", "booked"),
            ("No, thank you.", "Goodbye"),
        ),
        {"day": "tuesday", "time": "14:30", "name": "Peter"},
    ),
    Scenario(
        "in one breath",
        (
            ("Can I book a visit on Monday at ten o'clock?", "name"),
            ("This is Sarah.", "Monday.* ten o'clock .*Sarah"),
            ("No, make it Wednesday.", "Wednesday.* ten o'clock .*Sarah"),
            ("Yes, please.", "booked"),
            ("Where are you?", "Quay Street"),
            ("No thanks, goodbye.", "Goodbye"),
        ),
        {"day": "wednesday", "time": "10:00", "name": "Sarah"},
    ),
    Scenario(
        "refused values",
        (
            ("I need an appointment.", "Which day"),
            ("On Saturday at three p.m.", "(closed|only) .*Saturday|Saturday.*closed"),
            ("Thursday then.", "name"),
            ("Can we make it seven in the evening?", "nine .*half past four"),
            ("Make it nine thirty.", "name"),
            ("Five five five, one two three four.", "half past nine .*five five five"),
            ("Yes.", "booked"),
            ("That is all.", "Goodbye"),
        ),
        {"day": "thursday", "time": "09:30", "name": "5551234"},
    ),
    Scenario(
        "questions",
        (
            ("When are you open?", "We are open"),
            ("How do I get there?", "Quay Street"),
            ("Can I speak to a person?", "colleague"),
            ("Goodbye.", "Goodbye"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One call. `understood`: per turn; `exchanges`: what was recognised and what was answered."""

    line: str
    voice: str
    scenario: str
    understood: tuple[bool, ...]
    done: bool
    exchanges: tuple[tuple[str, str], ...]
    slots: Mapping[str, str]


def exchanges_of(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What was recognised of each turn, with all that the agent said until the next one."""
    found: list[tuple[str, str]] = []
    for event in events:
        body = event["event"]
        if event["kind"] == "SegmentHeard" and body["role"] == "caller":
            found.append((f"{body['text']} ({body['confidence']:.2f})", ""))
        elif event["kind"] == "UtteranceEnded" and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {body['heard']}".strip())
    return found


def slots_of(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Slots at the end, days by their weekdays."""
    found: dict[str, str] = {}
    for event in events:
        if event["kind"] == "SlotFilled":
            name, value = event["event"]["name"], event["event"]["value"] or ""
            day = name == "day" and value
            found[name] = WEEKDAYS[date.fromisoformat(value).weekday()] if day else value
    return {name: value for name, value in found.items() if value}


def judged(line: str, voice: str, scenario: Scenario, events: list[Mapping[str, Any]]) -> Result:
    """Turns are matched in order: one that was heard as two still counts if it was answered."""
    exchanges, understood, place = exchanges_of(events), [], 0
    for number, (_, wanted) in enumerate(scenario.turns):
        most = place + 1 + max(0, len(exchanges) - len(scenario.turns))
        hits = (
            i
            for i in range(place, min(most, len(exchanges)))
            if re.search(wanted, exchanges[i][1], re.IGNORECASE)
        )
        hit = next(hits, None)
        understood.append(hit is not None)
        place = number + 1 if hit is None else hit + 1
    slots = slots_of(events)
    done = slots == scenario.slots if scenario.slots else all(understood)
    if scenario.slots:
        done = done and any("booked" in said for _, said in exchanges)
    return Result(line, voice, scenario.name, tuple(understood), done, tuple(exchanges), slots)


async def call(product: RunningProduct, line: str, voice: str, scenario: Scenario) -> Result:
    rate = RATES[line]
    wavs = [spoken_wav(text, rate, voice) for text, _ in scenario.turns]
    caller = Caller([speech(read_wav(wav, rate), rate) for wav in wavs], rate)
    node, call_id = "node1", ""
    try:
        if line == "browser":
            held = BrowserLine(product.base, "demo", caller)
            await held.hold()
            call_id = held.call
        else:
            user = f"bench-{secrets.token_hex(4)}"
            await PhoneLine(product.uri, caller, user=user).hold()
            node, call_id = await find_call(product.configuration, user) or (node, "")
    except* CallFailedError as failed:
        sys.stderr.write(f"{line} {voice} {scenario.name}: {failed.exceptions[0]}\n")
    events = await events_of(product.configuration, node, call_id) if call_id else []
    return judged(line, voice, scenario, events)


async def calls(
    product: RunningProduct, voices: list[str], lines: list[str], at_once: int
) -> list[Result]:
    places = asyncio.Semaphore(at_once)

    async def one(line: str, voice: str, scenario: Scenario) -> Result:
        async with places:
            result = await call(product, line, voice, scenario)
        show(result, scenario)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(one(line, voice, scenario))
            for line in lines
            for voice in voices
            for scenario in SCENARIOS
        ]
    return [task.result() for task in tasks]


def show(result: Result, scenario: Scenario) -> None:
    """The call if something went wrong in it."""
    mark = "done" if result.done else "NOT DONE"
    sys.stdout.write(f"{result.line} {result.voice} {result.scenario}: {mark}\n")
    if result.done and all(result.understood):
        return
    for number, (text, _) in enumerate(scenario.turns):
        if not result.understood[number]:
            sys.stdout.write(f"    not understood: {text}\n")
    for heard, said in result.exchanges:
        sys.stdout.write(f"        {heard!r} -> {said}\n")
    sys.stdout.write(f"        {dict(result.slots)}\n")
    sys.stdout.flush()


def table(results: list[Result]) -> list[dict[str, Any]]:
    """Per line and voice: errands done and turns understood."""
    rows = []
    for line, voice in dict.fromkeys((each.line, each.voice) for each in results):
        mine = [each for each in results if (each.line, each.voice) == (line, voice)]
        turns = [turn for each in mine for turn in each.understood]
        rows.append(
            {
                "line": line,
                "voice": voice,
                "done": sum(each.done for each in mine),
                "calls": len(mine),
                "understood": sum(turns),
                "turns": len(turns),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--voices", default=VOICES)
    parser.add_argument("--lines", default="phone,browser")
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args()
    voices, lines = options.voices.split(","), options.lines.split(",")
    with tempfile.TemporaryDirectory() as folder, running_product(Path(folder)) as product:
        results = asyncio.run(calls(product, voices, lines, options.at_once))
    rows = table(results)
    for row in rows:
        sys.stdout.write(
            f"{row['line']:8} {row['voice']:14} errands {row['done']}/{row['calls']}"
            f"   turns {row['understood']}/{row['turns']}\n"
        )
    sys.stdout.write(json.dumps({"conversation": rows}) + "\n")


if __name__ == "__main__":
    main()
