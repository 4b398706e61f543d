"""Damaged copies of good input, the same ones again for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

WORDS = [
    b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b"\r\n ", b";", b",", b'"', b"\\", b"<", b">", b"=", b"?",
    b"&", b"%00", b"%", b"@", b":", b"*", b"[::1]", b"0", b"-1", b"255", b"256", b"65535", b"65536", b"2147483648",
    b"4294967296", b"99999999999999999999", b"\xd9\xa1", b"\xff\xfe", b"\xf0\x9f\x93\x9e", b"z9hG4bK", b"SIP/2.0", b"sip:",
    b"tel:", b";tag=", b";lr", b"Content-Length: ", b"Via: ", b"Require: 100rel", b"Digest ", b"m=audio 9 ", b"a=", b"c=IN IP6 ::",
    b"(" * 40, b"<" * 40, b"," * 200, b";a" * 200, b"\\\"" * 60, b"a" * 3000,
]  # fmt: skip
_MOST_BYTES = 9000


class Mutator:
    """`next()`: one of the seeds, usually changed in one to six places, sometimes noise alone."""

    def __init__(self, seed: int, seeds: Sequence[bytes], words: Sequence[bytes] = WORDS) -> None:
        self._random = random.Random(seed)
        self._seeds = list(seeds)
        self._words = list(words)

    def next(self) -> bytes:
        lots = self._random
        if lots.random() < 0.02:
            return lots.randbytes(lots.randrange(200))
        data = bytearray(lots.choice(self._seeds))
        for _ in range(lots.choice((1, 1, 1, 2, 2, 3, 4, 6))):
            self._change(data)
        return bytes(data[:_MOST_BYTES])

    def _change(self, data: bytearray) -> None:
        lots = self._random
        start = lots.randrange(len(data) + 1)
        end = min(len(data), start + lots.choice((1, 1, 2, 4, 8, 20, 60, 200)))
        kind = lots.randrange(8)
        if kind == 0:
            del data[start:end]
        elif kind == 1:
            data[start:start] = data[start:end] * lots.choice((1, 1, 2, 8))
        elif kind == 2:
            data[start:end] = lots.randbytes(lots.randrange(8))
        elif kind == 3:
            other = lots.choice(self._seeds)
            data[start:end] = other[start:end]
        elif kind == 4 and start < len(data):
            data[start] ^= 1 << lots.randrange(8)
        elif kind == 5:
            del data[start:]
        else:
            data[start : end if kind == 6 else start] = lots.choice(self._words)
