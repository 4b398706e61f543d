"""What a command makes happen: `decide(state, command) -> events`. Pure; a refusal is a typed `CallError`.

An empty answer means that what was asked for is so already: commands may be repeated. `evolve` is the other half of
the machine; the tables are in `transitions`, the rules of the floor in `handover`, those of transfers in `transfer`,
those of facts in `reports`.
"""

from __future__ import annotations

from typing import assert_never

from telephony.call import transfer
from telephony.call.commands import (
    AddLeg,
    CallCommand,
    CancelTransfer,
    CompleteTransfer,
    ConnectLeg,
    EndCall,
    EndTransfer,
    FailAgent,
    FallBack,
    HandBack,
    HoldCall,
    LoseLeg,
    ProgressTransfer,
    RemoveLeg,
    Report,
    RequestTransfer,
    ResumeCall,
    RingLeg,
    StartCall,
    StartListening,
    StopListening,
    TakeFloor,
)
from telephony.call.errors import CallGoneError, IllegalTransitionError
from telephony.call.events import (
    AgentFailed,
    CallEnded,
    CallEvent,
    CallHeld,
    CallResumed,
    CallStarted,
    LegAdded,
    LegConnected,
    LegLost,
    LegRemoved,
)
from telephony.call.evolution import apply, evolve, replay
from telephony.call.handover import (
    floor_given_up,
    hand_back,
    leaves_alone,
    listening_over,
    start_listening,
    stop_listening,
    take_floor,
)
from telephony.call.ids import CALLER, LegId
from telephony.call.reports import REPORTABLE, admit
from telephony.call.state import CallState, Leg, LegPhase, Phase
from telephony.call.transfer_events import (
    LegRinging,
)
from telephony.call.transitions import ADMITTED

__all__ = ["REPORTABLE", "decide", "evolve", "replay"]

Facts = tuple[CallEvent, ...]


def decide(state: CallState, command: CallCommand) -> Facts:
    """The facts that follow from the command. Raises: IllegalTransitionError, FloorHeldError, CallGoneError."""
    if state.phase not in ADMITTED[type(command)]:
        if state.phase is Phase.ENDED:
            raise CallGoneError(f"{type(command).__name__} after the end")
        raise IllegalTransitionError(f"{type(command).__name__} in phase {state.phase}")
    match command:
        case StartCall() | EndCall() | HoldCall() | ResumeCall() | FailAgent():
            return _decide_call(state, command)
        case AddLeg() | RingLeg() | ConnectLeg() | LoseLeg() | RemoveLeg():
            return _decide_leg(state, command)
        case StartListening() | StopListening() | TakeFloor() | HandBack():
            return _decide_floor(state, command)
        case Report():
            return _reported(state, command)
        case _:
            return _decide_transfer(state, command)


def _decide_call(
    state: CallState, command: StartCall | EndCall | HoldCall | ResumeCall | FailAgent
) -> Facts:
    match command:
        case StartCall():
            return _start(command)
        case EndCall():
            if state.phase is Phase.ENDED:
                return ()
            ended = CallEnded(cause=command.cause, by=command.by, who=command.who)
            return (*transfer.ending(state), ended)
        case HoldCall():
            return (CallHeld(leg=command.leg),) if not _holds(state, command.leg) else ()
        case ResumeCall():
            return (CallResumed(leg=command.leg),) if _holds(state, command.leg) else ()
        case FailAgent():
            return _fail_agent(state, command)
        case _:
            assert_never(command)


def _fail_agent(state: CallState, command: FailAgent) -> Facts:
    if state.agent is None:
        raise IllegalTransitionError("the call has no agent")
    if state.conversation.agent_failed is not None:
        return ()
    through = transfer.consultant_left(state) if state.agent_consults is not None else ()
    return (AgentFailed(reason=command.reason), *through)


def _decide_transfer(
    state: CallState,
    command: RequestTransfer
    | ProgressTransfer
    | CompleteTransfer
    | CancelTransfer
    | EndTransfer
    | FallBack,
) -> Facts:
    match command:
        case RequestTransfer():
            return transfer.request(state, command)
        case ProgressTransfer():
            return transfer.progress(state, command)
        case CompleteTransfer():
            return transfer.complete(state, command)
        case CancelTransfer():
            return transfer.cancel(state, command)
        case EndTransfer():
            return transfer.end(state, command)
        case FallBack():
            return transfer.fall_back(state, command)
        case _:
            assert_never(command)


def _decide_leg(
    state: CallState, command: AddLeg | RingLeg | ConnectLeg | LoseLeg | RemoveLeg
) -> Facts:
    match command:
        case AddLeg():
            return _add_leg(state, command)
        case RingLeg():
            return _ring_leg(state, _present_leg(state, command.leg), command)
        case ConnectLeg():
            return _connect_leg(state, _present_leg(state, command.leg), command)
        case LoseLeg():
            return _lose_leg(state, _present_leg(state, command.leg), command.reason)
        case RemoveLeg():
            return _remove_leg(state, command)
        case _:
            assert_never(command)


def _decide_floor(
    state: CallState, command: StartListening | StopListening | TakeFloor | HandBack
) -> Facts:
    match command:
        case StartListening():
            return start_listening(state, command)
        case StopListening():
            return stop_listening(state, command)
        case TakeFloor():
            return take_floor(state, command)
        case HandBack():
            return hand_back(state, command)
        case _:
            assert_never(command)


def _start(command: StartCall) -> Facts:
    return (
        CallStarted(
            direction=command.direction,
            transport=command.transport,
            called=command.called,
            caller=command.caller,
            agent=command.agent,
            variables=dict(command.variables),
            persons_first=command.persons_first,
        ),
        LegAdded(leg=CALLER, role="caller", transport=command.transport),
    )


def _add_leg(state: CallState, command: AddLeg) -> Facts:
    if command.leg in state.legs:
        raise IllegalTransitionError("a leg of this name was attached before")
    if command.role in ("caller", "agent"):
        raise IllegalTransitionError(f"a call has one {command.role}")
    if command.role == "supervisor" and command.who is None:
        raise IllegalTransitionError("a supervisor's leg without a name")
    if command.replaces is not None:
        replaced = _present_leg(state, command.replaces)
        if replaced.role == "agent" or replaced.phase is LegPhase.ADDED:
            raise IllegalTransitionError("only a leg that is up can be replaced")
    added = LegAdded(
        leg=command.leg,
        role=command.role,
        transport=command.transport,
        who=command.who,
        replaces=command.replaces,
    )
    return (added,)


def _ring_leg(state: CallState, leg: Leg, command: RingLeg) -> Facts:
    if leg.phase is not LegPhase.ADDED:
        return ()
    early = command.early_media or leg.early
    if leg.ringing and early == leg.early:
        return ()
    return (LegRinging(leg=leg.id, early_media=early), *transfer.rung(state, leg))


def _connect_leg(state: CallState, leg: Leg, command: ConnectLeg) -> Facts:
    if leg.phase is LegPhase.CONNECTED and leg.codec == command.codec:
        return ()
    resumed = leg.phase is LegPhase.LOST
    connected = LegConnected(leg=leg.id, codec=command.codec, resumed=resumed)
    return (connected, *transfer.connected(state, leg))


def _lose_leg(state: CallState, leg: Leg, reason: str) -> Facts:
    if leg.phase is LegPhase.LOST:
        return ()
    if leg.phase is LegPhase.ADDED:  # never carried audio: there is nothing to come back to
        return _removal(state, leg, reason)
    return (*floor_given_up(state, leg.id, "leg_lost"), LegLost(leg=leg.id, reason=reason))


def _remove_leg(state: CallState, command: RemoveLeg) -> Facts:
    leg = state.legs.get(command.leg)
    if leg is None:
        raise IllegalTransitionError("unknown leg")
    return () if leg.phase is LegPhase.REMOVED else _removal(state, leg, command.reason)


def _removal(state: CallState, leg: Leg, reason: str) -> Facts:
    removed = LegRemoved(leg=leg.id, reason=reason)
    if leg.id == CALLER:
        if transfer.caller_waits_for_another(state):
            return (LegLost(leg=CALLER, reason=reason),) if leg.carries else ()
        return (*transfer.ending(state), removed, CallEnded(cause=reason, by="caller"))
    if leg.role == "target":
        return transfer.target_left(state, leg, reason)
    if leaves_alone(state, leg.id):
        alone = CallEnded(cause="supervisor_left", by="supervisor", who=leg.who)
        return (*listening_over(leg), removed, alone)
    return (*floor_given_up(state, leg.id, "leg_removed"), *listening_over(leg), removed)


def _reported(state: CallState, command: Report) -> Facts:
    """All or nothing; each fact is judged after those before it."""
    for number, event in enumerate(command.events, 1):
        admit(state, event)
        if number < len(command.events):
            state = apply(state, event, state.started_us)
    return command.events


def _present_leg(state: CallState, leg_id: LegId) -> Leg:
    leg = state.legs.get(leg_id)
    if leg is None or leg.phase is LegPhase.REMOVED:
        raise IllegalTransitionError("no such leg, or it has left")
    return leg


def _holds(state: CallState, leg_id: LegId) -> bool:
    """Phones hold; browsers and agents do not."""
    if leg_id == CALLER:
        return state.phase is Phase.HELD
    leg = _present_leg(state, leg_id)
    if leg.role != "target" or not leg.carries:
        raise IllegalTransitionError("this leg does not hold")
    return leg.held
