"""The SRTP keys that a DTLS handshake agreed on, taken out of aiortc's transport (RFC 5764 4.2, RFC 7714 12)."""

from __future__ import annotations

from typing import Any, Final

from telephony.sdp.crypto import Crypto, Suite

_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_SUITES: Final = {
    b"SRTP_AES128_CM_SHA1_80": Suite.AES_CM_128_HMAC_SHA1_80,
    b"SRTP_AEAD_AES_128_GCM": Suite.AEAD_AES_128_GCM,
    b"SRTP_AEAD_AES_256_GCM": Suite.AEAD_AES_256_GCM,
}
"""As OpenSSL names the profiles that aiortc offers."""
_KEY_OCTETS: Final = {
    Suite.AES_CM_128_HMAC_SHA1_80: 16,
    Suite.AEAD_AES_128_GCM: 16,
    Suite.AEAD_AES_256_GCM: 32,
}
"""The rest of `Suite.key_octets` is the salt."""


def agreed_keys(dtls: Any) -> Crypto:
    """Of a connected `RTCDtlsTransport`; its own SRTP contexts, which are not used, are let go.

    Raises: KeyError, for a profile that aiortc does not offer today.
    """
    suite = _SUITES[dtls._ssl.get_selected_srtp_profile()]
    material = dtls._ssl.export_keying_material(_LABEL, 2 * suite.key_octets)
    dtls._rx_srtp = dtls._tx_srtp = None
    client, server = split_keys(suite, material)
    ours, theirs = (server, client) if dtls._role == "server" else (client, server)
    return Crypto(suite, send_key=ours, receive_key=theirs)


def split_keys(suite: Suite, material: bytes) -> tuple[bytes, bytes]:
    """(client's, server's) master key and salt: the material holds both keys, then both salts."""
    size = _KEY_OCTETS[suite]
    salt = suite.key_octets - size
    keys, salts = material[: 2 * size], material[2 * size :]
    return keys[:size] + salts[:salt], keys[size:] + salts[salt:]
