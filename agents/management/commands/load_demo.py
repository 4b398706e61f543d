"""The demo: a receptionist that answers `demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from agents.services import NotPublishableError, load_agent, publish_snapshot
from telephony.services import allow_widget, route_number

FIXTURE: Final = Path(__file__).resolve().parent.parent.parent / "fixtures" / "receptionist.json"
AGENT: Final = "receptionist"
DEMO: Final = "demo"


class Command(BaseCommand):
    help = (
        "Loads the demo agent, its number and its widget key, and publishes them; safe to repeat."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        definition = json.loads(FIXTURE.read_text(encoding="utf-8"))
        try:
            agent = load_agent(
                slug=AGENT, name="Receptionist", definition=definition, who="load_demo"
            )
        except NotPublishableError as error:
            raise CommandError("\n".join(error.problems)) from error
        route_number(dialled=DEMO, label="Demo", agent=AGENT)
        allow_widget(key=DEMO, label="Demo page", agent=AGENT, origins=own_origins())
        published = publish_snapshot()
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{agent.name} answers {DEMO} (revision {published.revision} of the snapshot)."
            )


def own_origins() -> list[str]:
    """Where this installation's own pages are served; browsers leave out the usual port."""
    port = settings.CONFIGURATION.http.port
    suffix = "" if port == 80 else f":{port}"
    hosts = [host for host in settings.ALLOWED_HOSTS if host != "[::1]"]
    return [f"http://{host.lower()}{suffix}" for host in hosts]
