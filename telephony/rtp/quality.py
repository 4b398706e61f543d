"""Voice quality from what was received: the E-model of ITU-T G.107 with its defaults, for narrow-band calls."""

from __future__ import annotations

from typing import Final

_R_DEFAULT: Final = 93.2
_KNEE_MS: Final = 177.3
_G711_IE: Final = 0.0
_G711_BPL: Final = 25.1
"""G.113 appendix I: G.711 with concealment under random loss."""


def mos(loss: float, one_way_delay_ms: float) -> float:
    """Mean opinion score 1..4.5 at a share of loss (0..1, after the jitter buffer) and a mouth-to-ear delay."""
    delay = 0.024 * one_way_delay_ms
    if one_way_delay_ms > _KNEE_MS:
        delay += 0.11 * (one_way_delay_ms - _KNEE_MS)
    percent = 100 * loss
    equipment = _G711_IE + (95 - _G711_IE) * percent / (percent + _G711_BPL)
    r = _R_DEFAULT - delay - equipment
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
