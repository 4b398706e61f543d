"""All engines by the name they have in the settings, and their choice at start."""

import contextlib
from collections.abc import Mapping
from typing import Final

from agents.providers.espeak import espeak_voice
from agents.providers.flite import flite_voice
from agents.providers.openai_compatible import ModelEndpoint, OpenAiCompatible
from agents.providers.pocketsphinx import PocketsphinxStt
from agents.providers.process_voice import ProcessVoice
from agents.providers.scripted import EchoModel, ScriptedStt, ToneVoice
from agents.speech.engines import Engines, Maker, SpeechSettings, choose
from agents.speech.errors import EngineMissingError
from agents.speech.ports import LanguageModel, SpeechToText, TextToSpeech


async def choose_engines(settings: SpeechSettings) -> Engines:
    """The engines, started and warm, with the reasons. Raises: EngineMissingError."""
    async with contextlib.AsyncExitStack() as started:
        stt, stt_choice = await choose("stt", settings.stt, STT, settings)
        if stt is not None:
            started.push_async_callback(stt.close)
        tts, tts_choice = await choose("tts", settings.tts, TTS, settings)
        if tts is not None:
            started.push_async_callback(tts.close)
        llm, llm_choice = await choose("llm", settings.llm, LLM, settings)
        started.pop_all()
    return Engines(stt, tts, llm, (stt_choice, tts_choice, llm_choice))


async def _pocketsphinx(settings: SpeechSettings) -> SpeechToText:
    stt = PocketsphinxStt(settings.stt_processes, settings.stt_decoders)
    await stt.start()
    return stt


async def _scripted_stt(settings: SpeechSettings) -> SpeechToText:
    return ScriptedStt(settings.fake_sentences)


async def _flite(settings: SpeechSettings) -> TextToSpeech:
    return await _started(flite_voice(settings.tts_processes), "flite", "apt install flite")


async def _espeak(settings: SpeechSettings) -> TextToSpeech:
    voice = espeak_voice(settings.tts_processes)
    remedy = "apt install espeak-ng or pip install -r requirements-espeak.txt"
    return await _started(voice, "espeak-ng", remedy)


async def _started(voice: ProcessVoice, name: str, remedy: str) -> TextToSpeech:
    try:
        await voice.start()
    except EngineMissingError as error:
        message = f"{name}: {error} ({remedy})"
        raise EngineMissingError(message) from error
    return voice


async def _tone(settings: SpeechSettings) -> TextToSpeech:
    return ToneVoice()


async def _openai(settings: SpeechSettings) -> LanguageModel:
    if not settings.llm_base_url or not settings.llm_model:
        raise EngineMissingError("a language model needs an address and a model name")
    endpoint = ModelEndpoint(settings.llm_base_url, settings.llm_model, settings.llm_api_key)
    return OpenAiCompatible(endpoint)


async def _echo(settings: SpeechSettings) -> LanguageModel:
    return EchoModel()


STT: Final[Mapping[str, Maker[SpeechToText]]] = {
    "pocketsphinx": _pocketsphinx,
    "fake": _scripted_stt,
}
TTS: Final[Mapping[str, Maker[TextToSpeech]]] = {
    "flite": _flite,
    "espeak": _espeak,
    "fake": _tone,
}
LLM: Final[Mapping[str, Maker[LanguageModel]]] = {"openai": _openai, "fake": _echo}
