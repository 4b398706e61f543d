"""Where a message came from or goes to: transport, both addresses and, for streams, the connection."""

from dataclasses import dataclass
from typing import Literal

Transport = Literal["udp", "tcp"]
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A 5-tuple. `connection` 0 on a stream asks the transport for a new or an already open connection."""

    transport: Transport
    local: Address
    remote: Address
    connection: int = 0

    @property
    def reliable(self) -> bool:
        return self.transport != "udp"
