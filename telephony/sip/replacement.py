"""An INVITE that shall take the place of a call of ours (RFC 3891 3)."""

from collections.abc import Callable
from typing import Final

from telephony.sip.errors import SipSyntaxError
from telephony.sip.extensions import parse_replaces
from telephony.sip.invite import InviteSession
from telephony.sip.message import Request
from telephony.sip.session import Phase
from telephony.sip.uas_checks import Refusal

_ESTABLISHED: Final = (Phase.ANSWERED, Phase.CONFIRMED)
_OVER: Final = (Phase.ENDED, Phase.CANCELLING)


def replaced_by(
    request: Request, find: Callable[[str, str], InviteSession | None]
) -> InviteSession | Refusal | None:
    """The session to be replaced; None without a Replaces. `find` takes Call-ID and our tag."""
    values = request.headers.all("replaces")
    if not values:
        return None
    if len(values) > 1 or request.headers.first("join") is not None:
        return Refusal(400)
    try:
        wanted = parse_replaces(values[0])
    except SipSyntaxError:
        return Refusal(400)
    session = find(wanted.call_id, wanted.to_tag)
    if session is None or not session.matches(wanted):
        return Refusal(481)
    if session.phase in _OVER:
        return Refusal(603)
    if session.phase in _ESTABLISHED:
        return Refusal(486) if wanted.early_only else session
    # Only who called may hand on a call that nobody has answered.
    return session if session.owns_call_id else Refusal(481)
