from __future__ import annotations

import numpy as np
import pytest

from telephony.media.parameters import RtpParameters
from telephony.media.ports import Arrivals, FrameBatch
from telephony.rtp.packet import RtpPacket, build_packet
from telephony.rtp.rtcp import Report, build_compound
from tests.unit.media_line import (
    STRANGER,
    Line,
    Phone,
    noise,
    silence,
    through_ulaw,
)


def test_garbage_is_counted_and_disturbs_nothing():
    line = Line()
    slot, phone = line.latched()
    rng = np.random.default_rng(3)
    for frame in noise(30).reshape(-1, 160):
        for _ in range(10):
            size = int(rng.integers(0, 1800))
            phone.send_raw(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        phone.send(frame)
        line.frame()
    assert line.tap.of(slot)[-160 * 30 :].tolist() == through_ulaw(noise(30)).tolist()
    counters = line.plane.stats().counters
    assert counters.malformed["version"] > 0
    assert counters.truncated > 0
    assert counters.handler_errors == 0


def test_garbage_flood_is_cut_off_at_200_rows_per_port():
    line = Line()
    slot, phone = line.latched()
    for _ in range(1000):
        phone.send_raw(b"\x80\x00garbage!")
    phone.send(noise(1))
    line.step()
    assert line.plane.stats().counters.over_limit == 800
    assert line.tap.of(slot)[-160:].tolist() == through_ulaw(noise(1)).tolist()


def test_datagrams_beyond_the_batch_wait_for_the_next_sub_tick():
    line = Line()
    slot, phone = line.latched()
    stranger = Phone(line.datagrams, phone.port, STRANGER)
    for _ in range(Arrivals(4096).rows):
        stranger.send()
    phone.send(noise(1))
    line.step(2)
    assert line.tap.of(slot)[-160:].any()


def test_malformed_report_is_dropped_whole():
    line = Line()
    _, phone = line.latched()
    good = build_compound(Report(phone.ssrc), "peer")
    phone.send_raw(good + b"\x80\xc8\xff\xff")
    line.frame()
    assert line.plane.stats().counters.malformed["rtcp"] == 1


def test_failing_handler_drops_the_packet_and_the_plane_goes_on(monkeypatch: pytest.MonkeyPatch):
    line = Line()
    slot, phone = line.latched()
    monkeypatch.setattr("telephony.media.legs.parse_packet", lambda data: 1 / 0)
    monkeypatch.setattr("telephony.media.receiver.parse_packet", lambda data: 1 / 0)
    phone.send_raw(b"\x90" + build_packet(RtpPacket(0, 1, 1, 1, b"x"))[1:])
    line.talk(phone, noise(2))
    assert line.plane.stats().counters.handler_errors == 1
    assert line.tap.of(slot)[-160:].any()


def test_flood_on_every_port_is_cut_off_at_600_rows_of_all_ports():
    ports = tuple(range(10000, 10016, 2))
    line = Line(ports=ports)
    for number in range(len(ports)):
        line.call(RtpParameters(("10.0.0.1", 4000 + number)))
    for port in ports:
        for _ in range(300):
            line.datagrams.arrive(b"\x80\x00garbage!", STRANGER, port)
    line.step()
    counters = line.plane.stats().counters
    assert counters.over_limit == 300 * 8 - 600
    assert counters.malformed["short"] == 600


def test_failing_tap_loses_its_frames_and_ends_nothing(caplog: pytest.LogCaptureFixture):
    line = Line()
    slot, phone = line.latched()
    heard = len(line.tap.of(slot))

    def fail(batch: FrameBatch) -> None:
        raise BlockingIOError

    works, line.tap.frames = line.tap.frames, fail  # type: ignore[method-assign]
    with caplog.at_level("CRITICAL"):
        line.talk(phone, silence(3))
    line.tap.frames = works  # type: ignore[method-assign]
    line.talk(phone, silence(3))
    assert line.plane.stats().counters.handler_errors == 3
    assert len(line.tap.of(slot)) == heard + 3 * 160


def test_what_the_network_does_not_take_is_counted_apart():
    line = Line()
    line.latched()
    counters = line.plane.stats().counters
    sent = counters.sent
    line.datagrams.refusing = True
    line.step(40)
    assert (counters.sent, counters.unsent) == (sent, 10)
