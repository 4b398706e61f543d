"""The loop of a child process that speaks: one sentence at a time, cancelled between chunks."""

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from agents.providers.child_channel import Channel, Frame, Kind
from agents.speech.wave import Samples, SpeechCutter

# Control characters mean nothing to a voice, and a NUL would cut the sentence short in C.
UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f]+")

# An engine speaks `text` with `voice`, hands (samples, rate_hz) to the callback while that returns
# True, and raises ValueError where it cannot.
Speak = Callable[[str, str, Callable[[Samples, int], bool]], None]


class VoiceChild:
    """Answers SPEAK and CANCEL over the channel until the parent is gone."""

    def __init__(self, channel: Channel, speak: Speak) -> None:
        self._channel = channel
        self._speak = speak
        self._waiting: deque[Frame] = deque()
        self._cancelled: set[int] = set()

    def run(self) -> None:
        """Never returns normally. Raises: EOFError or OSError when the parent is gone."""
        while True:
            if not self._waiting:
                self._sort(self._channel.read())
            while self._waiting:
                self._sentence(self._waiting.popleft())
            self._cancelled.clear()

    def _sort(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == Kind.SPEAK:
                self._waiting.append(frame)
            elif frame.kind == Kind.CANCEL:
                self._cancelled.add(frame.context)

    def _sentence(self, frame: Frame) -> None:
        wanted = frame.json()
        cutter: SpeechCutter | None = None

        def chunk(samples: Samples, rate_hz: int) -> bool:
            nonlocal cutter
            if cutter is None:
                cutter = SpeechCutter(rate_hz, wanted["rate_hz"])
            self._sort(self._channel.read(wait=False))
            if frame.context in self._cancelled:
                return False
            self._write(frame.context, cutter.push(samples))
            return True

        try:
            self._speak(UNSPEAKABLE.sub(" ", wanted["text"]), wanted["voice"], chunk)
        except ValueError as error:
            self._channel.write(Kind.FAILED, frame.context, {"why": str(error)})
            return
        if cutter is not None and frame.context not in self._cancelled:
            self._write(frame.context, cutter.finish())
        self._channel.write(Kind.DONE, frame.context)

    def _write(self, context: int, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._channel.write(Kind.AUDIO, context, payload=piece)


def serve(load: Callable[[], Speak]) -> None:
    """Loads the engine, says READY or REFUSED, and speaks until the parent is gone."""
    channel = Channel.inherited()
    try:
        speak = load()
    except OSError as error:
        channel.write(Kind.REFUSED, 0, {"why": str(error)})
        return
    try:
        channel.write(Kind.READY, 0, {})
        VoiceChild(channel, speak).run()
    except (EOFError, OSError):
        return  # the parent has ended or has had enough of us
