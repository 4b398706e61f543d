"""Columns that are encrypted at rest: speech and personal data."""

from __future__ import annotations

import base64
import binascii
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

from telephony.call.errors import BrokenLogError


class Keyring(Protocol):
    """Closes and opens texts; bound in the settings (`DATA_KEYRING`)."""

    def encrypt(self, plain: bytes, context: str) -> bytes: ...

    def decrypt(self, box: bytes, context: str) -> bytes: ...


@cache
def _keyring(adapter: str, path: Path) -> Keyring:
    keyring: Keyring = import_string(adapter).load(path)
    return keyring


def _installed_keyring() -> Keyring:
    return _keyring(settings.DATA_KEYRING, settings.DATA_KEY_FILE)


if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField  # takes no parameters at run time


class EncryptedTextField(_Text):
    """Text that the database never sees. It cannot be searched or sorted.

    Reading raises `BrokenLogError` if the text was altered or its key is not here.
    """

    @property
    def _context(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"

    def get_prep_value(self, value: Any) -> Any:
        if not value:
            return value
        box = _installed_keyring().encrypt(str(value).encode(), self._context)
        return base64.b64encode(box).decode()

    def from_db_value(
        self, value: str | None, expression: object, connection: object
    ) -> str | None:
        if not value:
            return value
        try:
            box = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise BrokenLogError(f"{self._context} does not hold an encrypted text") from error
        return _installed_keyring().decrypt(box, self._context).decode()
