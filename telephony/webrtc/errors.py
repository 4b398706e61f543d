"""Errors of browser legs.

```
WebRtcError                   sip  retry
├── OfferRefusedError         488  no      the page's SDP cannot be used; the text says which line
└── WebRtcUnavailableError    503  no      the installed aiortc or aioice is not a version this adapter knows
```
"""

from __future__ import annotations

from typing import ClassVar, Literal


class WebRtcError(Exception):
    """Any refusal of a browser leg; the text is for people and names no address."""

    sip_status: ClassVar[int] = 500
    code: ClassVar[str] = "server"
    user_message: ClassVar[str] = "The call could not be connected."
    metric: ClassVar[str] = "webrtc"
    retry: ClassVar[Literal["no", "safe", "later"]] = "no"


class OfferRefusedError(WebRtcError):
    """Raised before anything is allocated."""

    sip_status = 488
    code = "sdp"
    user_message = "This browser's call offer cannot be used."
    metric = "webrtc_offer"


class WebRtcUnavailableError(WebRtcError):
    """Browser calls are off on this node; phone calls are not affected."""

    sip_status = 503
    code = "server"
    user_message = "Browser calls are not available here."
    metric = "webrtc_unavailable"
