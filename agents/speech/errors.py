"""Errors of speech and language engines: what the conversation does differently for each.

SpeechError                      retry  what happens to the turn
├── EngineMissingError           no     the engine is not installed or not configured; found at start
├── NoCapacityError              later  every decoder is taken; the call goes on with keys and recorded prompts
├── SttFailedError               safe   the turn's words are lost: the agent asks again
├── TtsFailedError               safe   the sentence is not spoken; the answer goes on after it
├── GrammarError                 no     the expected answers cannot be recognised; blocks publishing of the flow
│   └── UnknownWordError         no     a word has no pronunciation; names word and step
├── ModelFailedError             safe   the model's endpoint is down, overloaded or talks nonsense
│   ├── ModelRefusedError        no     the key or the request is refused (401, 403, 400, 404)
│   ├── ModelBusyError           later  429: too many requests, or quota used up
│   └── ModelReplyError          safe   the reply broke off, was no JSON, or broke the wire format
└── StageTimeoutError            safe   an engine did not answer within its stage's deadline

The call is up when one of these is raised, so none has a SIP status. `reason` goes into the log of
the call and is stable; `user_message` may be shown to an operator; `retry` is `no`, `safe` or `later`.
"""

from typing import ClassVar, Literal

Retry = Literal["no", "safe", "later"]


class SpeechError(Exception):
    """Root of all errors of `agents.speech` and `agents.providers`."""

    reason: ClassVar[str] = "speech_failed"
    user_message: ClassVar[str] = "Speech is not working at the moment."
    retry: ClassVar[Retry] = "safe"


class EngineMissingError(SpeechError):
    """An engine cannot be used on this machine; the text says what to install or set."""

    reason = "engine_missing"
    user_message = "This speech engine is not installed here."
    retry = "no"


class NoCapacityError(SpeechError):
    """No decoder is free; pool size is the admission limit of an embedded recogniser."""

    reason = "speech_capacity"
    user_message = "All recognisers are busy; please try again in a minute."
    retry = "later"


class SttFailedError(SpeechError):
    """The recogniser lost the turn, even after the turn was replayed."""

    reason = "stt_failed"
    user_message = "The caller's words could not be recognised."


class TtsFailedError(SpeechError):
    """The voice could not speak the sentence, even in a fresh process."""

    reason = "tts_failed"
    user_message = "The sentence could not be spoken."


class GrammarError(SpeechError):
    """The expected answers do not form a grammar; the text says what and where."""

    reason = "grammar_invalid"
    user_message = "The expected answers of this step cannot be recognised."
    retry = "no"


class UnknownWordError(GrammarError):
    """A word of the expected answers has no pronunciation."""

    reason = "grammar_unknown_word"
    user_message = "A word of the expected answers has no pronunciation."

    def __init__(self, word: str, step: str = "") -> None:
        self.word = word
        self.step = step
        where = f" (step {step!r})" if step else ""
        super().__init__(f"no pronunciation for the word {word!r}{where}")


class ModelFailedError(SpeechError):
    """The language model's endpoint failed (5xx, connection lost or refused)."""

    reason = "model_failed"
    user_message = "The language model is not available at the moment."


class ModelRefusedError(ModelFailedError):
    """The endpoint refuses the key or the request: trying again changes nothing."""

    reason = "model_refused"
    user_message = "The language model refused the request; check key, model name and address."
    retry = "no"


class ModelBusyError(ModelFailedError):
    """429: the endpoint asks for less; `retry_after` in seconds if it said so."""

    reason = "model_busy"
    user_message = "The language model's quota is used up for the moment."
    retry = "later"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ModelReplyError(ModelFailedError):
    """The reply is not what the wire format promises; nothing of it may be taken as complete."""

    reason = "model_reply_invalid"
    user_message = "The language model's reply could not be understood."


class StageTimeoutError(SpeechError):
    """An engine stayed silent beyond the deadline of its stage."""

    reason = "stage_timeout"
    user_message = "A speech engine did not answer in time."

    def __init__(self, stage: str, seconds: float) -> None:
        self.stage = stage
        self.seconds = seconds
        super().__init__(f"{stage} gave nothing for {seconds:g} s")
