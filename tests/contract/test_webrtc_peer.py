"""Our peer against stock aiortc, over real sockets on loopback; and the private names it needs."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import SRTP_PROFILES, SRTPProtectionProfile

from telephony.rtp.errors import RtpError
from telephony.webrtc import adapter as adapter_module
from telephony.webrtc.adapter import Stage, adapter, unavailable_reason
from telephony.webrtc.certificate import SharedCertificate, current_certificate
from telephony.webrtc.errors import OfferRefusedError, WebRtcUnavailableError
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer

ALERT = bytes.fromhex("15fefd0000000000000000000702023200000000")[:20]
CLIENT_HELLO = bytes.fromhex("16fefd0000000000000000003a0100002e000000000000002efefd") + bytes(60)
JUNK = bytes(range(200, 256)) * 3


class LoopScheduler:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall_us(self) -> int:
        return time.time_ns() // 1000

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)


class Heard:
    """What the peer told us."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.states: list[PeerState] = []
        self.reasons: list[str] = []
        self.changed = asyncio.Event()

    def rtp(self, packet: bytes) -> None:
        self.packets.append(packet)
        self.changed.set()

    def state(self, state: PeerState, reason: str) -> None:
        self.states.append(state)
        self.reasons.append(reason)
        self.changed.set()

    async def until(self, condition: Callable[[], bool], seconds: float = 8.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def a_peer(**settings: Any):
    tasks: set[asyncio.Task[None]] = set()

    def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    heard = Heard()
    values = {"addresses": ("127.0.0.1",), **settings}
    peer = WebRtcPeer(
        PeerSettings(**values), LoopScheduler(), spawn, on_rtp=heard.rtp, on_state=heard.state
    )
    try:
        yield peer, heard
    finally:
        await peer.close()
        if tasks:
            await asyncio.wait(tasks, timeout=3)


@asynccontextmanager
async def a_caller(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    caller.addTrack(AudioStreamTrack())
    try:
        yield caller
    finally:
        await caller.close()


async def call(caller: RTCPeerConnection, peer: WebRtcPeer) -> None:
    await caller.setLocalDescription(await caller.createOffer())
    answer = await peer.accept(caller.localDescription.sdp)
    await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))


@pytest.fixture
def chosen_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The choice of the adapter is made anew, here and after the test."""
    adapter.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    adapter.cache_clear()


@pytest.fixture(params=["tap", "public"])
def stage(request: pytest.FixtureRequest, chosen_again: pytest.MonkeyPatch) -> Stage:
    """Both ways of media: that of the installed version, and that of a version nobody knows."""
    if request.param == "public":
        chosen_again.setattr(adapter_module, "version", lambda name: "99.0")
    return adapter().stage


async def test_an_installed_version_has_all_private_names(
    chosen_again: pytest.MonkeyPatch,
) -> None:
    assert adapter().stage is Stage.TAP
    assert unavailable_reason() is None


async def test_an_unknown_version_uses_the_public_api_with_a_warning(
    chosen_again: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chosen_again.setattr(adapter_module, "version", lambda name: "99.0")
    assert adapter().stage is Stage.PUBLIC
    assert "99.0" in adapter().reason
    assert unavailable_reason() is None
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == ["webrtc_degraded"]


async def test_without_the_guard_browser_calls_are_off(chosen_again: pytest.MonkeyPatch) -> None:
    chosen_again.setattr(adapter_module, "_missing_names", lambda: (["_check_list"], []))
    assert "_check_list" in (unavailable_reason() or "")
    with pytest.raises(WebRtcUnavailableError):
        async with a_peer():
            pass


async def test_a_stock_caller_connects_and_its_packets_arrive(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_peer() as (peer, heard), a_caller(monkeypatch) as caller:
        await call(caller, peer)
        await heard.until(lambda: len(heard.packets) >= 10)

        assert heard.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        assert {p[1] & 0x7F for p in heard.packets} == {peer.remote.payload_type}


async def test_what_we_send_is_heard_by_a_stock_caller(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_peer() as (peer, heard), a_caller(monkeypatch) as caller:
        await call(caller, peer)
        await heard.until(lambda: peer.state is PeerState.CONNECTED)
        number = peer.remote.payload_type
        for n in range(8):
            header = struct.pack("!BBHII", 0x80, number, 1000 + n, 960 * n, 77)
            assert peer.send_rtp(header + b"\xfc\xff\xfe")  # an Opus frame of silence
        track = caller.getReceivers()[0].track
        async with asyncio.timeout(5):
            frame = await track.recv()

        assert frame.samples == 960


async def test_two_of_our_own_peers_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_peer() as (one, heard_one), a_peer() as (two, heard_two):
        one.take_answer(await two.accept(await one.offer()))
        await heard_one.until(lambda: one.state is PeerState.CONNECTED)
        await heard_two.until(lambda: two.state is PeerState.CONNECTED)
        one.send_rtp(struct.pack("!BBHII", 0x80, 111, 1, 960, 5) + b"hello")
        await heard_two.until(lambda: bool(heard_two.packets))

        assert heard_two.packets[0].endswith(b"hello")


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda p: p.openssl_profile.decode())
async def test_both_sides_hear_each_other_under_each_srtp_profile(
    profile: SRTPProtectionProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiortc.rtcdtlstransport.SRTP_PROFILES", [profile])
    certificate = SharedCertificate.generateCertificate()
    monkeypatch.setattr("telephony.webrtc.peer.current_certificate", lambda now: certificate)
    async with a_peer() as (peer, heard), a_caller(monkeypatch) as caller:
        await call(caller, peer)
        await heard.until(lambda: len(heard.packets) >= 5)
        for n in range(8):
            header = struct.pack("!BBHII", 0x80, peer.remote.payload_type, 1000 + n, 960 * n, 77)
            assert peer.send_rtp(header + b"\xfc\xff\xfe")
        track = caller.getReceivers()[0].track
        async with asyncio.timeout(5):
            frame = await track.recv()

        assert frame.samples == 960
        assert "unprotect_failed" not in peer.dropped()


async def test_all_connections_of_a_day_share_one_context() -> None:
    first, second = current_certificate(10.0), current_certificate(20.0)

    assert first is second
    assert first._create_ssl_context(SRTP_PROFILES) is second._create_ssl_context(SRTP_PROFILES)
    assert current_certificate(10.0 + 25 * 3600) is not first


async def test_a_caller_that_closes_is_told_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_peer() as (peer, heard):
        async with a_caller(monkeypatch) as caller:
            await call(caller, peer)
            await heard.until(lambda: peer.state is PeerState.CONNECTED)
        await heard.until(lambda: peer.state is PeerState.CLOSED)

    assert heard.states.count(PeerState.CLOSED) == 1


async def test_a_caller_that_falls_silent_is_disconnected_and_may_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_peer(silence=0.4) as (one, heard), a_peer() as (two, heard_two):
        two.take_answer(await one.accept(await two.offer()))
        await heard.until(lambda: one.state is PeerState.CONNECTED)
        await heard_two.until(lambda: two.state is PeerState.CONNECTED)
        await heard.until(lambda: one.state is PeerState.DISCONNECTED)
        two.send_rtp(struct.pack("!BBHII", 0x80, 111, 1, 960, 5) + b"again")
        await heard.until(lambda: one.state is PeerState.CONNECTED)


async def test_a_call_that_never_connects_frees_everything() -> None:
    async with a_peer(connect_timeout=0.3) as (peer, heard), a_peer() as (absent, _):
        await peer.accept(await absent.offer())
        await heard.until(lambda: peer.state is PeerState.CLOSED)

        assert heard.reasons[-1] == "not connected in time"
        assert not peer.send_rtp(bytes(20))


@pytest.mark.parametrize("error", [KeyError(b"SRTP_NULL"), RtpError("srtp")], ids=["key", "rtp"])
async def test_a_call_without_usable_keys_ends_at_once_and_says_why(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_keys(dtls: object) -> None:
        raise error

    async with a_peer() as (peer, heard), a_caller(monkeypatch) as caller:
        monkeypatch.setattr("telephony.webrtc.media_path.agreed_keys", no_keys)
        await call(caller, peer)
        await heard.until(lambda: peer.state is PeerState.CLOSED, seconds=5)

    assert heard.states == [PeerState.CONNECTING, PeerState.CLOSED]
    assert heard.reasons[-1] == "no usable keys for the audio"


@pytest.mark.parametrize(
    "datagram", [ALERT, CLIENT_HELLO, JUNK, b""], ids=["alert", "hello", "junk", "empty"]
)
async def test_strangers_cannot_stop_a_call_from_connecting(
    datagram: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_peer() as (peer, heard), a_caller(monkeypatch) as caller:
        await caller.setLocalDescription(await caller.createOffer())
        answer = await peer.accept(caller.localDescription.sdp)
        port = int(answer.split("a=candidate:")[1].split()[5])
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.setblocking(False)
        loop = asyncio.get_running_loop()

        spraying = True

        def spray() -> None:
            if spraying:
                stranger.sendto(datagram, ("127.0.0.1", port))
                loop.call_later(0.002, spray)

        spray()
        try:
            await asyncio.sleep(0.05)
            await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await heard.until(lambda: len(heard.packets) >= 25)
        finally:
            spraying = False
            await asyncio.sleep(0.01)
            stranger.close()

        assert peer.state is PeerState.CONNECTED
        assert sum(peer.dropped().values()) > 20


async def test_a_data_channel_is_refused() -> None:
    async with a_peer() as (peer, _), a_peer() as (other, _):
        sdp = await other.offer() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        with pytest.raises(OfferRefusedError):
            await peer.accept(sdp)


async def test_a_stock_caller_gives_us_the_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_peer(report_interval=0.2) as (peer, heard), a_caller(monkeypatch) as caller:
        await call(caller, peer)
        await heard.until(lambda: peer.state is PeerState.CONNECTED)
        sequence = 0
        async with asyncio.timeout(8):
            while peer.round_trip is None:
                header = struct.pack(
                    "!BBHII", 0x80, peer.remote.payload_type, sequence, 960 * sequence, 7
                )
                peer.send_rtp(header + b"\xfc\xff\xfe")
                sequence += 1
                await asyncio.sleep(0.02)

        assert peer.round_trip < 1.0
        assert peer.remote_loss is not None
