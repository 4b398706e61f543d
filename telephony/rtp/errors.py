"""Errors of RTP and RTCP: a datagram that is not what it claims to be. The caller drops and counts it."""

from __future__ import annotations


class RtpError(Exception):
    """`kind` is a short stable word for counters; it holds nothing of the datagram."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
