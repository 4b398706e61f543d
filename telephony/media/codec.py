"""What a codec of one stream is to the plane, whatever library is behind it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Codec(Protocol):
    """Both directions of one stream, mono int16 at the codec's own rate; 20 ms frames out. One thread at a time."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """All samples of the packet. Raises: RtpError."""

    def recover(self, following: bytes) -> NDArray[np.int16]:
        """The frame lost just before `following`: by forward error correction if there is some, else `conceal`."""

    def conceal(self) -> NDArray[np.int16]:
        """A lost frame, by extrapolation."""

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """One frame -> the payload of one packet."""
