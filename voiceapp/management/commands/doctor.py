"""Whether this machine can run the product, and what to do if not."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from voiceapp.checkup import examine
from voiceapp.configuration import load


class Command(BaseCommand):
    help = "Checks ports, codecs, engines, database and folders: each OK or what to do. Exit 1 on a fault."
    requires_system_checks = ()

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine(load())
        if options["json"]:
            rows = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
        else:
            for finding in findings:
                mark = "OK  " if finding.ok else "FAIL"
                todo = f" -> {finding.remedy}" if finding.remedy else ""
                self.stdout.write(f"{mark} {finding.name}: {finding.found}{todo}")
        if not all(finding.ok for finding in findings):
            sys.exit(1)
