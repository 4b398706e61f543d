"""Numbers, trunks, phones, widget keys, calls and audit in the admin. Calls and audit are for reading alone."""

from telephony.admin import calls, outbound, phones, routing, tokens, trunks

__all__ = ["calls", "outbound", "phones", "routing", "tokens", "trunks"]
