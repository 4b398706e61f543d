"""The legs of a call as its session holds them: answered, rung, moved and closed as the effects say."""

from __future__ import annotations

from typing import assert_never

from telephony.call.effects import AnswerLeg, CloseLeg, LegEffect, MoveLeg, RingCaller, SetRoutes
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import CallAudio, LegControl


class Attachments:
    """Effects on a leg that is not here any more are nothing to do."""

    def __init__(self, audio: CallAudio) -> None:
        self._audio = audio
        self._legs: dict[LegId, LegControl] = {}

    def attach(self, leg: LegId, control: LegControl) -> None:
        self._legs[leg] = control

    def perform(self, effect: LegEffect) -> None:
        match effect:
            case SetRoutes(routes=edges, flush_agent=flush):
                self._audio.route(edges, flush_agent=flush)
            case AnswerLeg(leg=leg):
                if leg in self._legs:
                    self._legs[leg].answer()
            case RingCaller(early_media=early_media):
                if CALLER in self._legs:
                    self._legs[CALLER].ring(early_media=early_media)
            case MoveLeg(leg=leg, to=to):
                self._move(leg, to)
            case CloseLeg(leg=leg, cause=cause):
                if leg in self._legs:
                    self._legs.pop(leg).close(cause)
            case _:
                assert_never(effect)

    def _move(self, leg: LegId, to: LegId) -> None:
        if to in self._legs:
            self._legs.pop(to).close("replaced")
        self._audio.rename(leg, to)
        successor = self._legs.pop(leg, None)
        if successor is not None:
            successor.become(to)
            self._legs[to] = successor
