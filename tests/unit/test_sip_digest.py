"""Digest sums and values (RFC 7616, RFC 8760): the vectors of the RFC, and headers as others write them."""

import time

import pytest

from telephony.sip.digest import (
    DigestAnswer,
    DigestChallenge,
    digest,
    ha1_of,
    parse_answer,
    parse_challenge,
    response_of,
)
from telephony.sip.errors import HeaderError

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_3_9_1(algorithm, expected):
    realm = "http-auth@example.org"
    ha1 = ha1_of(algorithm, "Mufasa", realm, "Circle of Life")
    answer = DigestAnswer(
        "Mufasa", realm, NONCE, "/dir/index.html", "", algorithm, "auth", 1, "00000001", CNONCE
    )

    assert response_of(ha1, "GET", answer) == expected


def test_the_example_of_rfc_7616_3_9_2_as_its_erratum_4897_has_it():
    realm, name = "api@example.org", "J\u00e4s\u00f8n Doe"
    ha1 = ha1_of("SHA-512-256", name, realm, "Secret, or not?")
    answer = DigestAnswer(
        name, realm, "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "/doe.json", "",
        "SHA-512-256", "auth", 1, "00000001", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )  # fmt: skip

    assert digest("SHA-512-256", name, realm) == (
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    )
    assert response_of(ha1, "GET", answer) == (
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    )


def test_the_example_of_rfc_2617_3_5():
    realm, nonce = "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    ha1 = ha1_of("MD5", "Mufasa", realm, "Circle Of Life")
    answer = DigestAnswer(
        "Mufasa", realm, nonce, "/dir/index.html", "", "MD5", "auth", 1, "00000001", "0a4f113b"
    )

    assert ha1 == "939e7578ed9e3c518a452acee763bce9"
    assert response_of(ha1, "GET", answer) == "6629fae49393a05397450978507c4ef1"


def test_a_challenge_is_read_as_it_is_written():
    challenge = DigestChallenge("a.test", "n1", "SHA-256", qop="auth", opaque="o", stale=True)

    read = parse_challenge(str(challenge))

    assert str(challenge) == (
        'Digest realm="a.test", nonce="n1", algorithm=SHA-256, qop="auth", opaque="o", stale=true'
    )
    assert read is not None
    assert (read.realm, read.nonce, read.algorithm, read.qop) == ("a.test", "n1", "SHA-256", "auth")
    assert (read.opaque, read.stale) == ("o", True)


@pytest.mark.parametrize(
    ("text", "algorithm", "qop"),
    [
        ('Digest realm="a", nonce="n"', "MD5", ""),
        ('digest  realm = "a" ,nonce= "n",qop="auth,auth-int"', "MD5", "auth"),
        ('DIGEST nonce="n",realm="a",qop=" auth-int , auth "', "MD5", "auth"),
        ('Digest realm="a",nonce="n",qop="auth-int"', "MD5", "auth-int"),
        ('Digest realm=a, nonce=n, qop=auth, algorithm="sha-256"', "SHA-256", "auth"),
        ('Digest realm="a", nonce="n", algorithm=SHA-512-256, qop=""', "SHA-512-256", ""),
        ('Digest ,realm="a",, nonce="n", algorithm=md5-sess, qop="auth",', "MD5", "auth"),
        ('Digest realm="a", nonce="n", domain="sip:a sip:b", charset=UTF-8', "MD5", ""),
    ],
)
def test_challenges_as_servers_write_them(text, algorithm, qop):
    challenge = parse_challenge(text)

    assert challenge is not None
    assert (challenge.realm, challenge.nonce) == ("a", "n")
    assert (challenge.algorithm, challenge.qop) == (algorithm, qop)


def test_quotes_inside_of_quotes_stay_as_they_came():
    challenge = parse_challenge(r'Digest realm="say \"hi\", \\ bye", nonce="n=="')

    assert challenge is not None
    assert challenge.realm == r"say \"hi\", \\ bye"
    assert str(challenge).startswith(r'Digest realm="say \"hi\", \\ bye", nonce="n=="')


@pytest.mark.parametrize(
    "text",
    ['Basic realm="a"', 'Digest realm="a", nonce="n", algorithm=SHA-999', "NTLM",
     'Digest realm="a", nonce="n", qop="auth-conf"'],
)  # fmt: skip
def test_what_we_do_not_know_is_left_to_others(text):
    assert parse_challenge(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "   ", 'Digest realm="a"', 'Digest nonce="n"', 'Digest realm="a, nonce="n', "Digest realm",
     'Digest realm="a", nonce="n" trailing', 'Di"gest a=b', "Digest " + ",".join(f"p{i}=1" for i in range(40))],
)  # fmt: skip
def test_a_challenge_that_cannot_be_read_is_our_error(text):
    with pytest.raises(HeaderError):
        parse_challenge(text)


def answer_text(**changes):
    values = {
        "username": '"anna"', "realm": '"a"', "nonce": '"n"', "uri": '"sip:b.test"',
        "response": '"ABCDEF"', **changes,
    }  # fmt: skip
    return "Digest " + ", ".join(f"{k}={v}" for k, v in values.items() if v is not None)


def test_credentials_are_read_with_and_without_quotes():
    quoted = parse_answer(
        answer_text(qop='"auth"', nc='"0000000a"', cnonce='"c"', algorithm='"MD5"')
    )
    bare = parse_answer(answer_text(qop="AUTH", nc="a", cnonce="c", username="anna", realm="a"))

    assert quoted is not None
    assert bare is not None
    assert (quoted.username, quoted.nc, quoted.nc_text, quoted.qop) == (
        "anna",
        10,
        "0000000a",
        "auth",
    )
    assert (bare.username, bare.nc, bare.nc_text, bare.qop) == ("anna", 10, "a", "auth")
    assert quoted.response == "abcdef"


def test_user_names_beyond_ascii():
    escaped = parse_answer(answer_text(username=r'"an\"na"'))
    extended = parse_answer(
        answer_text(**{"username": None, "username*": "UTF-8''J%C3%A4s%C3%B8n%20Doe"})
    )

    assert escaped is not None
    assert extended is not None
    assert escaped.username == 'an"na'
    assert extended.username == "J\u00e4s\u00f8n Doe"


@pytest.mark.parametrize(
    "changes",
    [{"uri": None}, {"username": None}, {"nc": "x"}, {"nc": "123456789"}, {"response": '"'}],
)
def test_credentials_that_cannot_be_read_are_our_error(changes):
    with pytest.raises(HeaderError):
        parse_answer(answer_text(**changes))


def test_no_password_or_proof_is_shown():
    answer = parse_answer(answer_text())

    assert "anna" not in repr(answer)
    assert "abcdef" not in repr(answer)


@pytest.mark.parametrize("unit", ['a="', "a=\\", ",", " ", "a ", '"', 'a="\\', "=", "a=b "])
def test_hostile_credentials_are_cheap(unit):
    text = "Digest " + (unit * 8000)[:8000]
    start = time.process_time()

    with pytest.raises(HeaderError):
        parse_challenge(text)

    assert time.process_time() - start < 0.02
