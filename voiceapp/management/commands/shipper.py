"""The shipper process."""

from __future__ import annotations

import signal
import threading
from typing import Any, Final

from django.core.management.base import BaseCommand

from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.shipper import Shipper, hand_out
from voiceapp.configuration import load

PAUSE_S: Final = 0.25


class Command(BaseCommand):
    help = (
        "Copies the spools of the media nodes into the database and hands out what follows a call."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="Stop when nothing waits.")

    def handle(self, *args: Any, **options: Any) -> None:
        configuration = load()
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        shipper = Shipper(configuration.spool, Keyring.load(configuration.data_key))
        try:
            while not stop.is_set():
                busy = shipper.ship() + hand_out()
                if busy == 0 and (options["once"] or stop.wait(PAUSE_S)):
                    break
        finally:
            shipper.close()
