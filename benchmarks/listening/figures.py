"""What a probe's notes mean, by the definitions of `docs/benchmarks.md`. Pure; milliseconds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from agents.turn.endpointing import OWN_PAUSE_SHIFT_S, SHORTEST_S, WAIT_S, Completeness
from benchmarks.listening.probe import Packet, Probe

TIMER_MS: Final = 1.0
"""A timer may fire half a millisecond early."""
CUT_GAP_S: Final = 0.4
CUT_WITHIN_S: Final = 2.0
DUCK_DB: Final = 6.0
MATCH_DB: Final = 3.0
AUDIBLE_DBFS: Final = -45.0
"""Below this a level is a pause of the voice: nothing can be told from it."""
BEFORE_S: Final = 0.5

Levels = Mapping[int, float]
"""Level in dBFS by place: samples since the answer's first loud packet."""


def first_sound_ms(probe: Probe, since: float, loud: float) -> float | None:
    found = next((p.at for p in probe.packets if p.peak > loud and p.at >= since), None)
    return None if found is None else (found - since) * 1000


def voice_to_voice_ms(probe: Probe) -> float | None:
    if probe.asked_at is None or probe.answered_at is None:
        return None
    return (probe.answered_at - probe.asked_at) * 1000


def goes_on(probe: Probe, answer: Levels) -> bool:
    """Whether there was a voice to stop: the uncut answer has sound just before and after this place."""
    t0 = probe.interrupted_at
    before = [p for p in probe.packets if t0 is not None and t0 - BEFORE_S <= p.at < t0]
    spoken = any(p.level_dbfs > AUDIBLE_DBFS for p in before)
    return spoken and _went_on(probe, before[-1], answer)


def stop_ms(probe: Probe, loud: float, answer: Levels) -> float | None:
    """The last loud packet before a gap; None if there was no cut, or the answer was over by itself."""
    t0 = probe.interrupted_at
    if t0 is None or not probe.packets:
        return None
    sound = [p for p in probe.packets if p.peak > loud and p.at >= t0 - BEFORE_S]
    ends = [p.at for p in sound[1:]] + [probe.packets[-1].at]
    for packet, next_at in zip(sound, ends, strict=True):
        if next_at - packet.at < CUT_GAP_S:
            continue
        stopped = t0 <= packet.at <= t0 + CUT_WITHIN_S and _went_on(probe, packet, answer)
        return (packet.at - t0) * 1000 if stopped else None
    return None


def _went_on(probe: Probe, packet: Packet, answer: Levels) -> bool:
    """Whether the uncut answer has sound in the gap."""
    place, window = _place(probe, packet), round(CUT_GAP_S * probe.recording.rate_hz)
    return any(
        place < at <= place + window and level > AUDIBLE_DBFS for at, level in answer.items()
    )


def duck_ms(probe: Probe, answer: Levels) -> float | None:
    """The first packet 6 dB below the same place of the uncut answer; None without one, or without a match before."""
    t0 = probe.interrupted_at
    if t0 is None:
        return None
    shift = _shift(probe, t0, answer)
    if shift is None:
        return None
    for packet in probe.packets:
        expected = answer.get(_place(probe, packet) + shift, -99.0)
        heard_down = expected > AUDIBLE_DBFS and packet.level_dbfs <= expected - DUCK_DB
        if t0 <= packet.at <= t0 + CUT_WITHIN_S and heard_down:
            return (packet.at - t0) * 1000
    return None


def _shift(probe: Probe, t0: float, answer: Levels) -> int | None:
    """The first loud packet may be one off: the place where the levels before the interruption agree."""
    before = [p for p in probe.packets if t0 - BEFORE_S <= p.at < t0]
    frame = probe.recording.rate_hz // 50
    best: tuple[float, int] | None = None
    for shift in (0, -frame, frame):
        pairs = [(p.level_dbfs, answer.get(_place(probe, p) + shift, -99.0)) for p in before]
        audible = [abs(a - b) <= MATCH_DB for a, b in pairs if max(a, b) > AUDIBLE_DBFS]
        share = sum(audible) / len(audible) if len(audible) >= 5 else 0.0
        if share >= 0.8 and (best is None or share > best[0]):
            best = (share, shift)
    return best[1] if best else None


def _place(probe: Probe, packet: Packet) -> int:
    first = next(p.timestamp for p in probe.packets if p.at == probe.answered_at)
    return ((packet.timestamp - first + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def levels(probe: Probe) -> Levels:
    """The answer as it sounds when nobody speaks over it."""
    if probe.answered_at is None:
        return {}
    after = [p for p in probe.packets if p.at >= probe.answered_at]
    return {_place(probe, p): p.level_dbfs for p in after}


def configured_ms(meaning: Completeness, used_ms: float) -> float:
    """The silence the product waits for by configuration; a caller's own pauses shorten it at most this much."""
    wait_ms = WAIT_S[meaning] * 1000
    if used_ms >= wait_ms - TIMER_MS:
        return wait_ms
    return max(SHORTEST_S * 1000, wait_ms - OWN_PAUSE_SHIFT_S * 1000)


def late_ms(probe: Probe) -> list[float]:
    """How far each sent packet was behind its 20 ms."""
    if not probe.sent:
        return []
    due = np.asarray(probe.sent) - np.arange(len(probe.sent)) * 0.02
    return [float(late) * 1000 for late in due - due.min()]


def summary(values: Sequence[float | None]) -> dict[str, Any] | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return {
        "median": round(statistics.median(known), 1),
        "p95": round(float(np.percentile(known, 95)), 1),
        "n": len(known),
        "min": round(known[0], 1),
        "max": round(known[-1], 1),
    }
