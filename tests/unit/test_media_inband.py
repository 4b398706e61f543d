"""Keys told by their tones, and no key told by anything else."""

from __future__ import annotations

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.g722 import G722Codec
from telephony.media.inband import HIGH_HZ, KEYS, LOW_HZ, InbandKeys
from telephony.media.notices import Digit
from telephony.media.parameters import MediaCodec, RtpParameters
from tests.unit.media_line import PHONE, Line, Pcm, on_the_wire
from tests.unit.wrong_audio import framed, music, noise, speech, tones

ALL = "".join(KEYS)


def key(
    name: str,
    ms: int = 80,
    pause_ms: int = 60,
    rate_hz: int = 8000,
    level: float = 6000,
    **odd: float,
) -> np.ndarray:
    """One press and the pause after it. `twist_db`: of the high tone; `off`: share by which both are mistuned."""
    row = next(at for at, names in enumerate(KEYS) if name in names)
    t = np.arange(ms * rate_hz // 1000) / rate_hz
    tune = 2 * np.pi * (1 + odd.get("off", 0.0)) * t
    low = np.sin(LOW_HZ[row] * tune)
    high = np.sin(HIGH_HZ[KEYS[row].index(name)] * tune + 1) * 10 ** (odd.get("twist_db", 0) / 20)
    return np.concatenate((level * (low + high), np.zeros(pause_ms * rate_hz // 1000)))


def heard(samples: np.ndarray, rate_hz: int = 8000, *, coded: bool = True) -> str:
    pcm = framed(samples, rate_hz)
    if coded:
        octets = g711.encode(pcm, g711.ULAW)
        pcm = g711.decode(octets[None], np.array([g711.ULAW]))[0]
    keys = InbandKeys(1, rate_hz)
    told = [
        found.key
        for at, frame in enumerate(pcm.reshape(-1, rate_hz // 50))
        for found in keys.hear(np.array([0]), frame[None], at * 0.02)
    ]
    return "".join(told)


def dialled(names: str, **how: float) -> np.ndarray:
    rate_hz = int(how.get("rate_hz", 8000))
    return np.concatenate([*(key(n, **how) for n in names), np.zeros(rate_hz // 10)])  # type: ignore[arg-type]


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_every_key_is_told_once(rate_hz: int) -> None:
    assert heard(dialled(ALL, rate_hz=rate_hz), rate_hz) == ALL


@pytest.mark.parametrize("shift", range(0, 160, 20))
def test_short_keys_are_told_wherever_they_begin(shift: int) -> None:
    samples = np.concatenate((np.zeros(shift), dialled("1590*#", ms=55, pause_ms=55)))
    assert heard(samples) == "1590*#"


@pytest.mark.parametrize("twist_db", [-7.0, 4.0])
@pytest.mark.parametrize("off", [-0.015, 0.015])
def test_twisted_and_mistuned_keys_are_told(twist_db: float, off: float) -> None:
    assert heard(dialled(ALL, twist_db=twist_db, off=off)) == ALL


@pytest.mark.parametrize("level", [400, 15000])
def test_soft_and_loud_keys_are_told(level: float) -> None:
    assert heard(dialled(ALL, level=level)) == ALL


def test_keys_in_noise_15_db_below_are_told() -> None:
    samples = dialled(ALL)
    hiss = np.random.default_rng(6).normal(0, 6000 / 10 ** (15 / 20), len(samples))
    assert heard(samples + hiss) == ALL


def test_key_held_for_two_seconds_is_told_once_when_it_is_up() -> None:
    keys = InbandKeys(1, 8000)
    told = []
    for at, frame in enumerate(framed(key("5", 2000, 100)).reshape(-1, 160)):
        told += keys.hear(np.array([0]), frame[None], (at + 1) * 0.02)
    ((_, name, began, ended),) = told
    assert name == "5"
    assert began == pytest.approx(0.0, abs=0.03)
    assert ended == pytest.approx(2.0, abs=0.03)


def test_same_key_twice_is_two_keys_and_a_hole_of_one_frame_is_not() -> None:
    assert heard(np.concatenate((key("7"), key("7")))) == "77"
    holed = key("7", 200, 100)
    holed[640:800] = 0
    assert heard(holed) == "7"


def test_blip_of_20_ms_is_no_key() -> None:
    assert heard(key("5", 20, 100)) == ""


def test_talk_music_noise_and_call_progress_tones_are_no_keys() -> None:
    sounds: dict[str, Pcm] = {
        **{
            f"{voice} {level}": speech(level, voice)
            for voice in ("slt", "rms", "awb", "kal16")
            for level in (0.1, 0.4, 1.0, 3.0)
        },
        "music": music(20),
        "noise": noise("white", 3000, 20),
        "dial tone": tones(350, 440),
        "ringback": tones(440, 480),
        "busy": tones(480, 620),
        "one tone": tones(697),
        "other pair": tones(697, 770),
    }
    assert {name: heard(pcm) for name, pcm in sounds.items() if heard(pcm)} == {}


def test_streams_are_heard_apart() -> None:
    keys = InbandKeys(3, 8000)
    one, two = framed(dialled("19")).reshape(-1, 160), framed(dialled("#A")).reshape(-1, 160)
    told = [
        (found.row, found.key)
        for frames in zip(one, two, strict=True)
        for found in keys.hear(np.array([2, 0]), np.stack(frames), 0.0)
    ]
    assert told == [(2, "1"), (0, "#"), (2, "9"), (0, "A")]


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_slot_that_asks_for_it_tells_keys_by_their_tones(rate_hz: int) -> None:
    line = Line()
    codec = MediaCodec.ULAW if rate_hz == 8000 else MediaCodec.G722
    _, phone = line.call(
        RtpParameters(PHONE, codec=codec, dtmf_payload_type=None, inband_digits=True)
    )
    coder = G722Codec()
    samples = np.concatenate((np.zeros(rate_hz // 5), dialled("42#", rate_hz=rate_hz)))
    for frame in framed(samples, rate_hz).reshape(-1, rate_hz // 50):
        octets = on_the_wire(frame) if rate_hz == 8000 else coder.encode(frame)
        phone.send_packet(phone.packet(octets))
        line.frame()
    found = line.of(Digit)
    assert [(n.digit, n.source) for n in found] == [
        ("4", "inband"),
        ("2", "inband"),
        ("#", "inband"),
    ]
    assert all(n.began_at is not None and n.began_at < n.at for n in found)


def test_slot_that_does_not_ask_for_it_tells_no_tones() -> None:
    line = Line()
    _, phone = line.call()
    line.talk(phone, framed(dialled("42#")))
    assert line.of(Digit) == []
