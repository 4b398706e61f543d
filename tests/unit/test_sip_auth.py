"""Our answers to challenges (RFC 7616, RFC 8760, RFC 3261 22)."""

import pytest

from telephony.sip.auth import Credentials
from telephony.sip.digest import ha1_of, parse_answer, response_of
from tests.unit.sip_proofs import SECRET, answered, challenged, client, ours, proof


def www(realm="b.test", nonce="n1", more=', algorithm=MD5, qop="auth"'):
    return ("WWW-Authenticate", f'Digest realm="{realm}", nonce="{nonce}"{more}')


def is_right(request, credentials=SECRET, header="authorization"):
    given = proof(request, header)
    ha1 = ha1_of(given.algorithm, credentials.username, given.realm, credentials.password)
    return given.response == response_of(ha1, request.method, given, body=request.body)


def test_invite_407_is_answered():
    auth = client()
    again = answered(auth, ours(), challenged(("Proxy-Authenticate", www()[1]), status=407))

    assert is_right(again, header="proxy-authorization")
    assert again.headers.first("authorization") is None
    assert again.headers.first("via") == "SIP/2.0/UDP a.test;branch=z9hG4bKnew;rport"
    assert again.headers.first("cseq") == "2 INVITE"
    assert again.headers.items[-1] == ("Content-Length", "0")


def test_a_nonce_is_answered_once_and_a_stale_one_again():
    auth = client()
    first = answered(auth, ours(), challenged(www()))
    stale = answered(auth, first, challenged(www(nonce="n2", more=", stale=TRUE")), cseq=3)
    refused = answered(auth, stale, challenged(www(nonce="n2")), cseq=4)

    assert proof(first).nonce == "n1"
    assert proof(stale).nonce == "n2"
    assert refused is None


def test_a_wrong_password_is_not_tried_again_with_each_new_nonce():
    auth = client()
    first = answered(auth, ours(), challenged(www()))

    assert answered(auth, first, challenged(www(nonce="n2"))) is None


def test_a_nonce_that_worked_before_may_run_out_without_a_word():
    auth = client()
    first = answered(auth, ours(), challenged(www()))
    later = auth.sign(ours("BYE", cseq=3))

    fresh = answered(auth, later, challenged(www(nonce="n2")), cseq=4)

    assert proof(first).nc_text == "00000001"
    assert proof(later).nc_text == "00000002"
    assert (proof(fresh).nonce, proof(fresh).nc_text) == ("n2", "00000001")
    assert is_right(later)


def test_the_strongest_algorithm_we_know_is_taken():
    auth = client()
    again = answered(
        auth,
        ours(),
        challenged(
            www(more=", algorithm=MD5"),
            www(more=", algorithm=SHA-999"),
            www(more=', algorithm=SHA-256, qop="auth"'),
            ("WWW-Authenticate", 'Basic realm="b.test"'),
            www(more=", algorithm=SHA-512-256"),
        ),
    )

    assert [name for name, _ in again.headers.items].count("Authorization") == 1
    assert proof(again).algorithm == "SHA-512-256"
    assert is_right(again)


def test_proxies_and_servers_are_answered_together():
    auth = client()
    proxy = ("Proxy-Authenticate", www("p.test")[1])
    first = answered(auth, ours(), challenged(proxy, status=407))
    both = answered(auth, first, challenged(www("s.test", "n9")), cseq=3)

    assert proof(both, "proxy-authorization").realm == "p.test"
    assert proof(both, "proxy-authorization").nc_text == "00000002"
    assert proof(both).realm == "s.test"
    assert is_right(both)
    assert is_right(both, header="proxy-authorization")


def test_a_fork_may_hand_on_the_challenges_of_several_servers():
    auth = client()
    again = answered(auth, ours(), challenged(www("one"), www("two"), www("three", more="")))

    proofs = [parse_answer(value) for value in again.headers.all("authorization")]
    assert [given and given.realm for given in proofs] == ["one", "two", "three"]


def test_credentials_are_for_their_realms_only():
    auth = client(Credentials("anna", "x", realms=("a.test",)))

    assert answered(auth, ours(), challenged(www("evil.test"))) is None
    assert answered(auth, ours(), challenged(www("a.test"), www("evil.test"))) is not None


@pytest.mark.parametrize(
    "value", ["", "Digest", 'Digest realm="x', 'Basic realm="b.test"', 'Digest realm="a", nonce="n", qop="x"']
)  # fmt: skip
def test_a_challenge_we_cannot_answer_is_final(value):
    assert answered(client(), ours(), challenged(("WWW-Authenticate", value))) is None


def test_without_qop_there_is_no_counter():
    again = answered(client(), ours(), challenged(www(more="")))
    text = again.headers.first("authorization")

    assert "nc=" not in text
    assert "cnonce" not in text
    assert "algorithm" not in text
    assert is_right(again)


def test_a_realm_with_quotes_goes_back_as_it_came():
    again = answered(client(), ours(), challenged(www(r"say \"hi\"")))

    assert r'realm="say \"hi\""' in again.headers.first("authorization")


def test_a_session_algorithm_is_answered():
    again = answered(client(), ours(), challenged(www(more=', algorithm=MD5-sess, qop="auth"')))
    text = again.headers.first("authorization")

    assert "algorithm=MD5-sess" in text
    assert "cnonce=" in text


def test_an_unreasonable_number_of_realms_is_cut():
    again = answered(client(), ours(), challenged(*(www(f"r{i}") for i in range(50))))

    assert len(again.headers.all("authorization")) == 8


def test_no_password_is_shown():
    assert "sesame" not in repr(SECRET)
