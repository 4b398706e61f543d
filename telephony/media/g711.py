"""G.711 by table (ITU-T G.711; the tables follow the segment arithmetic of the recommendation)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.parameters import MediaCodec
from telephony.media.send_loops import encode_row

ULAW: Final = 0
ALAW: Final = 1
LAW_NUMBER: Final = {MediaCodec.ULAW: ULAW, MediaCodec.ALAW: ALAW}

_BIAS: Final = 33 << 2


def _decode_ulaw() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent = (code >> 4) & 7
    magnitude = (((code & 0x0F) << 3) + _BIAS << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _decode_alaw() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code >> 4) & 7
    mantissa = (code & 0x0F) << 4
    magnitude = np.where(
        exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


DECODE: Final = np.concatenate((_decode_ulaw(), _decode_alaw()))
"""Samples of the octets of both laws: 256 times the law's number, and the octet."""


def decode(payloads: NDArray[np.uint8], laws: NDArray[np.int64]) -> NDArray[np.int16]:
    """(n, k) octets with one law number per row -> (n, k) samples."""
    first = int(laws[0]) if len(laws) else 0
    if np.count_nonzero(laws == first) == len(laws):
        return DECODE[256 * first : 256 * first + 256].take(payloads)
    return DECODE.take(payloads + (laws * 256)[:, None])


def encode(pcm: NDArray[np.int16], law: int) -> NDArray[np.uint8]:
    """Samples of any shape, C-contiguous -> octets of the same shape."""
    octets = np.empty(pcm.shape, np.uint8)
    encode_row(pcm.reshape(-1), law, octets.reshape(-1))
    return octets
