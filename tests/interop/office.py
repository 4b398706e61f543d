"""An office: trunks, phones and routes of one product, and parties whose voice is a tone.

Each trunk has an address of its own on this machine, so that the product tells them apart as it would in the world.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from telephony.media import g711
from tests.interop import sipp
from tests.interop.baresip import Baresip, baresip
from tests.interop.phones import PASSWORD
from tests.interop.tones import pitch, tone_wav
from tests.ports import free_ports
from tests.running_product import RunningProduct, running_product
from voiceapp.try_call.audio import Samples

CARRIER, ASKED, LOCKED, NARROW, PAIR = (f"127.0.0.{host}" for host in range(2, 7))
"""A carrier; one that makes transfers itself; one that asks for a password; one with a single place; one with two hosts."""
CALLER_HZ, TARGET_HZ, THIRD_HZ = 700, 440, 1100
_FRAME: Final = 160
_NEAR_HZ: Final = 8.0
_EVENTS: Final = 101
_KEYS: Final = "0123456789*#"

_SET_UP: Final = """
from agents.services import publish_snapshot
from telephony.models import (
    ApiToken, CallerId, Destination, DialRight, Extension, Number, Queue, QueueMember, Route, Trunk
)
from telephony.services import new_token, set_extension_password

def trunk(name, hosts, allowed, **more):
    made = Trunk.objects.create(name=name, hosts=hosts, ping_s=0, max_cps=None, **more)
    for prefix in allowed:
        Destination.objects.create(trunk=made, prefix=prefix)
    return made

def person(number, extension, **more):
    dialled, _ = Number.objects.get_or_create(dialled=number)
    Route.objects.create(number=dialled, target="person", extension=extension, **more)

carrier = trunk("carrier", {carrier!r}, ["+49"], allow_refer_in=True, number_format="plain", trusted=True)
CallerId.objects.create(trunk=carrier, number="+4930999", position=1)
CallerId.objects.create(trunk=carrier, number="+4930998", position=2)
trunk("asked", {asked!r}, ["+44"], send_refer=True)
trunk("locked", {locked!r}, ["+33"], username="shop", password={password!r})
trunk("narrow", {narrow!r}, [], max_calls=1)
trunk("pair", {pair!r}, ["+43"])
phones = {{}}
for name in ("200", "201", "202", "203"):
    phones[name] = Extension(name=name, label=name, codecs=["PCMU"])
    set_extension_password(phones[name], {password!r})
    phones[name].save()
person("+4930200", phones["200"], ring_s=10)
person("+4930201", phones["201"], ring_s=5, overflow_agent="receptionist")
queue = Queue.objects.create(name="sales", ring_s=5, overflow_agent="receptionist")
for place, name in enumerate(("203", "202")):
    QueueMember.objects.create(queue=queue, extension=phones[name], position=place)
sales, _ = Number.objects.get_or_create(dialled="+4930300")
Route.objects.create(number=sales, target="queue", queue=queue)
forwarded, _ = Number.objects.get_or_create(dialled="+4930400")
Route.objects.create(number=forwarded, target="forward", forward_trunk=carrier, forward_number="+4930123456")
DialRight.objects.create(agent="receptionist")
token = ApiToken(label="shop", may_dial=True, agents=["receptionist"])
print(new_token(token))
token.save()
done = publish_snapshot()
assert not done.refusals, done.refusals
print(done.revision)
"""


class ToneParty:
    """Hears, and answers whoever sends to it with a steady tone: the audio of one phone (PCMU)."""

    def __init__(self, hz: int, at: str = "127.0.0.1") -> None:
        self.at = at
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((at, 0))
        self._socket.settimeout(0.005)
        self.port = int(self._socket.getsockname()[1])
        samples = 8000 * np.sin(2 * np.pi * hz * np.arange(8000) / 8000)
        self._tone = g711.encode(samples.astype(np.int16), 0).tobytes()
        self._heard = bytearray()
        self._codes: dict[bytes, int] = {}
        self._pressed: list[tuple[int, bytes]] = []
        self._sequence = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(2)
        self._socket.close()

    def heard(self) -> Samples:
        """All audio so far, as it arrived."""
        octets = np.frombuffer(bytes(self._heard), np.uint8)[: len(self._heard) // _FRAME * _FRAME]
        frames = octets.reshape(-1, _FRAME)
        return g711.decode(frames, np.zeros(len(frames), np.int64)).reshape(-1)

    def hears(self, hz: int) -> bool:
        """Is this tone what arrives now?"""
        newest = self.heard()[-4000:]
        loud = len(newest) == 4000 and float(np.abs(newest.astype(float)).mean()) > 500
        return loud and abs(pitch(newest) - hz) < _NEAR_HZ

    def hears_voice(self) -> bool:
        """Has anybody spoken for half a second?"""
        samples = self.heard().astype(float)
        frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
        return int((np.abs(frames).mean(axis=1) > 300).sum()) >= 25

    def press(self, key: str) -> None:
        """By RFC 4733, in place of the next packets: five, and the end three times."""
        code, began = _KEYS.index(key), self._sequence + 1
        for step in range(1, 9):
            end, duration = 0x80 * (step > 5), (min(step, 6) * _FRAME).to_bytes(2, "big")
            self._pressed.append((began, bytes((code, end | 10)) + duration))

    def keys(self) -> str:
        """Those that arrived as RFC 4733 events."""
        return "".join(_KEYS[code] for code in self._codes.values())

    def _run(self) -> None:
        peer: Any = None
        due = time.monotonic()
        while not self._over.is_set():
            try:
                data, peer = self._socket.recvfrom(2048)
                self._take(data)
            except TimeoutError:
                pass
            now = time.monotonic()
            if peer is None:
                due = now
            elif now >= due:
                due += 0.02
                self._sequence += 1
                self._send(self._sequence, peer)

    def _take(self, data: bytes) -> None:
        kind = data[1] & 0x7F if len(data) > 12 else -1
        if kind == 0:
            self._heard += data[12:]
        elif kind == _EVENTS:
            self._codes[data[4:8]] = data[12]  # one key has one timestamp

    def _send(self, sequence: int, peer: Any) -> None:
        stamp = sequence * _FRAME
        kind, payload = 0, self._tone[stamp % 8000 :][:_FRAME]
        if self._pressed:
            began, payload = self._pressed.pop(0)
            kind, stamp = _EVENTS, began * _FRAME
        numbers = (sequence & 0xFFFF).to_bytes(2, "big") + (stamp & 0xFFFFFFFF).to_bytes(4, "big")
        self._socket.sendto(bytes((0x80, kind)) + numbers + b"tone" + payload, peer)


class Office:
    """The product with its trunks: ports of their hosts. `token`: of the API."""

    def __init__(self, product: RunningProduct, ports: tuple[int, ...], token: str) -> None:
        self.product = product
        self.carrier, self.asked, self.locked, self.narrow = ports[:4]
        self.pair = ports[4:]
        self.token = token

    def row(self, call: str) -> dict[str, Any]:
        return next(row for row in self.product.rows() if row["id"] == call)

    def call_of(self, caller: str) -> str:
        """Id of the call of this caller, as soon as there is one."""
        self.product.until(
            lambda: any(row["caller"] == caller for row in self.product.rows()), what="the call"
        )
        return self.product.newest_call(caller=caller)

    def facts(self, call: str, kind: str) -> list[dict[str, Any]]:
        """Events of a kind, in their order."""
        return [e["event"] for e in self.product.events(call) if e["kind"] == kind]

    def until_fact(self, call: str, kind: str, seconds: float = 15.0, **values: Any) -> None:
        """Waits for an event with these values."""

        def is_there() -> bool:
            return any(
                all(fact.get(k) == v for k, v in values.items()) for fact in self.facts(call, kind)
            )

        self.product.until(is_there, seconds, f"{kind} {values}")

    def end(self, call: str) -> None:
        self.product.ask("desk.end", call=call, who="test", id=f"end-{call}")

    def connected(self, extension: str) -> int:
        health = self.product.ask("node.health")["health"]
        return int(health["extensions"][extension]["connected"])

    def until_connected(self, extension: str, phones: int = 1) -> None:
        self.product.until(
            lambda: self.connected(extension) == phones, 10.0, f"{extension} is registered"
        )

    @contextmanager
    def phone(
        self, folder: Path, extension: str, hz: int, *, answers: str = "auto"
    ) -> Iterator[Baresip]:
        """baresip as a registered phone of ours that plays a tone; signed off afterwards."""
        folder.mkdir(exist_ok=True)
        tone = tone_wav(folder / "tone.wav", hz, 30.0)
        account = (
            f"<sip:{extension}@{self.product.configuration.sip};transport=udp>;auth_user={extension};"
            f"auth_pass={PASSWORD};regint=60;answermode={answers};audio_codecs=PCMU/8000/1;ptime=20"
        )
        with baresip(folder, tone, account) as phone:
            self.until_connected(extension)
            yield phone
        self.until_connected(extension, 0)

    @contextmanager
    def party(
        self, folder: Path, steps: str, *, at: str, port: int | None = None, options: Any = ()
    ) -> Iterator[sipp.RunningSipp]:
        """sipp with these steps, for as long as the block lasts."""
        folder.mkdir(exist_ok=True)
        running = sipp.start_sipp(
            self.product, folder, steps, at=at, port=port, options=("-m", "1", *options)
        )
        try:
            self.product.until(lambda: is_taken(at, running.port), 5.0, "sipp listens")
            yield running
        finally:
            running.stop()


@contextmanager
def open_office(folder: Path, **settings: str) -> Iterator[Office]:
    """The product with the office's trunks and phones, published as the admin does."""
    ports = tuple(free_ports(6))
    hosts = {
        "carrier": [f"{CARRIER}:{ports[0]}"],
        "asked": [f"{ASKED}:{ports[1]}"],
        "locked": [f"{LOCKED}:{ports[2]}"],
        "narrow": [f"{NARROW}:{ports[3]}"],
        "pair": [f"{PAIR}:{port}" for port in ports[4:]],
    }
    ours = {"VOICEAPP_REGISTRAR": "1", "VOICEAPP_SIP_DIGEST": "MD5"}
    ours |= {"VOICEAPP_WEBRTC_ADDRESSES": "127.0.0.1", **settings}
    with running_product(folder, **ours) as product:
        printed = product.administer(_SET_UP.format(**hosts, password=PASSWORD)).split()
        token, revision = printed[-2], int(printed[-1])
        until_published(product, revision)
        yield Office(product, ports, token)


def is_taken(host: str, port: int) -> bool:
    """Does anybody listen at this UDP port?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, port))
        except OSError:
            return True
    return False


def until_published(product: RunningProduct, revision: int) -> None:
    product.until(
        lambda: product.ask("node.health")["health"]["revision"] == revision, 10.0, "the snapshot"
    )


# ------------------------------------------------------------------------------------------------ steps of a callee


def reply(status: int, reason: str, sdp: str = "", more: str = "") -> str:
    """A response to the request before it, in a dialog that is still to be."""
    body = (
        f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}"
        if sdp
        else "Content-Length: 0\n\n"
    )
    return (
        f"<send><![CDATA[\nSIP/2.0 {status} {reason}\n[last_Via:]\n[last_From:]\n"
        "[last_To:];tag=callee[pid][call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"
        f"Contact: <sip:callee@[local_ip]:[local_port]>\n{more}{body}]]></send>\n"
    )


def sdp_of(party: ToneParty) -> str:
    return sipp.SDP.format(version=1, address="[local_ip]", port=party.port, direction="sendrecv")


def invited(*checks: str) -> str:
    """The INVITE; `checks`: patterns that the whole of it must have."""
    actions = "".join(
        f'<ereg regexp="{check}" search_in="msg" check_it="true" assign_to="seen{i}"/>'
        for i, check in enumerate(checks)
    )
    names = ",".join(("us", "them", *(f"seen{i}" for i in range(len(checks)))))
    return (
        f'<recv request="INVITE" rrs="true"><action>{actions}'
        '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="them"/>'
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="us"/>'
        f'</action></recv>\n<Reference variables="{names}"/>\n'
    )


def answers(party: ToneParty) -> str:
    """180, 200 with the party's SDP, ACK."""
    return reply(180, "Ringing") + reply(200, "OK", sdp_of(party)) + acked()


def acked() -> str:
    return '<recv request="ACK"/>\n'


def cancelled() -> str:
    """What a phone does whose ringing ends."""
    gone = reply(487, "Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE")
    return f'<recv request="CANCEL"/>\n{sipp.ANSWER_200}{gone}{acked()}'


def hangs_up_as_callee() -> str:
    """BYE by the side that was called: From and To the other way round than in the INVITE."""
    return """<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$us];tag=callee[pid][call_number]
To:[$them]
Call-ID: [call_id]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
"""
