"""Hostile datagrams on the SIP and RTP ports while somebody talks: the neighbour hears nothing of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.fuzz.live import attacked_call, faults_of
from tests.running_product import RunningProduct

pytestmark = pytest.mark.timeout(90)


async def test_a_call_survives_hostile_input_on_all_ports(product: RunningProduct) -> None:
    """A slice of `make fuzz`, which sends 100,000."""
    question = ("what are your opening hours",)

    neighbour = await attacked_call(product, 12_000, 5, 1_500, question)

    faults = await asyncio.to_thread(faults_of, product, neighbour, 200.0)
    assert faults == []
