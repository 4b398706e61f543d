"""Places a real call from outside, over the real protocol."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voiceapp.configuration import Configuration, load
from voiceapp.try_call import browser, phone
from voiceapp.try_call.audio import AudioFileError, read_wav, speech
from voiceapp.try_call.browser import BrowserLine
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import CallFailedError, PhoneLine
from voiceapp.try_call.transcript import events_of, find_call, lines, turn_times


class Command(BaseCommand):
    help = (
        "Calls the running product like a phone or a browser, speaks WAV files, and prints what was "
        "understood and how long answers took. Each --wav is one turn, spoken when the agent has finished."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--wav", action="append", default=[], help="A turn to speak.")
        parser.add_argument(
            "--sip", help="SIP URI to call; the default is the demo on this machine."
        )
        parser.add_argument("--browser", action="store_true", help="Call through the widget.")
        parser.add_argument("--site", help="Where the widget's page is; default: this machine.")
        parser.add_argument("--key", default="demo", help="Widget key.")
        parser.add_argument("--record", help="WAV file for what was heard.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["sip"] and options["browser"]:
            raise CommandError("--sip and --browser exclude each other.")
        rate_hz = browser.RATE_HZ if options["browser"] else phone.RATE_HZ
        try:
            turns = [speech(read_wav(Path(name), rate_hz), rate_hz) for name in options["wav"]]
            if options["record"]:
                Path(options["record"]).open("ab").close()  # better now than after the call
            caller = Caller(turns, rate_hz)
            result = asyncio.run(_call(load(), caller, options))
            if options["record"]:
                caller.recording.write(Path(options["record"]))
        except (AudioFileError, CallFailedError, OSError) as error:
            raise CommandError(str(error)) from error
        self._print(result, as_json=options["json"])

    def _print(self, result: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
            return
        for line in result["transcript"]:
            self.stdout.write(f"{line['role']:>8}  {line['text']}")
        heard = result["measured"]
        self.stdout.write(f"first audio after {_ms(heard['first_audio_ms'])}")
        for turn, value in enumerate(heard["voice_to_voice_ms"], 1):
            self.stdout.write(f"turn {turn}: answer after {_ms(value)}")


def _ms(value: float | None) -> str:
    return "nothing heard" if value is None else f"{value:.0f} ms"


async def _call(
    configuration: Configuration, caller: Caller, options: dict[str, Any]
) -> dict[str, Any]:
    try:
        if options["browser"]:
            site = options["site"] or f"http://{configuration.http}"
            line = BrowserLine(site, options["key"], caller)
            await line.hold()
            transcript, call = line.transcript(), line.call
            times = turn_times(await _events(configuration, call))
        else:
            user = f"try-{secrets.token_hex(4)}"
            uri = options["sip"] or f"sip:demo@{configuration.sip}"
            await PhoneLine(uri, caller, user=user).hold()
            found = await find_call(configuration, user)
            events = await events_of(configuration, *found) if found else []
            transcript, times = lines(events), turn_times(events)
            call = found[1] if found else ""
    except* CallFailedError as errors:
        raise errors.exceptions[0] from None
    measured = caller.measured
    return {
        "call": call,
        "transcript": transcript,
        "turns": times,
        "measured": {
            "first_audio_ms": _rounded(measured.first_audio_ms),
            "voice_to_voice_ms": [_rounded(value) for value in measured.voice_to_voice_ms],
            "packets": measured.packets,
            "longest_gap_ms": round(measured.longest_gap_ms, 1),
        },
    }


async def _events(configuration: Configuration, call: str) -> list[Any]:
    for number in range(1, configuration.media_nodes + 1):
        events = await events_of(configuration, f"node{number}", call)
        if events:
            return events
    return []


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
