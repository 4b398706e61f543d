"""A node with a handful of calls as a desk sees them on a normal morning: `python -m tests.browser.scene DATA`.

Serves the real local bus, so that the web process beside it is the real one. One call goes on by itself: its caller
speaks word by word, is answered, and barges in. Whoever listens hears a tone of 440 Hz; what the caller's and the
supervisor's pages send is measured and published as `level`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from telephony.call.errors import CallError
from telephony.call.events import (
    AgentFailed,
    BargedIn,
    CallEnded,
    FloorTaken,
    LegAdded,
    LegConnected,
    ListenStarted,
    Misunderstood,
    PersonRequested,
    QualityMeasured,
    SlotFilled,
    StepEntered,
    TurnTimed,
    UtteranceEnded,
)
from telephony.call.ids import CALLER, LegId, TurnId, UserName, UtteranceId
from telephony.call.timers import LoopScheduler
from tests.browser.tone_peer import TonePeers
from tests.fakes.fake_node import FakeNode
from voiceapp.adapters.bus_client import socket_path
from voiceapp.adapters.bus_local import LocalNodeBus

BOOKING = "c-booking"


class Scene:
    """The calls, and one of them that goes on."""

    def __init__(self, node: FakeNode, now_us: int) -> None:
        self.node = node
        self.now_us = now_us

    def at(self, seconds_ago: float) -> None:
        self.node.now_us = self.now_us - round(seconds_ago * 1e6)

    def spoken(self, call: str, utterance: str, text: str, at_s: float, step: str) -> None:
        self.node.says(call, utterance, text, at_s=at_s, step=step)
        ended = UtteranceEnded(utterance=UtteranceId(utterance), heard=text, complete=True, end_s=at_s + 2)  # fmt: skip
        self.node.record(call, ended, after_s=2.0)

    def turn(self, call: str, number: int, total: float, endpoint: float = 210.0) -> None:
        share = total - endpoint
        timed = TurnTimed(
            turn=TurnId(number), endpoint_ms=endpoint, stt_final_ms=endpoint + share * 0.22,
            first_sentence_ms=endpoint + share * 0.34, first_audio_ms=endpoint + share * 0.86,
            first_packet_ms=total,
        )  # fmt: skip
        self.node.record(call, timed, after_s=0.3)

    def step(self, call: str, step: str, previous: str, because: str) -> None:
        self.node.record(call, StepEntered(step=step, previous=previous, because=because))

    def booking(self) -> None:
        """The call that is looked at closely."""
        node, call = self.node, BOOKING
        self.at(74)
        node.begin(call, caller="+49 30 901820 47")
        self.spoken(
            call,
            "0.0.1",
            "Good morning, this is the front desk of the Lindenhof practice. How can I help you?",
            0.3,
            "greeting",
        )
        node.hears(call, "hello I would like to make an appointment", at_s=6.1, turn=1)
        self.step(call, "booking_day", "greeting", "intent book")
        self.turn(call, 1, 386)
        self.spoken(call, "1.0.1", "Of course. Which day would suit you?", 8.0, "booking_day")
        node.hears(call, "on friday please", at_s=11.9, turn=2)
        node.record(call, SlotFilled(name="day", value="Friday, 27 November"))
        self.step(call, "booking_time", "booking_day", "day given")
        self.turn(call, 2, 342, 180)
        node.says(
            call,
            "2.0.1",
            "On Friday I have half past nine, eleven, and a quarter past three. In the afternoon there is also",
            at_s=14.0,
            step="booking_time",
        )
        node.now_us += 4_000_000
        node.record(
            call,
            BargedIn(utterance=UtteranceId("2.0.1"), at_s=17.6, duck_ms=62.0, stop_ms=138.0),
            UtteranceEnded(
                utterance=UtteranceId("2.0.1"),
                heard="On Friday I have half past nine, eleven, and",
                complete=False,
                end_s=17.8,
            ),
        )
        node.hears(call, "eleven is good", at_s=17.4, turn=3)
        node.record(call, SlotFilled(name="time", value="11:00"))
        self.step(call, "booking_name", "booking_time", "time given")
        self.turn(call, 3, 468, 240)
        self.spoken(call, "3.0.1", "Eleven on Friday. May I have your name?", 20.0, "booking_name")
        node.hears(call, "it is mayer with a y", at_s=24.4, turn=4)
        node.record(call, Misunderstood(turn=TurnId(4), times=1))
        self.turn(call, 4, 912, 640)
        self.spoken(
            call, "4.0.1", "Sorry, I did not get that. Your surname, please?", 27.0, "booking_name"
        )
        node.record(
            call, QualityMeasured(leg=CALLER, loss_pct=0.4, jitter_ms=7.2, rtt_ms=None, mos=4.21)
        )

    def others(self) -> None:
        node = self.node
        self.at(192)
        node.begin("c-person", caller="+49 89 5550 118")
        self.spoken("c-person", "0.0.1", "Good morning, how can I help you?", 0.3, "greeting")
        node.hears(
            "c-person", "I have asked twice now can I please talk to somebody", at_s=120, turn=6
        )
        node.record("c-person", PersonRequested(reason="caller_asked"))
        self.turn("c-person", 6, 412)
        node.says(
            "c-person",
            "6.0.1",
            "I am getting somebody for you, one moment.",
            at_s=122,
            step="person",
        )
        self.at(143)
        node.begin("c-human", transport="webrtc", caller="")
        asha = UserName("asha")
        leg = LegId("desk-asha")
        node.hears("c-human", "my invoice shows the wrong address", at_s=30, turn=3)
        self.turn("c-human", 3, 355)
        node.record(
            "c-human",
            LegAdded(leg=leg, role="supervisor", transport="webrtc", who=asha),
            ListenStarted(leg=leg, who=asha),
            LegConnected(leg=leg, codec="opus"),
            FloorTaken(leg=leg, who=asha),
        )

    def quiet_and_troubled(self) -> None:
        node = self.node
        self.at(51)
        node.begin("c-hours", transport="webrtc", caller="")
        node.hears("c-hours", "until when are you open on saturdays", at_s=9, turn=2)
        self.turn("c-hours", 2, 301)
        node.says(
            "c-hours",
            "2.0.1",
            "On Saturdays we are open from nine until one.",
            at_s=10,
            step="hours",
        )
        self.at(33)
        node.begin("c-slow", caller="+1 415 555 0162")
        node.hears("c-slow", "do you have parking", at_s=8, turn=1)
        self.turn("c-slow", 1, 1460, 320)
        self.at(20)
        node.begin("c-failed", caller="+44 20 7946 0345")
        node.hears("c-failed", "yes the second one", at_s=9, turn=1)
        node.record("c-failed", AgentFailed(reason="worker_lost"))
        self.at(12)
        node.begin("c-placed", dialled="+4930777")
        node.hears("c-placed", "who is this", at_s=3, turn=1)
        node.record("c-placed", PersonRequested(reason="caller_asked"))
        self.at(6)
        node.begin("c-new", caller="+49 171 5550 9921")
        node.says(
            "c-new",
            "0.0.1",
            "Good morning, this is the front desk of the Lindenhof practice.",
            at_s=0.3,
        )
        self.at(300)
        node.begin("c-over", caller="+49 30 555 01")
        self.at(2)
        node.record("c-over", CallEnded(cause="caller_hung_up", by="caller"))

    async def go_on(self) -> None:
        """The caller of the booking gives the name, word by word, again and again."""
        words = ["mayer", "and", "the", "number", "is", "oh", "one", "seven", "one"]
        for length in range(1, len(words) + 1):
            self.node.partial(BOOKING, " ".join(words[:length]))
            await asyncio.sleep(0.35)


async def main(data: Path) -> None:
    loop = asyncio.get_running_loop()
    clock = LoopScheduler(loop)
    bus = LocalNodeBus("node1", socket_path(data / "run", "node1"), clock)
    peers = TonePeers(
        lambda call, leg, level: bus.publish("level", {"calls": {call: {leg: level}}})
    )
    node = FakeNode(bus, answer=peers.answer)
    scene = Scene(node, clock.wall_us())
    scene.others()
    scene.quiet_and_troubled()
    scene.booking()
    commands: dict[str, Any] = {"go_on": scene.go_on}

    async def play(args: Any) -> dict[str, Any]:
        await commands[args["what"]]()
        return {}

    async def heard(args: Any) -> dict[str, Any]:
        if args["call"] not in peers.heard:
            raise CallError
        return {"hz": peers.heard[args["call"]]}

    async def target(args: Any) -> dict[str, Any]:
        """The phone that a transfer dialled rings or answers."""
        {"rings": node.target_rings, "answers": node.target_answers}[args["what"]](args["call"])
        return {}

    bus.serve("scene.play", play)
    bus.serve("scene.target", target)
    bus.serve("scene.heard", heard)
    await bus.start()
    print("ready", flush=True)  # noqa: T201 - the fixture waits for it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
