"""Facts of calls with more than one phone in them: ringing, transfers, people who are given the floor, trunks.

A transfer has one beginning and one outcome. `blind`: the caller hears ringing and then whoever answers. `attended`:
whoever asked for it speaks with the target first, while the caller waits. `bridge`: the target is dialled as a leg of
this call, which goes on here; `refer`: the caller's own trunk is asked to make the call (RFC 3515), and ours ends.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from telephony.call.ids import LegId, TransferId, UserName
from telephony.call.marks import PII
from telephony.values import value

TransferMode = Literal["blind", "attended"]
TransferMethod = Literal["bridge", "refer"]
TransferStage = Literal["dialling", "ringing", "referring", "consulting", "completing"]
TransferOutcome = Literal[
    "answered", "declined", "failed", "timeout", "refused", "fell_back", "cancelled"
]
Initiator = Literal["caller", "agent", "supervisor", "target", "system"]
AfterTarget = Literal["return", "end"]
Answerer = Literal["person", "machine"]


@value(frozen=True, slots=True, kw_only=True)
class LegRinging:
    """A phone that we dialled rings. `early_media`: it sends audio already (an announcement, its own ringing)."""

    leg: LegId
    early_media: bool = False


@value(frozen=True, slots=True, kw_only=True)
class LegReplaced:
    """Another phone took the place of a leg (RFC 3891, or a transfer by the caller): same call, same conversation.

    `leg` goes on under its name with the transport of `by`; the leg `by` is no more.
    """

    leg: LegId
    by: LegId


@value(frozen=True, slots=True, kw_only=True)
class FloorGiven:
    """A person whom we dialled speaks with the caller."""

    leg: LegId
    who: UserName | None
    reason: str


@value(frozen=True, slots=True, kw_only=True)
class TransferRequested:
    """The caller is to be put through; recorded before anybody is rung.

    `destination`: number, extension, SIP URI, or the name of a queue; `name`: what people call it. `then`: what happens
    to the caller when the target hangs up. `brief`: what the target shall know. `agent_stays`: the agent goes on
    listening, to know what was said when it comes back. By `caller`: the target takes the caller's own place.
    """

    transfer: TransferId
    mode: TransferMode
    method: TransferMethod
    by: Initiator
    who: UserName | None
    destination: str = field(metadata=PII)
    name: str
    then: AfterTarget
    brief: str = field(default="", metadata=PII)
    agent_stays: bool = True


@value(frozen=True, slots=True, kw_only=True)
class TransferProgressed:
    """A stage was reached. `status`: the SIP status that said so, if one did."""

    transfer: TransferId
    stage: TransferStage
    status: int | None = None


@value(frozen=True, slots=True, kw_only=True)
class TransferEnded:
    """What became of a transfer.

    `answered`: caller and target speak. `declined`: the target said no. `refused`: rules or the trunk did not allow
    it. `timeout`: nobody answered. `fell_back`: a REFER came to nothing and a bridge is tried, as a transfer of its own.
    `reason`: a short stable word.
    """

    transfer: TransferId
    outcome: TransferOutcome
    status: int | None = None
    reason: str = ""


@value(frozen=True, slots=True, kw_only=True)
class TrunkMeasured:
    """How setting up a leg went, once per attempt at a trunk (a failover makes two), for its figures (ASR, NER, PDD).

    `trunk` is empty for extensions. `pdd_ms`: INVITE to the first 18x (or the final response), for legs that we
    dialled. `status`: the final SIP status. `cause`: a name of `telephony.sip.errors.CAUSES`.
    """

    leg: LegId
    trunk: str
    direction: Literal["inbound", "outbound"]
    status: int
    answered: bool
    cause: str
    codec: str = ""
    pdd_ms: float | None = None


@value(frozen=True, slots=True, kw_only=True)
class AnswererJudged:
    """Who seems to have answered a call that we placed, by how the greeting went. Told once; the agent decides."""

    leg: LegId
    answerer: Answerer
    because: str
