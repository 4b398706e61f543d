"""What the usages of RFC 3515 need of the session whose dialog they live in."""

from collections.abc import Sequence
from typing import Protocol

from telephony.sip.client_transaction import TransactionUser
from telephony.sip.dialog import Dialog
from telephony.sip.message import HeaderPair
from telephony.sip.session import Session


class ReferOwner(Session, Protocol):
    """A session, as its own REFERs and NOTIFYs see it."""

    @property
    def dialog(self) -> Dialog: ...

    def send(
        self,
        method: str,
        now: float,
        user: TransactionUser,
        *,
        extra: Sequence[HeaderPair] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """A request in the dialog, challenges answered; `user` hears the final response or `failed`."""
        ...

    def usages_changed(self, now: float) -> None:
        """A subscription began or ended: the dialog lives as long as its last usage (RFC 5057)."""
        ...
