"""Starts the product and keeps it running."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from voiceapp.adapters.encryption import Keyring
from voiceapp.configuration import Address, Configuration, load
from voiceapp.keys import keep_session_key
from voiceapp.runtime import (
    StartError,
    Supervisor,
    check_addresses,
    only_one,
    prepare_folders,
    programs,
)


class Command(BaseCommand):
    help = (
        "Starts media nodes, agent workers, web and shipper, and restarts one that dies. "
        "Ctrl-C ends calls and stops within five seconds."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="Print the ready line as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        configuration = load()
        try:
            prepare_folders(configuration)
            with only_one(configuration):
                check_addresses(configuration)
                self._prepare_data(configuration)
                asyncio.run(self._run(configuration, as_json=options["json"]))
        except StartError as error:
            raise CommandError(str(error)) from error

    def _prepare_data(self, configuration: Configuration) -> None:
        """Secrets, tables, the demo and the first login; each is harmless when it is there already."""
        # No node is up yet to be told: that is no news to whoever starts it.
        logging.getLogger("agents.services.snapshot").setLevel(logging.WARNING)
        keep_session_key(configuration)
        Keyring.load(configuration.data_key)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("load_demo", verbosity=0)
        call_command("first_login", verbosity=0)

    async def _run(self, configuration: Configuration, *, as_json: bool) -> None:
        supervisor = Supervisor(configuration, programs(configuration))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        await supervisor.run(lambda: self._tell(configuration, as_json=as_json))

    def _tell(self, configuration: Configuration, *, as_json: bool) -> None:
        places = _places(configuration)
        if as_json:
            self.stdout.write(json.dumps({"ready": True, **places}))
        else:
            words = "  ".join(f"{name} {place}" for name, place in places.items())
            self.stdout.write(f"ready  {words}")
        self.stdout.flush()


def _places(configuration: Configuration) -> dict[str, str]:
    base = f"http://{_reachable(configuration.http)}"
    return {
        "desk": f"{base}/",
        "widget": f"{base}/try/",
        "phone": f"sip:demo@{_reachable(configuration.sip)}",
        "login": str(configuration.data / "first-login.txt"),
    }


def _reachable(address: Address) -> Address:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return Address(host, address.port)
