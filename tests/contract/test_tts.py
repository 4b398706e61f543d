"""The port TextToSpeech: flite and both builds of espeak-ng in child processes, and the tone that stands for them."""

import asyncio
import os
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from agents.providers.espeak import espeak_voice
from agents.providers.flite import VOICES, flite_voice
from agents.providers.process_voice import ProcessVoice
from agents.providers.scripted import ToneVoice
from agents.speech.errors import EngineMissingError, TtsFailedError
from agents.speech.ports import Generation

SENTENCE = "We are open from nine to five on weekdays."
LONG = "This sentence is long. " * 30
PROCESSES = {
    "flite": flite_voice,
    "espeak-wheel": espeak_voice,
    "espeak-debian": lambda: ProcessVoice("tests.fakes.espeak_system_child"),
}


@pytest.fixture(params=[*PROCESSES, "tone"])
async def voice(request):
    voice = ToneVoice() if request.param == "tone" else PROCESSES[request.param]()
    await voice.start()
    yield voice
    await voice.close()


@pytest.fixture(params=list(PROCESSES))
async def process_voice(request):
    voice = PROCESSES[request.param]()
    await voice.start()
    yield voice
    await voice.close()


@pytest.fixture
async def espeak():
    voice = espeak_voice()
    await voice.start()
    yield voice
    await voice.close()


async def spoken(voice, text=SENTENCE, rate=8_000, number=1, name="slt"):
    stream = voice.synthesize(text, name, rate, Generation("call", number))
    async with aclosing(stream) as chunks:
        return [chunk.pcm async for chunk in chunks]


def loudness(pieces):
    samples = np.frombuffer(b"".join(pieces), "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2)))


def mapped_files(pid):
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
async def test_a_sentence_comes_as_frames_of_20_ms_at_the_wanted_rate(voice, rate):
    pieces = await spoken(voice, rate=rate)

    assert {len(piece) for piece in pieces} == {rate // 50 * 2}
    assert 1.0 < len(pieces) * 0.02 < 5.0
    assert loudness(pieces) > 300


@pytest.mark.parametrize("text", ["", "   ", "...", "\x00\x07", "—"])
async def test_what_cannot_be_spoken_gives_no_chunk_and_no_error(voice, text):
    assert await spoken(voice, text) == []


@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_nothing_comes_out_after_a_cancel(voice, taken):
    generation = Generation("call", 1)
    async with aclosing(voice.synthesize(LONG, "slt", 8_000, generation)) as chunks:
        got = [await anext(chunks) for _ in range(taken)]
        voice.cancel(generation)
        voice.cancel(generation)
        late = [chunk async for chunk in chunks]

    assert len(got) == taken
    assert late == []


async def test_a_cancelled_sentence_leaves_the_next_one_whole(voice):
    whole = await spoken(voice, number=1)
    cut = Generation("call", 2)
    async with aclosing(voice.synthesize(LONG, "slt", 8_000, cut)) as chunks:
        await anext(chunks)
        voice.cancel(cut)

    assert await spoken(voice, number=3) == whole


async def test_another_calls_generation_of_the_same_number_goes_on(voice):
    voice.cancel(Generation("other", 1))

    assert await spoken(voice, number=1)


async def test_an_iterator_that_is_dropped_halfway_frees_the_voice(voice):
    for number in range(5):
        async with aclosing(
            voice.synthesize(f"{number} {LONG}", "slt", 8_000, Generation("call", number))
        ) as chunks:
            await anext(chunks)

    assert await spoken(voice, number=9)


async def test_closing_twice_is_harmless(voice):
    await voice.close()
    await voice.close()


async def test_silence_before_and_after_the_words_is_cut(process_voice):
    samples = np.frombuffer(b"".join(await spoken(process_voice)), "<i2")
    loud = np.flatnonzero(np.abs(samples) > 60)

    assert loud[0] < 8_000 * 0.04
    assert len(samples) - loud[-1] < 8_000 * 0.07


async def test_the_sentence_of_a_killed_process_is_spoken_to_its_end(process_voice):
    whole = await spoken(process_voice, number=1)
    repeated = SENTENCE + " "  # the cache must not answer
    process_voice._cache._kept.clear()
    stream = process_voice.synthesize(repeated, "slt", 8_000, Generation("call", 2))
    async with aclosing(stream) as chunks:
        os.kill(process_voice.pids[0], signal.SIGKILL)
        pieces = [chunk.pcm async for chunk in chunks]

    assert pieces == whole


async def test_a_stopped_process_is_replaced_within_its_deadline():
    voice = ProcessVoice("agents.providers.flite_child", stall_seconds=0.3)
    await voice.start()
    stopped = voice.pids[0]
    os.kill(stopped, signal.SIGSTOP)

    pieces = await spoken(voice)

    assert pieces
    assert stopped not in voice.pids
    await voice.close()


async def test_a_repeated_sentence_comes_from_memory(process_voice):
    first = await spoken(process_voice, number=1)
    for pid in process_voice.pids:
        os.kill(pid, signal.SIGSTOP)

    assert await spoken(process_voice, number=2) == first


async def test_an_unknown_voice_is_a_typed_error_and_the_engine_goes_on(process_voice):
    with pytest.raises(TtsFailedError):
        await spoken(process_voice, name="nobody", number=1)

    assert await spoken(process_voice, number=2)


@pytest.mark.parametrize("name", VOICES)
async def test_every_engine_speaks_with_the_voices_of_flite(process_voice, name):
    assert loudness(await spoken(process_voice, name=name)) > 300


@pytest.mark.parametrize("name", ["en-gb", "de", "en-us+f4"])
async def test_espeak_also_takes_its_own_voices(espeak, name):
    assert loudness(await spoken(espeak, name=name)) > 300


async def test_espeak_is_the_wheels_where_that_is_installed(espeak):
    loaded = mapped_files(espeak.pids[0])

    assert "espeakng_loader/libespeak-ng" in loaded, "`make setup-test` installs the wheel"
    assert "x86_64-linux-gnu/libespeak-ng" not in loaded
    assert "espeakng_loader" not in mapped_files(os.getpid())
    assert "espeakng_loader" not in sys.modules


async def test_espeak_without_its_data_is_refused_with_the_reason():
    voice = ProcessVoice("tests.fakes.espeak_dataless_child")

    with pytest.raises(EngineMissingError, match="no data files in /nowhere"):
        await voice.start()


async def test_a_rate_that_no_leg_has_is_refused(process_voice):
    with pytest.raises(TtsFailedError):
        await spoken(process_voice, rate=11_025)


async def test_an_engine_that_cannot_load_is_reported_at_start():
    voice = ProcessVoice("agents.providers.no_such_child")
    with pytest.raises(EngineMissingError):
        await voice.start()

    assert voice.pids == []


async def test_two_calls_speak_at_once_through_two_processes():
    voice = flite_voice(2)
    await voice.start()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(spoken(voice, f"Caller number {number} is next.", number=number))
            for number in range(4)
        ]
    await voice.close()

    assert all(task.result() for task in tasks)
