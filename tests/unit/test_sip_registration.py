"""Our REGISTER at a trunk: refresh, back-off, challenges, end; against a registrar written by hand."""

import pytest

from telephony.sip.auth import Challenge, Credentials
from telephony.sip.digest import ha1_of
from telephony.sip.errors import SipSyntaxError
from telephony.sip.events import RegisterReceived, RegistrationChanged, RegistrationState
from telephony.sip.flow import Flow
from tests.unit.sip_line import ALICE, BOB, Line, make_engine, read

FLOW = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 5060))
SECRET = Credentials("anna", "open sesame")
REGISTERING, REGISTERED = RegistrationState.REGISTERING, RegistrationState.REGISTERED
FAILED, STOPPED = RegistrationState.FAILED, RegistrationState.STOPPED


class Trunk:
    """An engine that registers, and the other side by hand."""

    def __init__(self, flow=FLOW, **more):
        self.engine = make_engine()
        self.now = 1000.0
        self.flow = flow
        self.registration = self.engine.register(
            "sip:reg.test",
            aor="sip:anna@reg.test",
            flow=flow,
            now=self.now,
            **{"credentials": None, **more},
        )
        self.flows = []

    def sent(self):
        """What went out, each request once."""
        out = self.engine.to_send()
        self.flows += [flow for flow, _ in out]
        return list({data: read(data) for _, data in out}.values())

    def one(self):
        [request] = self.sent()
        return request

    def reply(self, request, status=200, *headers):
        kept = [
            p for p in request.headers.items if p[0] in ("Via", "From", "To", "Call-ID", "CSeq")
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*kept, *headers))
        data = f"SIP/2.0 {status} X\r\n{lines}Content-Length: 0\r\n\r\n".encode()
        self.engine.receive(data, self.flow, self.now)

    def grant(self, seconds=3600, *headers):
        request = self.one()
        contact = request.headers.first("contact").partition(";expires")[0]
        self.reply(request, 200, ("Contact", f"{contact};expires={seconds}"), *headers)
        return request

    def states(self):
        return [e for e in self.engine.events() if isinstance(e, RegistrationChanged)]

    def state(self):
        return self.states()[-1]

    def advance(self, seconds):
        end = self.now + seconds
        while (at := self.engine.next_timer()) is not None and at <= end:
            self.now = at
            self.engine.timer(at)
        self.now = end


def test_what_we_ask_for():
    trunk = Trunk()
    request = trunk.one()

    assert request.start_line == "REGISTER sip:reg.test SIP/2.0"
    assert str(request.to.uri) == str(request.from_.uri) == "sip:anna@reg.test"
    assert request.headers.first("contact") == "<sip:anna@192.0.2.1:5060>;expires=3600"
    assert request.headers.first("expires") == "3600"
    assert request.headers.first("supported") == "path"
    assert trunk.state() == RegistrationChanged(trunk.registration.id, REGISTERING, 0)


def test_it_is_refreshed_at_80_to_90_percent_with_the_same_call_id():
    trunk = Trunk()
    first = trunk.grant(600)
    registered = trunk.state()

    trunk.advance(5)  # Timer K of the first
    due = trunk.engine.next_timer() or 0.0
    trunk.advance(due - trunk.now)
    second = trunk.grant(600)

    assert registered == RegistrationChanged(
        trunk.registration.id, REGISTERED, 200, expires_at=1600.0
    )
    assert 1000 + 480 <= due <= 1000 + 540
    assert second.call_id == first.call_id == trunk.registration.id
    assert second.from_.tag == first.from_.tag
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert trunk.state().state is REGISTERED


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Contact", "<sip:x@192.0.2.7>;expires=9"), ("Contact", "<sip:anna@192.0.2.1:5060>;expires=120")], 120),
        ([("Contact", "<sip:anna@192.0.2.1:5060;transport=udp>;expires=130")], 130),
        ([("Contact", "<sip:anna@198.51.100.4:40000>;expires=140")], 140),  # rewritten behind NAT
        ([("Contact", "<sip:anna@192.0.2.1:5060>"), ("Expires", "150")], 150),
        ([("Contact", "<sip:anna@192.0.2.1:5060>;expires=soon"), ("Expires", "160")], 160),
        ([("Expires", "170")], 170),
        ([("Expires", "never")], 3600),
        ([], 3600),
        ([("Expires", "99999999999")], 7 * 86_400),
    ],
)  # fmt: skip
def test_how_long_it_lasts_is_what_the_registrar_says(headers, seconds):
    trunk = Trunk()

    trunk.reply(trunk.one(), 200, *headers)

    assert trunk.state().expires_at == trunk.now + seconds


def test_a_registrar_that_grants_nothing_has_failed():
    trunk = Trunk()

    trunk.grant(0)

    assert trunk.state().state is FAILED


def test_a_challenge_is_answered_and_the_next_refresh_signed_at_once():
    line = Line()
    asked: list[str] = []
    line.bob.authority = _Users(asked)
    registration = line.alice.register(
        "sip:192.0.2.20", aor="sip:anna@192.0.2.20", flow=line.flow(ALICE, BOB), now=line.now,
        credentials=SECRET,
    )  # fmt: skip
    line.deliver()
    line.event("bob", RegisterReceived).registration.accept(line.now, 100)
    line.deliver()
    first = changed(line)
    line.advance(91)
    refresh = line.event("bob", RegisterReceived).registration
    refresh.accept(line.now, 100)
    line.deliver()

    assert (first.id, first.state, first.expires_at) == (registration.id, REGISTERED, 200.0)
    assert refresh.username == "anna"
    assert asked == ["REGISTER"] * 3  # two for the first, one for the refresh
    assert changed(line).expires_at == pytest.approx(291, abs=20)


def changed(line: Line) -> RegistrationChanged:
    """What became of alice's registration at last."""
    return [e for e in line.events("alice") if isinstance(e, RegistrationChanged)][-1]


class _Users:
    def __init__(self, asked):
        self.asked = asked

    def policy(self, request, flow):
        self.asked.append(request.method)
        return Challenge("bob", ("SHA-256", "MD5"))

    def ha1(self, username, realm, algorithm):
        return ha1_of(algorithm, username, realm, SECRET.password)


def test_423_asks_for_longer_at_once():
    trunk = Trunk(expires=60)
    brief = trunk.one()
    trunk.reply(brief, 423, ("Min-Expires", "1800"))
    longer = trunk.one()
    trunk.reply(longer, 423, ("Min-Expires", "3600"))
    longest = trunk.one()
    trunk.reply(longest, 423, ("Min-Expires", "7200"))

    assert [r.headers.first("expires") for r in (brief, longer, longest)] == ["60", "1800", "3600"]
    assert trunk.sent() == []  # a registrar that wants ever more is given up for a while
    assert trunk.state().state is FAILED


@pytest.mark.parametrize("least", ["", "x", "60", "99999999"])
def test_423_without_a_usable_interval_is_a_failure(least):
    trunk = Trunk(expires=60)

    trunk.reply(trunk.one(), 423, ("Min-Expires", least))

    assert trunk.sent() == []
    assert (trunk.state().state, trunk.registration.state) == (FAILED, FAILED)


def waits(trunk, status, times, *headers):
    found = []
    for _ in range(times):
        trunk.reply(trunk.one(), status, *headers)
        changed = trunk.state()
        found.append(changed.retry_at - trunk.now)
        trunk.advance(found[-1])
    return found


def test_failures_back_off_with_jitter_to_five_minutes():
    found = waits(Trunk(), 500, 12)

    for number, wait in enumerate(found):
        longest = min(300, 4 * 2**number)
        assert longest / 2 <= wait <= longest
    assert len({round(wait / min(300, 4 * 2**n), 3) for n, wait in enumerate(found)}) > 6


def test_a_registrar_that_said_no_is_asked_seldom():
    found = waits(Trunk(), 403, 8)

    assert 30 <= found[0] <= 60
    assert 900 <= found[-1] <= 1800


def test_retry_after_is_kept_within_reason():
    assert waits(Trunk(), 503, 1, ("Retry-After", "120 (busy);duration=3")) == [120]
    assert waits(Trunk(), 503, 1, ("Retry-After", "999999")) == [3600]


def test_wrong_credentials_fail_after_one_try():
    trunk = Trunk(credentials=SECRET)
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n{}"')
    trunk.reply(trunk.one(), 401, (challenge[0], challenge[1].format(1)))
    trunk.reply(trunk.one(), 401, (challenge[0], challenge[1].format(2)))

    assert trunk.sent() == []
    assert (trunk.state().state, trunk.registration.state) == (FAILED, FAILED)


def test_silence_and_a_dead_transport_are_failures_too():
    trunk = Trunk()
    trunk.sent()
    trunk.advance(32)
    silent = trunk.state()
    trunk.advance(4)
    trunk.sent()
    trunk.engine.failed(FLOW, trunk.now)

    assert (silent.state, silent.status) == (FAILED, 408)
    assert trunk.state().status == 503


def test_a_success_forgets_the_failures():
    trunk = Trunk()
    waits(trunk, 500, 6)
    trunk.grant(100)
    trunk.advance(91)

    [wait] = waits(trunk, 500, 1)

    assert wait <= 4
    assert trunk.registration.expires_at is not None


def test_stop_takes_our_contact_out():
    trunk = Trunk(credentials=SECRET)
    trunk.grant()
    trunk.registration.stop(trunk.now)
    trunk.registration.stop(trunk.now)
    last = trunk.one()
    trunk.reply(last)
    trunk.advance(4000)

    assert last.headers.first("contact") == "<sip:anna@192.0.2.1:5060>;expires=0"
    assert last.headers.first("expires") == "0"
    assert [e.state for e in trunk.states()] == [REGISTERING, REGISTERED, STOPPED]
    assert trunk.sent() == []


def test_stop_while_asking_waits_for_the_answer():
    trunk = Trunk()
    request = trunk.one()
    trunk.registration.stop(trunk.now)
    early = trunk.sent()
    trunk.reply(request, 200, ("Expires", "60"))
    removal = trunk.one()
    trunk.reply(removal, 500)

    assert early == []
    assert removal.headers.first("expires") == "0"
    assert trunk.state().state is STOPPED


def test_stop_of_one_that_never_was_registered_sends_nothing():
    trunk = Trunk()
    trunk.reply(trunk.one(), 403)
    trunk.registration.stop(trunk.now)

    assert trunk.sent() == []
    assert trunk.state().state is STOPPED


def test_stop_ends_though_nobody_answers():
    trunk = Trunk()
    trunk.grant()
    trunk.registration.stop(trunk.now)
    trunk.advance(33)

    assert trunk.state() == RegistrationChanged(trunk.registration.id, STOPPED, 408)


def test_the_service_route_is_kept_for_calls():
    trunk = Trunk()
    route = "<sip:orig@s-cscf.test;lr>, <sip:p2.test;lr>"
    trunk.grant(60, ("Service-Route", route), ("Path", "<sip:edge.test;lr>"))
    first = trunk.registration.service_route
    trunk.advance(55)
    trunk.grant(60, ("Service-Route", "<sip:broken"))

    assert first == ("<sip:orig@s-cscf.test;lr>", "<sip:p2.test;lr>")
    assert trunk.registration.service_route == ()


def test_an_instance_is_named_for_outbound():
    trunk = Trunk(instance="urn:uuid:00000000-0000-1000-8000-000A95A0E128")
    request = trunk.one()

    assert request.headers.first("contact").endswith(
        ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1'
    )
    assert request.headers.first("supported") == "path, outbound"


def test_a_lost_connection_is_registered_anew_within_two_seconds():
    flow = Flow("tls", ("192.0.2.1", 5061), ("203.0.113.9", 5061), name="reg.test")
    trunk = Trunk(flow)
    trunk.grant()
    trunk.engine.failed(Flow("tls", ("192.0.2.1", 40001), ("203.0.113.9", 5061), 7), trunk.now)
    trunk.advance(2)

    assert (
        trunk.one().headers.first("contact").startswith("<sip:anna@192.0.2.1:5061;transport=tls>")
    )
    assert trunk.flows[-1] == flow


def test_a_connection_to_somebody_else_is_not_ours_to_mourn():
    trunk = Trunk(Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.9", 5060)))
    trunk.grant()
    trunk.engine.failed(Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.10", 5060), 3), trunk.now)
    trunk.advance(10)

    assert trunk.sent() == []


def test_it_moves_to_the_next_server_at_once_or_after_the_answer():
    other = Flow("udp", FLOW.local, ("203.0.113.10", 5060))
    trunk = Trunk()
    pending = trunk.one()
    trunk.registration.move(other, trunk.now)
    early = trunk.sent()
    trunk.reply(pending, 500)
    trunk.sent()
    moved = trunk.flows[-1]
    trunk.registration.stop(trunk.now)
    trunk.registration.move(FLOW, trunk.now)

    assert early == []
    assert moved == other
    assert trunk.sent() == []


def test_a_registrar_or_aor_that_cannot_be_read_is_our_error():
    for registrar, aor in (("reg.test", "sip:a@b.test"), ("sip:reg.test", "anna")):
        with pytest.raises(SipSyntaxError):
            make_engine().register(registrar, aor=aor, flow=FLOW, now=0.0, credentials=None)


def test_a_server_that_is_down_is_asked_as_seldom_as_one_that_refuses():
    flow = Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.9", 5060))
    trunk = Trunk(flow)
    trunk.grant()
    trunk.engine.failed(flow, trunk.now)
    asked = 0

    for _ in range(600):
        trunk.advance(1)
        if trunk.sent():
            asked += 1
            trunk.engine.failed(flow, trunk.now)

    assert trunk.registration.state is FAILED
    assert asked < 12
