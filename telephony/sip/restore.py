"""A session that goes on after a restart, from what `InviteSession.snapshot` kept."""

from collections.abc import Mapping
from typing import Any

from telephony.sip.auth import ClientAuth, Credentials
from telephony.sip.core import Core
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipError, SipStateError
from telephony.sip.headers import NameAddr, parse_name_addr
from telephony.sip.invite import SNAPSHOT_VERSION, InviteSession
from telephony.sip.message import HeaderPair, Headers, Request
from telephony.sip.session import Cause, EndKind, Phase
from telephony.sip.uri import parse_uri
from telephony.sip.usage import InviteUsage


class RestoredSession(InviteSession):
    """CONFIRMED from the start. `request` has the names of the dialog only: the INVITE itself is gone."""

    @property
    def local(self) -> NameAddr:
        return parse_name_addr(self.dialog.local)

    @property
    def remote(self) -> NameAddr:
        return parse_name_addr(self.dialog.remote)

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        self._end(Cause(EndKind.LOCAL), now)

    def _confirmed(self, sdp: bytes | None) -> None:
        """The first INVITE was confirmed before the restart."""


def restore_session(
    core: Core, data: Mapping[str, Any], now: float, credentials: Credentials | None = None
) -> RestoredSession:
    """The session of a snapshot; it knows nothing of its media, so a re-INVITE should follow.

    Raises:
        SipStateError: `data` is no snapshot of this version.
    """
    try:
        if data["version"] != SNAPSHOT_VERSION:
            raise SipStateError("a snapshot of another version")
        dialog = _readable(Dialog.restored(data["dialog"]))
        allows = frozenset(str(method) for method in data["allows"])
        owns_call_id = bool(data["owns_call_id"])
        seconds, we_refresh = int(data["timer"]["seconds"]), bool(data["timer"]["we_refresh"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SipStateError("not a snapshot of a session") from error
    auth = ClientAuth(credentials, core.ids) if credentials else None
    session = RestoredSession(
        core, _request_of(dialog), dialog.flow, dialog.local_tag, Phase.CONFIRMED, auth=auth
    )
    session.owns_call_id = owns_call_id
    session.resume(InviteUsage(dialog, allows=allows), seconds, we_refresh, now)
    return session


def _readable(dialog: Dialog) -> Dialog:
    """Its addresses are used without another check."""
    try:
        for address in (dialog.local, dialog.remote, *dialog.routes):
            parse_name_addr(address)
        parse_uri(dialog.target)
    except SipError as error:
        raise SipStateError("a snapshot with an address that cannot be read") from error
    return dialog


def _request_of(dialog: Dialog) -> Request:
    headers = [
        ("From", dialog.local),
        ("To", dialog.remote),
        ("Call-ID", dialog.call_id),
        ("CSeq", f"{dialog.local_cseq} INVITE"),
    ]
    return Request(Headers(headers), b"", "INVITE", dialog.target)
