"""SRTP and SRTCP (RFC 3711, 6188, 7714) by libsrtp, keyed by SDES or DTLS.

The libsrtp inside pylibsrtp's wheel is called through ctypes: in place, so that a packet is not copied, and with the GIL
kept, for a call is shorter than getting the GIL back beside another thread (1.3 us a packet, 2.5 by pylibsrtp's own
classes). pylibsrtp has initialised the library when it was imported. Contexts belong to one thread: the media plane's for
phones, the loop's for browsers.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import pylibsrtp  # noqa: F401 - its import initialises the library

from telephony.rtp.errors import RtpError
from telephony.sdp.crypto import Crypto, Suite

TRAILER_OCTETS: Final = 32
"""Room that `protect_at` needs behind a packet: tag, and index of SRTCP."""
_MAX_OCTETS: Final = 1600
_ANY_INBOUND: Final = 2
_ANY_OUTBOUND: Final = 3
_OK: Final = 0
_REPLAYED: Final = (9, 10)
_SETTERS: Final = {
    Suite.AES_CM_128_HMAC_SHA1_80: "srtp_crypto_policy_set_rtp_default",
    Suite.AES_CM_128_HMAC_SHA1_32: "srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32",
    Suite.AES_256_CM_HMAC_SHA1_80: "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80",
    Suite.AES_256_CM_HMAC_SHA1_32: "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32",
    Suite.AEAD_AES_128_GCM: "srtp_crypto_policy_set_aes_gcm_128_16_auth",
    Suite.AEAD_AES_256_GCM: "srtp_crypto_policy_set_aes_gcm_256_16_auth",
}
_LONG_TAG: Final = {
    Suite.AES_CM_128_HMAC_SHA1_32: Suite.AES_CM_128_HMAC_SHA1_80,
    Suite.AES_256_CM_HMAC_SHA1_32: Suite.AES_256_CM_HMAC_SHA1_80,
}
"""SRTCP always has the long tag (RFC 4568 6.2)."""
_TAG_OCTETS: Final = {Suite.AES_CM_128_HMAC_SHA1_32: 4, Suite.AES_256_CM_HMAC_SHA1_32: 4}
_AEAD: Final = (Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM)


class _Cipher(ctypes.Structure):
    """`srtp_crypto_policy_t`."""

    _fields_ = (("words", ctypes.c_uint32 * 6),)


class _Policy(ctypes.Structure):
    """`srtp_policy_t` of libsrtp 2."""

    _fields_ = (
        ("ssrc_type", ctypes.c_int),
        ("ssrc", ctypes.c_uint32),
        ("rtp", _Cipher),
        ("rtcp", _Cipher),
        ("key", ctypes.c_char_p),
        ("keys", ctypes.c_void_p),
        ("key_count", ctypes.c_ulong),
        ("_ekt", ctypes.c_void_p),
        ("window_packets", ctypes.c_ulong),
        ("allow_repeat_tx", ctypes.c_int),
        ("extensions", ctypes.c_void_p),
        ("extension_count", ctypes.c_int),
        ("next", ctypes.c_void_p),
    )


@cache
def _library() -> Any:
    found = find_spec("pylibsrtp._binding")
    library: Any = ctypes.PyDLL(found.origin if found is not None else None)
    library.srtp_get_version.restype = ctypes.c_uint
    if library.srtp_get_version() >> 24 != 2:
        raise OSError("libsrtp 2 is needed")
    for name in ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.srtp_create.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.srtp_dealloc.argtypes = [ctypes.c_void_p]
    for name in _SETTERS.values():
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


class _Context:
    """One direction: a master key, the packet indexes of its streams, and what was replayed."""

    def __init__(self, suite: Suite, key: bytes, direction: int) -> None:
        if len(key) != suite.key_octets:
            raise RtpError("srtp_key")
        self._library = _library()
        self.key = suite, key
        policy = _Policy(ssrc_type=direction, key=key)
        getattr(self._library, _SETTERS[suite])(ctypes.byref(policy.rtp))
        getattr(self._library, _SETTERS[_LONG_TAG.get(suite, suite)])(ctypes.byref(policy.rtcp))
        self.handle: int | None = None
        handle = ctypes.c_void_p()
        status = self._library.srtp_create(ctypes.byref(handle), ctypes.byref(policy))
        if status != _OK:
            raise RtpError(f"srtp_create_{status}")
        self.handle = handle.value

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._library.srtp_dealloc(self.handle)


class SrtpSession:
    """Both directions of one leg. Raises: RtpError, if libsrtp refuses the keys.

    A key that stays keeps its context: packet indexes go on over a re-INVITE (RFC 4568 7.1.4).
    """

    def __init__(self, crypto: Crypto) -> None:
        library = _library()
        self._protect, self._unprotect = library.srtp_protect, library.srtp_unprotect
        self._protect_rtcp = library.srtp_protect_rtcp
        self._unprotect_rtcp = library.srtp_unprotect_rtcp
        self._size = ctypes.c_int()
        self._size_at = ctypes.addressof(self._size)
        self._scratch = ctypes.create_string_buffer(_MAX_OCTETS + TRAILER_OCTETS)
        self._scratch_at = ctypes.addressof(self._scratch)
        self.replayed = False
        """What the last packet was refused for: seen before, not forged."""
        self._out = _Context(crypto.suite, crypto.send_key, _ANY_OUTBOUND)
        self._in = _Context(crypto.suite, crypto.receive_key, _ANY_INBOUND)
        self._before: _Context | None = None
        self._crypto = crypto

    def rekey(self, crypto: Crypto) -> None:
        """Takes over what a new SDP says. Packets under their old key count until the first under the new one."""
        if (crypto.suite, crypto.send_key) != self._out.key:
            self._out = _Context(crypto.suite, crypto.send_key, _ANY_OUTBOUND)
        if (crypto.suite, crypto.receive_key) != self._in.key:
            context = _Context(crypto.suite, crypto.receive_key, _ANY_INBOUND)
            self._before, self._in = self._in, context
        self._crypto = crypto

    # ----------------------------------------------------------------------- in place, by address

    def protect_at(self, packet: int, size: int) -> int:
        """The new size of the RTP packet at this address, which has `TRAILER_OCTETS` of room behind it; 0: refused."""
        self._size.value = size
        if self._protect(self._out.handle, packet, self._size_at) != _OK:
            return 0
        return self._size.value

    def unprotect_at(self, packet: int, size: int) -> int:
        """The new size of the SRTP packet at this address; 0: it is not theirs, or was here before."""
        tag = 0 if self._crypto.suite in _AEAD else _TAG_OCTETS.get(self._crypto.suite, 10)
        return self._open(self._unprotect, packet, self._without_mki(packet, size, tag))

    def unprotect_rtcp_at(self, packet: int, size: int) -> int:
        """The same for SRTCP."""
        tag = 0 if self._crypto.suite in _AEAD else 10
        return self._open(self._unprotect_rtcp, packet, self._without_mki(packet, size, tag))

    def _without_mki(self, packet: int, size: int, tag: int) -> int:
        """They have one key: which one it is need not be read."""
        octets = self._crypto.mki_octets
        if not octets or size < tag + octets:
            return size
        ctypes.memmove(packet + size - tag - octets, packet + size - tag, tag)
        return size - octets

    def _open(self, call: Any, packet: int, size: int) -> int:
        # AEAD deciphers in place before it knows that the key was another one.
        sealed = ctypes.string_at(packet, size) if self._before is not None else b""
        self._size.value = size
        status = call(self._in.handle, packet, self._size_at)
        if status == _OK:
            self._before = None
            return self._size.value
        self.replayed = status in _REPLAYED
        if self._before is not None:
            ctypes.memmove(packet, sealed, size)
            self._size.value = size
            if call(self._before.handle, packet, self._size_at) == _OK:
                return self._size.value
        return 0

    # ----------------------------------------------------------------------- as values

    def protect(self, packet: bytes) -> bytes:
        """An SRTP packet. Raises: RtpError (`srtp`)."""
        return self._sealed(self._protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """An SRTCP packet. Raises: RtpError (`srtp`)."""
        return self._sealed(self._protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet; None: it is not theirs, or was here before."""
        return self._opened(self.unprotect_at, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """The RTCP packet; None: it is not theirs, or was here before."""
        return self._opened(self.unprotect_rtcp_at, packet)

    def _sealed(self, call: Any, packet: bytes) -> bytes:
        if len(packet) > _MAX_OCTETS:
            raise RtpError("srtp")
        ctypes.memmove(self._scratch_at, packet, len(packet))
        self._size.value = len(packet)
        if call(self._out.handle, self._scratch_at, self._size_at) != _OK:
            raise RtpError("srtp")
        return ctypes.string_at(self._scratch_at, self._size.value)

    def _opened(self, call: Any, packet: bytes) -> bytes | None:
        if len(packet) > _MAX_OCTETS:
            return None
        ctypes.memmove(self._scratch_at, packet, len(packet))
        size = call(self._scratch_at, len(packet))
        return ctypes.string_at(self._scratch_at, size) if size else None
