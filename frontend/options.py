"""The few values of the configuration that pages need."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def resume_seconds() -> int:
    """How long a call waits for a browser that dropped."""
    return int(settings.CONFIGURATION.resume_s)


def ice_servers() -> list[dict[str, Any]]:
    """STUN and TURN servers as `RTCPeerConnection` takes them; none by default."""
    return [{"urls": url} for url in settings.CONFIGURATION.ice_servers]
