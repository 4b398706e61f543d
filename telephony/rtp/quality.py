"""Voice quality from what was received: the E-model of ITU-T G.107 with its defaults.

Wide-band codecs are rated on the narrow-band scale, as no worse than G.711 where nothing is lost: one scale for all
calls, and no credit for width. No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_R_DEFAULT: Final = 93.2
_KNEE_MS: Final = 177.3
FRAME_MS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Impairment:
    """A codec in the E-model (G.113): `ie` without loss, `bpl` its robustness, `delay_ms` of its algorithm."""

    ie: float
    bpl: float
    delay_ms: float = 0.0


G711: Final = Impairment(0.0, 25.1)
"""G.113 appendix I: with concealment, under random loss."""
G722: Final = Impairment(0.0, 14.0, 1.5)
"""Its predictors carry a loss on, so below G.711; G.113 has no narrow-band value."""
OPUS: Final = Impairment(0.0, 20.0, 2.5)
"""With in-band FEC or extrapolation; no standard value. CELT low delay: 2.5 ms look-ahead."""


def effective_loss(loss: float, burst_ratio: float, codec: Impairment) -> float:
    """Ie-eff (G.107 7.5). `burst_ratio`: mean length of a run of losses over that of random loss, at least 1."""
    percent = 100 * loss
    spread = percent / max(burst_ratio, 1.0) + codec.bpl
    return codec.ie + (95 - codec.ie) * percent / spread


def burst_ratio(lost: int, runs: int, expected: int) -> float:
    """BurstR of `lost` frames in `runs` holes among `expected`; 1 is random loss."""
    if runs <= 0 or lost <= runs or lost >= expected:
        return 1.0
    return max(1.0, lost / runs * (1 - lost / expected))


def mos(
    loss: float, one_way_delay_ms: float, codec: Impairment = G711, burst: float = 1.0
) -> float:
    """Mean opinion score 1..4.5 at a share of loss (0..1, after the jitter buffer) and a mouth-to-ear delay."""
    delay_ms = one_way_delay_ms + codec.delay_ms
    delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - _KNEE_MS)
    r = _R_DEFAULT - delay - effective_loss(loss, burst, codec)
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def mouth_to_ear_ms(round_trip: float | None, depth_frames: float) -> float:
    """Half the round trip (0 while unknown), what the jitter buffer holds, and one packet's own length."""
    network = 0.0 if round_trip is None else round_trip * 500
    return network + FRAME_MS * depth_frames + FRAME_MS
