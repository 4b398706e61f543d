"""Which reported facts the call admits, and when. A fact that came too late is refused with a reason. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from telephony.call.errors import IllegalTransitionError
from telephony.call.events import (
    AgentAttached,
    BargedIn,
    CallEvent,
    DigitReceived,
    MediaTroubled,
    Misunderstood,
    PersonRequested,
    QualityMeasured,
    RuleRefused,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    ToolFinished,
    ToolRequested,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import CALLER
from telephony.call.state import CallState, LegPhase, Phase
from telephony.call.transfer_events import AnswererJudged, TrunkMeasured
from telephony.call.transitions import BEGUN, LIVE

Check = Callable[[CallState, Any], str]
"""(state, event) -> why not, or an empty text."""


def _leg_is_known(state: CallState, event: DigitReceived | QualityMeasured | TrunkMeasured) -> str:
    return "" if event.leg in state.legs else "unknown leg"


def _leg_is_there(state: CallState, event: DigitReceived | MediaTroubled | AnswererJudged) -> str:
    leg = state.legs.get(event.leg)
    return "" if leg is not None and leg.phase is not LegPhase.REMOVED else "the leg has left"


def _speaker_is_known(state: CallState, event: SegmentHeard) -> str:
    leg = state.legs.get(event.leg)
    return "" if leg is not None and leg.role == event.role else "unknown speaker"


def _agent_has_floor(state: CallState, event: CallEvent) -> str:
    return "" if state.agent_has_floor else "the agent does not have the floor"


def _agent_may_say(state: CallState, event: UtteranceStarted) -> str:
    if event.heard_by == CALLER:
        return _agent_has_floor(state, event)
    heard = event.heard_by == state.agent_consults
    return "" if heard else "the agent does not speak with this leg"


def _has_agent(state: CallState, event: AgentAttached) -> str:
    return "" if state.agent is not None else "the call has no agent"


def _is_new(state: CallState, event: UtteranceStarted) -> str:
    known = any(said.utterance == event.utterance for said in state.conversation.said)
    return "the utterance was started before" if known else ""


def _is_playing(state: CallState, event: UtteranceEnded) -> str:
    said = state.conversation.said
    playing = any(part.utterance == event.utterance and part.heard is None for part in said)
    return "" if playing else "the utterance is not playing"


def _was_said(state: CallState, event: BargedIn) -> str:
    known = any(said.utterance == event.utterance for said in state.conversation.said)
    return "" if known else "unknown utterance"


@dataclass(frozen=True, slots=True)
class Admission:
    """In which phases a fact makes sense, and what must hold beside."""

    phases: frozenset[Phase]
    checks: tuple[Check, ...] = ()


_ANSWERED_NOW: Final = frozenset({Phase.ACTIVE})

REPORTABLE: Final[Mapping[type[CallEvent], Admission]] = {
    AgentAttached: Admission(LIVE, (_has_agent,)),
    PersonRequested: Admission(LIVE),
    SegmentHeard: Admission(BEGUN, (_speaker_is_known,)),
    UtteranceStarted: Admission(_ANSWERED_NOW, (_agent_may_say, _is_new)),
    UtteranceEnded: Admission(BEGUN, (_is_playing,)),
    BargedIn: Admission(BEGUN, (_was_said,)),
    StepEntered: Admission(LIVE, (_agent_has_floor,)),
    SlotFilled: Admission(LIVE),
    Misunderstood: Admission(LIVE),
    RuleRefused: Admission(LIVE),
    ToolRequested: Admission(LIVE, (_agent_has_floor,)),
    ToolFinished: Admission(BEGUN),
    TurnTimed: Admission(BEGUN),
    DigitReceived: Admission(LIVE, (_leg_is_there,)),
    MediaTroubled: Admission(LIVE, (_leg_is_there,)),
    QualityMeasured: Admission(BEGUN, (_leg_is_known,)),
    TrunkMeasured: Admission(BEGUN, (_leg_is_known,)),
    AnswererJudged: Admission(LIVE, (_leg_is_there,)),
}
"""Facts that may be reported. What is known of a call's last second may still follow its end."""


def admit(state: CallState, event: CallEvent) -> None:
    """Raises: IllegalTransitionError saying why the fact does not fit the state."""
    kind = type(event)
    admission = REPORTABLE.get(kind)
    if admission is None:
        raise IllegalTransitionError(f"{kind.__name__} is decided by the call, not reported")
    if state.phase not in admission.phases:
        raise IllegalTransitionError(f"{kind.__name__} in phase {state.phase}")
    for check in admission.checks:
        if reason := check(state, event):
            raise IllegalTransitionError(f"{kind.__name__}: {reason}")
