"""The guard's rule in the kernel: a classic BPF program on a UDP socket (Linux, SO_ATTACH_FILTER).

STUN comes from anyone; everything else only from the sources given. What is refused costs no wake-up and takes no room
in the receive buffer, so that a flood cannot crowd out the call. Where there is no such filter the guard in Python
decides alone, by the same rule.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

RECEIVE_BUFFER_BYTES: Final = 1 << 20
MOST_SOURCES: Final = 8
_SO_ATTACH_FILTER: Final = 26
_SO_MEMINFO: Final = 55
_DROPS: Final = 8
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_IF_AT_LEAST, _IF_EQUAL = 0x35, 0x15
_RETURN: Final = 0x06
_ACCEPT: Final = 0xFFFF
_IP_HEADER: Final = 0xFFF0_0000
"""SKF_NET_OFF (-0x100000): offsets into the IP header; others count from the UDP header."""
_UDP_HEADER: Final = 8
_STUN_COOKIE: Final = 0x2112_A442
_INSTRUCTION: Final = struct.Struct("=HBBI")

Source = tuple[str, int]
_Test = tuple[int, int, int]
"""(load, offset, value): the load must give the value."""


def program(sources: Iterable[Source]) -> bytes:
    """Instructions (struct sock_filter): STUN by its cookie, or UDP from one of these addresses and ports."""
    blocks = [_source_tests(host, port) for host, port in sources]
    code = [
        (_LOAD_BYTE, 0, 0, _UDP_HEADER),
        (_IF_AT_LEAST, 3, 0, 4),
        (_LOAD_WORD, 0, 0, _UDP_HEADER + 4),
        (_IF_EQUAL, 0, 1, _STUN_COOKIE),
        (_RETURN, 0, 0, _ACCEPT),
    ]
    for tests in blocks:
        for at, (load, offset, value) in enumerate(tests):
            # A test that fails goes on behind this block's `return`.
            left = 2 * (len(tests) - 1 - at) + 1
            code += [(load, 0, 0, offset), (_IF_EQUAL, 0, left, value)]
        code.append((_RETURN, 0, 0, _ACCEPT))
    code.append((_RETURN, 0, 0, 0))
    return b"".join(_INSTRUCTION.pack(*line) for line in code)


def _source_tests(host: str, port: int) -> list[_Test]:
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    first = 12 if address.version == 4 else 8
    words = struct.unpack(f"!{len(address.packed) // 4}I", address.packed)
    tests = [(_LOAD_HALF, 0, port)]
    return tests + [
        (_LOAD_WORD, _IP_HEADER + first + 4 * at, word) for at, word in enumerate(words)
    ]


def attach(sock: Any, sources: Iterable[Source]) -> bool:
    """Replaces the socket's filter; False where the system has none. `sock`: a socket, or asyncio's view of one."""
    if sys.platform != "linux":
        return False
    code = program(list(sources)[:MOST_SOURCES])
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count, and a pointer aligned as the platform has it.
    count = len(code) // _INSTRUCTION.size
    try:
        sock.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", count, ctypes.addressof(buffer)),
        )
    except OSError:
        return False
    return True


def enlarge(sock: Any) -> None:
    """Asks for a receive buffer that outlasts a stall of the process; the kernel gives what it allows."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def drops(sock: Any) -> int:
    """Datagrams that the kernel did not hand on: refused by the filter, or without room."""
    if sys.platform != "linux" or sock.fileno() < 0:
        return 0
    try:
        figures = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return 0
    return int(struct.unpack_from("=I", figures, 4 * _DROPS)[0])
