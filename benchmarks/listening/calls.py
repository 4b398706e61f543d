"""The process that calls: phone and browser lines to a running product, at real-time priority if the system lets it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from agents.conversation.flow import parse_definition
from agents.conversation.understanding import completeness
from benchmarks.listening import figures
from benchmarks.listening.probe import Probe, Task, cut_to_voice
from telephony.call.timers import LoopScheduler
from telephony.media.opus import OpusCodec
from telephony.rtp.packet import RtpPacket, build_packet
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer
from tests.fakes.speech_audio import spoken_wav
from voiceapp.adapters.bus_client import BusClient
from voiceapp.configuration import REPOSITORY, Configuration, load
from voiceapp.try_call import browser, phone
from voiceapp.try_call.audio import LOUD, read_wav
from voiceapp.try_call.browser import BrowserLine
from voiceapp.try_call.phone import CallFailedError, PhoneLine
from voiceapp.try_call.transcript import events_of, find_call

QUESTIONS: Final = (
    ("rms", "can you tell me your opening hours please"),
    ("awb", "i would like to book an appointment please thank you"),
    ("rms", "what are your opening hours please thank you"),
    ("awb", "can you tell me your address please thank you"),
    ("awb", "can you tell me your opening hours please thank you"),
)
"""2.3 to 2.8 s each, all understood by the embedded recogniser, and answered at length: there is something to interrupt."""
INTERRUPTIONS: Final = (
    ("espeak:en-gb", "excuse me but i have another question about the opening hours"),
    ("rms", "no wait a moment please i would like to book a visit for monday"),
    ("espeak:en-us", "sorry can i just ask you about something else first please"),
    ("awb", "actually please stop because i want to speak to a person"),
    ("kal16", "one moment please i have a question about the address"),
)
BROWSER_LOUD: Final = 0.02 * 32768
BETWEEN_S: Final = 0.35
"""So that calls that go on at the same time do not begin at the same moment."""
NODE: Final = "node1"
_RECEPTIONIST: Final = REPOSITORY / "agents" / "fixtures" / "receptionist.json"
_ANY_DAY: Final = date(2026, 1, 5)


@dataclass(frozen=True, slots=True)
class Plan:
    """One call. `kind`: `uncut` (nobody speaks over the answer), `cut`, `null` (as uncut) or `silent` (no agent)."""

    line: str
    kind: str
    number: int
    interruption: int = 0

    @property
    def question(self) -> int:
        return self.number % len(QUESTIONS)


@dataclass(slots=True)
class Call:
    """What is known of a call once it is over."""

    plan: Plan
    probe: Probe
    loud: float
    since: float | None = None
    events: list[Mapping[str, Any]] = field(default_factory=list)
    failed: str = ""

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [each["event"] for each in self.events if each["kind"] == kind]


def serve(pipe: Connection, environment: dict[str, str], plans: list[Plan], at_once: int) -> None:
    """Entry of the process: makes the calls and sends one row of figures per call."""
    prioritise(0)
    calls = asyncio.run(_all(load(environment), plans, at_once))
    pipe.send([row(call, calls) for call in calls])


def prioritise(pid: int) -> bool:
    """Callers and product in time, as far as the system lets us; what they start does not inherit it."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    policy, priority = (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, 5) if not pid else (os.SCHED_RR, 1)
    try:
        os.sched_setscheduler(pid, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


async def _all(configuration: Configuration, plans: list[Plan], at_once: int) -> list[Call]:
    """So many calls of each line at once."""
    calls: list[Call] = []
    free = {line: asyncio.Semaphore(at_once) for line in {plan.line for plan in plans}}

    async def one(number: int, plan: Plan) -> None:
        async with free[plan.line]:
            await asyncio.sleep(number * BETWEEN_S if number < at_once * len(free) else 0)
            call = _prepared(plan)
            calls.append(call)
            try:
                await (_phone if plan.line == "phone" else _browser)(configuration, call)
            except* (CallFailedError, OSError, TimeoutError) as errors:
                call.failed = str(errors.exceptions[0])

    async with asyncio.TaskGroup() as group:
        for number, plan in enumerate(plans):
            group.create_task(one(number, plan))
    return calls


def _prepared(plan: Plan) -> Call:
    on_phone = plan.line == "phone"
    rate_hz = phone.RATE_HZ if on_phone else browser.RATE_HZ
    loud = LOUD if on_phone else BROWSER_LOUD
    voice, text = QUESTIONS[plan.question]
    question = cut_to_voice(read_wav(spoken_wav(text, rate_hz, voice), rate_hz), rate_hz)
    interruption = None
    if plan.kind == "cut":
        voice, text = INTERRUPTIONS[plan.interruption % len(INTERRUPTIONS)]
        interruption = cut_to_voice(read_wav(spoken_wav(text, rate_hz, voice), rate_hz), rate_hz)
    return Call(plan, Probe(Task(plan.kind, question, interruption, rate_hz, loud)), loud)


async def _phone(configuration: Configuration, call: Call) -> None:
    user = f"bench-{secrets.token_hex(4)}"
    line = PhoneLine(f"sip:demo@{configuration.sip}", call.probe, user=user)
    async with asyncio.TaskGroup() as group:
        holding = group.create_task(line.hold())
        if call.plan.kind == "silent":
            await _take_over(configuration, user, group, holding)
    call.since = call.probe.connected_at
    found = await find_call(configuration, user)
    call.events = await events_of(configuration, *found) if found else []


async def _browser(configuration: Configuration, call: Call) -> None:
    line = BrowserLine(f"http://{configuration.http}", "demo", call.probe)
    await line.hold()
    call.since = line.offered_at
    call.events = await events_of(configuration, NODE, line.call)


async def _take_over(
    configuration: Configuration,
    user: str,
    group: asyncio.TaskGroup,
    holding: asyncio.Task[None],
) -> None:
    """A supervisor takes the floor and says nothing: from then on the agent is silent."""
    bus = BusClient(configuration.run, [NODE])
    found = None
    while found is None:
        await asyncio.sleep(0.2)
        found = await find_call(configuration, user)
    connected = asyncio.Event()

    def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
        group.create_task(work, name=name)

    def state(now: PeerState, _: str) -> None:
        if now is PeerState.CONNECTED:
            connected.set()

    scheduler = LoopScheduler(asyncio.get_running_loop())
    settings = PeerSettings(addresses=("127.0.0.1",))
    peer = WebRtcPeer(settings, scheduler, spawn, on_rtp=lambda _: None, on_state=state)
    args = {"call": found[1], "who": "bench"}
    offer = await peer.offer()
    answer = await bus.request(NODE, "desk.listen", {**args, "sdp": offer, "id": "listen"})
    peer.take_answer(answer["sdp"])
    async with asyncio.timeout(5):
        await connected.wait()
    await bus.request(NODE, "desk.take", {**args, "id": "take"})
    codec, sequence = OpusCodec(), 0
    quiet = codec.encode(np.zeros(browser.RATE_HZ // 50, np.int16))
    while not holding.done():
        sequence += 1
        peer.send_rtp(build_packet(RtpPacket(111, sequence, sequence * 960, 1, quiet)))
        await asyncio.wait([holding], timeout=0.02)
    await peer.close()


# ------------------------------------------------------------------------------------------------------- its figures


def row(call: Call, calls: list[Call]) -> dict[str, Any]:
    """One call's figures; `calls` has the uncut one to compare with."""
    plan, probe = call.plan, call.probe
    uncut = next(
        (
            other
            for other in calls
            if other is not call
            and (other.plan.line, other.plan.kind) == (plan.line, "uncut")
            and other.plan.question == plan.question
        ),
        None,
    )
    answer = figures.levels(uncut.probe) if uncut is not None else {}
    values: dict[str, Any] = {
        "line": plan.line,
        "kind": plan.kind,
        "question": plan.question,
        "failed": call.failed,
        "greeting_ms": _greeting(call, call.since),
        "greeting_after_connect_ms": _greeting(call, probe.connected_at),
        "v2v_ms": figures.voice_to_voice_ms(probe),
        "over_answer": figures.goes_on(probe, answer),
        "duck_ms": figures.duck_ms(probe, answer) if plan.kind != "uncut" else None,
        "stop_ms": figures.stop_ms(probe, call.loud, answer) if plan.kind != "uncut" else None,
        "late_p99_ms": _p99(figures.late_ms(probe)),
    }
    return _rounded(values | _inside(call, values["v2v_ms"]))


def _greeting(call: Call, since: float | None) -> float | None:
    return None if since is None else figures.first_sound_ms(call.probe, since, call.loud)


def _inside(call: Call, v2v_ms: float | None) -> dict[str, Any]:
    """What the product itself noted of the first turn, and what it had to wait for."""
    timed = next(iter(call.of("TurnTimed")), None)
    if timed is None:
        return {"v2v_minus_endpoint_ms": None, "stages": None}
    heard = next((s["text"] for s in call.of("SegmentHeard") if s["turn"] == timed["turn"]), "")
    flow = parse_definition(json.loads(_RECEPTIONIST.read_text(encoding="utf-8")))
    # No date is asked for in the first step: any day does.
    meaning = completeness(flow, flow.steps["help"], heard, _ANY_DAY)
    configured = figures.configured_ms(meaning, timed["endpoint_ms"])
    return {
        "v2v_minus_endpoint_ms": None if v2v_ms is None else v2v_ms - configured,
        "configured_endpoint_ms": configured,
        "meaning": meaning.value,
        "stages": dict(timed),
        "product_stop_ms": [each["stop_ms"] for each in call.of("BargedIn")],
    }


def _p99(values: list[float]) -> float | None:
    return sorted(values)[int(len(values) * 0.99)] if values else None


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 1) if isinstance(v, float) else v for k, v in values.items()}
