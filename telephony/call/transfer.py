"""The rules of transfers: who may ask for one, what an answer, a refusal, a hang-up or a cancellation brings about. Pure.

Whatever happens to a target, the caller ends up with somebody: the target, whoever had the floor before, the agent; or
the call ends with a reason. Nobody is left waiting for a leg that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from telephony.call.commands import (
    CancelTransfer,
    CompleteTransfer,
    EndTransfer,
    FallBack,
    ProgressTransfer,
    RequestTransfer,
)
from telephony.call.errors import FloorHeldError, IllegalTransitionError, TransferRunningError
from telephony.call.events import (
    CallEnded,
    CallEvent,
    FloorReturned,
    LegRemoved,
)
from telephony.call.ids import AGENT, CALLER, LegId
from telephony.call.state import CallState, Leg, LegPhase, Phase, Transfer
from telephony.call.transfer_events import (
    FloorGiven,
    LegReplaced,
    TransferEnded,
    TransferOutcome,
    TransferProgressed,
    TransferRequested,
    TransferStage,
)
from telephony.call.transitions import TRANSFER_STAGES

Facts = tuple[CallEvent, ...]


# --------------------------------------------------------------------------------------------- what people and agents ask


def request(state: CallState, command: RequestTransfer) -> Facts:
    """Raises: TransferRunningError, FloorHeldError, IllegalTransitionError."""
    if state.transfer is not None:
        if state.transfer.id == command.transfer:
            return ()
        raise TransferRunningError("a transfer is under way")
    _may_request(state, command)
    then = command.then or ("end" if state.agent is None else "return")
    requested = TransferRequested(
        transfer=command.transfer,
        mode=command.mode,
        method=command.method,
        by=command.by,
        who=command.who,
        destination=command.destination,
        name=command.name,
        then=then,
        brief=command.brief,
        agent_stays=command.agent_stays,
    )
    return (requested,)


def _may_request(state: CallState, command: RequestTransfer) -> None:
    if state.phase is Phase.RINGING and (command.by != "system" or state.direction != "inbound"):
        raise IllegalTransitionError("nobody has answered yet")
    if state.phase is Phase.HELD and command.by != "caller":  # phones hold before they refer
        raise IllegalTransitionError("the caller holds")
    if command.method == "refer" and (command.mode != "blind" or state.transport != "sip"):
        raise IllegalTransitionError("only a phone can be asked to call somebody else")
    match command.by:
        case "agent" if not state.agent_has_floor:
            raise IllegalTransitionError("the agent does not have the floor")
        case "target" if command.leg is None or state.floor != command.leg:
            raise IllegalTransitionError("this leg does not have the floor")
        case "supervisor":
            _supervisor_may_request(state, command)
        case _:
            pass


def _supervisor_may_request(state: CallState, command: RequestTransfer) -> None:
    if state.controller not in (None, command.who):
        raise FloorHeldError(state.controller)
    if command.mode == "attended" and state.controller is None:
        raise IllegalTransitionError("take the call over, to speak with the target first")


def progress(state: CallState, command: ProgressTransfer) -> Facts:
    """The caller's trunk reports; nothing for a transfer that is over or of another kind."""
    transfer = state.transfer
    if transfer is None or transfer.id != command.transfer or transfer.method != "refer":
        return ()
    return _reached(transfer, "ringing", command.status)


def complete(state: CallState, command: CompleteTransfer) -> Facts:
    """Raises: IllegalTransitionError while nobody has answered, FloorHeldError for somebody else's transfer."""
    transfer = _running(state)
    _may_decide(transfer, command.who)
    if transfer.stage != "consulting" or transfer.target is None:
        raise IllegalTransitionError("nobody has answered yet")
    if command.release and state.transport == "sip":
        return _reached(transfer, "completing")
    return answered(state, transfer, transfer.target)


def cancel(state: CallState, command: CancelTransfer) -> Facts:
    """Raises: FloorHeldError, and IllegalTransitionError once the caller's trunk has it in hand."""
    transfer = state.transfer
    if transfer is None:
        return ()
    _may_decide(transfer, command.who)
    if transfer.method == "refer" or transfer.stage == "completing":
        raise IllegalTransitionError("the trunk has the transfer in hand")
    return given_up(state, "cancelled", "cancelled")


def _may_decide(transfer: Transfer, who: str | None) -> None:
    if who is not None and transfer.who not in (None, who):
        raise FloorHeldError(transfer.who)


# ------------------------------------------------------------------------------------------------ what becomes of it


def end(state: CallState, command: EndTransfer) -> Facts:
    """What the dialling or the REFER came to; nothing for a transfer that is over."""
    transfer = state.transfer
    if transfer is None or transfer.id != command.transfer:
        return ()
    if command.outcome == "answered":  # elsewhere, by the caller's own trunk
        ended = _ended(transfer, "answered", command.status, command.reason)
        return (ended, CallEnded(cause="transferred", by="system"))
    return given_up(state, command.outcome, command.reason, command.status)


def fall_back(state: CallState, command: FallBack) -> Facts:
    """The REFER came to nothing: who was consulted is bridged; else the target is dialled as a leg of this call."""
    transfer = state.transfer
    if transfer is None or transfer.id != command.transfer:
        return ()
    if transfer.stage == "completing" and transfer.target is not None:
        if not state.legs[transfer.target].carries:
            return given_up(state, "failed", "target_left", command.status)
        return answered(state, transfer, transfer.target, status=command.status, reason="bridged")
    if transfer.method != "refer":
        raise IllegalTransitionError("nothing to fall back from")
    again = TransferRequested(
        transfer=command.next,
        mode=transfer.mode,
        method="bridge",
        by=transfer.by,
        who=transfer.who,
        destination=transfer.destination,
        name=transfer.name,
        then=transfer.then,
        brief=transfer.brief,
        agent_stays=transfer.agent_stays,
    )
    return (_ended(transfer, "fell_back", command.status, "bridged"), again)


def rung(state: CallState, leg: Leg) -> Facts:
    """A phone that was dialled rings."""
    transfer = state.transfer
    if transfer is None or leg.id not in transfer.targets or transfer.stage != "dialling":
        return ()
    return _reached(transfer, "ringing")


def connected(state: CallState, leg: Leg) -> Facts:
    """A leg carries audio for the first time: it may be the answer that was waited for."""
    transfer = state.transfer
    if transfer is not None and leg.id in transfer.targets and leg.phase is LegPhase.ADDED:
        if transfer.mode == "attended":
            if not _somebody_consults(state):
                return answered(state, transfer, leg.id, reason="consultant_left")
            others = _removals(_pending(state, transfer, leg.id), "answered_elsewhere")
            return (*others, *_reached(transfer, "consulting"))
        return answered(state, transfer, leg.id)
    if leg.replaces is not None and leg.phase is LegPhase.ADDED:
        return (LegReplaced(leg=leg.replaces, by=leg.id),)
    return ()


def _somebody_consults(state: CallState) -> bool:
    """Whoever has the floor can speak with the target: an agent that is up, or a person."""
    if state.floor == AGENT:
        return state.agent is not None and state.conversation.agent_failed is None
    leg = state.legs.get(state.floor) if state.floor is not None else None
    return leg is not None and leg.carries


def answered(
    state: CallState,
    transfer: Transfer,
    target: LegId,
    *,
    status: int | None = None,
    reason: str = "",
) -> Facts:
    """Caller and target speak. Others that still ring are let go, and so is a target that had the floor before."""
    ended = _ended(transfer, "answered", status, reason)
    others = _removals(_pending(state, transfer, target), "answered_elsewhere")
    if transfer.by == "caller":
        return (*others, ended, LegReplaced(leg=CALLER, by=target))
    leg = state.legs[target]
    given = FloorGiven(leg=target, who=leg.who, reason=transfer.by)
    before = state.legs.get(state.floor) if state.floor is not None else None
    left: Facts = ()
    if before is not None and before.role == "target" and before.id != target:
        left = (LegRemoved(leg=before.id, reason="transferred"),)
    return (*others, given, ended, *left)


def given_up(
    state: CallState,
    outcome: TransferOutcome,
    reason: str,
    status: int | None = None,
    *,
    kept: bool = False,
) -> Facts:
    """The transfer came to nothing: its legs go, and the caller is back, or, where nobody is left, the call ends.

    `kept`: somebody takes the call at this moment.
    """
    transfer = _running(state)
    legs = [*_pending(state, transfer), *([transfer.target] if transfer.target else [])]
    gone = _removals([leg for leg in legs if state.legs[leg].phase is not LegPhase.REMOVED], reason)
    ended = _ended(transfer, outcome, status, reason)
    if state.phase is Phase.RECONNECTING and transfer.by == "caller":
        return (*gone, ended, CallEnded(cause="caller_hung_up", by="caller"))
    if not kept and not _somebody_is_left(state):
        cause = "forbidden" if outcome == "refused" else reason or outcome
        return (*gone, ended, CallEnded(cause=cause, by="system"))
    return (*gone, ended)


def _somebody_is_left(state: CallState) -> bool:
    if state.floor == AGENT:
        return True
    leg = state.legs.get(state.floor) if state.floor is not None else None
    return leg is not None and leg.phase is not LegPhase.REMOVED


# ------------------------------------------------------------------------------------------------ legs that go away


def target_left(state: CallState, leg: Leg, reason: str) -> Facts:
    """A phone that we dialled is gone, before or after its answer."""
    transfer, removed = state.transfer, LegRemoved(leg=leg.id, reason=reason)
    if transfer is not None and transfer.target == leg.id:
        if transfer.stage == "completing":  # its own side took it over; the outcome is on its way
            return (removed,)
        return given_up(state, "declined", reason)
    if state.floor != leg.id:
        return (removed,)
    returned = FloorReturned(who=None, reason="target_left")
    last = state.transferred
    if transfer is not None:  # somebody else is being rung meanwhile
        return (returned, removed)
    if state.agent is not None and (last is None or last.then == "return"):
        return (returned, removed)
    return (removed, CallEnded(cause="target_hung_up", by="target"))


def caller_waits_for_another(state: CallState) -> bool:
    """The caller put somebody else in the own place and may go: the others are kept."""
    transfer = state.transfer
    return transfer is not None and transfer.by == "caller"


def ending(state: CallState) -> Facts:
    """Goes before the end of a call: what was under way is over."""
    transfer = state.transfer
    return () if transfer is None else (_ended(transfer, "cancelled", None, "call_ended"),)


def consultant_left(state: CallState) -> Facts:
    """Whoever spoke with the target is gone: rather than be alone, the caller is put through."""
    transfer = state.transfer
    if transfer is None or transfer.stage != "consulting" or transfer.target is None:
        return ()
    return answered(state, transfer, transfer.target, reason="consultant_left")


# ---------------------------------------------------------------------------------------------------------- the pieces


def _running(state: CallState) -> Transfer:
    if state.transfer is None:
        raise IllegalTransitionError("no transfer is under way")
    return state.transfer


def _reached(transfer: Transfer, stage: TransferStage, status: int | None = None) -> Facts:
    if stage not in TRANSFER_STAGES[transfer.stage]:
        return ()
    return (TransferProgressed(transfer=transfer.id, stage=stage, status=status),)


def _pending(state: CallState, transfer: Transfer, but: LegId | None = None) -> list[LegId]:
    return [
        leg
        for leg in transfer.targets
        if leg != but and state.legs[leg].phase is LegPhase.ADDED and leg != transfer.target
    ]


def _removals(legs: Sequence[LegId], reason: str) -> Facts:
    return tuple(LegRemoved(leg=leg, reason=reason) for leg in legs)


def _ended(
    transfer: Transfer, outcome: TransferOutcome, status: int | None, reason: str
) -> TransferEnded:
    return TransferEnded(transfer=transfer.id, outcome=outcome, status=status, reason=reason)
