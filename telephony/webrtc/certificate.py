"""Our side of every DTLS handshake: one certificate a day, and one OpenSSL context for all connections under it."""

from __future__ import annotations

from typing import Any, Final

from aiortc import RTCCertificate

_LIFE: Final = 24 * 3600.0
_SESS_CACHE_OFF: Final = 0
_MODE_RELEASE_BUFFERS: Final = 0x10
"""As OpenSSL has them."""


class SharedCertificate(RTCCertificate):
    """A context holds the parsed certificate and all ciphers: 27 kB, and as aiortc has it one for each connection."""

    _context: Any = None

    def _create_ssl_context(self, *arguments: Any, **named: Any) -> Any:
        """A private name of aiortc's: where it is called otherwise, each connection has its own context."""
        if self._context is None:
            context = super()._create_ssl_context(*arguments, **named)
            # Nobody resumes a call's handshake; a shared context would remember each.
            context.set_session_cache_mode(_SESS_CACHE_OFF)
            context.set_mode(_MODE_RELEASE_BUFFERS)
            self._context = context
        return self._context


class _Current:
    certificate: SharedCertificate | None = None
    made_at: float = 0.0


def current_certificate(now: float) -> SharedCertificate:
    """The process's DTLS certificate: making one takes a millisecond, and callers gain nothing by their own."""
    if _Current.certificate is None or now - _Current.made_at > _LIFE:
        _Current.certificate, _Current.made_at = SharedCertificate.generateCertificate(), now
    return _Current.certificate
