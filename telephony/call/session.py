"""The one owner of a call: commands in, facts to the log, effects out; owner of all tasks and timers of the call.

A command is decided, logged and folded into the state in one step that cannot be interleaved; what follows from it
(audio, legs, timers, participants, bus) is done by the session's task, in the order of the log. Records of class A
are on disk before anything follows from them. All methods are for the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, field
from functools import partial
from typing import Any, Final

from telephony.call.attachments import Attachments
from telephony.call.commands import (
    CallCommand,
    CompleteTransfer,
    EndCall,
    FailAgent,
    RemoveLeg,
    Report,
    RequestTransfer,
)
from telephony.call.effects import CancelTimer, Effect, Limits, SetTimer, effects
from telephony.call.errors import CallError, CallGoneError, IllegalTransitionError, NoCapacityError
from telephony.call.events import (
    CallEnded,
    CallEvent,
    FloorTaken,
    ListenStarted,
    Recorded,
    ToolRequested,
    UtteranceEnded,
)
from telephony.call.followups import Followup, Outcome, Reply
from telephony.call.ids import CallId, LegId, TransferId
from telephony.call.machine import decide, evolve
from telephony.call.participants import Participants
from telephony.call.ports import (
    CallAudio,
    CallerTransfer,
    CallParticipant,
    EventLog,
    LegControl,
    MediaFact,
    Scheduler,
)
from telephony.call.serial import record_to_json, row
from telephony.call.state import CallState, Phase
from telephony.call.timers import TimerSet
from telephony.call.transfer_events import TransferMethod, TransferMode, TransferRequested
from telephony.values import value

log = logging.getLogger(__name__)

CLASS_A: Final = (ListenStarted, FloorTaken, ToolRequested, TransferRequested)
"""Facts that are on disk before they have an effect."""
COMMIT_S: Final = 1.0
"""A disk slower than this does not hold the call up; it is reported instead."""
MAILBOX: Final = 1_000
REMEMBERED_COMMANDS: Final = 1_000
LAST_WORDS_S: Final = 30.0
"""How long an agent that ends the call may go on saying what it is saying."""


@value(frozen=True, slots=True, kw_only=True)
class SessionPorts:
    """What a session needs from its process. `publish` is `NodeBus.publish`."""

    log: EventLog
    scheduler: Scheduler
    publish: Callable[[str, Mapping[str, Any]], None]
    node: str
    limits: Limits = field(default_factory=Limits)


def _nothing() -> None:
    """There is nobody to clean up."""


def _by_bridge(destination: str, mode: TransferMode) -> TransferMethod:
    return "bridge"


class CallSession:
    """A call in progress. Implements `CallAccess` for its participants."""

    def __init__(
        self,
        call: CallId,
        ports: SessionPorts,
        audio: CallAudio,
        on_closed: Callable[[CallState], None] | None = None,
    ) -> None:
        self._ports = ports
        self._on_closed = on_closed
        self._state = CallState(id=call)
        self._attachments = Attachments(audio)
        self._participants = Participants(call, self._participant_failed)
        self._timers = TimerSet(ports.scheduler)
        self._mailbox: deque[tuple[CallCommand, asyncio.Future[int] | None]] = deque()
        self._followups: deque[Followup | Reply] = deque()
        self._wake = asyncio.Event()
        self._outcomes: dict[str, Outcome] = {}
        self._owner: asyncio.Task[None] | None = None
        self._end_cause_after_speech: str | None = None
        self._closed = False
        self._abandoned = False
        self._began_s = ports.scheduler.monotonic()
        self.refused = 0
        self.after_close: Callable[[], None] = _nothing
        """Called when nothing of the call runs any more; set by whoever cleans up behind it."""
        self.transfer_method: Callable[[str, TransferMode], TransferMethod] = _by_bridge
        """How a destination is reached; set by whoever carries transfers out."""

    # ------------------------------------------------------------------------------------- commands

    @property
    def id(self) -> CallId:
        return self._state.id

    @property
    def state(self) -> CallState:
        return self._state

    def start(self) -> None:
        """Begins to act on commands; call once."""
        self._owner = asyncio.create_task(self._run(), name=f"call {self.id}")
        self._owner.add_done_callback(self._gone)

    def _gone(self, _: asyncio.Task[None]) -> None:
        """Lets go of all that knows this session, so that no collector is needed for what is left of the call."""
        after, self.after_close, self._owner = self.after_close, _nothing, None
        self.transfer_method = _by_bridge
        after()

    def abandon(self) -> None:
        """Ends a session that got no call: nothing is logged, and its task goes by itself."""
        self._abandoned = True
        self._wake.set()

    def post(self, command: CallCommand) -> None:
        """Puts the command into the mailbox. A refusal is counted; who needs the answer uses `submit`."""
        self._put(command, None)

    async def submit(self, command: CallCommand) -> int:
        """Position of the log at which the command was fulfilled, with all effects done. Raises: CallError."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(command, future)
        return await future

    def attach_leg(self, leg: LegId, control: LegControl) -> None:
        """Effects on the leg go to `control`; do this before the command that adds the leg."""
        self._attachments.attach(leg, control)

    def join(self, participant: CallParticipant) -> None:
        """The participant sees all events from now on; do this before `StartCall`."""
        self._participants.join(participant)

    def media(self, fact: MediaFact) -> None:
        """Hands a fact of media to the participants at once; it is not logged."""
        self._participants.on_media(fact)

    async def wait_closed(self) -> None:
        """Returns when the call has ended and nothing of it runs any more."""
        if self._owner is not None:
            await asyncio.wait({self._owner})

    async def abort(self) -> None:
        """Ends everything at once, without further effects; for the end of the process."""
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        await self._close()

    def _put(self, command: CallCommand, future: asyncio.Future[int] | None) -> None:
        refusal: CallError | None = None
        if self._closed:
            refusal = CallGoneError("the session is closed")
        elif len(self._mailbox) >= MAILBOX and not isinstance(command, EndCall | RemoveLeg):
            refusal = NoCapacityError("the mailbox is full")
        if refusal is None:
            self._mailbox.append((command, future))
            self._wake.set()
            return
        self._count_refusal(command, refusal)
        if future is not None:
            future.set_exception(refusal)

    # -------------------------------------------------------------------------- what participants do

    def now_s(self) -> float:
        return self._ports.scheduler.monotonic() - self._began_s

    def report(self, *events: CallEvent) -> bool:
        self._decide_waiting()
        outcome = self._decide(Report(actor="agent", events=events))
        self._wake.set()
        return isinstance(outcome, int)

    def request_end(self, cause: str) -> None:
        self._end_cause_after_speech = cause
        self._timers.set("last words", LAST_WORDS_S, self._end_after_speech)
        if not self._speaking():
            self._end_after_speech()

    def request_transfer(self, wish: CallerTransfer) -> None:
        method = self.transfer_method(wish.destination, wish.mode)
        name, wished = TransferId(f"a{self._state.seq}"), asdict(wish)
        self.post(
            RequestTransfer(actor="agent", transfer=name, method=method, by="agent", **wished)
        )

    def complete_transfer(self) -> None:
        self.post(CompleteTransfer(actor="agent"))

    def fail_agent(self, reason: str) -> None:
        self.post(FailAgent(actor="agent", reason=reason))

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        self._ports.publish(topic, {"call": self.id, **body})

    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None:
        own_name = f"participant:{name}"
        if seconds is None:
            self._timers.cancel(own_name)
        else:
            self._timers.set(own_name, seconds, partial(self._participants.guard, name, callback))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._participants.spawn(name, work)

    def _participant_failed(self, reason: str) -> None:
        self.post(FailAgent(reason=reason))

    def _speaking(self) -> bool:
        return any(said.heard is None for said in self._state.conversation.said)

    def _end_after_speech(self) -> None:
        cause, self._end_cause_after_speech = self._end_cause_after_speech, None
        self._timers.cancel("last words")
        if cause is not None:
            self.post(EndCall(actor="agent", cause=cause, by="agent"))

    # --------------------------------------------------------------------------- decide, log, evolve

    def _decide_waiting(self) -> None:
        while self._mailbox:
            command, future = self._mailbox.popleft()
            outcome = self._decide(command)
            if future is not None:
                self._followups.append(Reply(future, outcome))

    def _decide(self, command: CallCommand) -> Outcome:
        key = command.id
        if key is not None and key in self._outcomes:
            return self._outcomes[key]
        outcome: Outcome
        try:
            outcome = self._accept(command, decide(self._state, command))
        except CallError as refusal:
            self._count_refusal(command, refusal)
            outcome = refusal
        except Exception:
            log.exception("decision_failed", extra=self._about(command))
            outcome = IllegalTransitionError("the command could not be decided")
        if key is not None:
            if len(self._outcomes) >= REMEMBERED_COMMANDS:
                del self._outcomes[next(iter(self._outcomes))]
            self._outcomes[key] = outcome
        return outcome

    def _accept(self, command: CallCommand, events: tuple[CallEvent, ...]) -> int:
        """Only the last record of a command carries its key: the log holds each key once."""
        state, at_us = self._state, self._ports.scheduler.wall_us()
        records: list[Recorded] = []
        followups: list[Followup] = []
        for number, event in enumerate(events, 1):
            record = Recorded(
                call=state.id,
                seq=state.seq + 1,
                at_us=at_us,
                event=event,
                actor=command.actor,
                idempotency_key=command.id if number == len(events) else None,
            )
            before, state = state, evolve(state, record)
            records.append(record)
            followups.append(Followup(before, record, state))
        if records:
            self._ports.log.append(records)
        self._followups += followups
        self._move(state, command)
        return self._state.seq

    def _move(self, after: CallState, command: CallCommand) -> None:
        before, self._state = self._state, after
        if before.phase is not after.phase:
            log.info(
                "call_phase_changed",
                extra={**self._about(command), "old": before.phase.value, "new": after.phase.value},
            )

    def _count_refusal(self, command: CallCommand, refusal: CallError) -> None:
        self.refused += 1
        log.info("command_refused", extra={**self._about(command), "reason": str(refusal)})

    def _about(self, command: CallCommand) -> dict[str, Any]:
        return {"call_id": self.id, "command": type(command).__name__}

    # ---------------------------------------------------------------------------- what follows from it

    async def _run(self) -> None:
        while not self._over or self._followups:
            if not self._mailbox and not self._followups:
                self._wake.clear()
                await self._wake.wait()
            self._decide_waiting()
            await self._follow_all()
        await self._close()

    @property
    def _over(self) -> bool:
        return self._abandoned or self._state.phase is Phase.ENDED

    async def _follow_all(self) -> None:
        while self._followups:
            item = self._followups.popleft()
            if isinstance(item, Reply):
                item.give()
                continue
            if isinstance(item.record.event, CLASS_A):
                await self._commit(item.record)
            self._follow(item)

    def _follow(self, item: Followup) -> None:
        for effect in effects(item.before, item.record, item.after, self._ports.limits):
            self._perform(effect)
        self._participants.on_event(item.record, item.after)
        self._publish(item)
        self._watch_last_words(item.record.event)

    async def _commit(self, record: Recorded) -> None:
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._ports.log.committed(self.id, record.seq)
        except (TimeoutError, CallError):
            log.error("commit_late", extra={"call_id": self.id, "seq": record.seq})

    def _perform(self, effect: Effect) -> None:
        """Legs and audio are this process's own code; a fault of theirs must not keep the rest from happening."""
        try:
            self._perform_one(effect)
        except Exception:
            extra = {"call_id": self.id, "effect": type(effect).__name__}
            log.exception("effect_failed", extra=extra)

    def _perform_one(self, effect: Effect) -> None:
        match effect:
            case SetTimer(name=name, seconds=seconds, command=command):
                self._timers.set(name, seconds, partial(self.post, command))
            case CancelTimer(name=name):
                self._timers.cancel(name)
            case _:
                self._attachments.perform(effect)

    def _publish(self, item: Followup) -> None:
        body = record_to_json(item.record)
        body["row"] = row(item.after, self._ports.node)
        self._ports.publish("event", body)

    def _watch_last_words(self, event: CallEvent) -> None:
        if isinstance(event, FloorTaken | TransferRequested):  # a person goes on with the call
            self._end_cause_after_speech = None
            self._timers.cancel("last words")
        elif isinstance(event, UtteranceEnded | CallEnded) and not self._speaking():
            self._end_after_speech()

    async def _close(self) -> None:
        """Participants may report their last facts until they are closed."""
        self._timers.close()
        await self._participants.close()
        while self._mailbox or self._followups:
            self._decide_waiting()
            await self._follow_all()
        self._closed = True
        self._participants.forget()
        if self._on_closed is not None:
            self._on_closed(self._state)
