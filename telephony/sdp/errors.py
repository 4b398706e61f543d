"""Errors of SDP.

SdpError    sip 488  no    text that is no session description; says what and in which line
"""

from typing import ClassVar, Literal


class SdpError(Exception):
    """`line` counts from 1; the message holds nothing of the input."""

    sip_status: ClassVar[int] = 488
    user_message: ClassVar[str] = "The other side described its audio in a way that cannot be read."
    metric: ClassVar[str] = "sdp_error"
    retry: ClassVar[Literal["no", "safe", "later"]] = "no"

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"{what} in line {line}")
        self.line = line
