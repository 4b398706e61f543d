from __future__ import annotations

from typing import Any

from frontend.access import PERMISSIONS, VIEW, Viewer
from frontend.board import Board
from frontend.feed import ACK_TIMEOUT_S, MAX_UNACKNOWLEDGED, Feed

RAVI = Viewer("ravi", frozenset(PERMISSIONS))


def row(call: str = "c1", seq: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": call, "node": "node1", "state": "listening", "transport": "sip",
        "caller": "+4930123456", "seq": seq, "started_us": 1, **more,
    }  # fmt: skip


def put(board: Board, feed: Feed | None, shown: dict[str, Any], kind: str = "StepEntered") -> None:
    board.on_event({"call": shown["id"], "kind": kind, "event": {}, "row": shown}, 0.0)
    if feed is not None:
        feed.mark(shown["id"])


def opened(board: Board, viewer: Viewer = RAVI) -> Feed:
    feed = Feed(board, viewer, "e1")
    feed.acknowledge(feed.opening("", 0.0)["cursor"])
    return feed


def test_a_stranger_to_the_list_gets_all_of_it() -> None:
    board = Board()
    put(board, None, row())
    message = Feed(board, RAVI, "e1").opening("", 0.0)
    assert message["type"] == "snap"
    assert message["order"] == ["c1"]
    assert message["sum"]["live"] == 1


def test_many_changes_between_two_frames_are_one_patch() -> None:
    board = Board()
    put(board, None, row())
    feed = opened(board)
    for seq in range(2, 50):
        put(board, feed, row(seq=seq, step=f"step{seq}"))
    frame = feed.frame(1.0)
    assert frame is not None
    assert frame["rows"] == {"c1": {"step": "step49", "seq": 49}}
    assert feed.frame(1.1) is None


def test_a_row_that_looks_the_same_to_this_person_is_not_sent() -> None:
    board = Board()
    put(board, None, row(last={"role": "caller", "text": "a"}))
    feed = opened(board, Viewer("tom", frozenset({VIEW})))
    board.on_partial({"call": "c1", "role": "caller", "text": "a secret"})
    feed.mark("c1")
    assert feed.frame(1.0) is None


def test_a_socket_that_does_not_acknowledge_is_owed_more_not_sent_more() -> None:
    board = Board()
    put(board, None, row())
    feed = opened(board)
    cursors = []
    for seq in range(2, 2 + MAX_UNACKNOWLEDGED):
        put(board, feed, row(seq=seq))
        frame = feed.frame(1.0)
        assert frame is not None
        cursors.append(frame["cursor"])
    put(board, feed, row(seq=99))
    assert feed.frame(1.0) is None
    feed.acknowledge(cursors[-1])
    frame = feed.frame(1.0)
    assert frame is not None
    assert frame["rows"]["c1"]["seq"] == 99


def test_a_socket_that_never_acknowledges_is_given_up() -> None:
    board = Board()
    feed = Feed(board, RAVI, "e1")
    feed.opening("", 0.0)
    assert not feed.is_dead(ACK_TIMEOUT_S)
    assert feed.is_dead(ACK_TIMEOUT_S + 0.1)


def test_an_acknowledgement_of_nothing_we_sent_changes_nothing() -> None:
    feed = Feed(Board(), RAVI, "e1")
    feed.opening("", 0.0)
    feed.acknowledge("e1.999.999")
    assert feed.is_dead(ACK_TIMEOUT_S + 1)


def test_after_a_reconnect_only_what_was_missed_comes() -> None:
    board = Board()
    put(board, None, row("c1"))
    put(board, None, row("c2"))
    cursor = Feed(board, RAVI, "e1").opening("", 0.0)["cursor"]
    put(board, None, row("c2", seq=2, step="booking"))
    message = Feed(board, RAVI, "e1").opening(cursor, 0.0)
    assert message["type"] == "frame"
    assert list(message["rows"]) == ["c2"]


def test_a_cursor_of_another_process_or_of_nobody_gets_everything() -> None:
    board = Board()
    put(board, None, row())
    cursor = Feed(board, RAVI, "other").opening("", 0.0)["cursor"]
    for foreign in (cursor, "e1.x.1", "e1", "e1.99999.1"):
        assert Feed(board, RAVI, "e1").opening(foreign, 0.0)["type"] == "snap"


def test_a_call_that_left_the_board_is_gone_once() -> None:
    board = Board()
    put(board, None, row())
    put(board, None, row(seq=2, state="ended"), kind="CallEnded")
    feed = opened(board)
    board.expire(1000.0)
    feed.mark("c1")
    frame = feed.frame(1000.0)
    assert frame is not None
    assert frame["gone"] == ["c1"]
    feed.mark("c1")
    assert feed.frame(1000.1) is None


def test_new_rights_present_every_row_anew() -> None:
    board = Board()
    put(board, None, row())
    feed = opened(board, Viewer("ravi", frozenset({VIEW})))
    feed.viewer = RAVI
    feed.forget()
    frame = feed.frame(1.0)
    assert frame is not None
    assert frame["rows"]["c1"]["caller"] == "+4930123456"
