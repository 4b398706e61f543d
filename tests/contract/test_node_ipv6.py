"""A media node on real sockets, called over IPv6: SIP, SDP and RTP of one call, both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telephony.call.events import CallEnded, LegConnected
from tests.contract.test_media_node import until
from tests.fakes.node import RunningNode, running_node
from tests.fakes.tone_agent import tone
from voiceapp.try_call.audio import speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import CallFailedError, PhoneLine

pytestmark = pytest.mark.timeout(60)


def pitch(pcm: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(pcm.astype(float) * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * 8000 / len(pcm))


def heard(node: RunningNode) -> np.ndarray:
    """What the brain's side got of all calls."""
    return np.concatenate([batch.pcm.ravel() for batch in node.ears.batches])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_at_ipv6_hears_the_agents_tone_and_its_own_is_heard(
    tmp_path: Path, transport: str
) -> None:
    spoken = speech(np.frombuffer(tone(600, 1.0, 8000), np.int16), 8000)
    async with running_node(tmp_path, {"seconds": 0.5}) as node:
        caller = Caller([spoken], 8000, quiet_s=0.2)
        await PhoneLine(f"{node.uri_v6};transport={transport}", caller, user="ann").hold()
        await until(lambda: not len(node.node._registry))

        kinds = [type(record.event) for record in node.agents[0].records]
        assert LegConnected in kinds
        assert CallEnded in kinds
        pcm = caller.recording.samples()
        loud = pcm[np.abs(pcm.astype(int)) > 0]
        assert pitch(loud[:3200]) == pytest.approx(440, abs=10)
        ears = heard(node)
        loudest = np.argmax(np.convolve(np.abs(ears.astype(float)), np.ones(3200), "valid"))
        assert pitch(ears[loudest : loudest + 3200]) == pytest.approx(600, abs=10)
        assert node.node._plane.stats().rtp_slots == 0


async def test_phones_of_both_families_are_served_at_once(tmp_path: Path) -> None:
    async with running_node(tmp_path, {"seconds": 0.3}) as node:
        for uri, user in ((node.uri, "four"), (node.uri_v6, "six")):
            caller = Caller([], 8000, quiet_s=0.2)
            await PhoneLine(uri, caller, user=user).hold()
            assert caller.measured.first_audio_ms is not None
        await until(lambda: not len(node.node._registry))
        rows = (await node.ask("calls.rows"))["rows"]
        assert {row["caller"] for row in rows} == {"four", "six"}


async def test_with_ipv6_off_nothing_answers_there(tmp_path: Path) -> None:
    async with running_node(tmp_path, {"seconds": 0.3}, VOICEAPP_IPV6="off") as node:
        with pytest.raises((CallFailedError, OSError)):
            await PhoneLine(f"{node.uri_v6};transport=tcp", Caller([], 8000), user="six").hold()
