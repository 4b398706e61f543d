"""Errors of the media plane.

```
MediaError                    sip  retry
├── NoMediaCapacityError      503  later   slots, ports or voices are exhausted; nothing was allocated
├── BadAudioError             488  no      a chunk of speech that is not bare int16 PCM; what was queued still plays
├── BadDigitsError            488  no      a digit that no telephone has
└── CodecUnavailableError     488  no      libopus was not found
```
"""

from __future__ import annotations

from typing import ClassVar, Literal


class MediaError(Exception):
    """Any refusal of the plane."""

    sip_status: ClassVar[int] = 500
    user_message: ClassVar[str] = "The call's audio failed."
    metric: ClassVar[str] = "media"
    retry: ClassVar[Literal["no", "safe", "later"]] = "no"


class NoMediaCapacityError(MediaError):
    """Raised before the answer: the caller gets a 503."""

    sip_status = 503
    user_message = "All lines are busy; please try again in a minute."
    metric = "media_capacity"
    retry = "later"


class BadAudioError(MediaError):
    """Odd length, or a file header where samples were expected."""

    sip_status = 488
    metric = "bad_audio"


class BadDigitsError(MediaError):
    """The text does not repeat the digits: they are personal data."""

    sip_status = 488
    metric = "bad_digits"


class CodecUnavailableError(MediaError):
    """The text says where the library was looked for."""

    sip_status = 488
    user_message = "This call's audio format is not available here."
    metric = "codec_unavailable"
