"""The heap of deadlines behind all timers."""

from functools import partial

from telephony.sip.deadlines import Deadlines


def test_deadlines_fire_in_order_of_time_and_only_when_due():
    fired: list[str] = []
    deadlines = Deadlines()

    def fire(name: str, now: float) -> None:
        fired.append(name)

    for name, at in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("later", 9.0)):
        deadlines.set(name, at, partial(fire, name))

    deadlines.fire(3.0)

    assert fired == ["a", "b", "c"]
    assert deadlines.next() == 9.0
    assert len(deadlines) == 1


def test_setting_a_key_again_replaces_it_and_cancel_removes_it():
    fired: list[str] = []
    deadlines = Deadlines()
    deadlines.set("a", 1.0, lambda now: fired.append("old"))
    deadlines.set("a", 2.0, lambda now: fired.append("new"))
    deadlines.set("b", 1.0, lambda now: fired.append("b"))
    deadlines.cancel("b")
    deadlines.cancel("never set")

    first = deadlines.next()
    deadlines.fire(5.0)

    assert first == 2.0
    assert fired == ["new"]
    assert deadlines.next() is None


def test_a_deadline_set_while_firing_runs_if_it_is_due():
    fired: list[float] = []
    deadlines = Deadlines()

    def first(now):
        deadlines.set("second", now, fired.append)

    deadlines.set("first", 1.0, first)
    deadlines.fire(1.0)

    assert fired == [1.0]


def test_replaced_deadlines_do_not_pile_up():
    deadlines = Deadlines()

    for number in range(10_000):
        deadlines.set("same", float(number), lambda now: None)

    assert len(deadlines._heap) < 100
    assert deadlines.next() == 9999.0
