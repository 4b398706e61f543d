"""A model behind an OpenAI-compatible endpoint answers a real call, and the governor stands between it and the caller."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes.openai_server import END, fake_openai, finish, text
from tests.fakes.speech_audio import spoken_wav
from tests.running_product import RunningProduct, running_product
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import PhoneLine

pytestmark = pytest.mark.timeout(120)
ANSWER = [text("Parking is "), text("behind the house. "), text("It costs 4711 dollars."), finish()]


async def test_a_model_answers_and_a_price_it_invents_is_not_spoken(tmp_path: Path) -> None:
    async with fake_openai(script=[*ANSWER, END]) as model:
        model_is = {"VOICEAPP_LLM_URL": model.url, "VOICEAPP_LLM_MODEL": "any"}
        with running_product(tmp_path, **model_is) as product:
            await _ask(product)
            call = await asyncio.to_thread(product.newest_call, caller="model-test")
            said = await asyncio.to_thread(product.said, call, "agent")
            refused = [
                event["event"]["rule"]
                for event in await asyncio.to_thread(product.events, call)
                if event["kind"] == "RuleRefused"
            ]
    assert "parking is behind the house" in said
    assert "4711" not in said
    assert set(refused) == {"unknown_number"}
    assert model.requests


async def _ask(product: RunningProduct) -> None:
    question = speech(read_wav(spoken_wav("what are your opening hours"), 8000), 8000)
    await PhoneLine(product.uri, Caller([question], 8000), user="model-test").hold()
