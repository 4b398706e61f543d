"""Columns that are encrypted at rest: speech and personal data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute
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


def snapshot_sealer() -> Callable[[str, str], str]:
    """(secret, what it belongs to) -> how it stands in the snapshot."""
    seal: Callable[[str, str], str] = import_string(settings.SNAPSHOT_SEALER)(_installed_keyring())
    return seal


def snapshot_opener() -> Callable[[str, str], str]:
    """The other way round. What it returns raises ValueError for what it cannot open."""
    unseal: Callable[[str, str], str] = import_string(settings.SNAPSHOT_OPENER)(
        _installed_keyring()
    )
    return unseal


if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField  # takes no parameters at run time


class _Sealed(str):
    """A text as the database holds it."""

    __slots__ = ()


class _Opened(DeferredAttribute):
    """Opens the text when it is asked for: one that cannot be opened must not hide the rows around it."""

    field: EncryptedTextField

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, _Sealed):
            value = self.field.open(value)
            self.__set__(instance, value)
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        vars(instance)[self.field.attname] = (
            value  # with a setter, ours is asked before the instance
        )


class EncryptedTextField(_Text):
    """Text that the database never sees. It cannot be searched or sorted.

    Reading the attribute raises `BrokenLogError` if the text was altered or its key is not here.
    """

    descriptor_class = _Opened

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
        return _Sealed(value) if value else value

    def open(self, sealed: str) -> str:
        """Raises: BrokenLogError."""
        try:
            box = base64.b64decode(sealed, validate=True)
        except binascii.Error as error:
            raise BrokenLogError(f"{self._context} does not hold an encrypted text") from error
        return _installed_keyring().decrypt(box, self._context).decode()
