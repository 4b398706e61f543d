"""Commands onto the engine: one handler per command. Runs in the plane's thread at the start of a sub-tick."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from telephony.media.commands import (
    ChangeRtp,
    Command,
    Duck,
    Enqueue,
    Flush,
    Guard,
    Listen,
    Pause,
    Remove,
    ReportTransport,
    Resume,
    Route,
    SendDigits,
    SetGain,
    StartRtp,
    Unguard,
)
from telephony.media.engine import Engine
from telephony.media.handles import SourceHandle, index_of
from telephony.media.notices import Notice
from telephony.media.parameters import RtpParameters
from telephony.media.slots import quarter_of

log = logging.getLogger(__name__)

WIDE_HZ: Final = 16000


class Dispatcher:
    """Applies commands; stale handles are counted and change nothing."""

    def __init__(self, engine: Engine, entropy: random.Random) -> None:
        self._engine = engine
        self._ledger = engine.ledger
        self._entropy = entropy
        self._slots = engine.slots.rows
        self._first_voice = engine.slots.rows + len(engine.packet_legs.active)
        self._handlers: Final[dict[type, Callable[[Any, float], list[Notice] | None]]] = {
            StartRtp: self._start_rtp,
            ChangeRtp: self._change_rtp,
            Remove: self._remove,
            Route: self._route,
            Listen: lambda c, _: engine.ears.listen(index_of(c.slot), c.on),
            Enqueue: self._enqueue,
            Flush: self._flush,
            Duck: lambda c, _: engine.voices.duck(self._voice(c)),
            Pause: lambda c, _: engine.voices.pause(self._voice(c)),
            Resume: lambda c, _: engine.voices.resume(self._voice(c)),
            SetGain: lambda c, _: engine.voices.set_gain(self._voice(c), c.gain),
            Guard: self._guard,
            Unguard: lambda c, _: engine.ears.unguard(index_of(c.slot)),
            SendDigits: self._send_digits,
            ReportTransport: self._report_transport,
        }

    def apply(self, commands: Sequence[Command], now: float) -> list[Notice]:
        notices: list[Notice] = []
        for command in commands:
            if not all(self._engine.registry.live(handle) for handle in _handles(command)):
                self._engine.counters.stale_commands += 1
                continue
            try:
                notices += self._handlers[type(command)](command, now) or []
            except Exception:
                # One call's command must not end the audio of all calls.
                self._engine.counters.handler_errors += 1
                log.exception("media_command_failed", extra={"command": type(command).__name__})
        return notices

    def _voice(self, command: Enqueue | Flush | Duck | Pause | Resume | SetGain | Guard) -> int:
        return index_of(command.voice) - self._first_voice

    def _start_rtp(self, command: StartRtp, now: float) -> None:
        engine, row = self._engine, index_of(command.slot)
        if engine.slots.active[row]:
            engine.counters.refused_commands += 1
            return
        self._equip(row, command.parameters)
        bits = self._entropy.getrandbits
        engine.slots.start(row, bits(32), bits(16), bits(32), now)
        engine.stream_playback.concealed[row] = engine.wide_playback.concealed[row] = 0
        engine.legs.start(command.slot, row, command.parameters, now)
        self._want_keys(row, command.parameters)
        engine.reports.start(row, now, self._entropy.random())
        self._note_remote(row, command)

    def _equip(self, row: int, parameters: RtpParameters) -> None:
        """What may be refused comes first, so that a refused slot stays as it was: silent."""
        slots = self._engine.slots
        slots.wide[row] = parameters.codec.rate_hz == WIDE_HZ
        slots.take_keys(row, parameters.srtp)
        slots.take_codecs(row, parameters)
        self._engine.floor.set_native(row, wide=bool(slots.wide[row]))

    def _change_rtp(self, command: ChangeRtp, now: float) -> None:
        row = index_of(command.slot)
        if not self._engine.slots.active[row]:
            self._engine.counters.refused_commands += 1
            return
        self._engine.legs.change(row, command.parameters, now)
        self._engine.reports.change(row)
        self._want_keys(row, command.parameters)
        self._note_remote(row, command)

    def _want_keys(self, row: int, parameters: RtpParameters) -> None:
        wide = bool(self._engine.slots.wide[row])
        self._engine.ears.want_keys(row, parameters.inband_digits, wide=wide)

    def _note_remote(self, row: int, command: StartRtp | ChangeRtp) -> None:
        port = int(self._engine.slots.port[row])
        self._ledger.signalled(port, command.slot, command.parameters.remote)
        if not command.parameters.media_networks:
            self._ledger.settled(port, command.slot)

    def _remove(self, command: Remove, now: float) -> list[Notice]:
        engine, index = self._engine, index_of(command.handle)
        engine.floor.forget(index)
        notices: list[Notice] = []
        if index >= self._first_voice:
            row = index - self._first_voice
            engine.ears.forget_voice(row)
            notices = engine.voices.remove(row, now)
            engine.voice_playback.forget(row)
        else:
            engine.ears.forget(index)
            if index >= self._slots:
                engine.packet_legs.stop(index - self._slots)
            else:
                self._stop_rtp(index, command.handle, now)
        engine.registry.give_back(command.handle)
        return notices

    def _stop_rtp(self, row: int, handle: SourceHandle, now: float) -> None:
        engine = self._engine
        if engine.slots.active[row]:
            engine.reports.stop(engine.legs.by_row[row], now)
            engine.legs.stop(row)
            engine.sender.stop(row)
            engine.slots.stop(row)
        self._ledger.leave(int(engine.slots.port[row]), handle)

    def _route(self, command: Route, now: float) -> None:
        engine, destination = self._engine, index_of(command.destination)
        live = [edge for edge in command.sources if engine.registry.live(edge[0])]
        engine.counters.stale_commands += len(command.sources) - len(live)
        edges = tuple((index_of(source), gain) for source, gain in live)
        engine.floor.route(destination, edges)
        if destination < self._slots:
            quarter = quarter_of(destination, self._slots)
        else:
            count = len(engine.packet_legs.active)
            quarter = quarter_of(destination - self._slots, count)
        for source, _ in edges:
            if source >= self._first_voice:
                engine.voice_playback.lead(source - self._first_voice, destination, quarter)

    def _enqueue(self, command: Enqueue, now: float) -> list[Notice]:
        row = self._voice(command)
        return self._engine.voices.enqueue(row, command.utterance, command.pcm, command.last, now)

    def _flush(self, command: Flush, now: float) -> list[Notice]:
        row = self._voice(command)
        notices = self._engine.voices.flush(row, now)
        self._engine.voice_playback.hush(row)
        return notices

    def _guard(self, command: Guard, now: float) -> None:
        gate = command.echo_gate_dbfs
        if gate is None:
            gate = self._engine.settings.echo_gate_dbfs
        self._engine.ears.guard(index_of(command.slot), self._voice(command), gate)

    def _send_digits(self, command: SendDigits, now: float) -> None:
        engine, row = self._engine, index_of(command.slot)
        leg = engine.legs.by_row.get(row)
        parameters = leg.parameters if leg is not None else None
        if parameters is None or parameters.dtmf_payload_type is None:
            engine.counters.refused_commands += 1
            return
        payload_type = parameters.dtmf_send_payload_type or parameters.dtmf_payload_type
        engine.sender.send_digits(row, command.digits, payload_type, parameters.dtmf_rate_hz)

    def _report_transport(self, command: ReportTransport, now: float) -> None:
        engine = self._engine
        row = index_of(command.slot) - self._slots
        if row < 0 or not engine.packet_legs.active[row]:
            engine.counters.refused_commands += 1
            return
        engine.packet_legs.tell(
            row,
            sends=command.sends,
            round_trip=command.round_trip,
            remote_loss=command.remote_loss,
            now=now,
        )


def _handles(command: Command) -> tuple[int, ...]:
    """Every handle a command needs to be live."""
    match command:
        case Route():
            return (command.destination,)
        case Remove(handle):
            return (handle,)
        case Guard(voice, slot):
            return (voice, slot)
        case Enqueue() | Flush() | Duck() | Pause() | Resume() | SetGain():
            return (command.voice,)
        case StartRtp() | ChangeRtp() | Listen() | Unguard() | SendDigits() | ReportTransport():
            return (command.slot,)
