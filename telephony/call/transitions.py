"""The transition tables of a call, as data. A pair that is not here is refused (`IllegalTransitionError`).

Nothing leaves `Phase.ENDED`; hang-up is possible from every phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from telephony.call.commands import (
    AddLeg,
    CancelTransfer,
    Command,
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
from telephony.call.events import (
    CallEnded,
    CallEvent,
    CallHeld,
    CallResumed,
    CallStarted,
    LegConnected,
    LegLost,
    LegRemoved,
)
from telephony.call.state import LegPhase, Phase
from telephony.call.transfer_events import (
    LegReplaced,
    LegRinging,
    TransferStage,
)

LIVE: Final = frozenset({Phase.RINGING, Phase.ACTIVE, Phase.RECONNECTING, Phase.HELD})
ANSWERED: Final = LIVE - {Phase.RINGING}
BEGUN: Final = LIVE | {Phase.ENDED}

ADMITTED: Final[Mapping[type[Command], frozenset[Phase]]] = {
    StartCall: frozenset({Phase.NEW}),
    AddLeg: LIVE,
    RingLeg: LIVE,
    ConnectLeg: LIVE,
    LoseLeg: LIVE,
    RemoveLeg: BEGUN,
    HoldCall: frozenset({Phase.ACTIVE, Phase.HELD}),
    ResumeCall: frozenset({Phase.ACTIVE, Phase.HELD}),
    EndCall: frozenset(Phase),
    StartListening: LIVE,
    StopListening: LIVE,
    TakeFloor: LIVE,
    HandBack: ANSWERED,
    RequestTransfer: frozenset({Phase.RINGING, Phase.ACTIVE, Phase.HELD}),
    ProgressTransfer: LIVE,
    CompleteTransfer: LIVE,
    CancelTransfer: LIVE,
    EndTransfer: BEGUN,
    FallBack: LIVE,
    FailAgent: LIVE,
    Report: BEGUN,
}
"""In which phases a command is considered at all."""

PHASES: Final[Mapping[tuple[Phase, type[CallEvent]], Phase]] = {
    (Phase.NEW, CallStarted): Phase.RINGING,
    (Phase.RINGING, LegConnected): Phase.ACTIVE,
    (Phase.ACTIVE, LegConnected): Phase.ACTIVE,
    (Phase.HELD, LegConnected): Phase.HELD,
    (Phase.RECONNECTING, LegConnected): Phase.ACTIVE,
    (Phase.ACTIVE, LegLost): Phase.RECONNECTING,
    (Phase.HELD, LegLost): Phase.RECONNECTING,
    (Phase.ACTIVE, CallHeld): Phase.HELD,
    (Phase.HELD, CallResumed): Phase.ACTIVE,
    (Phase.ACTIVE, LegReplaced): Phase.ACTIVE,
    (Phase.HELD, LegReplaced): Phase.ACTIVE,
    (Phase.RECONNECTING, LegReplaced): Phase.ACTIVE,
    (Phase.NEW, CallEnded): Phase.ENDED,
    (Phase.RINGING, CallEnded): Phase.ENDED,
    (Phase.ACTIVE, CallEnded): Phase.ENDED,
    (Phase.RECONNECTING, CallEnded): Phase.ENDED,
    (Phase.HELD, CallEnded): Phase.ENDED,
}
"""How the call's phase follows events of the whole call and of the caller's leg."""

LEG_PHASES: Final[Mapping[tuple[LegPhase, type[CallEvent]], LegPhase]] = {
    (LegPhase.ADDED, LegRinging): LegPhase.ADDED,
    (LegPhase.ADDED, LegConnected): LegPhase.CONNECTED,
    (LegPhase.CONNECTED, LegConnected): LegPhase.CONNECTED,
    (LegPhase.LOST, LegConnected): LegPhase.CONNECTED,
    (LegPhase.CONNECTED, LegLost): LegPhase.LOST,
    (LegPhase.ADDED, LegRemoved): LegPhase.REMOVED,
    (LegPhase.CONNECTED, LegRemoved): LegPhase.REMOVED,
    (LegPhase.LOST, LegRemoved): LegPhase.REMOVED,
    (LegPhase.ADDED, LegReplaced): LegPhase.CONNECTED,
    (LegPhase.CONNECTED, LegReplaced): LegPhase.CONNECTED,
    (LegPhase.LOST, LegReplaced): LegPhase.CONNECTED,
}
"""How a leg's phase follows its own events; a repeated `LegConnected` is a changed codec."""

TRANSFER_STAGES: Final[Mapping[TransferStage, frozenset[TransferStage]]] = {
    "dialling": frozenset({"ringing", "consulting"}),
    "ringing": frozenset({"consulting"}),
    "referring": frozenset({"ringing"}),
    "consulting": frozenset({"completing"}),
    "completing": frozenset(),
}
"""What may follow a stage of a transfer, beside its end, which is possible from each."""
