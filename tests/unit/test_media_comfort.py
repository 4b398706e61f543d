"""Senders that are silent on purpose (RFC 3389): noise is heard, nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from telephony.media.commands import Route
from telephony.media.notices import Gap
from telephony.media.parameters import RtpParameters
from tests.unit.media_line import PHONE, Line, Phone, noise, silence, through_ulaw, voiced
from tests.unit.test_media_packet_slots import Browser


def fall_silent(phone: Phone, level: int = 40, payload_type: int = 13) -> None:
    phone.send_packet(phone.packet(bytes([level]), payload_type=payload_type, samples=0))


def listened_to(line: Line) -> tuple[Phone, Browser]:
    """A phone that a supervisor hears."""
    slot, phone = line.latched()
    desk = Browser(line)
    line.apply(Route(desk.slot, ((slot, 1.0),)))
    line.talk(phone, voiced(20))
    return phone, desk


@pytest.mark.parametrize("payload_type", [13, 98])
def test_noise_of_the_senders_level_is_heard_while_it_is_silent(payload_type: int):
    line = Line()
    slot, phone = line.call(replace(RtpParameters(PHONE), comfort_noise_payload_type=98))
    desk = Browser(line)
    line.apply(Route(desk.slot, ((slot, 1.0),)))
    line.talk(phone, voiced(20))
    fall_silent(phone, 40, payload_type)
    line.step(4 * 40)
    heard = desk.heard()[-320 * 30 :].astype(float)
    level = 20 * np.log10(heard.std() / 32768)
    assert -48 < level < -38  # half of a white band is cut off between 8 and 16 kHz
    assert heard.reshape(-1, 320).std(axis=1).min() > 50


def test_silence_on_purpose_is_no_loss_and_what_follows_is_heard_at_once():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, voiced(20))
    fall_silent(phone)
    before = len(line.tap.of(slot))
    line.step(4 * 100)
    phone.timestamp += 160 * 100
    line.talk(phone, noise(10))
    assert line.tap.of(slot)[before:].tolist() == through_ulaw(noise(10)).tolist()
    assert line.tap.numbers(slot)[-10:] == list(range(123, 133))
    assert line.of(Gap) == []
    assert line.plane._engine.stream_playback.concealed.sum() == 0


def test_a_loss_after_the_silence_is_concealed_again():
    line = Line()
    phone, desk = listened_to(line)
    fall_silent(phone, 127)
    line.step(4 * 50)
    phone.timestamp += 160 * 50
    line.talk(phone, voiced(20))
    desk.packets.clear()
    phone.lose()
    line.frame()
    line.talk(phone, voiced(5))
    assert np.abs(desk.heard().reshape(-1, 320)[1:].astype(float)).std(axis=1).min() > 300


def test_without_a_level_it_is_silent():
    line = Line()
    phone, desk = listened_to(line)
    phone.send_packet(phone.packet(b"", payload_type=13, samples=0))
    line.step(4 * 40)
    assert np.abs(desk.heard()[-320 * 10 :]).max() < 30


def test_a_sender_that_only_pauses_is_no_loss_either():
    line = Line()
    slot, phone = line.latched()
    line.talk(phone, silence(10))
    line.step(4 * 50)
    phone.timestamp += 160 * 50
    line.talk(phone, noise(10))
    assert line.tap.of(slot)[-1600:].tolist() == through_ulaw(noise(10)).tolist()
    assert line.of(Gap) == []
