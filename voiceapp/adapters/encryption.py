"""Encryption at rest of speech and personal data: AES-256-GCM under a key of this installation.

A box is `key id (8 bytes) | nonce (12) | ciphertext and tag`. The context (which record it belongs to) is
authenticated, so that a body cannot be moved to another record. A key that is renamed to `<name>.<anything>.key`
closes nothing any more and still opens what it closed; the next start makes a new one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telephony.call.errors import BrokenLogError
from voiceapp.keys import keep_secret

KEY_BITS: Final = 256
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12


class UnreadableBodyError(BrokenLogError):
    """A body was altered, or the key that closed it is not here; the text says which of both."""

    metric = "unreadable_body"
    user_message = "This part of the record cannot be decrypted."


class Keyring:
    """The current key, which closes and opens, and older ones, which open."""

    def __init__(self, current: bytes, older: Mapping[bytes, bytes] | None = None) -> None:
        self.current_id = key_id(current)
        keys = {**(older or {}), self.current_id: current}
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Reads the key file, which is made with mode 0600 on first use, and the older keys beside it."""
        current = keep_secret(path, lambda: AESGCM.generate_key(KEY_BITS))
        older = [old.read_bytes() for old in path.parent.glob(f"{path.stem}.*{path.suffix}")]
        return cls(current, {key_id(key): key for key in older})

    def encrypt(self, plain: bytes, context: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current_id].encrypt(nonce, plain, context.encode())
        return self.current_id + nonce + sealed

    def decrypt(self, box: bytes, context: str) -> bytes:
        """Raises: UnreadableBodyError."""
        cipher = self._ciphers.get(box[:KEY_ID_BYTES])
        if cipher is None:
            raise UnreadableBodyError("the key is not here")
        body = box[KEY_ID_BYTES:]
        try:
            return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise UnreadableBodyError("the body was altered") from error


def secret_sealer(keyring: Keyring) -> Callable[[str, str], str]:
    """(secret, what it belongs to) -> a text that may stand in the snapshot."""

    def seal(secret: str, belongs_to: str) -> str:
        return base64.b64encode(keyring.encrypt(secret.encode(), _in_snapshot(belongs_to))).decode()

    return seal


def secret_opener(keyring: Keyring) -> Callable[[str, str], str]:
    """Opens what `secret_sealer` sealed; for `telephony.dialplan.parse_snapshot`. Raises: ValueError."""

    def unseal(sealed: str, belongs_to: str) -> str:
        try:
            box = base64.b64decode(sealed, validate=True)
            return keyring.decrypt(box, _in_snapshot(belongs_to)).decode()
        except (binascii.Error, UnreadableBodyError) as error:
            raise ValueError("the secret cannot be opened") from error

    return unseal


def _in_snapshot(belongs_to: str) -> str:
    return f"snapshot {belongs_to}"


def key_id(key: bytes) -> bytes:
    """Names a key without telling anything of it."""
    return hashlib.sha256(b"key id" + key).digest()[:KEY_ID_BYTES]
