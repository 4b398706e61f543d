"""Binding the UDP sockets of the media plane, and those of RTCP, which are few packets and need no batching."""

from __future__ import annotations

import logging
import selectors
import socket
from dataclasses import dataclass
from typing import Any, Final

from telephony.media.addresses import AddressBook, is_v6

log = logging.getLogger(__name__)

EXPEDITED: Final = 0xB8
"""DSCP EF in the TOS octet."""
SMALL_BUFFER_BYTES: Final = 4 << 20
_PAIR_TRIES: Final = 20
_RTCP_READS: Final = 64
_MAX_RTCP_BYTES: Final = 1500


@dataclass(frozen=True, slots=True)
class SocketPair:
    """RTP on an even port, RTCP one above (RFC 3550 11); none where that port was taken."""

    rtp: socket.socket
    rtcp: socket.socket | None


def bind_pairs(address: str, ports: tuple[int, ...], receive_buffer: int) -> list[SocketPair]:
    """A port that is taken is left out: the others carry its calls. Raises: OSError, if none is left."""
    pairs: list[SocketPair] = []
    refusals: list[OSError] = []
    for port in ports:
        try:
            pairs.append(_bind_pair(address, port, receive_buffer))
        except OSError as error:
            refusals.append(error)
            log.warning("rtp_port_taken", extra={"port": port, "errno": error.errno})
    if refusals and not pairs:
        raise refusals[0]
    granted = pairs[0].rtp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) if pairs else 0
    # The kernel doubles what it grants, for its own book-keeping.
    if granted // 2 < min(SMALL_BUFFER_BYTES, receive_buffer):
        log.warning("receive_buffer_small", extra={"granted_bytes": granted // 2})
    return pairs


def _bind_pair(address: str, port: int, receive_buffer: int) -> SocketPair:
    if port:
        rtp = _bind(address, port, receive_buffer)
        try:
            return SocketPair(rtp, _bind(address, port + 1, 0))
        except OSError:
            return SocketPair(rtp, None)
    rtp = _bind(address, 0, receive_buffer)
    for _ in range(_PAIR_TRIES):
        try:
            return SocketPair(rtp, _bind(address, rtp.getsockname()[1] + 1, 0))
        except (OSError, OverflowError):
            rtp.close()
            rtp = _bind(address, 0, receive_buffer)
    return SocketPair(rtp, None)


def _bind(address: str, port: int, receive_buffer: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if is_v6(address) else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if is_v6(address):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
        sock.bind((address, port))
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


class RtcpSockets:
    """RTCP of each port of the pool."""

    def __init__(self, sockets: list[socket.socket | None], addresses: AddressBook) -> None:
        self._sockets = sockets
        self._addresses = addresses
        # Sixteen reads that find nothing take 25 us; asking once which have something, 2.
        self._waiting = selectors.DefaultSelector()
        for index, sock in enumerate(sockets):
            if sock is not None:
                self._waiting.register(sock, selectors.EVENT_READ, index)

    def receive(self) -> list[tuple[int, bytes, int, int]]:
        """At most 64 datagrams of each port: (port index, datagram, address, source port)."""
        got: list[tuple[int, bytes, int, int]] = []
        for key, _ in self._waiting.select(0):
            sock: Any = key.fileobj
            for _ in range(_RTCP_READS):
                try:
                    data, (host, port, *_) = sock.recvfrom(_MAX_RTCP_BYTES)
                except OSError:
                    break
                got.append((key.data, data, self._addresses.number(host), port))
        return got

    def send(self, index: int, packet: bytes, address: int, remote_port: int) -> None:
        """Lost silently if the network refuses it: a report follows in five seconds."""
        sock = self._sockets[index]
        if sock is None:
            return
        try:
            sock.sendto(packet, (self._addresses.host(address), remote_port))
        except OSError:
            log.debug("rtcp_not_sent", extra={"port_index": index})

    def close(self) -> None:
        self._waiting.close()
        for sock in self._sockets:
            if sock is not None:
                sock.close()
