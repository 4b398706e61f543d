"""The port SpeechToText: pocketsphinx in worker processes, and the script that stands for it."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest

from agents.providers.pocketsphinx import PocketsphinxStt
from agents.providers.scripted import ScriptedStt
from agents.speech import grammar
from agents.speech.errors import GrammarError, NoCapacityError, SttFailedError
from agents.speech.ports import Final, Grammar, Partial
from tests.fakes.speech_audio import frames_of, spoken_pcm

SAID = "i would like to book an appointment"
INTENTS = grammar.build(
    [grammar.phrases([SAID, "when are you open", "what is your address", "can i talk to a person"])]
)
DAYS = grammar.build([grammar.date()])


async def recogniser(name, **values):
    stt: ScriptedStt | PocketsphinxStt
    if name == "scripted":
        stt = ScriptedStt([SAID], capacity=2)
    else:
        stt = PocketsphinxStt(**{"processes": 1, "decoders": 2, **values})
    await stt.start()
    return stt


@pytest.fixture(params=["pocketsphinx", "scripted"])
async def stt(request):
    stt = await recogniser(request.param)
    yield stt
    await stt.close()


def hear(session, text, start=0, rate=8_000):
    frames = frames_of(spoken_pcm(text, rate), rate)
    for number, frame in enumerate(frames, start):
        session.feed(number, frame)


async def until_final(session):
    partials: list[Partial] = []
    async with aclosing(session.results()) as results:
        async for result in results:
            if isinstance(result, Final):
                return partials, result
            partials.append(result)
    raise AssertionError("the session ended without a final")


@pytest.mark.parametrize("rate", [8_000, 16_000])
async def test_a_turn_gives_partials_and_one_final_with_times_and_confidence(stt, rate):
    session = await stt.open("call", rate, INTENTS)
    session.expect(1, INTENTS)
    hear(session, SAID, rate=rate)
    session.finish()

    partials, final = await until_final(session)

    assert final.turn == 1
    assert final.text == SAID
    assert final.confidence > grammar.UNSURE_BELOW
    assert partials
    assert all(isinstance(partial, Partial) and partial.turn == 1 for partial in partials)
    assert [word.text for word in final.words] == SAID.split()
    assert all(word.start < word.end for word in final.words)


@pytest.mark.parametrize("rate", [8_000, 16_000])
async def test_the_first_sentence_of_a_call_is_heard_for_sure(pocketsphinx, rate):
    session = await pocketsphinx.open("call", rate, INTENTS)
    session.expect(1, INTENTS)
    hear(session, "when are you open", rate=rate)
    session.finish()

    _, final = await until_final(session)

    assert final.text == "when are you open"
    assert final.confidence > 0.5


async def test_each_turn_may_expect_something_else(stt):
    session = await stt.open("call", 8_000, INTENTS)
    for turn, expected in enumerate((INTENTS, DAYS, INTENTS), 1):
        session.expect(turn, expected)
        hear(session, SAID if expected is INTENTS else "how about tuesday")
        session.finish()
        _, final = await until_final(session)
        assert final.turn == turn
        assert isinstance(stt, ScriptedStt) or ("tuesday" in final.text) == (expected is DAYS)


async def test_results_of_a_cancelled_turn_are_dropped(stt):
    session = await stt.open("call", 8_000, INTENTS)
    session.expect(1, INTENTS)
    hear(session, SAID)
    session.finish()
    session.expect(2, INTENTS)
    hear(session, SAID)
    session.finish()

    partials, final = await until_final(session)

    assert {result.turn for result in (*partials, final)} == {2}


async def test_a_turn_without_audio_has_an_empty_final(stt):
    session = await stt.open("call", 8_000, INTENTS)
    session.finish()

    partials, final = await until_final(session)

    assert partials == []
    assert (final.turn, final.text, final.words, final.confidence) == (0, "", (), 0.0)


async def test_finishing_twice_gives_one_final(stt):
    session = await stt.open("call", 8_000, INTENTS)
    hear(session, SAID)
    session.finish()
    session.finish()
    await until_final(session)
    session.expect(1, INTENTS)
    session.finish()

    _, final = await until_final(session)

    assert final.turn == 1


async def test_closing_ends_the_results_and_frees_the_place(stt):
    sessions = [await stt.open("call", 8_000, INTENTS) for _ in range(2)]
    with pytest.raises(NoCapacityError):
        await stt.open("one too many", 8_000, INTENTS)
    await sessions[0].close()
    await sessions[0].close()

    assert [result async for result in sessions[0].results()] == []
    await (await stt.open("next", 8_000, INTENTS)).close()


async def test_closing_in_the_middle_of_a_turn_ends_a_waiting_reader(stt):
    session = await stt.open("call", 8_000, INTENTS)

    async def read():
        return [result async for result in session.results()]

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read())
        group.create_task(session.close())

    assert reader.result() == []


async def replaced(stt, pid):
    async with asyncio.timeout(2):
        while pid in stt.pids:  # noqa: ASYNC110 - the engine has no event for its tests alone
            await asyncio.sleep(0.01)


@pytest.fixture
async def pocketsphinx():
    stt = await recogniser("pocketsphinx", final_seconds=0.5)
    yield stt
    await stt.close()


@pytest.mark.parametrize("moment", ["before", "between", "after"])
async def test_the_turn_of_a_killed_process_is_replayed_in_a_fresh_one(pocketsphinx, moment):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    [pid] = pocketsphinx.pids
    frames = frames_of(spoken_pcm(SAID))
    for number, frame in enumerate(frames):
        if number == {"before": 0, "between": 40, "after": -1}[moment]:
            os.kill(pid, signal.SIGKILL)
        session.feed(number, frame)
        await asyncio.sleep(0)
    session.finish()
    if moment == "after":
        os.kill(pid, signal.SIGKILL)

    _, final = await until_final(session)

    assert (final.text, final.replayed) == (SAID, 1)
    assert pocketsphinx.pids != [pid]


async def test_a_turn_that_is_lost_twice_fails_and_the_next_one_works(pocketsphinx):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    hear(session, SAID)
    for _ in range(2):
        [pid] = pocketsphinx.pids
        os.kill(pid, signal.SIGKILL)
        await replaced(pocketsphinx, pid)
    with pytest.raises(SttFailedError):
        await until_final(session)
    session.expect(1, INTENTS)
    hear(session, SAID)
    session.finish()

    _, final = await until_final(session)

    assert (final.text, final.turn) == (SAID, 1)


async def test_a_stopped_process_is_replaced_and_the_turn_understood(pocketsphinx):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    os.kill(pocketsphinx.pids[0], signal.SIGSTOP)
    hear(session, SAID)
    session.finish()

    _, final = await until_final(session)

    assert (final.text, final.replayed) == (SAID, 1)


async def test_words_beside_lost_frames_are_marked_and_keep_their_time(pocketsphinx):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    frames = frames_of(spoken_pcm(SAID))
    for number, frame in enumerate(frames):
        if number not in (40, 41):
            session.feed(number, frame)
    session.finish()

    _, final = await until_final(session)

    assert any(word.beside_gap for word in final.words)
    assert not all(word.beside_gap for word in final.words)
    assert final.words[-1].end * 50 == pytest.approx(len(frames) - 10, abs=12)


async def test_repeated_and_late_frames_change_nothing(pocketsphinx):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    for number, frame in enumerate(frames_of(spoken_pcm(SAID))):
        session.feed(number, frame)
        session.feed(number, frame)
        session.feed(max(0, number - 3), frame)
    session.finish()

    _, final = await until_final(session)

    assert final.text == SAID


async def test_something_quite_different_has_a_low_confidence(pocketsphinx):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    hear(session, "my dog has eaten all the biscuits")
    session.finish()

    _, final = await until_final(session)

    assert final.confidence < grammar.UNSURE_BELOW


async def test_a_grammar_that_does_not_compile_is_a_typed_error_and_the_next_turn_works(
    pocketsphinx,
):
    session = await pocketsphinx.open("call", 8_000, INTENTS)
    session.expect(1, Grammar(jsgf="#JSGF V1.0; grammar x; public <a> = <missing> ("))
    with pytest.raises(GrammarError):
        await until_final(session)
    session.expect(2, INTENTS)
    hear(session, SAID)
    session.finish()

    _, final = await until_final(session)

    assert final.text == SAID


async def test_an_open_turn_is_refused_because_a_free_recogniser_is_off(pocketsphinx):
    with pytest.raises(GrammarError):
        await pocketsphinx.open("call", 8_000, Grammar())


async def test_a_name_that_is_in_no_dictionary_is_recognised_by_its_letters(pocketsphinx):
    expected = grammar.build([grammar.name(["Vikstroma", "Peter", "Mary"])])
    session = await pocketsphinx.open("call", 8_000, expected)
    hear(session, "my name is Vikstroma")
    session.finish()

    _, final = await until_final(session)

    assert final.text == "my name is vikstroma"
