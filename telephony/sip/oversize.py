"""Requests too large for a datagram go by TCP, and by UDP where the peer has none (RFC 3261 18.1.1). Pure.

The engine knows nothing of it: its transaction stays on UDP, responses are matched by branch.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from telephony.sip.flow import Address, Flow

LARGEST_DATAGRAM: Final = 1300  # octets of a request when the path's MTU is not known
_LIFETIME_S: Final = 64.0  # a transaction's, ACK of a failure and CANCEL included
_UDP_ONLY_S: Final = 600.0
_REMEMBERED: Final = 1000
_BRANCH: Final = re.compile(rb"\r\nVia: SIP/2\.0/UDP [^\r\n]*?;branch=([^;\s\r\n]+)")
_UDP_HOP: Final = b"\r\nVia: SIP/2.0/UDP "
_TCP_HOP: Final = b"\r\nVia: SIP/2.0/TCP "


@dataclass(frozen=True, slots=True)
class _Sent:
    flow: Flow
    data: bytes
    at: float


@dataclass(slots=True)
class LargeRequests:
    """Those under way by TCP, and the peers that take none."""

    _sent: OrderedDict[bytes, _Sent] = field(default_factory=OrderedDict)
    _udp_only: OrderedDict[Address, float] = field(default_factory=OrderedDict)

    def reroute(self, flow: Flow, data: bytes, now: float) -> tuple[Flow, bytes] | None:
        """What goes out instead of this datagram, or None for the datagram itself. Empty: it is on its way already."""
        large = len(data) > LARGEST_DATAGRAM
        if (not large and not self._sent) or data.startswith(b"SIP/2.0 "):
            return None
        found = _BRANCH.search(data)
        if found is None:
            return None
        by_tcp = replace(flow, transport="tcp", connection=0)
        sent = self._sent.get(found[1])
        if sent is not None and now - sent.at < _LIFETIME_S:
            # The same again is a retransmission, which TCP needs none of; ACK and CANCEL follow their INVITE.
            return by_tcp, b"" if sent.data == data else _hop_by_tcp(data)
        if not large or self._udp_only.get(flow.remote, now) > now:
            return None
        self._sent[found[1]] = _Sent(flow, data, now)
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return by_tcp, _hop_by_tcp(data)

    def forget(self, remote: Address) -> list[_Sent]:
        """The connection to this peer is gone. What it carried has arrived, or its transaction repeats it."""
        gone = [(branch, sent) for branch, sent in self._sent.items() if sent.flow.remote == remote]
        for branch, _ in gone:
            del self._sent[branch]
        return [sent for _, sent in gone]

    def failed(self, remote: Address, now: float) -> list[tuple[Flow, bytes]]:
        """There never was a connection to this peer: the datagrams to send after all."""
        back = self.forget(remote)
        if back:
            self._udp_only[remote] = now + _UDP_ONLY_S
            self._udp_only.move_to_end(remote)
            if len(self._udp_only) > _REMEMBERED:
                self._udp_only.popitem(last=False)
        return [(sent.flow, sent.data) for sent in back if now - sent.at < _LIFETIME_S]


def _hop_by_tcp(data: bytes) -> bytes:
    return data.replace(_UDP_HOP, _TCP_HOP, 1)
