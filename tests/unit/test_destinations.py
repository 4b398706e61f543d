"""Numbers as people write them and as trunks want them: what is dialled is what was judged."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.destinations import NumberError, as_dialled, bare_number, e164
from telephony.trunks import Trunk


@pytest.mark.parametrize(
    ("changes", "destination"),
    [
        ({}, "+490881234567"),  # 0 0881… is satellite +881…
        ({}, "+49 0 1 900 5551234"),
        ({"international_prefix": "", "national_prefix": "0"}, "00881234567"),
        (
            {"country": "7", "national_prefix": "8", "international_prefix": "810"},
            "+7 10 1 900 555123",
        ),
    ],
)
def test_a_national_spelling_does_not_lead_abroad(
    changes: dict[str, Any], destination: str
) -> None:
    national: dict[str, Any] = {"name": "carrier", "country": "49", "number_format": "national"}
    number, _ = bare_number(destination)
    with pytest.raises(NumberError, match="not_a_number"):
        e164(number, Trunk(**{**national, **changes}))


@pytest.mark.parametrize("written", ["+49 (0)30 123456", "030/123456", "0049 30 123456"])
def test_a_national_trunk_gets_national_numbers_however_they_are_written(written: str) -> None:
    trunk = Trunk(name="carrier", country="49", number_format="national")
    number, _ = bare_number(written)
    assert as_dialled(e164(number, trunk), trunk) == "030123456"
