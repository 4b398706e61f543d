from __future__ import annotations

import pytest

from telephony.webrtc.description import (
    Description,
    Fingerprint,
    IceCandidate,
    mirrored,
    parse_description,
    write_description,
)
from telephony.webrtc.errors import OfferRefusedError

OURS = Description(
    ufrag="abcd",
    password="p" * 22,
    fingerprints=(Fingerprint("sha-256", "AA:BB"),),
    setup="actpass",
    candidates=(IceCandidate("f1", 2130706431, "192.0.2.7", 40000, "host"),),
    mid="audio",
    direction="recvonly",
    payload_type=96,
)


def offer(**changes: str) -> str:
    sdp = write_description(OURS, 7)
    for old, new in changes.items():
        sdp = sdp.replace(
            {
                "media": "m=audio 9",
                "codec": "opus/48000/2",
                "mux": "a=rtcp-mux\r\n",
                "digest": "a=fingerprint:sha-256 AA:BB\r\n",
                "ufrag": "a=ice-ufrag:abcd",
                "setup": "a=setup:actpass",
                "version": "v=0",
                "profile": "UDP/TLS/RTP/SAVPF",
            }[old],
            new,
        )
    return sdp


def test_what_we_write_is_read_back_unchanged() -> None:
    assert parse_description(offer()) == OURS


@pytest.mark.parametrize(
    "changes",
    [
        {"media": "m=video 9"},
        {"codec": "PCMU/8000"},
        {"mux": ""},
        {"digest": "a=fingerprint:md5 AA\r\n"},
        {"ufrag": "a=ice-ufrag:a"},
        {"setup": "a=setup:holdconn"},
        {"version": "x=0"},
        {"profile": "RTP/AVP"},
    ],
    ids=lambda c: next(iter(c)),
)
def test_an_offer_we_cannot_use_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(OfferRefusedError):
        parse_description(offer(**changes))


@pytest.mark.parametrize(
    "extra", ["m=application 9 UDP/DTLS/SCTP x", "m=audio 9 UDP/TLS/RTP/SAVPF 96"]
)
def test_a_second_media_section_is_refused(extra: str) -> None:
    with pytest.raises(OfferRefusedError, match="exactly one"):
        parse_description(offer() + extra + "\r\n")


def test_more_than_twenty_candidates_are_refused() -> None:
    more = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.1 {5000 + n} typ host\r\n" for n in range(20))
    with pytest.raises(OfferRefusedError, match="20 candidates"):
        parse_description(offer() + more)


def test_more_than_32_kib_are_refused() -> None:
    with pytest.raises(OfferRefusedError, match="32768"):
        parse_description(offer() + "a=x\r\n" * 7000)


@pytest.mark.parametrize(
    "line",
    [
        "1 1 tcp 5 192.0.2.1 9 typ host tcptype active",
        "1 2 udp 5 192.0.2.1 9000 typ host",
        "1 1 udp 5 8f3a.local 9000 typ host",
        "1 1 udp 5 192.0.2.1 0 typ host",
        "1 1 udp x 192.0.2.1 9000 typ host",
        "1 1 udp",
        "",
    ],
)
def test_a_candidate_we_cannot_use_is_left_out(line: str) -> None:
    sdp = offer() + f"a=candidate:{line}\r\n"
    assert parse_description(sdp).candidates == OURS.candidates


@pytest.mark.parametrize(
    "text", ["", "\x00", "v=0", "v=0\r\nm=audio", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 1\r\na="]
)
def test_rubbish_is_refused_with_our_error(text: str) -> None:
    with pytest.raises(OfferRefusedError):
        parse_description(text)


def test_an_answer_mirrors_the_direction() -> None:
    assert [mirrored(d) for d in ("sendrecv", "sendonly", "recvonly", "inactive")] == [
        "sendrecv",
        "recvonly",
        "sendonly",
        "inactive",
    ]
