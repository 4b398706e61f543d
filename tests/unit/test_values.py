"""Values that mypy freezes: how they compare, and copies with changes."""

import pytest

from telephony.values import changed, value


@value(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


@value(frozen=True)
class Line:
    begin: Point
    end: Point
    name: str = ""


def test_equal_values_are_one_key_of_a_dictionary() -> None:
    assert Point(1) == Point(1, 0)
    assert {Point(1): "a"}[Point(1)] == "a"
    assert Point(1) != Point(2)
    assert hash(Line(Point(1), Point(2))) == hash(Line(Point(1), Point(2)))


def test_a_changed_value_is_another_and_the_old_one_stays() -> None:
    line = Line(Point(1), Point(2), "old")

    other = changed(line, name="new")

    assert other == Line(Point(1), Point(2), "new")
    assert line.name == "old"


def test_a_change_of_a_field_that_there_is_not_is_a_fault() -> None:
    with pytest.raises(TypeError, match="Line has no such field"):
        changed(Line(Point(1), Point(2)), nme="new")


def test_only_a_frozen_value_is_a_value() -> None:
    with pytest.raises(TypeError, match="frozen"):
        value(frozen=False)
