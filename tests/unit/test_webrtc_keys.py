"""What DTLS exports is cut where RFC 5764 4.2 says."""

from __future__ import annotations

import pytest

from telephony.sdp.crypto import Suite
from telephony.webrtc.keys import split_keys


@pytest.mark.parametrize(
    ("suite", "key", "salt"),
    [
        (Suite.AES_CM_128_HMAC_SHA1_80, 16, 14),
        (Suite.AEAD_AES_128_GCM, 16, 12),
        (Suite.AEAD_AES_256_GCM, 32, 12),
    ],
)
def test_each_side_has_its_key_and_its_salt(suite: Suite, key: int, salt: int) -> None:
    material = b"K" * key + b"k" * key + b"S" * salt + b"s" * salt

    assert split_keys(suite, material) == (b"K" * key + b"S" * salt, b"k" * key + b"s" * salt)
