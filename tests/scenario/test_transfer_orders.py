"""Transfers, phones and people in any order: whatever happens, the caller ends up with somebody, or the call ends."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from telephony.call.commands import (
    AddLeg,
    CancelTransfer,
    CompleteTransfer,
    EndTransfer,
    FallBack,
    ProgressTransfer,
    RemoveLeg,
    RequestTransfer,
    RingLeg,
)
from telephony.call.edges import routes
from telephony.call.ids import AGENT, CALLER, COMFORT, RINGBACK, LegId, TransferId, UserName
from telephony.call.state import LegPhase, Phase
from tests.fakes.calls import ANN, BOB
from tests.scenario.test_call_orders import AnyOrder

TARGETS = [LegId(f"target-{number}") for number in range(1, 4)]
TRANSFERS = st.sampled_from([TransferId(f"t{number}") for number in range(1, 6)])
MAYBE_PEOPLE = st.sampled_from([ANN, BOB, None])


class AnyTransfer(AnyOrder):
    """With dialled phones beside the desk; AnyOrder's rules go on."""

    @rule(
        transfer=TRANSFERS,
        mode=st.sampled_from(["blind", "attended"]),
        method=st.sampled_from(["bridge", "refer"]),
        by=st.sampled_from(["caller", "agent", "supervisor", "target", "system"]),
        who=MAYBE_PEOPLE,
        then=st.sampled_from([None, "end"]),
    )
    def asks(self, transfer: TransferId, mode: Any, method: Any, by: Any, who: Any, then: Any):
        leg = self.state.floor if by == "target" else None
        self.send(
            RequestTransfer(
                transfer=transfer,
                mode=mode,
                method=method,
                by=by,
                who=who,
                destination="200",
                then=then,
                leg=leg,
            )
        )

    @rule(leg=st.sampled_from(TARGETS), replaces=st.sampled_from([None, None, CALLER, TARGETS[0]]))
    def is_dialled(self, leg: LegId, replaces: LegId | None):
        self.send(AddLeg(leg=leg, role="target", transport="sip", replaces=replaces))

    @rule(leg=st.sampled_from(TARGETS), early=st.booleans())
    def rings(self, leg: LegId, early: bool):
        self.send(RingLeg(leg=leg, early_media=early))

    @rule(leg=st.sampled_from(TARGETS))
    def target_answers(self, leg: LegId):
        self.connects(leg, "PCMU")

    @rule(leg=st.sampled_from(TARGETS))
    def target_leaves(self, leg: LegId):
        self.send(RemoveLeg(leg=leg, reason="target_hung_up"))

    @rule(transfer=TRANSFERS)
    def trunk_reports(self, transfer: TransferId):
        self.send(ProgressTransfer(transfer=transfer, status=180))

    @rule(transfer=TRANSFERS, following=TRANSFERS)
    def falls_back(self, transfer: TransferId, following: TransferId):
        self.send(FallBack(transfer=transfer, next=following, status=603))

    @rule(transfer=TRANSFERS, outcome=st.sampled_from(["answered", "declined", "timeout"]))
    def outcome_is_told(self, transfer: TransferId, outcome: Any):
        self.send(EndTransfer(transfer=transfer, outcome=outcome, status=486))

    @rule(who=MAYBE_PEOPLE, release=st.booleans())
    def completes(self, who: UserName | None, release: bool):
        self.send(CompleteTransfer(who=who, release=release))

    @rule(who=MAYBE_PEOPLE)
    def cancels(self, who: UserName | None):
        self.send(CancelTransfer(who=who))

    # ------------------------------------------------------------------------------ what always holds

    @invariant()
    def the_floor_is_the_agents_or_a_supervisors_who_is_there(self) -> None:
        floor, state = self.state.floor, self.state
        if state.phase is Phase.ENDED:
            assert (floor, state.controller, state.transfer) == (None, None, None)
        elif floor != AGENT:
            assert floor is not None
            leg = state.legs[floor]
            assert leg.phase is LegPhase.CONNECTED
            assert (leg.role == "supervisor" and leg.listening) or leg.role == "target"

    @invariant()
    def one_voice_reaches_the_caller_and_only_who_is_there_is_routed(self) -> None:
        state = self.state
        edges = routes(state)
        heard = [edge.source for edge in edges if edge.destination == CALLER]
        assert len(heard) <= 1
        if state.phase is Phase.ACTIVE and (
            state.transfer is None or state.transfer.by != "caller"
        ):
            assert len(heard) == 1
        for edge in edges:
            assert edge.source != edge.destination
            assert state.legs[edge.destination].phase is LegPhase.CONNECTED
            if edge.source not in (AGENT, RINGBACK, COMFORT):
                source = state.legs[edge.source]
                assert source.phase is LegPhase.CONNECTED or source.early

    @invariant()
    def a_transfer_under_way_is_waited_for(self) -> None:
        transfer = self.state.transfer
        if transfer is not None and transfer.stage not in ("consulting", "completing"):
            assert "transfer" in self.timers
        if transfer is not None and transfer.target is not None and transfer.stage == "consulting":
            assert self.state.legs[transfer.target].phase is LegPhase.CONNECTED


TestAnyTransfer = AnyTransfer.TestCase
TestAnyTransfer.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
