"""What is looked at once a second per RTP leg: silence of the peer, digits without an end, quality, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.audio_watch import CHECK_EVERY, AudioWatch
from telephony.media.counters import Counters
from telephony.media.leg import Leg
from telephony.media.legs import RELATCH_SILENCE, Legs
from telephony.media.notices import Digit, Garbling, MediaLost, Notice, TroubleKind
from telephony.media.parameters import MediaCodec, MediaSettings
from telephony.media.ports import Datagrams
from telephony.media.quality_account import Line, QualityAccount, Totals
from telephony.media.rtcp_exchange import DEAF_LOSS, RtcpExchange
from telephony.media.slots import QUARTERS, RtpSlots, rows_of_quarter
from telephony.media.troubles import Troubles
from telephony.media.visits import ASK, MEASURE, ONE_WAY_AFTER, PARTS, REPORT, Heard, Visits
from telephony.rtp.quality import G711, G722, OPUS, Impairment, mouth_to_ear_ms

Rows = NDArray[np.int64]

_DIGITS_EVERY: Final = 10
_LONG_DELAY_MS: Final = 150.0
"""From here on it counts beside the loss."""
_IMPAIRMENTS: Final[dict[MediaCodec, Impairment]] = {
    MediaCodec.ULAW: G711, MediaCodec.ALAW: G711, MediaCodec.G722: G722, MediaCodec.OPUS: OPUS,
}  # fmt: skip


@dataclass(slots=True)
class _Account:
    """One leg since its start."""

    quality: QualityAccount
    troubles: Troubles


class Reports:
    """All RTP legs; each is visited once a second, one part each 20 ms, in the third sub-tick."""

    def __init__(
        self,
        settings: MediaSettings,
        slots: RtpSlots,
        narrow: Heard,
        wide: Heard,
        legs: Legs,
        datagrams: Datagrams,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._heard = (narrow, wide)
        self._watches = AudioWatch(slots.rows, slots.law, slots.coded), AudioWatch(slots.rows)
        self._legs = legs
        self._unwell = np.zeros(slots.rows, np.bool_)
        self._visits = Visits(slots, narrow, wide)
        self._lost_told = np.zeros(slots.rows, np.bool_)
        self._rtcp = RtcpExchange(slots, legs, datagrams, counters)
        self._accounts: dict[int, _Account] = {}

    def start(self, row: int, now: float, chance: float) -> None:
        """`chance` (0..1) spreads the reports over time."""
        handle = self._legs.by_row[row].handle
        quality = QualityAccount(now, self._settings.quality_interval)
        self._accounts[row] = _Account(quality, Troubles(handle))
        self._rtcp.start(row, now, chance)
        self._unwell[row] = self._lost_told[row] = False
        self._visits.start(row, quality.due)
        for watch in self._watches:
            watch.forget(row)

    def change(self, row: int) -> None:
        """A new SDP: what was heard so far may have been another codec."""
        for watch in self._watches:
            watch.forget(row)

    def stop(self, leg: Leg, now: float) -> None:
        """Before the leg's tables are cleared."""
        self._visits.quality_due[leg.row] = np.inf
        del self._accounts[leg.row]
        self._rtcp.stop(leg, now)

    def step(self, sub_tick: int, muxed: list[tuple[int, bytes]], now: float) -> list[Notice]:
        for row, datagram in muxed:
            self._rtcp.arrived(row, datagram, now)
        round_number, quarter = divmod(sub_tick, QUARTERS)
        if quarter == 0:
            self._rtcp.receive(now)
        notices: list[Notice] = []
        if round_number % CHECK_EVERY == 0:
            self._check(quarter, now, notices)
        if sub_tick % _DIGITS_EVERY == 0:
            self._finish_digits(now, notices)
        if quarter == 2:
            self._visit(round_number % PARTS, now, notices)
        elif quarter % 2:
            narrow, wide = self._watches
            narrow.look(self._heard[0].buffers, sub_tick)
            if self._slots.coders:
                wide.look(self._heard[1].buffers, sub_tick)
        return notices

    def _check(self, quarter: int, now: float, notices: list[Notice]) -> None:
        """Asks those streams that sound odd, or did so far."""
        for table, watch in zip(self._heard, self._watches, strict=True):
            rows = rows_of_quarter(table.buffers.begun, quarter)
            if not len(rows):
                continue
            asked = set(watch.suspects(rows).tolist())
            asked.update(rows[self._unwell[rows]].tolist())
            for row in asked:
                leg, account = self._legs.by_row[row], self._accounts[row]
                garbled = self._garbled(leg, watch)
                notices += account.troubles.tell_sound(watch, row, garbled, now)
                self._unwell[row] = account.troubles.audible

    def _finish_digits(self, now: float, notices: list[Notice]) -> None:
        for row in list(self._legs.open_digits):
            leg = self._legs.by_row[row]
            digit = leg.digits.silent(now)
            if digit is not None:
                notices.append(Digit(leg.handle, digit, now, leg.digits.pressed_at))
            if not leg.digits.open:
                self._legs.open_digits.discard(row)

    def _visit(self, part: int, now: float, notices: list[Notice]) -> None:
        """Those of this part that have something to tell; the others are as they were."""
        for row, due in self._visits.visit(part, self._rtcp.deaf, self._rtcp.due, now):
            if due & REPORT:
                self._rtcp.send(self._legs.by_row[row], now)
            if due & MEASURE:
                self._measure(row, now, notices)
            if due & ASK:
                self._ask(self._legs.by_row[row], self._accounts[row], now, notices)

    def _measure(self, row: int, now: float, notices: list[Notice]) -> None:
        leg, account = self._legs.by_row[row], self._accounts[row]
        if not leg.ever_latched:
            return
        line = self._line(leg)
        quality = account.quality.measure(leg.handle, self._totals(row), line, now)
        self._visits.quality_due[row] = account.quality.due
        self._visits.slow[row] = mouth_to_ear_ms(line.round_trip, line.depth) > _LONG_DELAY_MS
        if quality is not None:
            notices.append(quality)

    def _ask(self, leg: Leg, account: _Account, now: float, notices: list[Notice]) -> None:
        """One leg whose source is silent, or whose line is bad or was."""
        row = leg.row
        silent_for = now - float(self._slots.heard_at[row])
        self._tell_lost(leg, silent_for, now, notices)
        if self._visits.unusable[row]:
            detail = Garbling.BAD_PACKETS.value
            notices += account.troubles.tell(TroubleKind.GARBLED, detail, now)
            self._unwell[row] = True
        line = self._line(leg)
        one_way = self._one_way(leg, line, silent_for)
        notices += account.troubles.tell(TroubleKind.ONE_WAY, one_way, now)
        poor = account.quality.poor(*self._visits.recent(row), line)
        notices += account.troubles.tell(TroubleKind.POOR, poor, now)
        self._visits.troubled[row] = account.troubles.of_line or self._lost_told[row]

    def _tell_lost(self, leg: Leg, silent_for: float, now: float, notices: list[Notice]) -> None:
        if silent_for > RELATCH_SILENCE:
            self._legs.expect_again(leg.row)
        limit = self._settings.media_lost_after_start
        if leg.ever_latched:
            limit = self._settings.media_lost_in_call
        if silent_for < limit:
            self._lost_told[leg.row] = False
        elif leg.parameters.receiving and not self._lost_told[leg.row]:
            self._lost_told[leg.row] = True
            notices.append(MediaLost(leg.handle, silent_for, now))

    # --------------------------------------------------------------------------------------------------- quality

    def _totals(self, row: int) -> Totals:
        slots, heard = self._slots, self._heard[int(self._slots.wide[row])]
        buffers, decoder = heard.buffers, self._legs.by_row[row].decoder
        return Totals(
            expected=int(slots.last_sequence[row] - slots.first_extended[row]) + 1
            if slots.received[row]
            else 0,
            received=int(slots.received[row] - buffers.duplicates[row]),
            late=int(buffers.late[row]),
            concealed=int(heard.concealed[row]),
            lost=int(buffers.lost[row]) if decoder is None else decoder.lost,
            holes=int(buffers.holes[row]) if decoder is None else decoder.holes,
        )

    def _line(self, leg: Leg) -> Line:
        row, codec = leg.row, leg.parameters.codec
        exchange = self._rtcp.of(row)
        return Line(
            jitter_ms=float(self._slots.jitter[row]) * 1000 / codec.clock_hz,
            depth=float(self._heard[int(self._slots.wide[row])].buffers.target[row]),
            round_trip=exchange.round_trip,
            remote_loss=exchange.remote_loss,
            codec=_IMPAIRMENTS[codec],
        )

    # --------------------------------------------------------------------------------------------------- troubles

    def _one_way(self, leg: Leg, line: Line, silent_for: float) -> str | None:
        row, parameters = leg.row, leg.parameters
        exchange = self._rtcp.of(row)
        if silent_for < ONE_WAY_AFTER:
            exchange.gone = False
        elif parameters.receiving and not (exchange.gone or self._slots.pauses[row]):
            heard = line.remote_loss is not None and deafness(line.remote_loss) is None
            return "nothing arrives; the peer hears us" if heard else "nothing arrives"
        return deafness(line.remote_loss) if parameters.sending else None

    def _garbled(self, leg: Leg, watch: AudioWatch) -> Garbling | None:
        row, codec = leg.row, leg.parameters.codec
        if self._visits.unusable[row]:
            return Garbling.BAD_PACKETS
        if not self._slots.coded[row]:
            law = g711.LAW_NUMBER[codec]
            return watch.judge(row, law, self._octets(row, law))
        octets = None
        if codec is MediaCodec.G722 and leg.newest_payload:
            octets = np.frombuffer(leg.newest_payload, np.uint8)
        return watch.judge(row, None, octets)

    def _octets(self, row: int, law: int) -> NDArray[np.uint8] | None:
        """The last 160 ms as they came, if none of them is missing."""
        pcm = self._heard[0].buffers.latest(row)
        return None if pcm is None else g711.encode(pcm, law)


def deafness(remote_loss: float | None) -> str | None:
    """Words for a peer that says it gets next to nothing of what we send."""
    deaf = remote_loss is not None and remote_loss >= DEAF_LOSS
    return "the peer does not hear us" if deaf else None
