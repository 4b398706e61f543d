"""A product under load: started for the benchmark, with the node on a core of its own, and phones that call it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.carrying.phones import Phones, prioritise
from benchmarks.carrying.signalling import Signalling
from benchmarks.carrying.usage import give_node_a_core, prioritise_node
from tests.running_product import RunningProduct, running_product

MAX_CALLS = 600


class Load:
    """Phones with their signalling, in one loop at the pace of the audio."""

    def __init__(self, product: RunningProduct, calls: int, phones: Phones | None = None) -> None:
        self.phones = phones or Phones(calls)
        sip = product.configuration.sip
        ports = self.phones.sockets.local_ports
        self.signalling = Signalling((sip.host, sip.port), ports, self.phones.switch)
        self._tick = 0

    def run(self, seconds: float, *, measured: bool = False) -> None:
        self._tick = self.phones.run(
            seconds, start=self._tick, measured=measured, between=self.signalling.pump
        )

    def dial(
        self, calls: int, cps: float, held_s: float | None = None, *, measured: bool = False
    ) -> None:
        """So many more calls at an even pace; each is hung up after `held_s`."""
        began, first = time.monotonic(), len(self.signalling.dialled)
        held = 0
        while held < calls:
            elapsed = time.monotonic() - began
            due = min(calls, int(elapsed * cps) + 1)
            while len(self.signalling.dialled) - first < due:
                self.signalling.dial()
            if held_s is None:
                held = len(self.signalling.dialled) - first
            else:
                held = self._hang_up_old(first, held, held_s)
            self.run(0.005, measured=measured)
        self.run(1.0, measured=measured)

    def _hang_up_old(self, first: int, held: int, held_s: float) -> int:
        while first + held < len(self.signalling.dialled):
            call = self.signalling.dialled[first + held]
            if time.monotonic() - call.sent_at < held_s:
                break
            self.signalling.hang_up(call)
            held += 1
        return held

    def close(self) -> None:
        for call in self.signalling.dialled:
            self.signalling.hang_up(call)
        self.run(1.0)
        self.signalling.close()
        self.phones.sockets.close()


def with_product(work: Any, *arguments: Any, max_calls: int = MAX_CALLS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="voiceapp-load-") as folder:
        settings = {
            "VOICEAPP_ENGINES": "fake",
            "VOICEAPP_MAX_CALLS": str(max_calls),
            "VOICEAPP_LOG_LEVEL": "ERROR",
        }
        with running_product(Path(folder), **settings) as product:
            apart = give_node_a_core(product)
            first = prioritise_node(product)
            prioritise()
            result: dict[str, Any] = work(product, *arguments)
            return result | {"node_has_a_core": apart, "node_prioritised": first}
