"""pocketsphinx in a process of its own: it holds the interpreter lock while it decodes.

Each context has two decoders over the same audio: one bound to the grammar, one free loop over all
phones. The difference of their scores says how much better *some* sounds explain the audio than the
expected words do, so it is the confidence: a grammar alone finds an expected sentence in anything.
"""

import math
import sys
from collections import OrderedDict
from typing import Any, Final

import numpy as np
from pocketsphinx import Config, Decoder

from agents.providers.child_channel import Channel, Frame, Kind
from agents.speech.grammar import FILLERS
from agents.speech.letters import PHONES
from agents.speech.wave import Resampler

RATE_HZ: Final = 16_000  # the native 8 kHz setting of 5.1.1 does not initialise with this model
FRAMES_A_SECOND: Final = 100
PARTIAL_FRAMES: Final = 10
GRAMMARS_KEPT: Final = 32
LOOP: Final = "phones"
# Score difference per 10 ms frame, in pocketsphinx's units (G.711, six synthetic voices): right answers
# had a median of +1 and a 7th percentile of -17; of other sentences 17 % came out above -17. That is
# where the confidence is 0.25, `agents.speech.grammar.UNSURE_BELOW`.
EVEN: Final = -12.6
SPREAD: Final = 4.0
UNIT: Final = 1e4
TINY: Final = 1e-300
# Cepstral mean of telephone speech, from six voices through G.711. The model's own start is wide-band
# speech: with it a call's first sentences are hardly understood, until the running mean has followed.
TELEPHONE_MEAN: Final = "45.7,28.7,-33.2,46.6,-21.5,2.3,10.0,-24.6,10.6,-12.3,5.3,5.1,-7.8"
# The same for a browser's wide band, from five voices through Opus at 16 kHz. With the telephone's, 49 of 69 first
# sentences were understood and most seemed doubtful, with this one 65.
WIDE_BAND_MEAN: Final = "50.6,5.1,2.3,23.7,-1.9,-0.4,1.0,-7.3,0.8,-4.3,6.9,-0.9,0.7"
# wip is the price of a word: at the usual 0.65 a digit is heard in each breath (26 % of digits wrong, at
# 0.05 16 %). Beams wider than the usual 1e-48: 8.0 -> 6.6 % on four voices, CPU 0.018 -> 0.021 per second.
GRAMMAR_SEARCH: Final = {"wip": 0.05, "beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-40}
SHORTEST_FILLER_SECONDS: Final = 0.15


def _decoder(**settings: float) -> Any:
    config = Config()
    config["lm"] = None
    config["loglevel"] = "FATAL"
    config["bestpath"] = False  # with a phone loop the lattice takes minutes
    for name, value in settings.items():
        config[name] = value
    decoder = Decoder(config)
    for phone in PHONES:
        decoder.add_word(f"q_{phone.lower()}", phone, phone == PHONES[-1])
    return decoder


class Recogniser:
    """One caller's decoders, and the turn they are in."""

    def __init__(self) -> None:
        self._grammar = _decoder(**GRAMMAR_SEARCH)
        self._loop = _decoder()
        loop = " | ".join(f"q_{phone.lower()}" for phone in PHONES)
        self._loop.add_jsgf_string(
            LOOP, f"#JSGF V1.0;\ngrammar p;\n<p> = {loop};\npublic <l> = <p>+;\n"
        )
        self._loop.activate_search(LOOP)
        self._names: OrderedDict[str, str] = OrderedDict()
        self._listening = False
        self.open(RATE_HZ)

    def open(self, rate_hz: int) -> None:
        """Ready for another caller."""
        self._stop()
        self._rate_hz = rate_hz
        mean = WIDE_BAND_MEAN if rate_hz >= RATE_HZ else TELEPHONE_MEAN
        for decoder in (self._grammar, self._loop):
            decoder.set_cmn(mean)

    def expect(self, turn: int, jsgf: str, words: list[list[str]]) -> None:
        """Begins a turn. Raises: RuntimeError, ValueError for a grammar that does not compile."""
        self._stop()
        self.turn = turn
        for word, phones in words:
            if self._grammar.lookup_word(word) is None:
                self._grammar.add_word(word, phones, True)
        self._grammar.activate_search(self._compiled(jsgf))
        self._resampler = Resampler(self._rate_hz, RATE_HZ)
        self._frames = 0
        self._said = ""
        self._grammar.start_utt()
        self._loop.start_utt()
        self._listening = True

    def hear(self, pcm: bytes) -> dict[str, Any] | None:
        """Takes audio; a partial if the text has changed, looked at each 100 ms."""
        if not self._listening:
            return None
        samples = self._resampler.push(np.frombuffer(pcm, "<i2"))
        self._process(samples.tobytes())
        before, self._frames = self._frames, self._frames + len(samples) * 100 // RATE_HZ
        if before // PARTIAL_FRAMES == self._frames // PARTIAL_FRAMES:
            return None
        words = self._words()
        text = _text(words)
        if text == self._said:
            return None
        self._said = text
        return {"turn": self.turn, "text": text, "words": words}

    def finish(self) -> dict[str, Any] | None:
        """The turn's result; None if it has been given already."""
        if not self._listening:
            return None
        self._process(self._resampler.finish().tobytes())
        self._stop()
        words = self._words()
        confidence = self._confidence() if words else 0.0
        for word in words:
            word[3] = confidence
        return {
            "turn": self.turn,
            "text": _text(words),
            "words": words,
            "confidence": confidence,
        }

    def _process(self, data: bytes) -> None:
        if data:
            self._grammar.process_raw(data, False, False)
            self._loop.process_raw(data, False, False)

    def _stop(self) -> None:
        if self._listening:
            self._listening = False
            self._grammar.end_utt()
            self._loop.end_utt()

    def _compiled(self, jsgf: str) -> str:
        name = self._names.get(jsgf)
        if name is None:
            name = f"g{len(self._names)}"
            if len(self._names) >= GRAMMARS_KEPT:
                _, name = self._names.popitem(last=False)
                self._grammar.activate_search(next(reversed(self._names.values())))
                self._grammar.remove_search(name)
            self._grammar.add_jsgf_string(name, jsgf)
            self._names[jsgf] = name
        self._names.move_to_end(jsgf)
        return name

    def _words(self) -> list[list[Any]]:
        """[text, start, end, confidence] of each word; a filler counts only after the answer.

        The decoder hears "uh" in the breath before many answers; after an answer a real one is
        evidence that the caller goes on.
        """
        words: list[list[Any]] = []
        if self._grammar.hyp() is None:
            return words
        for segment in self._grammar.seg():
            text = segment.word.split("(")[0]
            if not text or text[0] in "<[+" or (not words and text in FILLERS):
                continue
            start, end = segment.start_frame, segment.end_frame + 1
            words.append([text, start / FRAMES_A_SECOND, end / FRAMES_A_SECOND, 0.5])
        last = words[-1] if words else None
        if last and last[0] in FILLERS and last[2] - last[1] < SHORTEST_FILLER_SECONDS:
            words.pop()
        return words

    def _confidence(self) -> float:
        bound, free = list(self._grammar.seg()), list(self._loop.seg())
        frames = sum(
            segment.end_frame - segment.start_frame + 1
            for segment in bound
            if segment.word[0] not in "<(["
        )
        # Acoustic scores only: the grammar's own would make an answer less sure the more is expected.
        difference = (_sound(bound) - _sound(free)) * UNIT / max(frames, 1)
        exponent = max(-50.0, min(50.0, (EVEN - difference) / SPREAD))
        return round(1.0 / (1.0 + math.exp(exponent)), 3)


def _sound(segments: list[Any]) -> float:
    return sum(math.log(max(segment.ascore, TINY)) for segment in segments)


def _text(words: list[list[Any]]) -> str:
    return " ".join(word[0] for word in words)


class Server:
    """The contexts of this process; decoders are loaded before they are needed and used again."""

    def __init__(self, channel: Channel, count: int) -> None:
        self._channel = channel
        self._free = [Recogniser() for _ in range(count)]
        self._taken: dict[int, Recogniser] = {}

    def run(self) -> None:
        """Never returns normally. Raises: EOFError or OSError when the parent is gone."""
        self._channel.write(Kind.READY, 0, {})
        while True:
            for frame in self._channel.read():
                try:
                    self._take(frame)
                except (RuntimeError, ValueError) as error:
                    self._channel.write(Kind.FAILED, frame.context, {"why": str(error)})

    def _take(self, frame: Frame) -> None:
        context = frame.context
        if frame.kind == Kind.OPEN:
            self._taken[context] = self._free.pop() if self._free else Recogniser()
            self._taken[context].open(frame.json()["rate_hz"])
        recogniser = self._taken.get(context)
        if recogniser is None:
            return
        if frame.kind == Kind.AUDIO:
            partial = recogniser.hear(frame.payload)
            if partial is not None:
                self._channel.write(Kind.PARTIAL, context, partial)
        elif frame.kind == Kind.EXPECT:
            recogniser.expect(**frame.json())
        elif frame.kind == Kind.FINISH:
            final = recogniser.finish()
            if final is not None:
                self._channel.write(Kind.FINAL, context, final)
        elif frame.kind == Kind.CLOSE:
            self._free.append(self._taken.pop(context))


def main() -> None:
    """Serves until the parent is gone."""
    channel = Channel.inherited()
    try:
        Server(channel, int(sys.argv[2])).run()
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    main()
