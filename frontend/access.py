"""Who may see and do what at the desk, and which pages may open a call.

Every door asks here: pages, sockets and commands. Permissions are Django's, on the app `telephony`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.http.request import validate_host

VIEW: Final = "view_call"
LISTEN: Final = "listen_call"
TAKE_OVER: Final = "take_over_call"
TRANSFER: Final = "transfer_call"
END: Final = "end_call"
TRANSCRIPT: Final = "view_transcript"
PII: Final = "view_pii"
QUALITY: Final = "view_trunk_quality"
PERMISSIONS: Final = (VIEW, LISTEN, TAKE_OVER, TRANSFER, END, TRANSCRIPT, PII, QUALITY)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person at the desk with what they may do; read afresh, never kept for long."""

    name: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        return permission in self.permissions


def viewer_of(user: AbstractBaseUser | AnonymousUser) -> Viewer | None:
    """The person's rights, from the database; None for a stranger or one who may not see calls."""
    if not isinstance(user, PermissionsMixin) or not user.is_active:
        return None
    granted = frozenset(name for name in PERMISSIONS if user.has_perm(f"telephony.{name}"))
    return Viewer(user.get_username(), granted) if VIEW in granted else None


def not_entitled(names: Iterable[str], permission: str) -> list[str]:
    """Those of the people who may not, or no longer exist; asks the database only for names that are given."""
    wanted = list(names)
    if not wanted:
        return []
    model = get_user_model()
    users = model.objects.filter(**{f"{model.USERNAME_FIELD}__in": wanted})
    viewers = [viewer for user in users if (viewer := viewer_of(user)) is not None]
    entitled = {viewer.name for viewer in viewers if viewer.may(permission)}
    return [name for name in wanted if name not in entitled]


async def viewer_of_session(session: Any) -> Viewer | None:
    """The rights of a socket's login as they are now: session, account and permissions are read again."""
    if session is None or session.session_key is None:
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore
    fresh = store(session.session_key)
    user = await get_user({"session": fresh})
    viewer: Viewer | None = await database_sync_to_async(viewer_of)(user)
    return viewer


def header(scope: Mapping[str, Any], name: bytes) -> str:
    """A header of a WebSocket's request; empty if it is missing."""
    for key, value in scope.get("headers", ()):
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def is_own_origin(scope: Mapping[str, Any]) -> bool:
    """Whether a socket was opened by one of our own pages: same host and port, and a host we serve."""
    origin = urlsplit(header(scope, b"origin"))
    host = header(scope, b"host")
    if origin.scheme not in {"http", "https"} or not host or origin.netloc != host:
        return False
    allowed = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1"] if settings.DEBUG else [])
    return validate_host(origin.hostname or "", allowed)


def is_allowed_origin(origin: str, allowed: Iterable[str]) -> bool:
    """Exact scheme, host and port; `null` and an empty origin never match."""
    return origin not in {"", "null"} and origin in set(allowed)
