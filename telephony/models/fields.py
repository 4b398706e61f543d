"""Columns that are encrypted at rest: speech and personal data."""

from __future__ import annotations

import base64
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

SCHEME: Final = "a1:"
"""AES-256-GCM, 12 random bytes, then ciphertext and tag, base64. A new scheme gets a new mark."""
NONCE_BYTES: Final = 12


class UndecipherableError(Exception):
    """The text was encrypted with another key, or was altered."""


@cache
def _cipher(source: str) -> AESGCM:
    """`source`: dotted path of the function that gives the 32 bytes of the installation's data key."""
    return AESGCM(import_string(source)())


def seal(text: str) -> str:
    """The text, encrypted; an empty one stays empty."""
    if not text:
        return ""
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = _cipher(settings.DATA_KEY)
    return SCHEME + base64.b64encode(nonce + cipher.encrypt(nonce, text.encode(), None)).decode()


def unseal(sealed: str) -> str:
    """Raises: UndecipherableError."""
    if not sealed:
        return ""
    if not sealed.startswith(SCHEME):
        raise UndecipherableError("The column does not hold an encrypted text.")
    blob = base64.b64decode(sealed.removeprefix(SCHEME))
    try:
        cipher = _cipher(settings.DATA_KEY)
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], None).decode()
    except InvalidTag as error:
        raise UndecipherableError("The text was encrypted with another key.") from error


if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField  # takes no parameters at run time


class EncryptedTextField(_Text):
    """Text that the database never sees. It cannot be searched or sorted."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else seal(str(value))

    def from_db_value(
        self, value: str | None, expression: object, connection: object
    ) -> str | None:
        return None if value is None else unseal(value)
