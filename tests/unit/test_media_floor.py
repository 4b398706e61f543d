from __future__ import annotations

import numpy as np
import pytest

from telephony.media.commands import Enqueue, Flush, Remove, Route
from telephony.media.handles import SlotHandle
from telephony.media.mixer import Floor
from telephony.media.parameters import RtpParameters
from tests.unit.media_line import Line, Phone, noise, silence, through_ulaw

SECOND = ("10.0.0.2", 4000)


def two_phones(line: Line) -> tuple[SlotHandle, Phone, SlotHandle, Phone]:
    first, phone = line.latched()
    second, other = line.call(RtpParameters(SECOND), ssrc=88)
    line.talk(other, silence(4))
    return first, phone, second, other


def both(line: Line, phone: Phone, other: Phone, said: np.ndarray, answered: np.ndarray) -> None:
    for mine, theirs in zip(said.reshape(-1, 160), answered.reshape(-1, 160), strict=True):
        phone.send(mine)
        other.send(theirs)
        line.frame()


def test_bridged_phones_hear_each_other_sample_by_sample():
    line = Line()
    first, phone, second, other = two_phones(line)
    line.apply(Route(first, ((second, 1.0),)), Route(second, ((first, 1.0),)))
    both(line, phone, other, noise(30), noise(30, seed=2))
    both(line, phone, other, silence(10), silence(10))
    said = through_ulaw(noise(30))
    heard = other.heard()
    start = np.flatnonzero(heard)[0] - np.flatnonzero(said)[0]
    assert heard[start : start + len(said)].tolist() == through_ulaw(said).tolist()


def test_bridge_adds_at_most_80_ms():
    line = Line()
    first, phone, second, other = two_phones(line)
    line.apply(Route(second, ((first, 1.0),)))
    both(line, phone, other, silence(5), silence(5))
    sent = len(other.received())
    both(line, phone, other, np.full(160 * 5, 8000, np.int16), silence(5))
    silent = np.flatnonzero(other.heard()[160 * sent :])[0]
    assert silent <= 4 * 160


def test_lost_packet_is_concealed_in_a_bridge():
    line = Line()
    first, phone, second, other = two_phones(line)
    line.apply(Route(second, ((first, 1.0),)))
    t = np.arange(160 * 40) / 8000
    tone = (8000 * np.sin(2 * np.pi * 200 * t)).astype(np.int16)
    for number, frame in enumerate(tone.reshape(-1, 160)):
        other.send()
        if number == 20:
            phone.lose()
        else:
            phone.send(frame)
        line.frame()
    heard = other.heard()[-160 * 30 :].reshape(-1, 160).astype(float)
    assert heard.std(axis=1).min() > 3000


def test_outage_in_a_bridge_fades_to_silence_in_60_ms():
    line = Line()
    first, phone, second, other = two_phones(line)
    line.apply(Route(second, ((first, 1.0),)))
    both(line, phone, other, noise(20), silence(20))
    for _ in range(12):
        other.send()
        line.frame()
    assert not other.heard()[-160 * 5 :].any()


def test_two_sources_are_summed_and_clipped():
    line = Line()
    slot, phone = line.latched()
    voices = [line.plane.add_voice(8000) for _ in range(2)]
    line.apply(Route(slot, tuple((voice, 1.0) for voice in voices)))
    for voice in voices:
        line.apply(Enqueue(voice, "1", np.full(1600, 20000, np.int16).tobytes(), last=True))
    line.step(40)
    assert phone.heard().max() == pytest.approx(32124, abs=10)


def test_gain_of_an_edge_applies_to_that_edge_alone():
    line = Line()
    first, phone, second, other = two_phones(line)
    voice = line.plane.add_voice(8000)
    line.apply(Route(first, ((voice, 0.25),)), Route(second, ((voice, 1.0),)))
    line.apply(Enqueue(voice, "1", np.full(1600, 8000, np.int16).tobytes(), last=True))
    line.step(60)
    assert phone.heard().max() == pytest.approx(2000, rel=0.05)
    assert other.heard().max() == pytest.approx(8000, rel=0.05)


def test_take_over_leaves_no_sample_of_the_agent():
    for sub_ticks in range(4):
        line = Line()
        slot, phone, supervisor, desk = two_phones(line)
        voice = line.voice_on(slot)
        line.apply(Enqueue(voice, "1", np.full(80000, 8000, np.int16).tobytes(), last=True))
        line.step(40 + sub_ticks)
        sent = len(phone.received())
        line.apply(Flush(voice), Route(slot, ((supervisor, 1.0),)))
        tone = np.full(160 * 10, -8000, np.int16)
        both(line, phone, desk, silence(10), tone)
        after = phone.heard()[160 * sent :]
        assert after.max() <= 0
        assert after.min() < -7000


def test_whisper_reaches_no_other_leg():
    line = Line()
    slot, phone, supervisor, desk = two_phones(line)
    voice = line.voice_on(slot)
    line.apply(Route(supervisor, ((slot, 1.0), (voice, 1.0))))
    both(line, phone, desk, silence(10), noise(10))
    assert not phone.heard().any()


def test_source_that_ends_leaves_the_others_on_the_floor():
    line = Line()
    slot, phone = line.latched()
    voices = [line.plane.add_voice(8000) for _ in range(2)]
    line.apply(Route(slot, tuple((voice, 1.0) for voice in voices)))
    for voice in voices:
        line.apply(Enqueue(voice, "1", np.full(16000, 4000, np.int16).tobytes(), last=True))
    line.step(40)
    line.apply(Remove(voices[0]))
    sent = len(phone.received())
    line.step(20)
    assert np.median(phone.heard()[160 * sent :]) == pytest.approx(4000, rel=0.05)


def test_route_from_a_source_that_is_gone_keeps_the_rest():
    line = Line()
    slot, phone = line.latched()
    gone, stays = line.plane.add_voice(8000), line.plane.add_voice(8000)
    line.apply(Remove(gone), Route(slot, ((gone, 1.0), (stays, 1.0))))
    line.apply(Enqueue(stays, "1", np.full(1600, 4000, np.int16).tobytes(), last=True))
    line.step(40)
    assert phone.heard().any()
    assert line.plane.stats().counters.stale_commands == 1


def test_phone_that_stopped_sending_and_goes_on_where_it_was_is_heard_again():
    line = Line()
    first, phone, second, other = two_phones(line)
    line.apply(Route(second, ((first, 1.0),)))
    both(line, phone, other, silence(5), silence(5))
    line.step(4 * 50)
    both(line, phone, other, noise(10), silence(10))
    assert len(np.flatnonzero(other.heard()[-160 * 5 :])) > 600


def test_a_mix_is_summed_once_and_then_looked_up():
    floor = Floor(4, 2)
    floor.route(1, ((2, 1.0), (3, 0.5)))
    floor.narrow_frames[2:4] = 1000
    floor.mix(0, 2)
    floor.narrow_frames[2:4] = 3000
    assert set(floor.heard(np.array([1]), wide=False).flatten().tolist()) == {1500}
