"""Secrets that this installation makes for itself, once, into its data folder (files 0600, folder 0700)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from voiceapp.configuration import Configuration

SESSION_KEY_BYTES: Final = 64
"""More than the 50 characters that `check --deploy` asks for."""


def session_key_file(configuration: Configuration) -> Path:
    """Where the secret of sessions and tokens is kept when the environment gives none."""
    return configuration.data / "secrets" / "session.key"


def session_key(configuration: Configuration) -> str:
    """Secret of sessions and tokens: the environment's, the kept one, or one for this process alone.

    Writes nothing: settings must import without a data folder. Serving processes call `keep_session_key` first.
    """
    if configuration.secret_key:
        return configuration.secret_key
    try:
        return session_key_file(configuration).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return secrets.token_urlsafe(SESSION_KEY_BYTES)


def keep_session_key(configuration: Configuration) -> None:
    """Makes the secret if there is none. Idempotent, and safe when several processes start at once."""
    if not configuration.secret_key:
        keep_secret(
            session_key_file(configuration),
            lambda: secrets.token_urlsafe(SESSION_KEY_BYTES).encode(),
        )


def keep_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The secret in this file; made, complete from its first instant, if the file is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
        try:
            os.link(draft, path)  # unlike a rename, it fails if another process was first
        except FileExistsError:
            return path.read_bytes()
    finally:
        draft.unlink()
    return path.read_bytes()
