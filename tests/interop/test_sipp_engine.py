"""sipp against the bare engine, where its times can be made short: session timers, and what they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.sip.core import EngineSettings
from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.session import EndKind
from tests.fakes.sip_end import End
from tests.interop import sipp

pytestmark = pytest.mark.timeout(40)

MAX_FORWARDS = "Max-Forwards: 70\n"


@pytest.fixture
async def end() -> AsyncIterator[End]:
    made = End(engine=EngineSettings(session_expires_s=3, min_se_s=2))
    await made.transport.start()
    yield made
    await made.transport.close()


def with_timer(expires: str) -> str:
    more = f"{MAX_FORWARDS}Supported: timer\nSession-Expires: {expires}\n"
    return sipp.invite("timer").replace(MAX_FORWARDS, more)


async def run(end: End, folder: Path, steps: str) -> sipp.Sipp:
    host, port = end.transport.address
    return await asyncio.to_thread(sipp.call, None, folder, steps, to=f"{host}:{port}")


async def test_a_session_that_its_caller_does_not_refresh_is_ended(
    end: End, tmp_path: Path
) -> None:
    steps = with_timer("3;refresher=uac") + sipp.answered("timer") + sipp.hung_up_on()

    began = end.transport.now()
    result = await run(end, tmp_path, steps)
    ended = await end.next(Terminated)

    assert result.code == 0, result.log
    assert 1.5 < end.transport.now() - began < 5.0
    assert (ended.cause.kind, ended.cause.reason) == (EndKind.TIMEOUT, "session timer")


async def test_a_session_that_we_refresh_goes_on(end: End, tmp_path: Path) -> None:
    """By re-INVITE with the same SDP: this caller does not allow UPDATE."""
    refresh = (
        '<recv request="INVITE"/>\n'
        + sipp.ANSWER_200.replace(
            "[last_CSeq:]\n",
            "[last_CSeq:]\nContact: <sip:timer@[local_ip]:[local_port]>\nRequire: timer\n"
            "Session-Expires: 3;refresher=uac\nContent-Type: application/sdp\n",
        ).replace(
            "Content-Length: 0\n\n",
            "Content-Length: [len]\n\n"
            + sipp.SDP.format(
                version=1, address="[local_ip]", port="[rtpstream_audio_port]", direction="sendrecv"
            ),
        )
        + '<recv request="ACK"/>\n'
    )
    steps = with_timer("3;refresher=uas") + sipp.answered("timer") + refresh + refresh
    result = await run(end, tmp_path, steps + sipp.hang_up("timer", 2))

    assert result.code == 0, result.log
    assert (await end.next(Terminated)).cause.kind is EndKind.REMOTE


async def test_an_interval_that_is_too_small_is_named(end: End, tmp_path: Path) -> None:
    refused = with_timer("1") + sipp.maybe(100) + sipp.expect(422) + sipp.ack_refusal("timer", 1)

    result = await run(end, tmp_path, refused)

    assert result.code == 0, result.log
    assert not [event for event in _told(end) if isinstance(event, IncomingInvite)]


def _told(end: End) -> list[object]:
    found: list[object] = []
    while not end.told.empty():
        found.append(end.told.get_nowait())
    return found
