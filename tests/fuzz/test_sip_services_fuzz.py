"""Odd values in the headers of registration, authentication and transfer: an answer, never an exception."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telephony.sip.auth import Challenge, Credentials
from telephony.sip.digest import ha1_of, parse_answer, parse_challenge
from telephony.sip.doorkeeper import NONCE_SECONDS
from telephony.sip.errors import SipSyntaxError
from telephony.sip.events import (
    IncomingInvite,
    ReferEnded,
    ReferReceived,
    RegisterReceived,
    RegistrationChanged,
)
from telephony.sip.extensions import escape_uri_header, parse_replaces, write_replaces
from telephony.sip.flow import Flow
from telephony.sip.session import InviteOptions
from telephony.sip.uri import unescape
from tests.unit.sip_line import OFFER, make_engine
from tests.unit.sip_peer import FLOW, Peer, request

fast = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
PIECES = [
    "Digest ", "realm=", "nonce=", "gw.test", '"', "\\", ",", ";", "=", "<", ">", "?", "*", "%0d%0a", "%00", "sip:",
    "a@b.test", "expires=", "0", "-1", "99999999999999999999", "1800", "to-tag=", "from-tag=", "early-only",
    "refresher=uac", "Replaces=", "active", "terminated", "reason=rejected", "refer", "id=", "q=", "nan", "1e999",
    "+sip.instance=", "reg-id=", "uri=", "response=", "username=", "nc=ffffffff", "qop=auth", " ", "\t", "\u20ac",
    "SIP/2.0 200 OK", "\udcff", "c1", "p1",
]  # fmt: skip
value = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=10).map(
    lambda parts: "".join(parts).replace("\r", "").replace("\n", "").replace("\x00", "")
)
header = st.sampled_from([
    "Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Contact", "Expires", "Min-Expires", "Path",
    "Service-Route", "Refer-To", "Referred-By", "Refer-Sub", "Event", "Subscription-State", "Replaces", "Join",
    "Session-Expires", "Min-SE", "RSeq", "RAck", "Require", "Supported", "Retry-After", "Content-Type", "Date",
])  # fmt: skip
headers = st.lists(st.tuples(header, value), max_size=5)


class Users:
    """Challenges REGISTER and INVITE, knows one user."""

    def policy(self, request, flow):
        return Challenge("gw.test") if request.method in ("REGISTER", "INVITE") else "accept"

    def ha1(self, username, realm, algorithm):
        return ha1_of(algorithm, username, realm, "x") if username == "anna" else None


def text_of(extra):
    lines = "".join(f"{name}: {text}\r\n" for name, text in extra)
    return lines.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def octets(method, extra, **more):
    """`request` with header values that may hold any octet."""
    plain = request(method, extra="@@", **more)
    return plain.replace(b"@@", text_of(extra).encode("utf-8", "surrogateescape"))


@given(st.sampled_from(["REGISTER", "INVITE", "REFER", "NOTIFY", "SUBSCRIBE", "OPTIONS"]), headers)
@fast
def test_requests_outside_of_a_call_are_answered_or_dropped(method, extra):
    engine = make_engine()
    for authority in (None, Users(), Everybody()):
        engine.authority = authority
        engine.receive(octets(method, extra), FLOW, 0.0)
        for event in engine.events():
            if isinstance(event, RegisterReceived):
                event.registration.accept(0.0, 60)
            elif isinstance(event, IncomingInvite):
                event.session.reject(486, 0.0)
    engine.timer(NONCE_SECONDS)

    assert {flow for flow, _ in engine.to_send()} <= {FLOW}


class Everybody:
    """Lets in whoever comes."""

    def policy(self, request, flow):
        return "accept"

    def ha1(self, username, realm, algorithm):
        return None


@given(
    st.lists(
        st.tuples(st.sampled_from(["REFER", "NOTIFY"]), headers, st.binary(max_size=40)), max_size=5
    )
)
@fast
def test_transfers_in_a_call_end_once_whatever_is_said(messages):
    peer = Peer()
    session, tag = peer.answered()
    session.refer("sip:carol@b.test", peer.now)
    for number, (method, extra, body) in enumerate(messages, 2):
        data = octets(method, extra, branch=f"m{number}", to_tag=tag, cseq=number)
        peer.engine.receive(data.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body,
                            FLOW, peer.now)  # fmt: skip
    events = peer.engine.events()
    for event in events:
        if isinstance(event, ReferReceived):
            session.accept_refer(peer.now)
            session.notify_refer(200, event.refer.target, peer.now)
    for later in range(1, 500):
        peer.engine.timer(peer.now + later)
    events += peer.engine.events()

    assert len([event for event in events if isinstance(event, ReferEnded)]) == 1


@given(
    st.lists(st.tuples(st.sampled_from([200, 202, 401, 407, 423, 500, 302]), headers), max_size=6)
)
@fast
def test_a_registration_has_a_state_and_a_next_moment_whatever_comes_back(replies):
    engine = make_engine()
    flow = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 5060))
    registration = engine.register(
        "sip:reg.test", aor="sip:anna@reg.test", flow=flow, now=0.0,
        credentials=Credentials("anna", "x"), expires=60,
    )  # fmt: skip
    for status, extra in replies:
        sent = engine.to_send()
        if sent:
            engine.receive(reply_to(sent[-1][1], status, extra), flow, 0.0)
    registration.stop(0.0)
    for moment in range(70):
        engine.timer(float(moment))

    states = [e.state.name for e in engine.events() if isinstance(e, RegistrationChanged)]
    assert states[0] == "REGISTERING"
    assert states[-1] == "STOPPED"
    assert states.count("STOPPED") == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([180, 200, 202, 302, 401, 407, 422, 481]), headers), max_size=5
    )
)
@fast
def test_a_call_with_credentials_survives_any_reply(replies):
    engine = make_engine()
    engine.invite(
        "sip:b.test", from_="sip:a@b.test", flow=FLOW, sdp=OFFER, now=0.0,
        options=InviteOptions(credentials=Credentials("anna", "x")),
    )  # fmt: skip
    for status, extra in replies:
        sent = [data for _, data in engine.to_send() if data.startswith(b"INVITE")]
        if sent:
            engine.receive(reply_to(sent[-1], status, extra), FLOW, 0.0)
    for moment in range(200):
        engine.timer(float(moment))


def reply_to(sent, status, extra):
    kept = [
        line
        for line in sent.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
    ]
    head = b"\r\n".join([b"SIP/2.0 %d X" % status, *kept]) + b"\r\n"
    return head + text_of(extra).encode("utf-8", "surrogateescape") + b"Content-Length: 0\r\n\r\n"


@given(value)
@fast
def test_challenges_and_credentials_are_values_or_our_error(text):
    for parse in (parse_challenge, parse_answer):
        for variant in (text, f"Digest {text}"):
            try:
                parse(variant)
            except SipSyntaxError:
                continue


@given(value)
@fast
def test_a_replaces_and_a_uri_header_come_back_as_they_went(text):
    assert unescape(escape_uri_header(text)) == text or "%" in text
    try:
        replaces = parse_replaces(text)
    except SipSyntaxError:
        return
    assert parse_replaces(write_replaces(replaces)) == replaces
