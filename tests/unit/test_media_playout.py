from __future__ import annotations

import numpy as np
import pytest

from telephony.media.commands import (
    Duck,
    Enqueue,
    Flush,
    Pause,
    Remove,
    Resume,
    SetGain,
)
from telephony.media.errors import BadAudioError
from telephony.media.notices import PlayoutProgress, PlayoutRefused, PlayoutState
from tests.unit.media_line import Line, Pcm, noise, through_ulaw


def progress(line: Line) -> list[tuple[str, int, str]]:
    return [(n.utterance, n.samples_sent, str(n.state)) for n in line.of(PlayoutProgress)]


def position_of(frame: Pcm, speech: Pcm) -> int:
    """Sample of `speech` at which `frame` occurs, -1 if it does not."""
    windows = np.lib.stride_tricks.sliding_window_view(speech, len(frame))
    found = np.flatnonzero((windows == frame).all(axis=1))
    return int(found[0]) if len(found) else -1


def speech_in(heard: Pcm) -> Pcm:
    """Without the silence before and after."""
    sound = np.flatnonzero(heard)
    return heard[sound[0] : sound[-1] + 1] if len(sound) else heard[:0]


def test_speech_arrives_sample_by_sample():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    speech = noise(20)
    line.apply(Enqueue(voice, "1", speech.tobytes(), last=True))
    line.step(90)
    heard = phone.heard()
    at = position_of(through_ulaw(speech), heard)
    assert at >= 0
    assert not heard[:at].any()
    assert not heard[at + len(speech) :].any()


def test_speech_queued_in_odd_pieces_has_no_seam():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    speech = noise(20)
    octets = speech.tobytes()
    for start in range(0, len(octets), 514):
        line.apply(Enqueue(voice, "1", octets[start : start + 514], last=False))
        line.step(1)
    line.apply(Enqueue(voice, "1", b"", last=True))
    line.step(90)
    assert position_of(through_ulaw(speech), phone.heard()) >= 0


def test_progress_is_told_each_200_ms_and_at_the_end():
    line = Line()
    slot, _ = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(22).tobytes(), last=True))
    line.step(110)
    assert progress(line) == [("1", 1600, "playing"), ("1", 3200, "playing"), ("1", 3520, "done")]


def test_end_is_told_when_it_is_known_only_after_the_last_sample_left():
    line = Line()
    slot, _ = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(2).tobytes(), last=False))
    line.step(40)
    assert all(state == "playing" for _, _, state in progress(line))
    line.apply(Enqueue(voice, "1", b"", last=True))
    line.step()
    assert progress(line)[-1] == ("1", 320, "done")


def test_each_utterance_ends_where_the_next_begins():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    first, second = noise(3)[:400], noise(3, seed=2)[:401]
    line.apply(
        Enqueue(voice, "1", first.tobytes(), last=True),
        Enqueue(voice, "2", second.tobytes(), last=True),
    )
    line.step(60)
    done = [n for n in line.of(PlayoutProgress) if n.state is PlayoutState.DONE]
    assert [(n.utterance, n.samples_sent) for n in done] == [("1", 400), ("2", 401)]
    assert position_of(through_ulaw(np.concatenate((first, second))), phone.heard()) >= 0


@pytest.mark.parametrize("sub_ticks", range(4))
def test_flush_takes_effect_within_one_sub_tick(sub_ticks: int):
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(100).tobytes(), last=True))
    line.step(40 + sub_ticks)
    sent = len(phone.received())
    line.apply(Flush(voice))
    notices = line.step()
    line.step(20)
    assert not phone.heard()[160 * sent :].any()
    assert [n.state for n in notices if isinstance(n, PlayoutProgress)] == [PlayoutState.FLUSHED]


def test_flush_reports_the_last_sample_sent_and_what_never_began():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    for name in ("1", "2"):
        line.apply(Enqueue(voice, name, noise(10).tobytes(), last=True))
    line.step(12)
    sent = len(speech_in(phone.heard()))
    line.told.clear()
    line.apply(Flush(voice))
    line.step()
    assert progress(line) == [("1", sent, "flushed"), ("2", 0, "flushed")]
    assert sent == 480


def test_chunk_of_a_flushed_utterance_is_dropped_and_changes_nothing_told():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(10).tobytes(), last=False))
    line.step(8)
    line.apply(Flush(voice), Enqueue(voice, "1", noise(10).tobytes(), last=True))
    line.step(8)
    assert [state for _, _, state in progress(line)] == ["flushed"]
    assert line.plane.stats().late_chunks == 1
    assert not phone.heard()[-160:].any()


def test_next_utterance_plays_after_a_flush_at_full_level():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    speech = noise(5, seed=9)
    line.apply(Enqueue(voice, "1", noise(10).tobytes(), last=True), Duck(voice))
    line.step(12)
    line.apply(Flush(voice), Enqueue(voice, "2", speech.tobytes(), last=True))
    line.step(40)
    assert position_of(through_ulaw(speech), phone.heard()) >= 0


def test_duck_lowers_by_15_db_within_10_ms_and_keeps_playing():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    tone = np.full(160 * 20, 8000, np.int16)
    line.apply(Enqueue(voice, "1", tone.tobytes(), last=True))
    line.step(20)
    line.apply(Duck(voice))
    sent = len(phone.received())
    line.frame()
    frame = phone.heard()[160 * sent : 160 * sent + 160]
    assert frame[0] > 7000
    assert frame[80:].max() == pytest.approx(8000 * 10 ** (-15 / 20), rel=0.05)


def test_resume_continues_at_the_exact_sample():
    speech = noise(60)
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", speech.tobytes(), last=True))
    line.step(42)
    played = len(speech_in(phone.heard()))
    line.apply(Pause(voice))
    line.step(101)
    line.apply(Resume(voice))
    sent = len(phone.received())
    line.step(240)
    after = phone.heard()[160 * sent :]
    wire = through_ulaw(speech)
    assert after[80:].tolist()[: len(speech) - played - 80] == wire[played + 80 :].tolist()
    assert np.abs(after[:8]).max() < np.abs(wire[played : played + 8]).max()


def test_pause_fades_out_within_10_ms_and_is_silent_then():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", np.full(8000, 8000, np.int16).tobytes(), last=True))
    line.step(20)
    sent = len(phone.received())
    line.apply(Pause(voice))
    line.step(40)
    after = phone.heard()[160 * sent :]
    assert after[0] > 7000
    assert not after[80:].any()


def test_paused_voice_moves_no_position():
    line = Line()
    slot, _ = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(50).tobytes(), last=True))
    line.step(40)
    line.apply(Pause(voice))
    line.step(4)
    line.told.clear()
    line.step(200)
    assert progress(line) == []


def test_speech_queued_while_paused_waits():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Pause(voice), Enqueue(voice, "1", noise(10).tobytes(), last=True))
    line.step(40)
    assert not phone.heard().any()
    line.apply(Resume(voice))
    line.step(60)
    assert progress(line)[-1] == ("1", 1600, "done")


def test_gain_applies_to_a_voice():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(SetGain(voice, 0.5))
    line.apply(Enqueue(voice, "1", np.full(1600, 8000, np.int16).tobytes(), last=True))
    line.step(40)
    assert np.median(speech_in(phone.heard())) == pytest.approx(4000, rel=0.04)


def test_more_than_30_seconds_are_refused_and_the_rest_plays():
    line = Line()
    slot, _phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", bytes(2 * 8000 * 29), last=False))
    line.apply(Enqueue(voice, "2", bytes(2 * 8000 * 2), last=True))
    line.apply(Enqueue(voice, "3", bytes(2 * 4000), last=True))
    line.step()
    assert [n.utterance for n in line.of(PlayoutRefused)] == ["2"]


@pytest.mark.parametrize("chunk", [b"\0", b"RIFF" + bytes(40)])
def test_chunk_that_is_not_bare_samples_is_refused_with_a_typed_error(chunk: bytes):
    line = Line()
    voice = line.plane.add_voice(8000)
    with pytest.raises(BadAudioError):
        Enqueue(voice, "1", chunk, last=True)


def test_voice_of_another_rate_is_refused():
    with pytest.raises(ValueError, match="8000"):
        Line().plane.add_voice(44100)


def test_removed_voice_is_flushed_and_its_handle_is_stale():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot)
    line.apply(Enqueue(voice, "1", noise(50).tobytes(), last=True))
    line.step(10)
    line.apply(Remove(voice), Enqueue(voice, "2", noise(5).tobytes(), last=True))
    line.step(20)
    assert progress(line)[-1][2] == "flushed"
    assert line.plane.stats().counters.stale_commands == 1
    assert not phone.heard()[-480:].any()


def test_wide_voice_is_heard_on_a_narrow_slot():
    line = Line()
    slot, phone = line.latched()
    voice = line.voice_on(slot, 16000)
    t = np.arange(16000) / 16000
    tone = (8000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)
    line.apply(Enqueue(voice, "1", tone.tobytes(), last=True))
    line.step(120)
    heard = speech_in(phone.heard()).astype(float)[800:3200]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * 8000 / len(heard) == pytest.approx(1000, abs=10)
    assert heard.std() == pytest.approx(8000 / np.sqrt(2), rel=0.05)
