"""Who may speak to the caller and who listens: the rules of listen, take over and hand back. Pure."""

from __future__ import annotations

from telephony.call import transfer
from telephony.call.commands import HandBack, StartListening, StopListening, TakeFloor
from telephony.call.errors import FloorHeldError, IllegalTransitionError, TransferRunningError
from telephony.call.events import (
    CallEvent,
    FloorReturned,
    FloorTaken,
    LegRemoved,
    ListenStarted,
    ListenStopped,
)
from telephony.call.ids import LegId, UserName
from telephony.call.state import CallState, Leg, LegPhase, Phase

Facts = tuple[CallEvent, ...]


def start_listening(state: CallState, command: StartListening) -> Facts:
    """The leg need not carry audio yet, so that the listening is on record before the first frame."""
    leg = _own_leg(state, command.leg, command.who)
    if leg.phase is LegPhase.REMOVED:
        raise IllegalTransitionError("the leg has left")
    return () if leg.listening else (ListenStarted(leg=leg.id, who=command.who),)


def stop_listening(state: CallState, command: StopListening) -> Facts:
    """Repeating it is harmless."""
    leg = _own_leg(state, command.leg, command.who)
    if leaves_alone(state, leg.id):
        raise IllegalTransitionError("the caller would be alone")
    return floor_given_up(state, leg.id, "stopped_listening") + listening_over(leg)


def take_floor(state: CallState, command: TakeFloor) -> Facts:
    """One supervisor at a time; from a colleague only with a reason, which is recorded.

    A transfer under way is over by it, and a person who was put through is let go. A call between people may be taken
    while it rings. Raises: FloorHeldError.
    """
    leg = _own_leg(state, command.leg, command.who)
    if leg.phase is not LegPhase.CONNECTED or not leg.listening:
        raise IllegalTransitionError("take over needs a connected leg that listens")
    if state.phase is Phase.RINGING and (state.agent is not None or state.direction == "outbound"):
        raise IllegalTransitionError("nobody has answered yet")
    if state.floor == leg.id:
        return ()
    holder = state.controller
    colleague = holder if holder not in (None, command.who) else None
    if colleague is not None and not command.force_reason:
        raise FloorHeldError(colleague)
    reason = command.force_reason if colleague is not None else ""
    taken = FloorTaken(leg=leg.id, who=command.who, taken_from=colleague, force_reason=reason)
    return (taken, *_let_go(state))


def _let_go(state: CallState) -> Facts:
    if state.transfer is not None:
        return transfer.given_up(state, "cancelled", "taken_over", kept=True)
    return _target_let_go(state, "taken_over")


def _target_let_go(state: CallState, reason: str) -> Facts:
    """A person who was put through does not stay behind in silence."""
    before = state.legs.get(state.floor) if state.floor is not None else None
    if before is not None and before.role == "target":
        return (LegRemoved(leg=before.id, reason=reason),)
    return ()


def hand_back(state: CallState, command: HandBack) -> Facts:
    """Raises: FloorHeldError if somebody else has the floor, IllegalTransitionError without an agent."""
    if state.controller is None:
        raise IllegalTransitionError("no supervisor has the floor")
    if state.controller != command.who:
        raise FloorHeldError(state.controller)
    if state.transfer is not None:
        raise TransferRunningError("a transfer is under way")
    if state.agent is None:
        raise IllegalTransitionError("there is no agent to hand back to")
    returned = FloorReturned(who=command.who, reason="handed_back", brief=command.brief)
    return (returned, *_target_let_go(state, "handed_back"))


def floor_given_up(state: CallState, leg: LegId, reason: str) -> Facts:
    """The floor goes back to the agent by itself when the leg that holds it goes away.

    In a call between people it stays with a leg that is lost until that one is back or removed (`leaves_alone`).
    """
    if state.floor != leg or leaves_alone(state, leg):
        return ()
    if through := transfer.consultant_left(state):
        return through
    return (FloorReturned(who=state.controller, reason=reason),)


def leaves_alone(state: CallState, leg: LegId) -> bool:
    """Without this leg the caller has nobody: no agent, and nobody who is being rung."""
    return state.floor == leg and state.agent is None and state.transfer is None


def listening_over(leg: Leg) -> Facts:
    """The end of a listening that was going on."""
    if not leg.listening or leg.who is None:
        return ()
    return (ListenStopped(leg=leg.id, who=leg.who),)


def _own_leg(state: CallState, leg_id: LegId, who: UserName) -> Leg:
    leg = state.legs.get(leg_id)
    if leg is None or leg.role != "supervisor" or leg.who != who:
        raise IllegalTransitionError("not a leg of this supervisor")
    return leg
