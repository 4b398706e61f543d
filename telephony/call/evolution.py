"""How the state follows the log: `evolve` folds one record, `replay` a whole log. Pure; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from telephony.call.errors import BrokenLogError
from telephony.call.events import (
    AgentAttached,
    AgentFailed,
    BargedIn,
    CallEnded,
    CallEvent,
    CallHeld,
    CallResumed,
    CallStarted,
    FloorReturned,
    FloorTaken,
    LegAdded,
    LegConnected,
    LegLost,
    LegRemoved,
    ListenStarted,
    ListenStopped,
    MediaTroubled,
    Misunderstood,
    PersonRequested,
    Recorded,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import AGENT, CALLER, LegId, TurnId
from telephony.call.state import CallState, Leg, LegPhase, Phase, Said, Transfer, Trouble
from telephony.call.transfer_events import (
    AnswererJudged,
    FloorGiven,
    LegReplaced,
    LegRinging,
    TransferEnded,
    TransferProgressed,
    TransferRequested,
)
from telephony.call.transitions import LEG_PHASES, PHASES, TRANSFER_STAGES
from telephony.values import changed

TROUBLES_KEPT: Final = 8


def evolve(state: CallState, record: Recorded) -> CallState:
    """The state after the record. Raises: BrokenLogError if the record cannot follow the state."""
    if record.call != state.id or record.seq != state.seq + 1:
        raise BrokenLogError(f"record {record.seq} does not follow {state.seq}")
    return changed(apply(state, record.event, record.at_us), seq=record.seq)


def replay(records: Iterable[Recorded]) -> CallState:
    """The state at the end of a log. Raises: BrokenLogError, also for an empty log."""
    state: CallState | None = None
    for record in records:
        state = evolve(state or CallState(id=record.call), record)
    if state is None:
        raise BrokenLogError("the log is empty")
    return state


def apply(state: CallState, event: CallEvent, at_us: int) -> CallState:
    """The state after the event, its position in the log aside. Raises: BrokenLogError."""
    fold = _FOLDS.get(type(event))
    return state if fold is None else fold(state, event, at_us)


def _next_phase(state: CallState, event: CallEvent) -> Phase:
    phase = PHASES.get((state.phase, type(event)))
    if phase is None:
        raise BrokenLogError(f"{type(event).__name__} cannot happen in phase {state.phase}")
    return phase


def _with_leg(state: CallState, leg: Leg) -> CallState:
    return changed(state, legs={**state.legs, leg.id: leg})


def _leg(state: CallState, leg_id: LegId) -> Leg:
    leg = state.legs.get(leg_id)
    if leg is None:
        raise BrokenLogError("an event of a leg that was never added")
    return leg


def _moved(leg: Leg, event: CallEvent) -> LegPhase:
    phase = LEG_PHASES.get((leg.phase, type(event)))
    if phase is None:
        raise BrokenLogError(f"{type(event).__name__} cannot happen to a leg that is {leg.phase}")
    return phase


def _converse(state: CallState, **changes: Any) -> CallState:
    return changed(state, conversation=changed(state.conversation, **changes))


# ---------------------------------------------------------------------------------------------- the call and its legs


def _call_started(state: CallState, event: CallStarted, at_us: int) -> CallState:
    return changed(
        state,
        phase=_next_phase(state, event),
        direction=event.direction,
        transport=event.transport,
        called=event.called,
        caller=event.caller,
        agent=event.agent,
        variables=dict(event.variables),
        persons_first=event.persons_first,
        floor=AGENT if event.agent is not None else None,
        started_us=at_us,
    )


def _leg_added(state: CallState, event: LegAdded, at_us: int) -> CallState:
    leg = Leg(event.leg, event.role, event.transport, who=event.who, replaces=event.replaces)
    after, transfer = _with_leg(state, leg), state.transfer
    if transfer is None or event.role != "target":
        return after
    if event.replaces is not None and transfer.by != "caller":
        return after
    return changed(after, transfer=replace(transfer, targets=(*transfer.targets, event.leg)))


def _leg_ringing(state: CallState, event: LegRinging, at_us: int) -> CallState:
    leg = _leg(state, event.leg)
    phase, early = _moved(leg, event), event.early_media
    return _with_leg(state, replace(leg, phase=phase, ringing=True, early=early))


def _leg_replaced(state: CallState, event: LegReplaced, at_us: int) -> CallState:
    leg, by = _leg(state, event.leg), _leg(state, event.by)
    successor = replace(
        leg,
        phase=_moved(leg, event),
        transport=by.transport,
        codec=by.codec,
        who=by.who or leg.who,
        held=False,
    )
    gone = replace(by, phase=LegPhase.REMOVED, replaces=None)
    after = changed(state, legs={**state.legs, leg.id: successor, by.id: gone})
    if event.leg != CALLER:
        return after
    return changed(after, phase=_next_phase(state, event), transport=by.transport)


def _leg_connected(state: CallState, event: LegConnected, at_us: int) -> CallState:
    leg = _leg(state, event.leg)
    after = _with_leg(state, replace(leg, phase=_moved(leg, event), codec=event.codec))
    if event.leg != CALLER:
        return after
    answered_us = at_us if state.answered_us is None else state.answered_us
    return changed(after, phase=_next_phase(state, event), answered_us=answered_us)


def _leg_lost(state: CallState, event: LegLost, at_us: int) -> CallState:
    leg = _leg(state, event.leg)
    after = _with_leg(state, replace(leg, phase=_moved(leg, event)))
    return changed(after, phase=_next_phase(state, event)) if event.leg == CALLER else after


def _media_troubled(state: CallState, event: MediaTroubled, at_us: int) -> CallState:
    leg = _leg(state, event.leg)
    troubles = leg.troubles
    if event.kind == "ok":
        troubles = tuple(
            t if t.over_us is not None else replace(t, over_us=at_us) for t in troubles
        )
    else:
        over_us = at_us if event.kind == "gap" else None
        troubles = (*troubles, Trouble(event.kind, event.detail, at_us, over_us))[-TROUBLES_KEPT:]
    return _with_leg(state, replace(leg, troubles=troubles))


def _leg_removed(state: CallState, event: LegRemoved, at_us: int) -> CallState:
    leg = _leg(state, event.leg)
    return _with_leg(state, replace(leg, phase=_moved(leg, event), listening=False))


def _answerer_judged(state: CallState, event: AnswererJudged, at_us: int) -> CallState:
    return changed(state, answerer=event.answerer)


def _phase_changed(state: CallState, event: CallHeld | CallResumed, at_us: int) -> CallState:
    if event.leg != CALLER:
        held = isinstance(event, CallHeld)
        return _with_leg(state, replace(_leg(state, event.leg), held=held))
    return changed(state, phase=_next_phase(state, event))


def _call_ended(state: CallState, event: CallEnded, at_us: int) -> CallState:
    legs = {
        name: replace(leg, phase=LegPhase.REMOVED, listening=False)
        for name, leg in state.legs.items()
    }
    return changed(
        state,
        phase=_next_phase(state, event),
        legs=legs,
        floor=None,
        controller=None,
        transfer=None,
        ended_us=at_us,
        end_cause=event.cause,
    )


# ------------------------------------------------------------------------------------------------ listening, the floor


def _listen_changed(
    state: CallState, event: ListenStarted | ListenStopped, at_us: int
) -> CallState:
    listening = isinstance(event, ListenStarted)
    return _with_leg(state, replace(_leg(state, event.leg), listening=listening))


def _floor_taken(state: CallState, event: FloorTaken, at_us: int) -> CallState:
    after = _converse(state, brief="", person_requested=None)
    return changed(after, floor=event.leg, controller=event.who)


def _floor_returned(state: CallState, event: FloorReturned, at_us: int) -> CallState:
    floor = AGENT if state.agent is not None else None
    return changed(_converse(state, brief=event.brief), floor=floor, controller=None)


def _floor_given(state: CallState, event: FloorGiven, at_us: int) -> CallState:
    after = _converse(state, brief="", person_requested=None)
    return changed(after, floor=event.leg, controller=event.who)


def _transfer_requested(state: CallState, event: TransferRequested, at_us: int) -> CallState:
    transfer = Transfer(
        id=event.transfer,
        mode=event.mode,
        method=event.method,
        by=event.by,
        who=event.who,
        destination=event.destination,
        name=event.name,
        then=event.then,
        brief=event.brief,
        agent_stays=event.agent_stays,
        stage="referring" if event.method == "refer" else "dialling",
    )
    return changed(state, transfer=transfer)


def _running(state: CallState, event: TransferProgressed | TransferEnded) -> Transfer:
    if state.transfer is None or state.transfer.id != event.transfer:
        raise BrokenLogError("an event of a transfer that is not under way")
    return state.transfer


def _transfer_progressed(state: CallState, event: TransferProgressed, at_us: int) -> CallState:
    transfer = _running(state, event)
    if event.stage not in TRANSFER_STAGES[transfer.stage]:
        raise BrokenLogError(f"{event.stage} cannot follow {transfer.stage}")
    target = transfer.target
    if event.stage == "consulting":
        target = next((leg for leg in transfer.targets if state.legs[leg].carries), None)
    moved = replace(transfer, stage=event.stage, target=target)
    return changed(state, transfer=moved)


def _transfer_ended(state: CallState, event: TransferEnded, at_us: int) -> CallState:
    ended = replace(
        _running(state, event), outcome=event.outcome, status=event.status, reason=event.reason
    )
    return changed(state, transfer=None, transferred=ended)


# ---------------------------------------------------------------------------------------------------- the conversation


def _agent_attached(state: CallState, event: AgentAttached, at_us: int) -> CallState:
    # What a dead worker was saying has no proof of having been heard.
    said = tuple(
        replace(part, heard="", interrupted=True) if part.heard is None else part
        for part in state.conversation.said
    )
    return _converse(state, attached_worker=event.worker, agent_failed=None, said=said)


def _agent_failed(state: CallState, event: AgentFailed, at_us: int) -> CallState:
    return _converse(state, attached_worker=None, agent_failed=event.reason)


def _person_requested(state: CallState, event: PersonRequested, at_us: int) -> CallState:
    return _converse(state, person_requested=event.reason)


def _segment_heard(state: CallState, event: SegmentHeard, at_us: int) -> CallState:
    said = Said(
        event.role, event.text, event.text, event.start_s, event.end_s, turn=event.turn
    )  # fmt: skip
    talk = state.conversation
    turn = max(talk.turn, event.turn or TurnId(0))
    return _converse(state, said=(*talk.said, said), turn=turn)


def _utterance_started(state: CallState, event: UtteranceStarted, at_us: int) -> CallState:
    said = Said(
        role="agent",
        text=event.text,
        heard=None,
        start_s=event.start_s,
        end_s=None,
        turn=event.turn,
        utterance=event.utterance,
        heard_by=event.heard_by,
    )
    return _converse(state, said=(*state.conversation.said, said))


def _utterance_ended(state: CallState, event: UtteranceEnded, at_us: int) -> CallState:
    said = list(state.conversation.said)
    for at in range(len(said) - 1, -1, -1):
        if said[at].utterance == event.utterance:
            said[at] = replace(
                said[at], heard=event.heard, end_s=event.end_s, interrupted=not event.complete
            )
            break
    return _converse(state, said=tuple(said))


def _barged_in(state: CallState, event: BargedIn, at_us: int) -> CallState:
    return _converse(state, barge_ins=state.conversation.barge_ins + 1)


def _step_entered(state: CallState, event: StepEntered, at_us: int) -> CallState:
    return _converse(state, step=event.step, misunderstood=0)


def _slot_filled(state: CallState, event: SlotFilled, at_us: int) -> CallState:
    slots = {name: value for name, value in state.conversation.slots.items() if name != event.name}
    if event.value is not None:
        slots[event.name] = event.value
    return _converse(state, slots=slots, misunderstood=0)


def _misunderstood(state: CallState, event: Misunderstood, at_us: int) -> CallState:
    return _converse(state, misunderstood=event.times)


def _turn_timed(state: CallState, event: TurnTimed, at_us: int) -> CallState:
    answer_ms = event.first_packet_ms
    return state if answer_ms is None else _converse(state, last_answer_ms=answer_ms)


_FOLDS: Final[Mapping[type[CallEvent], Callable[[CallState, Any, int], CallState]]] = {
    CallStarted: _call_started,
    LegAdded: _leg_added,
    LegConnected: _leg_connected,
    LegLost: _leg_lost,
    LegRemoved: _leg_removed,
    LegRinging: _leg_ringing,
    LegReplaced: _leg_replaced,
    MediaTroubled: _media_troubled,
    AnswererJudged: _answerer_judged,
    CallHeld: _phase_changed,
    CallResumed: _phase_changed,
    CallEnded: _call_ended,
    ListenStarted: _listen_changed,
    ListenStopped: _listen_changed,
    FloorTaken: _floor_taken,
    FloorReturned: _floor_returned,
    FloorGiven: _floor_given,
    TransferRequested: _transfer_requested,
    TransferProgressed: _transfer_progressed,
    TransferEnded: _transfer_ended,
    PersonRequested: _person_requested,
    AgentAttached: _agent_attached,
    AgentFailed: _agent_failed,
    SegmentHeard: _segment_heard,
    UtteranceStarted: _utterance_started,
    UtteranceEnded: _utterance_ended,
    BargedIn: _barged_in,
    StepEntered: _step_entered,
    SlotFilled: _slot_filled,
    Misunderstood: _misunderstood,
    TurnTimed: _turn_timed,
}
"""Events that are not here are facts for readers of the log only; they change nothing."""
