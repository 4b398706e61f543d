"""The calls of a node: admission, look-up, drain, and the end of all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from telephony.admission import Refusal
from telephony.call.commands import EndCall
from telephony.call.errors import CallGoneError, NoCapacityError
from telephony.call.events import CallEnded, Recorded
from telephony.call.ids import CallId
from telephony.call.ports import CallAudio
from telephony.call.serial import row
from telephony.call.session import CallSession, SessionPorts
from telephony.call.state import CallState, Phase
from telephony.call.timers import TimerSet

log = logging.getLogger(__name__)

ENDED_KEPT_S: Final = 60.0
"""An ended call stays in the list this long, so that a person sees how it ended."""
CUT_OFF_S: Final = 1.0
"""Calls that did not end by the rules have this long, all together, to be cut off."""


Admit = Callable[[int, bool], Refusal | None]
"""(calls that are up, whether the new one needs an agent) -> why it is not taken: the node's one rule."""


class CallRegistry:
    """Live calls by id, and calls that have just ended. For the loop's thread.

    `opened`: one more was taken. `agents`: how many calls each agent has; those between people are not in it.
    """

    def __init__(
        self,
        ports: SessionPorts,
        *,
        admit: Admit,
        new_id: Callable[[], CallId],
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self._ports = ports
        self._admit = admit
        self._opened = opened
        self._new_id = new_id
        self._sessions: dict[CallId, CallSession] = {}
        self._agent_of: dict[CallId, str] = {}
        self.agents = Counter[str]()
        self._ended: dict[CallId, CallState] = {}
        self._timers = TimerSet(ports.scheduler)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def agent_calls(self) -> int:
        """Calls that an agent listens to."""
        return len(self._agent_of)

    def refusal(self, *, agent: bool = True) -> Refusal | None:
        """Why one more call is not taken, or None: asked before anything is allocated for it."""
        return self._admit(len(self._sessions), agent)

    def open(
        self, audio: CallAudio, call: CallId | None = None, *, agent: str | None = None
    ) -> CallSession:
        """A running session without a call yet: attach the leg, join the agent, then `StartCall`.

        `agent`: the name of the one that will listen; None for a call between people.
        Raises: NoCapacityError when the node takes no more calls.
        """
        refusal = self.refusal(agent=agent is not None)
        if refusal is not None:
            raise NoCapacityError(refusal.reason)
        name = self._new_id() if call is None else call
        session = CallSession(name, self._ports, audio, self._session_closed)
        self._sessions[name] = session
        if agent is not None:
            self._agent_of[name] = agent
            self.agents[agent] += 1
        session.start()
        self._opened()
        return session

    def discard(self, session: CallSession) -> None:
        """Takes back a session that got no call; its room is free at once."""
        self._leave(session.id)
        session.abandon()

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """Lossy, about all calls of the node at once: levels."""
        self._ports.publish(topic, body)

    def get(self, call: CallId) -> CallSession:
        """Raises: CallGoneError."""
        session = self._sessions.get(call)
        if session is None:
            raise CallGoneError("no such call here")
        return session

    def sessions(self) -> Sequence[CallSession]:
        return tuple(self._sessions.values())

    def rows(self) -> list[Mapping[str, Any]]:
        """Live calls and those that ended within the last minute, as docs/wire.md has them."""
        live = (session.state for session in self._sessions.values())
        return [row(state, self._ports.node) for state in (*live, *self._ended.values())]

    def end_unfinished(self, unfinished: Mapping[CallId, int]) -> None:
        """Puts an end on record for calls (and their last `seq`) that a node of this name left when it died.

        Call it once, before the first call. Raises: LogFullError.
        """
        ended = CallEnded(cause="node_died", by="system")
        at_us = self._ports.scheduler.wall_us()
        for call, seq in unfinished.items():
            record = Recorded(call=call, seq=seq + 1, at_us=at_us, event=ended, actor="system")
            self._ports.log.append([record])
        if unfinished:
            log.warning("calls_ended_by_restart", extra={"calls": len(unfinished)})

    async def end_all(self, cause: str, deadline_s: float) -> None:
        """Ends every call by the rules; those that have not closed by the deadline are cut off.

        The node admits no more calls by then.
        """
        sessions = self.sessions()
        for session in sessions:
            session.post(EndCall(cause=cause, by="system"))
        try:
            async with asyncio.timeout(deadline_s):
                for session in sessions:
                    await session.wait_closed()
        except TimeoutError:
            late = self.sessions()
            log.warning("calls_cut_off", extra={"calls": len(late)})
            await self._cut_off(late)
        self._timers.close()

    async def _cut_off(self, sessions: Sequence[CallSession]) -> None:
        """All at once, so that one which hangs holds up no other; the whole is bounded."""
        try:
            async with asyncio.timeout(CUT_OFF_S), asyncio.TaskGroup() as group:
                for session in sessions:
                    group.create_task(session.abort())
        except TimeoutError:
            log.error("calls_left_hanging", extra={"calls": len(self._sessions)})

    def _session_closed(self, state: CallState) -> None:
        self._leave(state.id)
        if state.phase is Phase.NEW:
            return
        self._ended[state.id] = state
        self._timers.set(state.id, ENDED_KEPT_S, partial(self._forget, state.id))

    def _leave(self, call: CallId) -> None:
        self._sessions.pop(call, None)
        agent = self._agent_of.pop(call, None)
        if agent is None:
            return
        self.agents[agent] -= 1
        if not self.agents[agent]:
            del self.agents[agent]

    def _forget(self, call: CallId) -> None:
        del self._ended[call]
