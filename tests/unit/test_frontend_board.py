from __future__ import annotations

from typing import Any

from frontend.board import ENDED_STAYS_S, Board
from frontend.figures import Figures, p95


def row(call: str = "c1", seq: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": call, "node": "node1", "state": "listening", "seq": seq, "started_us": 1, **more}


def event(kind: str, shown: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"call": shown["id"], "seq": shown["seq"], "kind": kind, "event": fields, "row": shown}


def test_a_new_call_is_urgent_and_a_row_without_news_is_not() -> None:
    board = Board()
    first = board.on_event(event("CallStarted", row()), 0.0)
    second = board.on_event(event("SlotFilled", row(seq=2)), 0.0)
    assert first is not None
    assert first.urgent
    assert second is not None
    assert not second.urgent


def test_a_changed_state_is_urgent_whatever_the_event() -> None:
    board = Board()
    board.on_event(event("CallStarted", row()), 0.0)
    change = board.on_event(event("SegmentHeard", row(seq=2, state="thinking")), 0.0)
    assert change is not None
    assert change.urgent


def test_an_event_that_comes_late_or_twice_changes_nothing() -> None:
    board = Board()
    board.on_event(event("CallStarted", row(seq=5, step="booking")), 0.0)
    assert board.on_event(event("StepEntered", row(seq=4, step="greeting")), 0.0) is None
    assert board.on_event(event("StepEntered", row(seq=5, step="greeting")), 0.0) is None
    assert board.rows["c1"]["step"] == "booking"


def test_growing_words_are_the_last_line_until_the_log_has_them() -> None:
    board = Board()
    board.on_event(event("CallStarted", row()), 0.0)
    board.on_partial({"call": "c1", "role": "caller", "text": "when do"})
    assert board.rows["c1"]["last"] == {"role": "caller", "text": "when do", "partial": True}
    final = row(seq=2, last={"role": "caller", "text": "when do you open"})
    board.on_event(event("SegmentHeard", final), 0.0)
    assert board.rows["c1"]["last"] == {"role": "caller", "text": "when do you open"}


def test_words_of_a_call_nobody_knows_are_ignored() -> None:
    assert Board().on_partial({"call": "c9", "role": "caller", "text": "hello"}) is None


def test_an_ended_call_stays_for_a_while_and_then_goes() -> None:
    board = Board()
    board.on_event(event("CallStarted", row()), 0.0)
    board.on_event(event("CallEnded", row(seq=2, state="ended")), 10.0)
    assert board.expire(10.0 + ENDED_STAYS_S - 0.1) == []
    assert board.expire(10.0 + ENDED_STAYS_S) == ["c1"]
    assert board.rows == {}


def test_a_node_that_no_longer_lists_a_call_has_ended_it() -> None:
    board = Board()
    board.on_rows("node1", [row("c1"), row("c2")], 0.0)
    board.on_rows("node2", [row("c3", node="node2")], 0.0)
    board.on_rows("node1", [row("c2")], 1.0)
    assert board.rows["c1"]["state"] == "ended"
    assert board.rows["c3"]["state"] == "listening"


def test_what_changed_since_a_revision_is_known_until_it_is_too_long_ago() -> None:
    board = Board()
    board.on_event(event("CallStarted", row("c1")), 0.0)
    seen = board.revision
    board.on_event(event("CallStarted", row("c2")), 0.0)
    assert board.changed_since(seen) == (["c2"], [])
    assert board.changed_since(board.revision + 1) is None
    board.forgotten_before = seen + 1
    assert board.changed_since(seen) is None


# ------------------------------------------------------------------------------------------------------- figures


def test_the_five_numbers_are_of_now() -> None:
    figures = Figures()
    figures.on_event(event("TurnTimed", row(), first_packet_ms=400.0), 0.0)
    figures.on_event(event("TurnTimed", row(), first_packet_ms=None), 0.0)
    figures.on_event(event("BargedIn", row()), 0.0)
    figures.on_event(event("QualityMeasured", row(), leg="caller", mos=4.2), 0.0)
    figures.on_event(event("QualityMeasured", row(), leg="desk-1", mos=1.0), 0.0)
    rows = [row(), row("c2", state="ended"), row("c3", person_requested="asked")]
    assert figures.numbers(rows, 1.0) == {
        "live": 2, "attention": 1, "p95_ms": 400, "barge_ins": 1, "mos": 4.2,
    }  # fmt: skip
    later = figures.numbers([], 400.0)
    assert later["p95_ms"] is None
    assert later["barge_ins"] == 0


def test_before_any_answer_was_measured_the_rows_own_answers_count() -> None:
    assert Figures().numbers([row(answer_ms=300.0)], 0.0)["p95_ms"] == 300


def test_the_mos_of_a_call_that_ended_no_longer_counts() -> None:
    figures = Figures()
    figures.on_event(event("QualityMeasured", row(), leg="caller", mos=4.2), 0.0)
    figures.on_event(event("CallEnded", row()), 0.0)
    assert figures.numbers([], 0.0)["mos"] is None


def test_a_sample_is_kept_every_half_minute() -> None:
    figures = Figures()
    numbers = figures.numbers([row()], 0.0)
    assert figures.sample(numbers, 0.0)
    assert not figures.sample(numbers, 29.0)
    assert figures.sample(numbers, 30.0)
    assert figures.history()["live"] == [1, 1]


def test_p95_is_the_nearest_rank() -> None:
    assert p95([float(value) for value in range(1, 101)]) == 95
    assert p95([7.0]) == 7
    assert p95([]) is None
