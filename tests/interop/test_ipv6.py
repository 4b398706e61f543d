"""Calls over IPv6 by other people's programs: signalling and audio at ::1, both ways."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop import sipp
from tests.interop.baresip import baresip
from tests.interop.test_baresip_call import padded
from tests.interop.tones import loud_seconds
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(120)

LOOPBACK = "::1"


@pytest.fixture
def user() -> str:
    return f"sipp{secrets.token_hex(3)}"


def v6(product: RunningProduct) -> str:
    return f"[{LOOPBACK}]:{product.configuration.sip.port}"


def in_v6(steps: str) -> str:
    """The steps with SDP of IPv6: sipp writes `[local_ip]` with brackets, `[media_ip]` without."""
    return steps.replace("IN IP4 [local_ip]", "IN IP6 [media_ip]")


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_sipp_at_ipv6_speaks_and_is_understood_and_answered(
    product: RunningProduct, tmp_path: Path, user: str, transport: str
) -> None:
    speech = sipp.ulaw(spoken_wav("what are your opening hours"), tmp_path)
    steps = in_v6(
        sipp.invite(user)
        + sipp.answered(user)
        + sipp.pause(9)
        + sipp.speak(speech)
        + sipp.pause(12)
        + sipp.hang_up(user, 2)
    )
    running = sipp.start_sipp(
        product, tmp_path, steps, to=v6(product), at=LOOPBACK, options=("-m", "1", "-t", transport)
    )
    result = running.wait(70)
    assert result.code == 0, result.log

    call = product.newest_call(caller=user)
    assert "opening hours" in product.said(call, "caller")
    assert "nine" in product.said(call, "agent")
    kinds = [event["kind"] for event in product.events(call)]
    assert kinds.index("LegConnected") < kinds.index("CallEnded")


def test_a_softphone_at_ipv6_hears_the_agent_and_is_understood(
    product: RunningProduct, tmp_path: Path
) -> None:
    source = padded(spoken_wav("what are your opening hours"), tmp_path, 9.0, 30.0)
    with baresip(tmp_path, source, at=LOOPBACK) as phone:
        phone.command("dial", f"sip:demo@{v6(product)}")
        phone.until("CALL_ESTABLISHED")
        phone.listen(20.0)
        phone.command("hangup")
        phone.until("CALL_CLOSED")

    assert loud_seconds(read_wav(phone.recording(), 8000)) >= 5
    call = product.newest_call(caller="bob")
    assert "opening" in product.said(call, "caller")
