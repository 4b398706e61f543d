"""What every page carries: a content security policy with a nonce, and cookies marked as the connection allows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; media-src 'self' blob:; connect-src 'self' {sockets}; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PERMISSIONS: Final = "microphone=(self), camera=(), geolocation=(), payment=(), usb=()"
NONCE_BYTES: Final = 16


class SecurityPolicyMiddleware:
    """Gives the request its `csp_nonce` (for templates) and the answer its headers.

    A view that sets its own policy keeps it. Cookies are `Secure` whenever the request came over TLS; a page on
    plain http, which only loopback and private test networks should have, could not log in otherwise.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        vars(request)["csp_nonce"] = nonce
        response = self._get_response(request)
        # Safari before 15.4 does not take 'self' for a WebSocket of the same host.
        sockets = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
        policy = POLICY.format(nonce=nonce, sockets=sockets)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if request.is_secure():
            for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
                if name in response.cookies:
                    response.cookies[name]["secure"] = True
        return response
