"""Which legs have something to tell at their visit: the compiled loop beside plain Python, on totals drawn at random."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from telephony.media.quality_account import TOO_FEW, Totals
from telephony.media.slots import RtpSlots
from telephony.media.visits import ASK, MEASURE, ONE_WAY_AFTER, PARTS, REPORT, Heard, Visits
from telephony.rtp.jitter_buffer import JitterBuffers

ROWS = 150


class Scene:
    """Legs whose totals grow by chance."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.slots = RtpSlots(ROWS)
        self.tables = [JitterBuffers(ROWS, 160), JitterBuffers(ROWS, 320)]
        heard = [Heard(table, np.zeros(ROWS, np.int64)) for table in self.tables]
        self.visits = Visits(self.slots, heard[0], heard[1])
        self.slots.active[:] = self.draw.random(ROWS) < 0.9
        self.slots.wide[:] = self.draw.random(ROWS) < 0.3
        self.deaf = self.draw.random(ROWS) < 0.1
        self.report_due = np.full(ROWS, np.inf)
        self.visits.slow[:] = self.draw.random(ROWS) < 0.1
        self.visits.troubled[:] = self.draw.random(ROWS) < 0.1

    def grow(self, now: float) -> None:
        slots, draw = self.slots, self.draw
        slots.received += draw.integers(0, 50, ROWS) * (draw.random(ROWS) < 0.9)
        slots.last_sequence += draw.integers(30, 50, ROWS)
        slots.unusable += draw.integers(0, 20, ROWS) * (draw.random(ROWS) < 0.3)
        slots.first_extended[draw.random(ROWS) < 0.1] = slots.last_sequence.max()
        for table in self.tables:
            table.late += draw.integers(0, 3, ROWS)
            table.duplicates += draw.integers(0, 2, ROWS)
        slots.heard_at[:] = now - draw.choice([0.0, 0.02, 1.9], ROWS, p=[0.5, 0.4, 0.1])
        self.report_due[:] = draw.choice([now - 1, now, now + 1], ROWS)
        self.visits.quality_due[:] = draw.choice([now, np.inf], ROWS)


class OneLeg:
    """By plain Python."""

    def __init__(self) -> None:
        self.recent: deque[tuple[int, int, int]] = deque([(0, 0, 0)] * 3, maxlen=3)
        self.good = self.bad = 0

    def due(self, scene: Scene, row: int, now: float) -> int:
        slots, table = scene.slots, scene.tables[int(scene.slots.wide[row])]
        received, refused = int(slots.received[row]), int(slots.unusable[row])
        good, bad = received - self.good, refused - self.bad
        self.good, self.bad = received, refused
        unusable = bad >= 5 and bad > 0.2 * (good + bad)
        expected = int(slots.last_sequence[row] - slots.first_extended[row]) + 1 if received else 0
        if expected < self.recent[1][0]:
            self.recent[1] = (0, 0, 0)
        late = int(table.late[row])
        self.recent.append((expected, received - int(table.duplicates[row]), late))
        fresh = [b - a for a, b in zip(self.recent[0], self.recent[2], strict=True)]
        missing = max(fresh[0] - fresh[1], 0) + fresh[2]
        slow = bool(scene.visits.slow[row])
        odd = fresh[0] >= TOO_FEW and (slow or missing >= 0.03 * fresh[0])
        odd = odd or unusable or bool(scene.deaf[row]) or bool(scene.visits.troubled[row])
        odd = odd or now - slots.heard_at[row] > ONE_WAY_AFTER
        due = REPORT * (scene.report_due[row] <= now) + ASK * odd
        return int(due + MEASURE * (scene.visits.quality_due[row] <= now))


@pytest.mark.parametrize("seed", range(6))
def test_visits_find_what_plain_python_finds(seed: int):
    scene, legs = Scene(seed), [OneLeg() for _ in range(ROWS)]
    for second in range(8):
        now = 100.0 + second
        scene.grow(now)
        told: dict[int, int] = {}
        for part in range(PARTS):
            told.update(scene.visits.visit(part, scene.deaf, scene.report_due, now))
        active = scene.slots.active.nonzero()[0].tolist()
        expected: dict[int, Any] = {row: legs[row].due(scene, row, now) for row in active}
        assert told == {row: due for row, due in expected.items() if due}
        for row in active:
            ends = tuple(Totals(*legs[row].recent[at]) for at in (0, 2))
            assert scene.visits.recent(row) == ends
