"""A line with loss, jitter, reordering and duplicates, by a seeded dice: what is heard of it, and how it is rated."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest

from telephony.media import opus
from telephony.media.commands import Listen, StartRtp
from telephony.media.g722 import G722Codec
from telephony.media.handles import SlotHandle
from telephony.media.notices import Gap, Quality
from telephony.media.parameters import MediaCodec, MediaSettings, RtpParameters
from telephony.media.plane import SUB_TICK
from telephony.rtp.packet import RtpPacket, build_packet
from tests.unit.media_line import Line, on_the_wire, voiced

pytestmark = pytest.mark.timeout(60)  # all lines are made at once, in some seconds
SECONDS = 13
TYPES = {MediaCodec.ULAW: 0, MediaCodec.G722: 9, MediaCodec.OPUS: 111}


@dataclass(frozen=True)
class Weather:
    """`jitter` in seconds: each packet is late by a share of it; `reordered` ones by one packet time more."""

    loss: float = 0.0
    jitter: float = 0.0
    reordered: float = 0.0
    doubled: float = 0.0
    drift: float = 0.0


@dataclass(frozen=True)
class Outcome:
    mos: float
    lost: int
    late: int
    late_at_last: int
    gaps: int


def payloads(codec: MediaCodec, frames: int) -> list[bytes]:
    """A voice, coded; two seconds of it over and over."""
    if codec.rate_hz == 8000:
        coded = [on_the_wire(frame) for frame in voiced(100).reshape(-1, 160)]
    else:
        coder = G722Codec() if codec is MediaCodec.G722 else opus.OpusCodec()
        wide = voiced(100, rate_hz=16000).reshape(-1, 320)
        coded = [coder.encode(frame) for frame in wide]
    return [coded[n % 100] for n in range(frames)]


ROUGH = Weather(loss=0.01, jitter=0.03, reordered=0.005, doubled=0.005)
WORSE = Weather(loss=0.05, jitter=0.03, reordered=0.005)
LINES = {
    **{f"rough {codec} {seed}": (ROUGH, codec, seed) for codec in TYPES for seed in (1, 2)},
    **{f"worse {codec}": (WORSE, codec, 3) for codec in TYPES},
    "clean": (Weather(), MediaCodec.ULAW, 4),
    "jitter": (Weather(jitter=0.06), MediaCodec.ULAW, 5),
    "disorder": (Weather(reordered=0.05, doubled=0.05), MediaCodec.ULAW, 6),
    "fast clock": (Weather(drift=-0.002), MediaCodec.ULAW, 7),
    "slow clock": (Weather(drift=0.002), MediaCodec.ULAW, 8),
}


def arrivals(weather: Weather, codec: MediaCodec, seed: int) -> list[tuple[float, bytes]]:
    """(seconds since the start, packet), in the order in which they come."""
    dice, step, found = random.Random(seed), codec.clock_hz // 50, []
    for n, payload in enumerate(payloads(codec, SECONDS * 50)):
        packet = build_packet(RtpPacket(TYPES[codec], n & 0xFFFF, n * step, 5, payload))
        for _ in range(1 + (dice.random() < weather.doubled)):
            late = dice.random() * weather.jitter + 0.02 * (dice.random() < weather.reordered)
            if dice.random() >= weather.loss:
                found.append((n * 0.02 * (1 + weather.drift) + late, packet))
    return sorted(found)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """All lines at once, as calls of one plane."""
    settings = MediaSettings(rtp_capacity=16, packet_capacity=4, voice_capacity=4)
    line, calls, coming = Line(settings=settings), {}, []
    for number, (name, (weather, codec, seed)) in enumerate(LINES.items()):
        remote = (f"10.0.1.{number + 1}", 4000)
        slot, port = line.plane.reserve_rtp(remote)
        parameters = RtpParameters(remote, payload_type=TYPES[codec], codec=codec)
        line.apply(StartRtp(slot, parameters), Listen(slot, True))
        calls[name] = slot
        coming += [(at, packet, remote, port) for at, packet in arrivals(weather, codec, seed)]
    start = line.now
    waiting = deque(sorted(coming, key=lambda arrival: arrival[0]))
    while waiting:
        while waiting and start + waiting[0][0] <= line.now + SUB_TICK:
            _, packet, remote, port = waiting.popleft()
            line.datagrams.arrive(packet, remote, port)
        line.step()
    return {name: outcome_of(line, slot) for name, slot in calls.items()}


def outcome_of(line: Line, slot: SlotHandle) -> Outcome:
    told = [quality for quality in line.of(Quality) if quality.slot == slot]
    return Outcome(
        mos=float(np.mean([quality.mos for quality in told])),
        lost=sum(quality.lost for quality in told),
        late=sum(quality.late for quality in told),
        late_at_last=told[-1].late,
        gaps=sum(gap.slot == slot for gap in line.of(Gap)),
    )


@pytest.mark.parametrize("codec", TYPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_1_percent_of_loss_and_30_ms_of_jitter_are_rated_3_8_or_better(
    outcomes: dict[str, Outcome], codec: MediaCodec, seed: int
) -> None:
    outcome = outcomes[f"rough {codec} {seed}"]
    assert outcome.mos >= 3.8, outcome
    assert outcome.gaps == 0, outcome


@pytest.mark.parametrize("codec", TYPES)
def test_5_percent_of_loss_is_rated_3_3_or_better(
    outcomes: dict[str, Outcome], codec: MediaCodec
) -> None:
    outcome = outcomes[f"worse {codec}"]
    assert 3.3 <= outcome.mos < 4.2, outcome
    assert outcome.lost > 15, outcome


def test_a_clean_line_loses_nothing_and_is_rated_best(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["clean"]
    assert (outcome.lost, outcome.late, outcome.gaps) == (0, 0, 0)
    assert outcome.mos > 4.3


def test_jitter_alone_costs_late_frames_only_until_the_depth_fits(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["jitter"]
    assert outcome.lost <= 2, outcome  # on their way while the figures were taken
    assert outcome.late < 12, outcome
    assert outcome.late_at_last <= 1, outcome


def test_reordering_and_duplicates_alone_lose_nothing(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["disorder"]
    assert outcome.lost <= 2, outcome  # on their way while the figures were taken
    assert outcome.gaps == 0
    assert outcome.mos > 4.2


@pytest.mark.parametrize("clock", ["fast clock", "slow clock"])
def test_a_drifting_clock_of_the_sender_costs_no_quality(
    outcomes: dict[str, Outcome], clock: str
) -> None:
    assert (outcomes[clock].lost, outcomes[clock].gaps) == (0, 0)
    assert outcomes[clock].mos > 4.0
