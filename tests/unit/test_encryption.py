"""Encryption at rest: what opens, what does not, and keys over time."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceapp.adapters.encryption import (
    Keyring,
    UnreadableBodyError,
    secret_opener,
    secret_sealer,
)

PLAIN = b"five five five"


def test_a_box_opens_in_its_context_only():
    keys = Keyring(bytes(32))
    box = keys.encrypt(PLAIN, "call-1:3:SegmentHeard")
    assert keys.decrypt(box, "call-1:3:SegmentHeard") == PLAIN
    with pytest.raises(UnreadableBodyError, match="altered"):
        keys.decrypt(box, "call-2:3:SegmentHeard")


def test_the_same_text_never_looks_the_same():
    keys = Keyring(bytes(32))
    assert keys.encrypt(PLAIN, "x") != keys.encrypt(PLAIN, "x")


@pytest.mark.parametrize("cut", [0, 5, 8, 12, 20, 30])
def test_a_box_that_was_cut_off_is_refused(cut: int):
    keys = Keyring(bytes(32))
    with pytest.raises(UnreadableBodyError):
        keys.decrypt(keys.encrypt(PLAIN, "x")[:cut], "x")


def test_a_flipped_bit_is_refused():
    keys = Keyring(bytes(32))
    box = bytearray(keys.encrypt(PLAIN, "x"))
    box[-1] ^= 1
    with pytest.raises(UnreadableBodyError):
        keys.decrypt(bytes(box), "x")


def test_a_foreign_key_is_refused():
    box = Keyring(bytes(32)).encrypt(PLAIN, "x")
    with pytest.raises(UnreadableBodyError, match="not here"):
        Keyring(bytes([1] * 32)).decrypt(box, "x")


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    path = tmp_path / "secrets" / "data.key"
    box = Keyring.load(path).encrypt(PLAIN, "x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keyring.load(path).decrypt(box, "x") == PLAIN


def test_a_key_that_was_renamed_still_opens_what_it_closed(tmp_path: Path):
    path = tmp_path / "data.key"
    before = Keyring.load(path)
    box = before.encrypt(PLAIN, "x")
    path.rename(tmp_path / "data.2026.key")
    after = Keyring.load(path)
    assert after.current_id != before.current_id
    assert after.decrypt(box, "x") == PLAIN
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_of_the_snapshot_opens_for_its_owner_alone() -> None:
    keyring = Keyring(bytes(32))
    sealed = secret_sealer(keyring)("opensesame", "trunk east")
    unseal = secret_opener(keyring)

    assert "opensesame" not in sealed
    assert unseal(sealed, "trunk east") == "opensesame"
    for text, owner in ((sealed, "trunk west"), ("nonsense", "trunk east"), ("", "trunk east")):
        with pytest.raises(ValueError, match="cannot be opened"):
            unseal(text, owner)
