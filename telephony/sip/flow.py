"""Where a message came from or goes to: transport, both addresses and, for streams, the connection."""

from dataclasses import dataclass
from typing import Literal

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A 5-tuple. `connection` 0 on a stream asks the transport for a new or an already open connection.

    `name`: the host or domain that was asked for, which the certificate of a TLS peer must be for (RFC 5922).
    """

    transport: Transport
    local: Address
    remote: Address
    connection: int = 0
    name: str = ""

    @property
    def reliable(self) -> bool:
        return self.transport != "udp"

    @property
    def secure(self) -> bool:
        return self.transport in ("tls", "wss")
