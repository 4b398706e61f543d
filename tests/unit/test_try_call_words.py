"""What `try_call` says when there is no call."""

from __future__ import annotations

from telephony.sip.session import Cause, EndKind
from voiceapp.try_call.phone import in_words


def test_a_call_that_is_asked_for_a_login_says_which_setting_lets_it_in() -> None:
    assert "VOICEAPP_SIP_ALLOW" in in_words(Cause(EndKind.REJECTED, 401, "Unauthorized"))
    assert in_words(Cause(EndKind.REJECTED, 486, "Busy Here")) == "refused with 486 Busy Here"
