"""A phone call to an agent, with everything real but the sockets, the plane and the dialler."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from telephony.call.commands import (
    CallCommand,
    EndCall,
    RequestTransfer,
)
from telephony.call.ids import TransferId
from telephony.call.state import CallState
from telephony.dialplan import EMPTY, AgentChoice
from telephony.gateway.switchboard import Arrival, LiveCall, Switchboard
from telephony.gateway.transfer import TransferParts, Transfers
from telephony.legs.incoming_leg import IncomingLeg
from telephony.legs.sip_media import LegPolicy, reserve
from telephony.trunks import Extension, Trunk
from tests.fakes.calls import CallBench, FakeParticipant, settle
from tests.fakes.dialler import FakeDialler
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeSession, FakeWire
from tests.unit.test_legs_sip import sdp

T1 = TransferId("t1")
CARRIER = Trunk(name="carrier", allow_refer_in=True, send_refer=True)
PLAN = replace(
    EMPTY,
    trunks={"carrier": CARRIER, "closed": Trunk(name="closed")},
    extensions={"200": Extension(name="200", ha1={})},
)
BLIND = RequestTransfer(
    transfer=T1, mode="blind", method="bridge", by="agent", destination="+15550123", name="sales"
)
ATTENDED = replace(BLIND, mode="attended")
REFER = replace(BLIND, method="refer")


class House:
    """A phone call to an agent, with everything real but the sockets, the plane and the dialler."""

    def __init__(
        self,
        *,
        trunk: str = "carrier",
        agent: bool = True,
        first: bool = False,
        placed: bool = False,
    ) -> None:
        self.bench = CallBench(max_calls=2)
        self.plane, self.wire = FakePlane(capacity=20), FakeWire()
        self.dialler = FakeDialler(self.plane)
        self.board = Switchboard(
            self.bench.registry,
            self.plane,
            self.bench.clock,
            lambda call, media, definition: FakeParticipant(call),
        )
        numbers = count(1)
        self.transfers = Transfers(
            TransferParts(
                plan=lambda: PLAN,
                dial=self.dialler.dial,
                check=self.dialler.check,
                refer_uri=self.dialler.refer_uri,
                wire=self.wire,
                plane=self.plane,
                new_id=lambda: f"n{next(numbers)}",
            )
        )
        self.board.accompany(self.transfers.companion)
        self.session = FakeSession()
        policy = LegPolicy(address="127.0.0.1", trunk=trunk)
        place, agreed = reserve(self.plane, policy, sdp(), "127.0.0.1")
        self.leg = IncomingLeg(self.session, self.wire, self.plane, place, agreed)
        arrival = Arrival(
            transport="sip",
            direction="outbound" if placed else "inbound",
            called="+4930777" if placed else "demo",
            caller="" if placed else "+15550100",
            choice=AgentChoice("tone", 1, {}) if agent else None,
            voice_rate_hz=8000,
            variables={"x-account": "7", "secret": "no"},
            persons_first=first,
        )
        self.live: LiveCall = self.board.open(arrival, self.leg.bind)

    @property
    def state(self) -> CallState:
        return self.live.session.state

    async def do(self, *commands: CallCommand) -> None:
        for command in commands:
            await self.live.session.submit(command)
        await settle()

    @property
    def ended(self) -> tuple[str, str]:
        last = self.state.transferred
        assert last is not None
        return last.outcome, last.reason

    @property
    def verbs(self) -> list[str]:
        return [verb[0] for verb in self.session.done]

    async def end(self) -> None:
        self.live.session.post(EndCall(cause="bye", by="system"))
        await self.live.session.wait_closed()
