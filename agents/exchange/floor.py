"""What the agent does when others speak with the caller: falls silent, goes on listening or leaves, comes back knowing.

While a person and the other side of a transfer speak with one another, neither is listened to: that talk is theirs.
"""

from __future__ import annotations

from typing import Final, Protocol

from agents.conversation.context import Cause
from agents.exchange.hearing import Hearing
from agents.exchange.reply import Reply
from telephony.call.events import CallEvent, FloorReturned, FloorTaken
from telephony.call.ids import AGENT, CALLER, LegId
from telephony.call.state import CallState
from telephony.call.transfer_events import (
    FloorGiven,
    LegReplaced,
    TransferEnded,
    TransferProgressed,
    TransferRequested,
)

FLOOR_EVENTS: Final = (
    FloorTaken,
    FloorGiven,
    FloorReturned,
    LegReplaced,
    TransferRequested,
    TransferProgressed,
    TransferEnded,
)


class Speaker(Protocol):
    """The pipeline, as the floor needs it."""

    def fall_silent(self) -> None:
        """At once, and nothing of what was to come."""

    def resume(self, cause: Cause) -> None:
        """It is the agent's turn again, if the agent may speak now."""


class Floor:
    """Follows who has the floor of one call."""

    def __init__(self, speaker: Speaker, hearing: Hearing, reply: Reply) -> None:
        self._speaker = speaker
        self._hearing = hearing
        self._reply = reply

    def on_event(self, event: CallEvent, state: CallState, now_s: float) -> None:
        """One of `FLOOR_EVENTS`."""
        match event:
            case FloorTaken(leg=leg):
                self._others_speak(leg, now_s, stays=True)
            case FloorGiven(leg=leg):
                stays = state.transfer is None or state.transfer.agent_stays
                self._others_speak(leg, now_s, stays=stays)
            case FloorReturned():
                self._listen_to_caller()
                self._speaker.resume("back")
            case LegReplaced(leg=leg) if leg == CALLER:
                self._hearing.unlisten(CALLER)
                self._listen_to_caller()
            case TransferRequested():
                self._speaker.fall_silent()
            case TransferProgressed(stage="consulting"):
                self._consult(state)
            case TransferEnded(outcome=outcome) if outcome not in ("answered", "fell_back"):
                self._not_put_through(state)
            case _:
                pass

    def _others_speak(self, leg: LegId, now_s: float, *, stays: bool) -> None:
        """Nothing more of the agent is heard, and both people are, unless the agent leaves them alone."""
        self._speaker.fall_silent()
        self._reply.taken_at_s = now_s
        self._hearing.only_caller(and_also=leg)
        if stays:
            self._hearing.listen(leg)
            self._hearing.expect(CALLER)
        else:
            self._hearing.unlisten(leg)
            self._hearing.unlisten(CALLER)

    def _listen_to_caller(self) -> None:
        self._hearing.only_caller()
        self._hearing.listen(CALLER)
        self._hearing.expect(CALLER)

    def _consult(self, state: CallState) -> None:
        self._hearing.only_caller()
        target = state.agent_consults
        if target is not None and state.transfer is not None:
            self._reply.introduce(target, state.transfer.name)

    def _not_put_through(self, state: CallState) -> None:
        if state.floor == AGENT:
            self._speaker.resume("transfer")
        elif state.floor is not None:
            self._hearing.listen(state.floor)
