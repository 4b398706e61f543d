"""Commands of calls with several phones, ready to use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from telephony.call.commands import AddLeg, ConnectLeg, RemoveLeg, RequestTransfer, RingLeg
from telephony.call.edges import routes
from telephony.call.events import CallEvent
from telephony.call.ids import CALLER, LegId, TransferId
from telephony.call.state import CallState
from telephony.call.transfer_events import TransferEnded
from tests.fakes.calls import ANN, CONNECT, START, TAKEN

T1, T2 = TransferId("t1"), TransferId("t2")
TARGET, OTHER = LegId("target-1"), LegId("target-2")
ADD = AddLeg(leg=TARGET, role="target", transport="sip")
ADD_OTHER = AddLeg(leg=OTHER, role="target", transport="sip")
RINGS, ANSWERS = RingLeg(leg=TARGET), ConnectLeg(leg=TARGET, codec="PCMA")
LEAVES = RemoveLeg(leg=TARGET, reason="busy")
TALK = (START, CONNECT)
BETWEEN_PEOPLE = replace(START, agent=None)


def ask(**changes: Any) -> RequestTransfer:
    fields: dict[str, Any] = {
        "transfer": T1,
        "mode": "blind",
        "method": "bridge",
        "by": "agent",
        "destination": "+15550123",
        "name": "sales",
    }
    return RequestTransfer(**{**fields, **changes})


BY_ANN = ask(by="supervisor", who=ANN)
ATTENDED = ask(by="supervisor", who=ANN, mode="attended")
CONSULTS = (*TAKEN, ATTENDED, ADD, RINGS, ANSWERS)
AGENT_CONSULTS = (*TALK, ask(mode="attended"), ADD, ANSWERS)
REFERS = (*TALK, ask(method="refer"))
BRIDGED = (*TALK, ask(), ADD, RINGS, ANSWERS)
FROM_CALLER = (*TALK, ask(by="caller"), replace(ADD, replaces=CALLER))
QUEUED = (BETWEEN_PEOPLE, ask(by="system"), ADD, ADD_OTHER)


def edges(state: CallState) -> set[tuple[str, str]]:
    return {(route.source, route.destination) for route in routes(state)}


def outcome(events: tuple[CallEvent, ...]) -> str:
    return next(event.outcome for event in events if isinstance(event, TransferEnded))
