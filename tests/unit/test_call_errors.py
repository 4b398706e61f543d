"""The error tree: each class says what the network and the person are told."""

from __future__ import annotations

import pytest

from telephony.call import errors
from telephony.call.errors import CallError, FloorHeldError, RequestError
from telephony.call.ids import UserName


def tree(root: type[CallError]) -> list[type[CallError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


OWN = [kind for kind in tree(CallError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", OWN)
def test_every_error_classifies_itself(kind: type[CallError]):
    assert 400 <= kind.sip_status < 700
    assert kind.metric.replace("_", "").isalpha()
    assert kind.retry in ("no", "safe", "later")
    assert kind.user_message.endswith(".")


def test_the_tree_is_drawn_in_the_docstring():
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in OWN)


def test_metrics_tell_errors_apart():
    assert len({kind.metric for kind in OWN}) == len(OWN)


def test_the_name_of_a_person_is_in_the_message_for_people_only():
    error = FloorHeldError(UserName("ann"))
    assert (error.user_message, error.code) == ("ann has the call.", "floor_held")
    assert "ann" not in str(error).split()


def test_a_refusal_of_another_process_keeps_its_code_and_text():
    error = RequestError("floor_held", "ann has the call.")
    assert (error.code, error.text) == ("floor_held", "ann has the call.")
