"""What our answers say about the source that asked: rubbish, refusals and wrong digests are told to its guard. Pure."""

import re
from collections import Counter
from typing import Final

from telephony.sip.source_guard import SourceGuard

_RUBBISH: Final = ("not_sip", "no_via", "malformed_ack")  # the engine's drops without an answer
_UNAUTHORIZED: Final = {b"401", b"407"}
_REFUSED: Final = {b"400", b"403", b"404", b"405", b"416", b"484", b"501", b"505", b"513", b"604"}
_WITH_DIGEST: Final = re.compile(rb"\r\nCSeq: \d+ (?:REGISTER|INVITE)\r\n")


class Suspicion:
    """Only answers given while a message is handled count: repeats by a timer are no fault of the peer."""

    def __init__(self, guard: SourceGuard, counters: Counter[str]) -> None:
        self._guard = guard
        self._counters = counters
        self._source: str | None = None
        self._rubbish = 0

    def begin(self, source: str) -> None:
        """A message of this source goes to the engine."""
        self._source = source

    def end(self, now: float) -> None:
        """It was handled, and what there was to answer has been sent."""
        count = self._count()
        if self._source is not None and count > self._rubbish:
            self._guard.fault(self._source, "malformed", now)
        self._source, self._rubbish = None, count

    def sending(self, data: bytes, source: str, now: float) -> None:
        """Every message that goes out."""
        if source != self._source or not data.startswith(b"SIP/2.0 "):
            return
        status = data[8:11]
        if status in _UNAUTHORIZED:
            self._guard.fault(source, "unauthorized", now)
        elif status in _REFUSED:
            self._guard.fault(source, "refused", now)
        elif status[:1] == b"2" and _WITH_DIGEST.search(data):
            self._guard.forgive(source)

    def _count(self) -> int:
        count = self._counters.get  # indexing a Counter costs a call for what is absent
        return sum([count(name, 0) for name in _RUBBISH])
