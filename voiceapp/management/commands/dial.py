"""Places a call and shows how it goes."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from telephony.services import record_audit
from voiceapp.configuration import load
from voiceapp.dial import DialError, follow, place

NOT_ANSWERED = 1
REFUSED = 2


class Command(BaseCommand):
    help = (
        "Calls NUMBER with an agent and shows ringing, answer, end and post-dial delay. Rules, caps and caller IDs are "
        "those of the admin. Ctrl-C hangs up. Exit code: 0 answered, 1 not answered, 2 refused."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("number", help="Such as +4930123456, or an extension.")
        parser.add_argument("--agent", required=True, help="The agent that speaks.")
        parser.add_argument("--trunk", help="By this trunk; without it the rules choose one.")
        parser.add_argument("--caller-id", help="Of the trunk's pool; without it its rule chooses.")
        parser.add_argument(
            "--variable", action="append", default=[], metavar="NAME=VALUE", help="For the agent."
        )
        parser.add_argument("--node", help="Media node; without it the one with the fewest calls.")
        parser.add_argument("--json", action="store_true", help="Print the outcome alone, as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        order = _order(options)
        who = f"cli:{getpass.getuser()}"
        as_json = options["json"]

        def say(seconds: float, words: str) -> None:
            if not as_json:
                self.stdout.write(f"{seconds:7.1f} s  {words}")
                self.stdout.flush()

        try:
            placed = place(load().run, options["node"] or _node(), order)
            detail = {"agent": options["agent"], "trunk": options["trunk"] or ""}
            record_audit(who=who, what="call.dialled", subject=placed.call, detail=detail)
            outcome = asyncio.run(follow(placed, who, say))
        except DialError as error:
            self.stderr.write(str(error))
            sys.exit(REFUSED)
        self._print(outcome, as_json=as_json)
        if outcome["outcome"] != "answered":
            sys.exit(NOT_ANSWERED)

    def _print(self, outcome: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(outcome))
            return
        pdd = outcome["pdd_ms"]
        self.stdout.write(
            f"{outcome['id']}: {str(outcome['outcome']).replace('_', ' ')}, {outcome['seconds']:.1f} s, "
            f"PDD {'not measured' if pdd is None else f'{pdd / 1000:.2f} s'}"
            f"{', by ' + outcome['trunk'] if outcome['trunk'] else ''}"
        )


def _order(options: dict[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = {"destination": options["number"], "agent": options["agent"]}
    order |= {name: options[name] for name in ("trunk", "caller_id") if options[name]}
    pairs = [text.partition("=") for text in options["variable"]]
    if not all(name and sign for name, sign, _ in pairs):
        raise CommandError("--variable takes NAME=VALUE.")
    return order | ({"variables": {name: value for name, _, value in pairs}} if pairs else {})


def _node() -> str:
    health = import_string(settings.NODE_HEALTH)()
    if not health:
        raise DialError("No media node is running; `make run` starts one.")
    return str(min(health, key=lambda node: int(health[node].get("calls") or 0)))
