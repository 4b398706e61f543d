"""TLS in memory: two layers back to back, and whom a certificate stands for (RFC 5922)."""

import pytest

from telephony.sip.errors import TlsError
from telephony.sip.tls import TlsContexts, TlsLayer, identities, is_for
from tests.fakes.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def shaken(server: TlsLayer, client: TlsLayer) -> None:
    """Carry the handshake to and fro."""
    client.start()
    for _ in range(4):
        server.feed(client.outgoing())
        client.feed(server.outgoing())


def pair(authority, name="gw.test", served=("gw.test",), **more) -> tuple[TlsLayer, TlsLayer]:
    contexts = TlsContexts(authority.settings(*served, **more))
    return TlsLayer(contexts, None), TlsLayer(contexts, name)


def test_octets_go_through_both_ways(authority):
    server, client = pair(authority)
    client.write(b"written before the handshake, ")
    shaken(server, client)

    client.write(b"and after")
    server.write(b"answer" * 10_000)
    heard = server.feed(client.outgoing())
    answer = client.feed(server.outgoing())

    assert client.established
    assert client.peer == ("gw.test",)
    assert heard == b"and after"
    assert answer == b"answer" * 10_000


def test_what_was_written_before_the_handshake_is_not_lost(authority):
    server, client = pair(authority)
    client.write(b"early")
    client.start()
    client.feed(server_reply(server, client))

    assert server.feed(client.outgoing()) == b"early"
    assert client.waiting == 0


def server_reply(server: TlsLayer, client: TlsLayer) -> bytes:
    server.feed(client.outgoing())
    return server.outgoing()


def test_octet_by_octet_is_the_same(authority):
    server, client = pair(authority)
    shaken(server, client)

    client.write(b"hello")
    heard = b"".join(server.feed(bytes((octet,))) for octet in client.outgoing())

    assert heard == b"hello"


def test_a_certificate_for_another_name_is_refused(authority):
    server, client = pair(authority, name="other.test")

    with pytest.raises(TlsError, match="another name"):
        shaken(server, client)


def test_a_self_signed_peer_is_refused_unless_its_own_ca_says_so(authority, tmp_path):
    stranger = Authority(tmp_path, "Stranger")
    server = TlsContexts(stranger.settings("pbx.test"))
    refusing = TlsContexts(authority.settings("us.test"))
    trusting = TlsContexts(authority.settings("us.test", ca_of={"pbx.test": stranger.pem}.get))

    with pytest.raises(TlsError, match="CERTIFICATE_VERIFY_FAILED"):
        shaken(TlsLayer(server, None), TlsLayer(refusing, "pbx.test"))
    client = TlsLayer(trusting, "pbx.test")
    shaken(TlsLayer(server, None), client)

    assert client.established


def test_the_ca_of_one_peer_vouches_for_no_other(authority, tmp_path):
    stranger = Authority(tmp_path, "Stranger")
    server = TlsContexts(stranger.settings("gw.test"))
    ours = TlsContexts(authority.settings("us.test", ca_of={"pbx.test": stranger.pem}.get))

    with pytest.raises(TlsError, match="CERTIFICATE_VERIFY_FAILED"):
        shaken(TlsLayer(server, None), TlsLayer(ours, "gw.test"))


def test_a_client_without_certificate_is_refused_where_one_is_asked_for(authority):
    contexts = TlsContexts(authority.settings("gw.test", verify_peer=True))
    nobody = TlsContexts(None)
    nobody.client("gw.test").load_verify_locations(str(authority.file))

    with pytest.raises(TlsError):
        shaken(TlsLayer(contexts, None), TlsLayer(nobody, "gw.test"))


def test_a_client_is_known_by_its_certificate(authority):
    contexts = TlsContexts(authority.settings("gw.test", verify_peer=True))
    client = TlsContexts(authority.settings("sip:trunk.test", "www.trunk.test"))
    server = TlsLayer(contexts, None)

    shaken(server, TlsLayer(client, "gw.test"))

    assert server.peer == ("trunk.test",)


@pytest.mark.parametrize(
    "rubbish", [b"OPTIONS sip:gw.test SIP/2.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100)]
)
def test_rubbish_is_an_error(authority, rubbish):
    server, _ = pair(authority)

    with pytest.raises(TlsError):
        server.feed(rubbish)


def test_a_refused_peer_is_told_by_an_alert(authority):
    contexts = TlsContexts(authority.settings("gw.test"))
    client = TlsLayer(contexts, "gw.test")
    client.start()
    client.outgoing()

    with pytest.raises(TlsError):
        client.feed(b"\x16\x03\x03\x00\x05hello")
    assert client.outgoing()[:1] == b"\x15"


def test_nothing_is_negotiated_by_alpn(authority):
    server, client = pair(authority)
    shaken(server, client)

    assert client._object.selected_alpn_protocol() is None


def test_a_missing_file_is_said_at_once(authority):
    settings = authority.settings("gw.test", ca="/nowhere.pem", verify_peer=True)

    with pytest.raises(OSError, match="No such file"):
        TlsContexts(settings)


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        ({"subjectAltName": (("DNS", "Gw.Test"), ("IP Address", "192.0.2.1"))}, ("gw.test", "192.0.2.1")),
        ({"subjectAltName": (("URI", "sip:gw.test"), ("DNS", "www.test"))}, ("gw.test",)),
        ({"subjectAltName": (("URI", "sip:me@gw.test"), ("DNS", "gw.test"))}, ("gw.test",)),
        ({"subjectAltName": (("URI", "https://gw.test"),), "subject": ((("commonName", "x"),),)}, ()),
        ({"subject": ((("organizationName", "O"),), (("commonName", "GW.test"),))}, ("gw.test",)),
        ({"subjectAltName": (("IP Address", "0:0:0:0:0:0:0:1\n"),)}, ("::1",)),
        ({}, ()),
    ],
)  # fmt: skip
def test_whom_a_certificate_stands_for(certificate, expected):
    assert identities(certificate) == expected


@pytest.mark.parametrize(
    ("name", "peer", "wildcards", "expected"),
    [
        ("gw.test", ("gw.test",), False, True),
        ("GW.test.", ("gw.test",), False, True),
        ("sip.gw.test", ("gw.test",), False, False),
        ("gw.test", ("sip.gw.test",), False, False),
        ("a.gw.test", ("*.gw.test",), False, False),
        ("a.gw.test", ("*.gw.test",), True, True),
        ("b.a.gw.test", ("*.gw.test",), True, False),
        ("gw.test", ("*.test",), True, False),
        ("[::1]", ("::1",), False, True),
        ("192.0.2.1", ("*.0.2.1",), True, False),
        ("gw.test", (), True, False),
    ],
)
def test_whether_a_certificate_is_for_the_peer_that_was_asked_for(name, peer, wildcards, expected):
    assert is_for(name, peer, wildcards=wildcards) is expected


def test_after_a_broken_record_nothing_is_written_and_nothing_fails(authority):
    server, client = pair(authority)
    shaken(server, client)
    client.write(b"hello")

    heard = server.feed(client.outgoing() + b"\x17\x03\x03\x00\x20" + b"x" * 32)
    server.outgoing()
    server.write(b"answer")

    assert heard == b"hello"
    assert server.outgoing() == b""
    with pytest.raises(TlsError, match="broken record"):
        server.feed(b"")
