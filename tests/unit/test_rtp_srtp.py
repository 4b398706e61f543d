"""SRTP and SRTCP: both ways, against a second implementation, re-keyed, replayed, forged."""

from __future__ import annotations

import hmac
import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from telephony.rtp.packet import RtpPacket, build_packet
from telephony.rtp.rtcp import Report, build_compound
from telephony.rtp.srtp import SrtpSession
from telephony.sdp.crypto import Crypto, Suite

COUNTED = [suite for suite in Suite if "GCM" not in suite]


def keys(suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80, seed: int = 1) -> Crypto:
    one, other = (
        bytes((seed + i * step) % 256 for i in range(suite.key_octets)) for step in (1, 3)
    )
    return Crypto(suite, one, other)


def mirrored(crypto: Crypto) -> Crypto:
    return replace(crypto, send_key=crypto.receive_key, receive_key=crypto.send_key)


def packet(sequence: int = 1, payload: bytes = b"speech" * 20) -> bytes:
    return build_packet(RtpPacket(0, sequence & 0xFFFF, sequence * 160, 77, payload))


def stream(key: bytes, iv: int, size: int) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return cipher.update(bytes(size))


def derived(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 4.3.1, key derivation rate 0."""
    x = int.from_bytes(salt, "big") ^ label << 48
    return stream(master, x << 16, size)


def sealed_by_the_book(crypto: Crypto, rtp: bytes, rollovers: int = 0) -> bytes:
    """RFC 3711 3.3, 4.1.1, 4.2.1, with AES of the key's own size (RFC 6188)."""
    master, salt = crypto.send_key[:-14], crypto.send_key[-14:]
    cipher_key = derived(master, salt, 0, len(master))
    auth_key, session_salt = derived(master, salt, 1, 20), derived(master, salt, 2, 14)
    sequence, ssrc = struct.unpack_from("!H", rtp, 2)[0], struct.unpack_from("!I", rtp, 8)[0]
    index = rollovers << 16 | sequence
    iv = int.from_bytes(session_salt, "big") << 16 ^ ssrc << 64 ^ index << 16
    pad = stream(cipher_key, iv, len(rtp) - 12)
    body = rtp[:12] + bytes(a ^ b for a, b in zip(rtp[12:], pad, strict=True))
    tag = hmac.digest(auth_key, body + rollovers.to_bytes(4, "big"), "sha1")
    return body + tag[: 4 if crypto.suite.endswith("_32") else 10]


@pytest.mark.parametrize("suite", COUNTED)
def test_packets_are_sealed_as_the_rfc_says(suite: Suite) -> None:
    crypto = keys(suite)
    ours = SrtpSession(crypto)
    assert ours.protect(packet(65535)) == sealed_by_the_book(crypto, packet(65535))
    assert ours.protect(packet(65536)) == sealed_by_the_book(crypto, packet(65536), rollovers=1)


@pytest.mark.parametrize("suite", list(Suite))
def test_what_one_end_seals_the_other_opens(suite: Suite) -> None:
    crypto = keys(suite)
    ours, theirs = SrtpSession(crypto), SrtpSession(mirrored(crypto))
    report = build_compound(Report(77), "peer")
    for sequence in range(65530, 65545):
        assert theirs.unprotect(ours.protect(packet(sequence))) == packet(sequence)
    sealed = theirs.protect_rtcp(report)
    assert report[8:] not in sealed
    assert sealed[4:8] == report[4:8]
    assert ours.unprotect_rtcp(sealed) == report


def test_forged_and_replayed_and_plain_packets_are_refused() -> None:
    crypto = keys()
    ours, theirs = SrtpSession(crypto), SrtpSession(mirrored(crypto))
    sealed = ours.protect(packet())
    forged = sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]
    assert theirs.unprotect(forged) is None
    assert not theirs.replayed
    assert theirs.unprotect(packet()) is None
    assert theirs.unprotect(b"") is None
    assert theirs.unprotect(bytes(4000)) is None
    assert theirs.unprotect(sealed) == packet()
    assert theirs.unprotect(sealed) is None
    assert theirs.replayed
    assert theirs.unprotect_rtcp(b"\x80\xc8\0\x01abcd") is None


def test_the_same_key_keeps_the_packet_index_over_a_reinvite() -> None:
    crypto = keys()
    ours, theirs = SrtpSession(crypto), SrtpSession(mirrored(crypto))
    for sequence in (65534, 65535, 65536):
        theirs.unprotect(ours.protect(packet(sequence)))
    ours.rekey(crypto)
    theirs.rekey(mirrored(crypto))
    assert ours.protect(packet(65537)) == sealed_by_the_book(crypto, packet(65537), rollovers=1)
    assert theirs.unprotect(ours.protect(packet(65538))) == packet(65538)


def test_a_new_key_begins_anew_and_the_old_one_counts_until_the_first_packet_under_it() -> None:
    first, second = keys(), keys(seed=9)
    ours, theirs = SrtpSession(first), SrtpSession(mirrored(first))
    for sequence in (65534, 65535, 65536):
        theirs.unprotect(ours.protect(packet(sequence)))
    late = ours.protect(packet(65537))
    never = ours.protect(packet(65538))
    ours.rekey(second)
    theirs.rekey(mirrored(second))
    assert theirs.unprotect(late) == packet(65537)
    fresh = ours.protect(packet(65539))
    assert fresh == sealed_by_the_book(second, packet(65539))
    assert theirs.unprotect(fresh) == packet(65539)
    assert theirs.unprotect(never) is None


@pytest.mark.parametrize("suite", list(Suite))
def test_a_late_packet_under_the_old_key_is_heard_with_every_suite(suite: Suite) -> None:
    first, second = keys(suite), keys(suite, seed=9)
    ours, theirs = SrtpSession(first), SrtpSession(mirrored(first))
    late = ours.protect(packet())
    theirs.rekey(mirrored(second))
    assert theirs.unprotect(late) == packet()


def test_another_suite_may_come_with_a_reinvite() -> None:
    first, second = keys(), keys(Suite.AES_256_CM_HMAC_SHA1_80)
    ours, theirs = SrtpSession(first), SrtpSession(mirrored(first))
    ours.rekey(second)
    theirs.rekey(mirrored(second))
    assert theirs.unprotect(ours.protect(packet())) == packet()


@pytest.mark.parametrize("suite", list(Suite))
def test_a_key_identifier_before_the_tag_is_skipped(suite: Suite) -> None:
    crypto = keys(suite)
    ours, theirs = SrtpSession(crypto), SrtpSession(replace(mirrored(crypto), mki_octets=4))
    tag = 0 if "GCM" in suite else 4 if suite.endswith("_32") else 10
    sealed = ours.protect(packet())
    with_mki = sealed[: len(sealed) - tag] + b"\0\0\0\x01" + sealed[len(sealed) - tag :]
    assert theirs.unprotect(with_mki) == packet()
    report = build_compound(Report(77), "peer")
    sealed, tag = ours.protect_rtcp(report), 0 if "GCM" in suite else 10
    with_mki = sealed[: len(sealed) - tag] + b"\0\0\0\x01" + sealed[len(sealed) - tag :]
    assert theirs.unprotect_rtcp(with_mki) == report


def test_keys_show_in_no_repr() -> None:
    crypto = keys()
    text = f"{crypto!r} {SrtpSession(crypto)!r}"
    assert repr(crypto.send_key)[2:-1] not in text
    assert "key=" not in text
