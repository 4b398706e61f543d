from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from telephony.outbound_rules import Usage
from telephony.outbound_usage import UsageBook

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)


def test_calls_are_counted_for_the_trunk_the_agent_and_in_all() -> None:
    book = UsageBook()
    book.began("a", "east", "desk", 100.0, NOON)
    book.began("b", "east", "", 100.5, NOON)
    counters = book.counters(100.5, NOON)
    assert counters.trunks["east"] == Usage(calls=2, last_second=2, idle_s=0.0, calls_today=2)
    assert counters.agents["desk"].calls_today == 1
    assert counters.total.calls == 2


def test_a_second_later_the_rate_is_free_again() -> None:
    book = UsageBook()
    book.began("a", "east", "", 100.0, NOON)
    usage = book.counters(101.5, NOON).total
    assert (usage.last_second, usage.idle_s, usage.calls) == (0, 1.5, 1)


def test_only_answered_seconds_cost_and_they_count_while_the_call_is_up() -> None:
    book = UsageBook()
    book.began("a", "east", "desk", 100.0, NOON)
    assert book.counters(130.0, NOON).total.seconds_today == 0.0
    book.answered("a", 130.0)
    book.answered("a", 140.0)
    assert book.counters(160.0, NOON).agents["desk"].seconds_today == 30.0
    book.ended("a", 190.0)
    book.ended("a", 999.0)
    usage = book.counters(200.0, NOON).trunks["east"]
    assert (usage.calls, usage.seconds_today, usage.calls_today) == (0, 60.0, 1)


def test_a_new_day_begins_with_nothing_but_the_calls_that_are_up() -> None:
    book = UsageBook()
    book.began("a", "east", "", 100.0, NOON)
    book.answered("a", 100.0)
    usage = book.counters(400.0, TOMORROW).total
    assert (usage.calls, usage.calls_today, usage.seconds_today) == (1, 0, 0.0)
    assert book.counters(410.0, TOMORROW).total.seconds_today == 10.0


def test_todays_figures_survive_a_restart_and_yesterdays_do_not() -> None:
    book = UsageBook()
    book.began("a", "east", "desk", 100.0, NOON)
    book.answered("a", 100.0)
    book.ended("a", 160.0)
    saved = book.saved(160.0, NOON)

    again = UsageBook()
    again.restore(saved, 5.0, NOON)
    assert again.counters(5.0, NOON).trunks["east"].seconds_today == 60.0
    assert again.counters(5.0, NOON).total.calls_today == 1

    late = UsageBook()
    late.restore(saved, 5.0, TOMORROW)
    assert late.counters(5.0, TOMORROW).total.calls_today == 0


@pytest.mark.parametrize("saved", [{}, {"day": "x"}, {"day": NOON.date().isoformat(), "total": 3}])
def test_a_book_that_cannot_be_read_is_refused(saved: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        UsageBook().restore(saved, 5.0, NOON)


def test_unknown_keys_are_ignored() -> None:
    book = UsageBook()
    book.answered("x", 1.0)
    book.ended("x", 2.0)
    assert book.counters(3.0, NOON).total == Usage()


def test_a_call_that_a_trunk_makes_for_us_counts_for_the_day_alone() -> None:
    book = UsageBook()
    book.referred("east", "desk", 100.0, NOON)
    counters = book.counters(100.0, NOON)
    for usage in (counters.trunks["east"], counters.agents["desk"], counters.total):
        assert (usage.calls_today, usage.calls, usage.last_second) == (1, 0, 0)
