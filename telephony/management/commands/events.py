"""The log of a call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from telephony.call.serial import event_to_json, record_to_json
from telephony.management.lookups import as_json, log_or_refusal


class Command(BaseCommand):
    help = "Prints the events of a call, with what was said."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("call")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        records = log_or_refusal(options["call"])
        if options["json"]:
            self.stdout.write(as_json([record_to_json(record) for record in records]))
            return
        for record in records:
            at = datetime.fromtimestamp(record.at_us / 1_000_000, UTC).strftime("%H:%M:%S.%f")[:-3]
            body = json.dumps(event_to_json(record.event), ensure_ascii=False)
            self.stdout.write(f"{record.seq:>4}  {at}  {record.kind:<16} {body}")
