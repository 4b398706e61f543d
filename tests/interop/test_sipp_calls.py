"""Calls by sipp through the running product."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop import sipp
from tests.running_product import RunningProduct

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def user() -> str:
    return f"sipp{secrets.token_hex(3)}"


def kinds(product: RunningProduct, call: str) -> list[str]:
    return [event["kind"] for event in product.events(call)]


def test_recorded_speech_is_understood_and_answered(
    product: RunningProduct, tmp_path: Path, user: str
) -> None:
    speech = sipp.ulaw(spoken_wav("what are your opening hours"), tmp_path)
    steps = (
        sipp.invite(user)
        + sipp.answered(user)
        + sipp.pause(9)
        + sipp.speak(speech)
        + sipp.pause(12)
        + sipp.hang_up(user, 2)
    )
    result = sipp.call(product, tmp_path, steps)
    assert result.code == 0, result.log

    call = product.newest_call(caller=user)
    assert "opening hours" in product.said(call, "caller")
    assert "harbour dental" in product.said(call, "agent")
    assert "nine" in product.said(call, "agent")
    row = next(row for row in product.rows() if row["id"] == call)
    assert row["end_cause"] == "caller_hung_up"


def test_an_unknown_number_is_404(product: RunningProduct, tmp_path: Path, user: str) -> None:
    steps = sipp.invite(user).replace("sip:demo@", "sip:nobody@")
    steps += sipp.maybe(100) + sipp.expect(404) + sipp.ack_refusal(user, 1)
    assert sipp.call(product, tmp_path, steps).code == 0


def test_hold_and_a_changed_address_are_followed(
    product: RunningProduct, tmp_path: Path, user: str
) -> None:
    def change(cseq: int, direction: str, port: str) -> str:
        sdp = sipp.SDP.format(version=cseq, address="[local_ip]", port=port, direction=direction)
        sent = sipp.send("INVITE", cseq, user, sdp)
        return sent + sipp.maybe(100) + sipp.expect(200) + sipp.send("ACK", cseq, user)

    steps = (
        sipp.invite(user)
        + sipp.answered(user)
        + sipp.pause(1)
        + change(2, "sendonly", "[rtpstream_audio_port]")
        + sipp.pause(1)
        + change(3, "sendrecv", "[rtpstream_audio_port+2]")
        + sipp.pause(1)
        + sipp.hang_up(user, 4)
    )
    result = sipp.call(product, tmp_path, steps)
    assert result.code == 0, result.log

    found = kinds(product, product.newest_call(caller=user))
    assert found.index("CallHeld") < found.index("CallResumed") < found.index("CallEnded")


def test_an_empty_invite_gets_our_offer(product: RunningProduct, tmp_path: Path, user: str) -> None:
    sdp = sipp.SDP.format(
        version=1, address="[local_ip]", port="[rtpstream_audio_port]", direction="sendrecv"
    )
    steps = (
        sipp.send("INVITE", 1, user, to_tag=False)
        + sipp.maybe(100)
        + sipp.expect(200, routes=True)
        + sipp.send("ACK", 1, user, sdp)
        + sipp.pause(2)
        + sipp.hang_up(user, 2)
    )
    result = sipp.call(product, tmp_path, steps)
    assert result.code == 0, result.log
    assert "LegConnected" in kinds(product, product.newest_call(caller=user))


def test_an_offer_without_a_known_codec_is_488(
    product: RunningProduct, tmp_path: Path, user: str
) -> None:
    steps = (
        sipp.invite(user)
        .replace("RTP/AVP 0 101", "RTP/AVP 18")
        .replace("PCMU/8000", "G729/8000")
        .replace("a=rtpmap:0", "a=rtpmap:18")
    )
    steps += sipp.maybe(100) + sipp.expect(488) + sipp.ack_refusal(user, 1)
    assert sipp.call(product, tmp_path, steps).code == 0


def test_a_cancel_that_comes_too_late_does_not_end_the_call(
    product: RunningProduct, tmp_path: Path, user: str
) -> None:
    """The node answers at once, so CANCEL and 200 cross (RFC 3261 9.2): the call goes on until BYE."""
    cancel = sipp.send("CANCEL", 1, user, to_tag=False).replace("[branch]", "[branch-3]")
    steps = (
        sipp.invite(user)
        + sipp.maybe(100)
        + sipp.expect(200, routes=True)
        + cancel
        + '<recv response="200" />\n'
        + sipp.send("ACK", 1, user)
        + sipp.pause(1)
        + sipp.hang_up(user, 2)
    )
    result = sipp.call(product, tmp_path, steps)
    assert result.code == 0, result.log

    row = next(row for row in product.rows() if row["caller"] == user)
    assert row["end_cause"] == "caller_hung_up"
    product.until(
        lambda: product.ask("node.health")["health"]["calls"] == 0, 10.0, "no call is left"
    )


def test_captured_keys_and_speech_arrive(
    product: RunningProduct, tmp_path: Path, user: str
) -> None:
    """Packets of captures that come with sipp: RFC 4733 events, and A-law speech in packets of 30 ms."""
    invite = sipp.invite(user, "[media_port]").replace("RTP/AVP 0 101", "RTP/AVP 8 101")
    invite = invite.replace("a=rtpmap:0 PCMU", "a=rtpmap:8 PCMA")
    steps = (
        invite
        + sipp.answered(user)
        + sipp.play("g711a")
        + sipp.pause(2.5)
        + sipp.play("dtmf_2833_1")
        + sipp.pause(0.5)
        + sipp.play("dtmf_2833_pound")
        + sipp.pause(1.0)
        + sipp.hang_up(user, 2)
    )
    result = sipp.call(product, tmp_path, steps)
    assert result.code == 0, result.log

    events = product.events(product.newest_call(caller=user))
    assert [e["event"]["digit"] for e in events if e["kind"] == "DigitReceived"] == ["1", "#"]
    connected = next(e["event"] for e in events if e["kind"] == "LegConnected")
    assert connected["codec"] == "PCMA"
    assert "AudioGarbled" not in [e["kind"] for e in events]
