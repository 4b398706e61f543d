"""A browser call through the widget's real WebSocket, by a client of our own: talks, drops, and comes back."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop.waiting import until
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.browser import BrowserLine
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import CallFailedError

pytestmark = pytest.mark.timeout(120)


def caller(*texts: str) -> Caller:
    turns = [speech(read_wav(spoken_wav(text, 16_000), 16_000), 16_000) for text in texts]
    return Caller(turns, 16_000)


async def test_a_browser_talks_with_the_agent(product: RunningProduct) -> None:
    talker = caller("what are your opening hours")
    line = BrowserLine(product.base, "demo", talker)

    await line.hold()

    said = " ".join(part["text"] for part in line.transcript() if part["role"] == "caller")
    assert "hours" in said.lower()
    assert talker.measured.voice_to_voice_ms[0] is not None


async def test_a_dropped_browser_comes_back_into_the_same_conversation(
    product: RunningProduct,
) -> None:
    talker = caller("i would like to book a visit", "monday")
    line = BrowserLine(product.base, "demo", talker)

    async with asyncio.TaskGroup() as group:
        line.within(group)
        await line.open()
        first = line.call
        talking = group.create_task(line.talk())
        await until(lambda: any("book" in part["text"].lower() for part in line.transcript()))
        await line.reconnect()
        await talking
        await line.close()

    assert line.call == first
    events = await asyncio.to_thread(product.events, first)
    kinds = [event["kind"] for event in events]
    assert "LegLost" in kinds
    assert any(e["kind"] == "LegConnected" and e["event"]["resumed"] for e in events)
    said = await asyncio.to_thread(product.said, first, "caller")
    assert "book" in said
    assert "monday" in said
    slots = {e["event"]["name"] for e in events if e["kind"] == "SlotFilled"}
    assert "day" in slots


async def test_a_wrong_origin_gets_no_call(product: RunningProduct) -> None:
    line = BrowserLine(product.base, "demo", caller(), origin="http://elsewhere.example")

    with pytest.raises(ExceptionGroup) as refused:
        await line.hold()
    assert refused.group_contains(CallFailedError)
