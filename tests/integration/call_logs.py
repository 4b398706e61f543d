"""Whole logs of calls for tests of the database, and a spool that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from telephony.call.events import (
    AgentRef,
    BargedIn,
    CallEnded,
    CallEvent,
    CallStarted,
    FloorReturned,
    FloorTaken,
    LegAdded,
    LegConnected,
    Recorded,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import AGENT, CALLER, CallId, LegId, TurnId, UserName, UtteranceId
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.spool import SpoolFile

NUMBER = "+4930555017"
QUESTION = "when are you open on friday"
NAME = "Ann Canary"
START_US = 1_795_000_000_000_000
STEP_US = 500_000
DESK = LegId("desk-1")


def heard(turn: int, text: str, start_s: float) -> SegmentHeard:
    return SegmentHeard(
        leg=CALLER, role="caller", turn=TurnId(turn), text=text,
        start_s=start_s, end_s=start_s + 1.5, pause_before_s=0.4,
    )  # fmt: skip


def timed(turn: int, first_packet_ms: float) -> TurnTimed:
    return TurnTimed(
        turn=TurnId(turn), endpoint_ms=300, stt_final_ms=350, first_sentence_ms=360,
        first_audio_ms=first_packet_ms - 20, first_packet_ms=first_packet_ms,
    )  # fmt: skip


def says(number: int, text: str, start_s: float) -> UtteranceStarted:
    name = UtteranceId(f"1.0.{number}")
    return UtteranceStarted(
        utterance=name, turn=TurnId(1), text=text, step="welcome", start_s=start_s
    )


def said(number: int, text: str, end_s: float, *, complete: bool = True) -> UtteranceEnded:
    name = UtteranceId(f"1.0.{number}")
    return UtteranceEnded(utterance=name, heard=text, complete=complete, end_s=end_s)


def live_call() -> list[CallEvent]:
    """A call that is up, with a barge-in and two turns."""
    greeting = "Harbour Dental Care, how can I help you today?"
    cut = "We are open Monday to Friday from nine to five."
    return [
        CallStarted(
            direction="inbound", transport="sip", called="demo", caller=NUMBER,
            agent=AgentRef("receptionist", 1),
        ),
        LegAdded(leg=CALLER, role="caller", transport="sip"),
        LegAdded(leg=AGENT, role="agent", transport="loopback"),
        LegConnected(leg=CALLER, codec="PCMU"),
        StepEntered(step="welcome", previous=None, because="start"),
        says(1, greeting, 0.4),
        said(1, greeting, 3.1),
        heard(1, QUESTION, 4.0),
        says(2, cut, 6.1),
        timed(1, 612.0),
        BargedIn(utterance=UtteranceId("1.0.2"), at_s=7.4, duck_ms=60, stop_ms=180),
        said(2, "We are open Monday", 7.5, complete=False),
        heard(2, "and can I book a check up", 7.3),
        timed(2, 588.0),
        SlotFilled(name="name", value=NAME),
    ]  # fmt: skip


def whole_call() -> list[CallEvent]:
    """The same call, taken over, handed back and ended."""
    return [
        *live_call(),
        LegAdded(leg=DESK, role="supervisor", transport="webrtc", who=UserName("sam")),
        LegConnected(leg=DESK, codec="opus"),
        FloorTaken(leg=DESK, who=UserName("sam")),
        FloorReturned(who=UserName("sam"), reason="returned", brief=""),
        CallEnded(cause="caller_hung_up", by="caller"),
    ]


def log_of(call: str, events: Sequence[CallEvent]) -> list[Recorded]:
    return [
        Recorded(
            call=CallId(call), seq=seq, at_us=START_US + seq * STEP_US, event=event, actor="system"
        )
        for seq, event in enumerate(events, start=1)
    ]


def fill_spool(data: Path, records: Sequence[Recorded], node: str = "node1") -> Path:
    """Writes the records as a media node would. Returns: the spool's file."""
    path = data / "spool" / f"{node}.db"
    spool = SpoolFile.create(path, Keyring.load(data / "secrets" / "data.key"))
    spool.insert(records)
    spool.close()
    return path
