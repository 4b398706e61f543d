"""Embedded speech on synthetic callers: word errors, confidence, final latency, first chunk of the voice.

    python -m benchmarks.stt [--voices slt,rms,awb,kal16] [--snr 10]

Speech is flite's, through G.711 at 8 kHz, so real error rates are higher. "final" is from `finish` to
the result with the audio fed at the pace of a call; "first chunk" from `synthesize` to 20 ms of speech.
"""

import argparse
import asyncio
import statistics
import time

import numpy as np

from agents.providers.flite import flite_voice
from agents.providers.pocketsphinx import PocketsphinxStt
from agents.speech import grammar
from agents.speech.ports import Final, Generation
from tests.fakes.speech_audio import frames_of, spoken_pcm

FIRST = ["john", "mary", "peter", "susan", "david", "anna", "michael", "emma", "sarah", "robert"]
LAST = ["smith", "jones", "brown", "taylor", "miller", "wilson", "davis", "garcia"]
WANTS = [
    "what are your opening hours", "when are you open", "what is your address",
    "how do i get there", "i would like to book an appointment", "can i make an appointment",
    "can i talk to a person", "i want to speak to someone", "that is all",
]  # fmt: skip
SETS = {
    "intents": (grammar.build([grammar.phrases(WANTS), grammar.yes_no()]), WANTS),
    "yes_no": (
        grammar.build([grammar.yes_no(), grammar.phrases(["can i talk to a person"])]),
        ["yes", "yes please", "no", "no thank you", "that is right", "correct"],
    ),
    "date": (
        grammar.build([grammar.date()]),
        ["monday", "on tuesday", "next wednesday", "tomorrow", "thursday morning"],
    ),
    "time": (
        grammar.build([grammar.time()]),
        ["at ten", "half past two", "three thirty p m", "ten o'clock", "quarter to four"],
    ),
    "name": (
        grammar.build([grammar.name(FIRST, LAST)]),
        ["john smith", "my name is mary taylor", "this is peter miller", "david", "emma jones"],
    ),
    "digits": (
        grammar.build([grammar.digits(6, 12)]),
        [
            "five five five one two three four", "zero seven nine one two three",
            "my number is four one five nine two six", "nine one one four seven three",
        ],
    ),
}  # fmt: skip
OTHER = [
    "the weather is really nice this afternoon", "my dog has eaten all the biscuits",
    "do you know who won the football match", "the price of petrol is going up",
]  # fmt: skip
SAME = {"yep": "yes", "yeah": "yes", "nope": "no", "this": "it", "it's": "it"}


def mu_law(pcm: bytes, snr_db: float | None) -> bytes:
    """The samples as G.711 leaves them, with white noise at `snr_db` below the speech if asked for."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    if snr_db is not None:
        loud = samples[np.abs(samples) > 100]
        noise = np.random.default_rng(1).normal(0, loud.std() / 10 ** (snr_db / 20), len(samples))
        samples = np.clip(samples + noise, -32767, 32767)
    small = np.sign(samples) * np.log1p(255 * np.abs(samples) / 32768) / np.log(256)
    coded = np.round(small * 127) / 127
    back = np.sign(coded) * (np.power(256, np.abs(coded)) - 1) / 255 * 32768
    return np.clip(back, -32768, 32767).astype("<i2").tobytes()


def edits(wanted: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for at, word in enumerate(wanted, 1):
        before, row[0] = row[0], at
        for place, other in enumerate(heard, 1):
            change = before + (word != other)
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, change)
    return row[-1]


def words(text: str) -> list[str]:
    return [SAME.get(word, word) for word in text.split()]


async def turn(session, number, expected, pcm) -> tuple[Final, float]:
    session.expect(number, expected)
    for seq, frame in enumerate(frames_of(pcm)):
        session.feed(seq, frame)
        await asyncio.sleep(
            0.004
        )  # five times the pace of a call; the decoder keeps up with twenty
    began = time.perf_counter()
    session.finish()
    async for result in session.results():
        if isinstance(result, Final):
            return result, time.perf_counter() - began
    raise RuntimeError("the session ended")


async def recognise(voices: list[str], snr_db: float | None) -> None:
    stt = PocketsphinxStt(1, 1)
    await stt.start()
    session = await stt.open("benchmark", 8_000, SETS["yes_no"][0])
    finals: list[float] = []
    number = 0
    for name, (expected, sentences) in SETS.items():
        wrong = total = unsure = accepted = 0
        for voice in voices:
            for sentence in sentences + OTHER:
                number += 1
                pcm = mu_law(spoken_pcm(sentence, 8_000, voice), snr_db)
                final, seconds = await turn(session, number, expected, pcm)
                finals.append(seconds * 1_000)
                sure = final.confidence >= grammar.UNSURE_BELOW
                if sentence in OTHER:
                    accepted += sure
                    continue
                wrong += edits(words(sentence), words(final.text))
                total += len(sentence.split())
                unsure += not sure
        said, others = len(voices) * len(sentences), len(voices) * len(OTHER)
        print(
            f"{name:8} word errors {100 * wrong / total:5.1f} %   unsure {unsure}/{said}   "
            f"other speech taken for an answer {accepted}/{others}"
        )
    await stt.close()
    print(f"final    {spread(finals)} ms, n {len(finals)}")


async def speak() -> None:
    voice = flite_voice()
    await voice.start()
    for length in (4, 12, 24):
        firsts = []
        for number in range(15):
            text = " ".join(["Number", str(number), *["and so it goes on"] * (length // 5 + 1)])
            began = time.perf_counter()
            stream = voice.synthesize(text, "slt", 8_000, Generation("benchmark", number))
            await anext(stream)
            firsts.append((time.perf_counter() - began) * 1_000)
            await stream.aclose()
        print(f"first chunk, {len(text.split()):2} words: {spread(firsts)} ms, n {len(firsts)}")
    await voice.close()


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.1f} p95 {high:.1f} max {ordered[-1]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", default="slt,rms,awb,kal16")
    parser.add_argument("--snr", type=float, default=None)
    options = parser.parse_args()
    asyncio.run(recognise(options.voices.split(","), options.snr))
    asyncio.run(speak())


if __name__ == "__main__":
    main()
