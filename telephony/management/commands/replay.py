"""The state of a call, made from its log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from telephony.call.errors import BrokenLogError
from telephony.call.evolution import replay
from telephony.management.lookups import as_json, log_or_refusal, refuse


class Command(BaseCommand):
    help = "Folds the log of a call and prints the state it ends in."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("call")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--upto", type=int, help="Only events up to this position.")

    def handle(self, *args: Any, **options: Any) -> None:
        records = log_or_refusal(options["call"])
        if options["upto"] is not None:
            records = records[: max(0, options["upto"])]
        try:
            state = replay(records)
        except BrokenLogError as error:
            refuse(f"{options['call']}: {error}")
        if options["json"]:
            self.stdout.write(as_json(state))
            return
        talk = state.conversation
        self.stdout.write(f"{state.id}: {state.phase.value} after {state.seq} events")
        self.stdout.write(f"step {talk.step or '-'}, turns {talk.turn}, barge-ins {talk.barge_ins}")
        for name, value in talk.slots.items():
            self.stdout.write(f"  {name} = {value}")
        for said in talk.said:
            heard = said.text if said.heard is None else said.heard
            cut = " …(cut off)" if said.interrupted else ""
            self.stdout.write(f"  {said.start_s:7.2f} s  {said.role}: {heard}{cut}")
