"""A dialler that dials nobody: it keeps the orders, and the test says what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from telephony.call.commands import ConnectLeg, RemoveLeg
from telephony.gateway.dial_order import DialFailure, DialListener, DialOrder, DialRefusedError
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.plane_port import Plane
from telephony.legs.sip_media import Addresses
from telephony.trunks import Trunk
from tests.fakes.sip_session import FakeSession, FakeWire


class FakeDialling:
    """`Dialling`, played by the test."""

    trunk = "carrier"

    def __init__(self, order: DialOrder, listener: DialListener, plane: Plane) -> None:
        self.order = order
        self.listener = listener
        self.session = FakeSession()
        self.session.call_id = f"{order.leg}@x"
        self.leg = DialledLeg(order.leg, FakeWire(), plane, Addresses("127.0.0.1"))
        self.leg.bind(order.call, order.media)
        trunk = Trunk(name=self.trunk) if order.purpose != "person" else None
        self.leg.offer(trunk, towards="127.0.0.1")
        self.leg.invited(self.session)
        self.cancelled = 0

    def rings(self, *, early: bool = False) -> None:
        self.listener.on_ringing(180)
        if early:
            self.listener.on_early_media()

    def answers(self) -> None:
        self.order.call.post(ConnectLeg(leg=self.leg.id, codec="PCMU"))
        self.listener.on_answered()

    def fails(self, reason: str, status: int | None = None) -> None:
        self.leg.failed()
        self.listener.on_failed(DialFailure(reason, status))

    def hangs_up(self) -> None:
        self.order.call.post(RemoveLeg(leg=self.leg.id, reason="target_hung_up"))

    def cancel(self) -> None:
        self.cancelled += 1


@dataclass
class FakeDialler:
    """`refused`: why rules do not allow it, if they do not."""

    plane: Plane
    refused: str = ""
    dialled: list[FakeDialling] = field(default_factory=list)
    referred: list[DialOrder] = field(default_factory=list)

    def dial(self, order: DialOrder, listener: DialListener) -> FakeDialling:
        self._judge()
        self.dialled.append(FakeDialling(order, listener, self.plane))
        return self.dialled[-1]

    def check(self, order: DialOrder) -> None:
        self._judge()

    def refer_uri(self, order: DialOrder) -> str:
        self._judge()
        self.referred.append(order)
        return f"sip:{order.destination}@carrier.example"

    def _judge(self) -> None:
        if self.refused:
            raise DialRefusedError(self.refused, "That number may not be called.")

    @property
    def last(self) -> FakeDialling:
        return self.dialled[-1]
