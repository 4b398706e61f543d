"""a=crypto: what is read, what is refused, and what both ends make of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from telephony.sdp.crypto import Crypto, CryptoLine, SrtpPolicy, Suite, parse_crypto, write_crypto
from telephony.sdp.description import parse
from telephony.sdp.offer_answer import (
    Agreed,
    Capabilities,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)

KEY = bytes(range(30))
LONG_KEY = bytes(range(46))
INLINE = base64.b64encode(KEY).decode()
LONG_INLINE = base64.b64encode(LONG_KEY).decode()
OFFERED = f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}"


def new_keys() -> Callable[[int], bytes]:
    """Each key is another one, and tells which it was."""
    numbers = count(100)
    return lambda octets: bytes([next(numbers)] * octets)


def capable(policy: SrtpPolicy, **more: object) -> Capabilities:
    plain = Capabilities("192.0.2.1", 12000, srtp=policy, new_key=new_keys())
    return replace(plain, **more)  # type: ignore[arg-type]


OPTIONAL, REQUIRED = capable(SrtpPolicy.OPTIONAL), capable(SrtpPolicy.REQUIRED)


def sdp(*crypto: str, protocol: str = "RTP/SAVP", more: str = "") -> bytes:
    lines = "".join(f"a=crypto:{line}\r\n" for line in crypto)
    return (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
        f"m=audio 4000 {protocol} 0\r\n{lines}{more}"
    ).encode()


def agreed(found: Agreed | NotAcceptable) -> Agreed:
    assert isinstance(found, Agreed), found
    return found


def crypto_of(found: Agreed | NotAcceptable) -> Crypto:
    crypto = agreed(found).crypto
    assert crypto is not None
    return crypto


def lines_of(text: bytes) -> list[str]:
    return list(parse(text).media[0].attributes("crypto"))


# ------------------------------------------------------------------------------- one line


@pytest.mark.parametrize("suite", list(Suite))
def test_a_line_that_was_written_is_read_the_same(suite: Suite):
    line = CryptoLine(7, suite, bytes(range(suite.key_octets)))
    assert parse_crypto(write_crypto(line)) == line


@pytest.mark.parametrize(
    ("text", "mki_octets"),
    [
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^20|1:4 FEC_ORDER=FEC_SRTP", 4),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:4", 4),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^48", 0),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1048576 WSH=128", 0),
        (f"1 aes_cm_128_hmac_sha1_80 INLINE:{INLINE} -EXPERIMENT=1", 0),
    ],
)
def test_lifetimes_key_identifiers_and_harmless_parameters_are_understood(
    text: str, mki_octets: int
):
    assert parse_crypto(text) == CryptoLine(1, Suite.AES_CM_128_HMAC_SHA1_80, KEY, mki_octets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        f"x AES_CM_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 uri:{INLINE}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=",
        "1 AES_CM_128_HMAC_SHA1_80 inline:" + "ä" * 40,
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{LONG_INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:4;inline:{INLINE}|2:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^49",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|0",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:0",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:129",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:4|2^20",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} KDR=4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} UNAUTHENTICATED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} UNENCRYPTED_SRTCP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} WSH=many",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} TOMORROW=1",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} " + "-x " * 300,
    ],
)
def test_what_cannot_be_honoured_is_as_good_as_absent(text: str):
    assert parse_crypto(text) is None


def test_keys_show_in_no_repr_and_no_str():
    found = agreed(answer(sdp(OFFERED), OPTIONAL))
    ours = offer(REQUIRED)
    theirs = parse(sdp(OFFERED))
    shown = f"{found!r}{found}{ours!r}{ours}{ours.crypto[0]}{OPTIONAL!r}{theirs!r}{theirs.media!r}"
    assert INLINE not in shown
    assert "inline" not in shown
    for crypto in (found.crypto, *ours.crypto):
        key = crypto.send_key if isinstance(crypto, Crypto) else crypto.key if crypto else b""
        assert repr(key)[2:-1] not in shown


# ------------------------------------------------------------------------------- answering


def test_the_first_usable_line_is_answered_with_its_tag_and_a_key_of_ours():
    offered = sdp(
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"4 AES_256_CM_HMAC_SHA1_80 inline:{LONG_INLINE}|2^31|1:1",
        f"5 {OFFERED[2:]}",
    )
    found = agreed(answer(offered, OPTIONAL))
    crypto = crypto_of(found)
    assert (crypto.tag, crypto.suite, crypto.mki_octets) == (4, Suite.AES_256_CM_HMAC_SHA1_80, 1)
    assert crypto.receive_key == LONG_KEY
    assert lines_of(found.sdp) == [
        f"4 AES_256_CM_HMAC_SHA1_80 inline:{base64.b64encode(crypto.send_key).decode()}"
    ]
    assert b"m=audio 12000 RTP/SAVP 0\r\n" in found.sdp


@pytest.mark.parametrize("protocol", ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"])
def test_the_answer_has_the_protocol_of_the_offer(protocol: str):
    found = agreed(answer(sdp(OFFERED, protocol=protocol), OPTIONAL))
    assert f"m=audio 12000 {protocol} 0\r\n".encode() in found.sdp
    assert found.crypto is not None


@pytest.mark.parametrize(
    ("policy", "offered", "outcome"),
    [
        (SrtpPolicy.OFF, sdp(OFFERED), "SRTP is not available"),
        (SrtpPolicy.OFF, sdp(OFFERED, protocol="RTP/AVP"), None),
        (SrtpPolicy.OPTIONAL, sdp(protocol="RTP/AVP"), None),
        (SrtpPolicy.OPTIONAL, sdp("1 NULL_HMAC inline:x", protocol="RTP/AVP"), None),
        (SrtpPolicy.OPTIONAL, sdp(), "no usable key for SRTP"),
        (SrtpPolicy.REQUIRED, sdp(protocol="RTP/AVP"), "SRTP is required"),
        (SrtpPolicy.REQUIRED, sdp("1 NULL_HMAC inline:x"), "no usable key for SRTP"),
        (
            SrtpPolicy.OPTIONAL,
            sdp(protocol="UDP/TLS/RTP/SAVPF"),
            "transport protocol not available",
        ),
    ],
)
def test_policy_decides_what_is_plain_and_what_is_refused(
    policy: SrtpPolicy, offered: bytes, outcome: str | None
):
    found = answer(offered, capable(policy))
    if outcome is None:
        assert agreed(found).crypto is None
        assert b"crypto" not in agreed(found).sdp
    else:
        assert isinstance(found, NotAcceptable)
        assert found.warning == f'302 192.0.2.1 "{outcome}"'


def test_the_secured_one_of_two_audio_sections_is_taken():
    both = sdp(protocol="RTP/AVP", more=f"m=audio 4002 RTP/SAVP 0\r\na=crypto:{OFFERED}\r\n")
    found = agreed(answer(both, OPTIONAL))
    assert found.remote_port == 4002
    assert [media.port for media in parse(found.sdp).media] == [0, 12000]
    assert agreed(answer(both, capable(SrtpPolicy.OFF))).remote_port == 4000


# ------------------------------------------------------------------------------- later offers


def test_a_reinvite_with_the_same_key_keeps_ours():
    first = agreed(answer(sdp(OFFERED), OPTIONAL))
    again = agreed(answer(sdp(OFFERED, more="a=sendonly\r\n"), OPTIONAL, first))
    assert again.crypto == first.crypto
    assert again.version == first.version + 1


def test_a_reinvite_with_a_new_key_gets_a_new_one_of_ours():
    first = agreed(answer(sdp(OFFERED), OPTIONAL))
    other = base64.b64encode(bytes(30)).decode()
    again = agreed(answer(sdp(f"1 AES_CM_128_HMAC_SHA1_80 inline:{other}"), OPTIONAL, first))
    assert crypto_of(again).receive_key == bytes(30)
    assert crypto_of(again).send_key != crypto_of(first).send_key


def test_a_later_offer_of_ours_repeats_tag_suite_key_and_protocol():
    first = agreed(answer(sdp(f"3 {OFFERED[2:]}"), OPTIONAL))
    again = offer(OPTIONAL, first)
    assert lines_of(again.sdp) == lines_of(first.sdp)
    assert again.protocol == "RTP/SAVP"
    plain = agreed(answer(sdp(protocol="RTP/AVP"), OPTIONAL))
    assert lines_of(offer(OPTIONAL, plain).sdp) == []
    assert offer(OPTIONAL, again).crypto == again.crypto


# ------------------------------------------------------------------------------- offering


def test_required_is_offered_as_savp_and_optional_beside_avp():
    assert offer(REQUIRED).protocol == "RTP/SAVP"
    ours = offer(OPTIONAL)
    assert ours.protocol == "RTP/AVP"
    assert [line.suite for line in ours.crypto] == [
        Suite.AES_256_CM_HMAC_SHA1_80,
        Suite.AES_CM_128_HMAC_SHA1_80,
        Suite.AES_CM_128_HMAC_SHA1_32,
    ]
    assert len({line.key for line in ours.crypto}) == 3
    assert lines_of(offer(capable(SrtpPolicy.OFF)).sdp) == []


def test_the_answered_tag_tells_which_of_our_keys_is_used():
    ours = offer(REQUIRED)
    crypto = crypto_of(accept_answer(ours, sdp(f"2 {OFFERED[2:]}")))
    assert crypto == Crypto(Suite.AES_CM_128_HMAC_SHA1_80, ours.crypto[1].key, KEY, 2)


@pytest.mark.parametrize(
    ("policy", "answered", "secured"),
    [
        (SrtpPolicy.OPTIONAL, sdp(protocol="RTP/AVP"), False),
        (SrtpPolicy.OPTIONAL, sdp(f"2 {OFFERED[2:]}", protocol="RTP/AVP"), True),
        (SrtpPolicy.OPTIONAL, sdp(f"2 {OFFERED[2:]}"), True),
        (SrtpPolicy.OPTIONAL, sdp(f"9 {OFFERED[2:]}", protocol="RTP/AVP"), None),
        (SrtpPolicy.OPTIONAL, sdp(OFFERED, protocol="RTP/AVP"), None),
        (SrtpPolicy.REQUIRED, sdp(protocol="RTP/AVP"), None),
        (SrtpPolicy.REQUIRED, sdp(f"9 {OFFERED[2:]}"), None),
        (SrtpPolicy.REQUIRED, sdp(f"2 {OFFERED[2:]} KDR=3"), None),
    ],
)
def test_an_answer_is_secured_plain_or_not_acceptable(
    policy: SrtpPolicy, answered: bytes, secured: bool | None
):
    found = accept_answer(offer(capable(policy)), answered)
    if secured is None:
        assert isinstance(found, NotAcceptable)
    else:
        assert (agreed(found).crypto is not None) is secured


def test_srtp_without_a_source_of_keys_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="keys"):
        Capabilities("192.0.2.1", 12000, srtp=SrtpPolicy.OPTIONAL)


def test_a_secured_session_stays_secured_however_the_protocol_was_spelled():
    before = agreed(answer(sdp(OFFERED, protocol="rtp/savp"), OPTIONAL))
    later = offer(OPTIONAL, before)

    found = accept_answer(later, sdp(protocol="RTP/AVP"))

    assert isinstance(found, NotAcceptable)
