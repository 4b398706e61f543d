"""Which engines speak and listen, chosen once at start, with the reason: never a silent downgrade.

"auto" takes the first engine that starts and reports those that did not; an engine named by the
operator either starts or stops the start. "none" is a choice too: prompts and keys still work.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from agents.speech.errors import EngineMissingError
from agents.speech.ports import LanguageModel, SpeechToText, TextToSpeech

AUTO: Final = "auto"
NONE: Final = "none"
NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """What the operator wants.

    `stt`: auto, pocketsphinx, fake, none. `tts`: auto, flite, espeak, fake, none. `llm`: none, openai,
    fake. `fake_sentences` is what the recogniser "fake" hears, in turn.
    """

    stt: str = AUTO
    tts: str = AUTO
    llm: str = NONE
    stt_processes: int = 2
    stt_decoders: int = 4
    tts_processes: int = 1
    llm_base_url: str = ""
    llm_model: str = ""
    llm_api_key: str = field(default="", repr=False)
    fake_sentences: tuple[str, ...] = ("yes",)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """One line of doctor and health: `kind` stt, tts or llm; `refused` are (engine, why not)."""

    kind: str
    name: str
    why: str
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def degraded(self) -> bool:
        """Whether something better was wanted or could be installed."""
        return bool(self.refused)


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a worker, started; None where there is none."""

    stt: SpeechToText | None
    tts: TextToSpeech | None
    llm: LanguageModel | None
    choices: tuple[EngineChoice, ...]

    @property
    def calls(self) -> int:
        """How many calls can be listened to at once; without a recogniser keys still work, so that is no limit."""
        return NO_LIMIT if self.stt is None else self.stt.capacity

    async def close(self) -> None:
        """Ends all of them."""
        for engine in (self.stt, self.tts, self.llm):
            if engine is not None:
                await engine.close()


class _Closable(Protocol):
    async def close(self) -> None: ...


Engine = TypeVar("Engine", bound=_Closable)
# Makes and starts an engine; raises EngineMissingError where it cannot run.
Maker = Callable[[SpeechSettings], Awaitable[Engine]]


async def choose(
    kind: str, wanted: str, makers: Mapping[str, Maker[Engine]], settings: SpeechSettings
) -> tuple[Engine | None, EngineChoice]:
    """The engine and the report on it; "auto" tries `makers` in order but never "fake".

    Raises:
        EngineMissingError: when an engine was named and cannot run, or is not known.
    """
    if wanted == NONE:
        return None, EngineChoice(kind, NONE, "switched off by the settings")
    if wanted != AUTO:
        if wanted not in makers:
            names = ", ".join((AUTO, NONE, *makers))
            raise EngineMissingError(f"{kind}: {wanted!r} is not one of {names}")
        return await makers[wanted](settings), EngineChoice(kind, wanted, "named in the settings")
    refused: list[tuple[str, str]] = []
    for name, make in makers.items():
        if name == "fake":
            continue
        try:
            engine = await make(settings)
        except EngineMissingError as error:
            refused.append((name, str(error)))
            continue
        why = "first choice" if not refused else f"because {refused[-1][0]} is missing"
        return engine, EngineChoice(kind, name, why, tuple(refused))
    return None, EngineChoice(kind, NONE, "no engine can run here", tuple(refused))
