"""The choice of engines at start, and the tree of their errors."""

import pytest

from agents.providers import catalog
from agents.providers.scripted import EchoModel, ScriptedStt, ToneVoice
from agents.speech import errors
from agents.speech.engines import Engines, SpeechSettings, choose
from agents.speech.errors import EngineMissingError, SpeechError
from agents.speech.ports import Grammar

OPEN = Grammar(sentences=("yes",))


async def missing(settings):
    raise EngineMissingError("apt install it")


async def tone(settings):
    return ToneVoice()


async def test_auto_takes_the_first_engine_that_starts_and_reports_the_others():
    engine, choice = await choose(
        "tts", "auto", {"flite": missing, "espeak": tone}, SpeechSettings()
    )

    assert isinstance(engine, ToneVoice)
    assert (choice.name, choice.refused) == ("espeak", (("flite", "apt install it"),))
    assert choice.degraded


async def test_auto_never_takes_a_fake():
    engine, choice = await choose("tts", "auto", {"flite": missing, "fake": tone}, SpeechSettings())

    assert engine is None
    assert (choice.name, choice.degraded) == ("none", True)


@pytest.mark.parametrize("wanted", ["flite", "unheard-of"])
async def test_an_engine_that_was_named_and_cannot_run_is_never_replaced(wanted):
    with pytest.raises(EngineMissingError):
        await choose("tts", wanted, {"flite": missing, "espeak": tone}, SpeechSettings())


async def test_an_engine_that_was_named_and_runs_is_taken():
    engine, choice = await choose("tts", "fake", {"fake": tone}, SpeechSettings())

    assert isinstance(engine, ToneVoice)
    assert not choice.degraded


async def test_switching_off_is_a_choice():
    engine, choice = await choose("tts", "none", {"flite": missing}, SpeechSettings())

    assert (engine, choice.name, choice.refused) == (None, "none", ())


async def test_all_engines_are_closed_together():
    stt = ScriptedStt(capacity=1)
    engines = Engines(stt, ToneVoice(), EchoModel(), ())
    session = await stt.open("a", 8_000, OPEN)
    await engines.close()

    assert [result async for result in session.results()] == []


def test_keys_are_not_shown_with_the_settings():
    assert "secret" not in repr(SpeechSettings(llm_api_key="secret"))


def _tree(kind):
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


def test_every_error_says_reason_user_message_and_retry():
    tree = _tree(SpeechError)

    assert len({kind.reason for kind in tree}) == len(tree)
    assert all(kind.user_message.endswith(".") for kind in tree)
    assert {kind.retry for kind in tree} == {"no", "safe", "later"}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in tree)


class ClosingVoice(ToneVoice):
    closed = False

    async def close(self) -> None:
        self.closed = True


async def test_engines_that_started_are_ended_when_a_later_one_is_refused(monkeypatch):
    voice = ClosingVoice()

    async def started(settings):
        return voice

    monkeypatch.setattr(catalog, "TTS", {"fake": started})
    settings = SpeechSettings(stt="fake", tts="fake", llm="openai")

    with pytest.raises(EngineMissingError):
        await catalog.choose_engines(settings)

    assert voice.closed
