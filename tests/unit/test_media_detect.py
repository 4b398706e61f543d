from __future__ import annotations

import numpy as np
import pytest

from telephony.media.commands import Enqueue, Guard, Listen, Resume, Unguard
from telephony.media.notices import Levels, SpeechStarted, SpeechStopped
from tests.unit.media_line import Line, noise, silence, voiced

FAINT = 700
"""Speech of -44 dBFS: above the least level, below the echo gate."""


def test_onset_is_told_within_four_frames_of_speech():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, silence(20))
    began = line.now
    line.talk(phone, voiced(10))
    (started,) = line.of(SpeechStarted)
    assert started.slot == slot
    assert started.at - began <= 4 * 0.020
    assert 23 * 160 <= started.at_samples <= 27 * 160
    assert not started.ducked


def test_end_of_speech_is_dated_by_level_and_told_80_ms_later():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, silence(10))
    line.talk(phone, voiced(20))
    ended = line.now
    line.talk(phone, silence(20))
    (stopped,) = line.of(SpeechStopped)
    assert stopped.slot == slot
    assert stopped.last_voiced_at == pytest.approx(ended - 0.015, abs=0.006)
    assert stopped.at - stopped.last_voiced_at == pytest.approx(0.080, abs=0.001)
    assert stopped.last_voiced_samples == (3 + 10 + 20) * 160


def test_speech_of_a_sender_that_suppresses_silence_ends_without_a_frame():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, voiced(20))
    ended = line.now
    line.step(60)
    (stopped,) = line.of(SpeechStopped)
    assert stopped.slot == slot
    assert stopped.last_voiced_at == pytest.approx(ended - 0.015, abs=0.006)
    assert stopped.at - ended < 0.17


def test_speech_after_such_an_end_is_an_onset_again():
    line = Line()
    _, phone = line.latched()
    line.talk(phone, voiced(20))
    phone.timestamp += 160 * 20
    line.step(80)
    line.talk(phone, voiced(20))
    assert len(line.of(SpeechStarted)) == 2


def test_faint_speech_below_the_level_is_no_onset():
    line = Line()
    _, phone = line.latched()
    line.talk(phone, voiced(30, amplitude=60))
    assert line.of(SpeechStarted) == []


def test_steady_noise_ends_what_it_may_have_started():
    line = Line()
    _, phone = line.latched()
    line.talk(phone, noise(300))
    assert len(line.of(SpeechStarted)) == len(line.of(SpeechStopped))
    assert len(line.of(SpeechStarted)) == 1


def test_guarded_voice_is_ducked_in_the_sub_tick_of_the_onset():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, silence(20))
    voice = line.voice_on(slot, guard=True)
    tone = np.full(8000 * 2, 8000, np.int16)
    line.apply(Enqueue(voice, "1", tone.tobytes(), last=True))
    frames_at_onset = 0
    for frame in voiced(10, amplitude=12000).reshape(-1, 160):
        phone.send(frame)
        for _ in range(4):
            if any(isinstance(notice, SpeechStarted) for notice in line.step()):
                frames_at_onset = len(phone.received())
    (started,) = line.of(SpeechStarted)
    assert started.ducked
    heard = phone.heard()
    assert heard[160 * (frames_at_onset - 2)] > 7000
    assert heard[160 * (frames_at_onset + 1) : 160 * (frames_at_onset + 2)].max() < 1600


def test_disarmed_guard_ducks_nothing():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot, guard=True)
    line.apply(Enqueue(voice, "1", noise(100).tobytes(), last=True))
    line.apply(Unguard(slot))
    line.talk(phone, voiced(10, amplitude=12000))
    assert [n.ducked for n in line.of(SpeechStarted)] == [False]


def test_duck_of_the_guard_ends_with_resume():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot, guard=True)
    line.apply(Enqueue(voice, "1", np.full(16000, 8000, np.int16).tobytes(), last=True))
    line.talk(phone, voiced(10, amplitude=12000))
    line.apply(Resume(voice))
    line.step(8)
    assert phone.heard()[-80:].min() > 7000


def test_echo_of_the_agent_below_the_gate_is_no_onset_while_it_sounds():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot, guard=True)
    line.apply(Enqueue(voice, "1", noise(100).tobytes(), last=True))
    echo = voiced(60, amplitude=FAINT)
    line.talk(phone, echo)
    assert line.of(SpeechStarted) == []


def test_same_level_is_an_onset_when_the_agent_is_silent():
    line = Line()
    slot, phone = line.latched()
    line.voice_on(slot, guard=True)
    line.talk(phone, silence(30))
    line.talk(phone, voiced(60, amplitude=FAINT))
    assert len(line.of(SpeechStarted)) == 1


def test_echo_gate_of_a_guard_can_be_set():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Guard(voice, slot, echo_gate_dbfs=-6.0))
    line.apply(Enqueue(voice, "1", noise(100).tobytes(), last=True))
    line.talk(phone, voiced(60, amplitude=6000))
    assert line.of(SpeechStarted) == []


def test_slot_that_is_not_listened_to_reaches_no_tap_and_tells_no_speech():
    line = Line()
    slot, phone = line.latched()
    line.apply(Listen(slot, False))
    line.step()
    heard = len(line.tap.of(slot))
    line.talk(phone, voiced(20))
    assert len(line.tap.of(slot)) == heard
    assert line.of(SpeechStarted) == []


def test_frames_of_one_sub_tick_come_in_one_batch():
    line = Line()
    slot, phone = line.latched()
    batches = len(line.tap.batches)
    phone.send(voiced(1))
    phone.send(voiced(1))
    line.step()
    assert len(line.tap.batches) == batches + 1
    batch = line.tap.batches[-1]
    assert batch.handles.tolist() == [slot, slot]
    assert batch.pcm.shape == (2, 160)
    assert batch.rate_hz == 8000


def test_levels_are_told_five_times_a_second_as_peaks():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", np.full(8000, 16384, np.int16).tobytes(), last=True))
    line.told.clear()
    line.talk(phone, np.full(160 * 50, 8192, np.int16))
    levels = line.of(Levels)
    assert len(levels) == 5
    assert levels[-1].slots.tolist() == [slot]
    assert levels[-1].received_dbfs[0] == pytest.approx(-12, abs=0.3)
    assert levels[-1].sent_dbfs[0] == pytest.approx(-6, abs=0.3)
