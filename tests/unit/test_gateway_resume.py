from __future__ import annotations

from itertools import count

import pytest

from telephony.call.ids import CallId
from telephony.gateway.resume import ResumeTokens

CALL, OTHER = CallId("c-1"), CallId("c-2")


@pytest.fixture
def tokens() -> ResumeTokens:
    numbers = count(1)
    return ResumeTokens(lambda: f"token{next(numbers)}", life_s=30.0)


def test_a_token_brings_its_own_call_back_once(tokens: ResumeTokens) -> None:
    first, second = tokens.issue(CALL), tokens.issue(OTHER)
    assert tokens.redeem(first, 0.0) == CALL
    assert tokens.redeem(first, 0.0) is None
    assert tokens.redeem(second, 0.0) == OTHER


def test_a_new_token_voids_the_one_before(tokens: ResumeTokens) -> None:
    old = tokens.issue(CALL)
    new = tokens.issue(CALL)
    assert tokens.redeem(old, 0.0) is None
    assert tokens.redeem(new, 0.0) == CALL


@pytest.mark.parametrize(("after_s", "back"), [(0.0, True), (30.0, True), (30.1, False)])
def test_life_begins_with_the_loss(tokens: ResumeTokens, after_s: float, *, back: bool) -> None:
    token = tokens.issue(CALL)
    tokens.lost(CALL, 1000.0)
    tokens.lost(CALL, 1020.0)  # told twice: the first counts
    assert (tokens.redeem(token, 1000.0 + after_s) == CALL) is back


def test_a_token_of_a_call_that_is_up_does_not_age(tokens: ResumeTokens) -> None:
    token = tokens.issue(CALL)
    assert tokens.redeem(token, 1e6) == CALL


def test_an_ended_call_cannot_be_resumed(tokens: ResumeTokens) -> None:
    token = tokens.issue(CALL)
    tokens.forget(CALL)
    tokens.forget(CALL)
    tokens.lost(CALL, 1.0)
    assert tokens.redeem(token, 0.0) is None
    assert tokens.redeem("", 0.0) is None
