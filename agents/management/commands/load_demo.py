"""The demo: a receptionist that answers `demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from agents.services import NotPublishableError, load_agent, publish_snapshot
from telephony.selectors import answering_agents, origins_of_widget
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
            name = _load(definition)
        except NotPublishableError as error:
            raise CommandError("\n".join(error.problems)) from error
        published = publish_snapshot()
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{name} answers {DEMO} (revision {published.revision} of the snapshot)."
            )


@transaction.atomic
def _load(definition: dict[str, Any]) -> str:
    """Each start comes by here: a number or key that people have removed or closed since the first is not put back."""
    first = AGENT not in answering_agents()
    agent = load_agent(slug=AGENT, name="Receptionist", definition=definition, who="load_demo")
    if first:
        route_number(dialled=DEMO, label="Demo", agent=AGENT)
    if first or origins_of_widget(DEMO):  # the address this installation serves may be a new one
        allow_widget(key=DEMO, label="Demo page", agent=AGENT, origins=own_origins())
    return agent.name


def own_origins() -> list[str]:
    """Where this installation's own pages are served; browsers leave out the usual port."""
    port = settings.CONFIGURATION.http.port
    suffix = "" if port == 80 else f":{port}"
    hosts = [host for host in settings.ALLOWED_HOSTS if host != "[::1]"]
    return [f"http://{host.lower()}{suffix}" for host in hosts]
