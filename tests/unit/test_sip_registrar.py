"""REGISTERs of phones (RFC 3261 10.3, RFC 3327, RFC 5626): what is kept, what is refused, how calls go back."""

import pytest

from telephony.sip.errors import SipStateError
from telephony.sip.events import IncomingInvite, RegisterReceived
from telephony.sip.flow import Flow
from telephony.sip.session import InviteOptions
from tests.unit.sip_line import OFFER
from tests.unit.sip_peer import FLOW, Peer, request

AOR = "sip:anna@gw.test"
ONE, TWO = "<sip:anna@10.0.0.1:5070>", "<sip:anna@10.0.0.2:5070;transport=tcp>"


class Everybody:
    """An `Authority` that lets in whoever comes."""

    def policy(self, request, flow):
        return "accept"

    def ha1(self, username, realm, algorithm):
        return None


class Phone:
    """Registers at an engine by hand."""

    def __init__(self, flow=FLOW):
        self.peer = Peer()
        self.peer.engine.authority = Everybody()
        self.flow = flow
        self.cseq = 0

    @property
    def bindings(self):
        return self.peer.engine.bindings.of(AOR, self.peer.now)

    def ask(self, *contacts, cseq=None, call_id="reg", extra="", to="sip:anna@GW.test", flow=None):
        self.cseq = cseq or self.cseq + 1
        lines = "".join(f"Contact: {contact}\r\n" for contact in contacts)
        data = (
            "REGISTER sip:gw.test SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{call_id}{self.cseq}\r\nFrom: <{to}>;tag=f\r\n"
            f"To: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {self.cseq} REGISTER\r\n{lines}{extra}"
            "Content-Length: 0\r\n\r\n"
        )
        return self.peer.send(data.encode(), flow or self.flow)

    def register(self, *contacts, most=3600, **more):
        """The final reply after the gateway has accepted."""
        early = self.ask(*contacts, **more)
        if early:
            return early[0][1]
        registration = self.peer.event(RegisterReceived).registration
        registration.accept(self.peer.now, most)
        [(_, reply)] = self.peer.out()
        return reply


def test_registrations_are_refused_where_nobody_says_who_may():
    phone = Phone()
    phone.peer.engine.authority = None

    [(_, reply)] = phone.ask(ONE)

    assert reply.status == 405
    assert "REGISTER" not in reply.headers.first("allow")


def test_the_gateway_hears_who_wants_what_and_by_which_flow():
    phone = Phone()
    phone.ask(ONE, TWO + ";expires=60", extra="Expires: 300\r\n")

    found = phone.peer.event(RegisterReceived).registration

    assert (found.aor, found.expires, found.username, found.wildcard) == (AOR, 300, "", False)
    assert found.contacts == ("sip:anna@10.0.0.1:5070", "sip:anna@10.0.0.2:5070;transport=tcp")
    assert found.flow == FLOW


def test_an_accepted_phone_is_bound_for_as_long_as_was_granted():
    phone = Phone()
    reply = phone.register(ONE, TWO + ";expires=60", most=600)
    both = phone.bindings
    phone.peer.now += 61
    one = phone.bindings
    phone.peer.now += 600

    assert reply.status == 200
    assert reply.headers.all("contact") == [f"{ONE};expires=600", f"{TWO};expires=60"]
    assert [b.contact for b in both] == [
        "sip:anna@10.0.0.1:5070",
        "sip:anna@10.0.0.2:5070;transport=tcp",
    ]
    assert [b.contact for b in one] == ["sip:anna@10.0.0.1:5070"]
    assert phone.bindings == ()


def test_a_call_goes_back_by_the_flow_the_phone_came_by():
    natted = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.99", 33333))
    phone = Phone(natted)
    phone.register(ONE, extra="Path: <sip:edge.test;lr>\r\nSupported: path\r\n")
    [binding] = phone.bindings

    phone.peer.engine.invite(
        binding.contact, from_="sip:us@gw.test", flow=binding.flow, sdp=OFFER, now=phone.peer.now,
        options=InviteOptions(routes=binding.path),
    )  # fmt: skip
    [(flow, invite)] = phone.peer.out()

    assert flow == natted
    assert invite.start_line == "INVITE sip:anna@10.0.0.1:5070 SIP/2.0"
    assert invite.headers.all("route") == ["<sip:edge.test;lr>"]


@pytest.mark.parametrize(
    ("natted", "contact"),
    [
        (Flow("udp", ("192.0.2.1", 5060), ("198.51.100.99", 33333)), ONE),
        (Flow("tcp", ("192.0.2.1", 5060), ("198.51.100.99", 33333), 4), ONE),
        (Flow("wss", ("192.0.2.1", 8443), ("198.51.100.99", 33333), 9), "<sip:k3@x9.invalid;transport=ws>"),
    ],
)  # fmt: skip
def test_all_of_a_call_to_a_phone_behind_nat_goes_by_its_mapping(natted, contact):
    phone = Phone(natted)
    phone.register(contact)
    [binding] = phone.bindings
    peer = phone.peer
    session = peer.engine.invite(
        binding.contact, from_="sip:us@gw.test", flow=binding.flow, sdp=OFFER, now=peer.now
    )
    [(_, invite)] = peer.out()
    kept = [p for p in invite.headers.items if p[0] in ("Via", "From", "Call-ID", "CSeq")]
    lines = "".join(f"{name}: {value}\r\n" for name, value in kept)
    ok = f"SIP/2.0 200 OK\r\n{lines}To: {contact};tag=t\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n"

    acked = peer.send(ok.encode(), natted)
    session.bye(peer.now)
    ended = peer.out()

    assert [(flow, m.method) for flow, m in acked + ended] == [(natted, "ACK"), (natted, "BYE")]


def test_path_comes_back_in_the_reply():
    reply = Phone().register(ONE, extra="Path: <sip:a.test;lr>, <sip:b.test;lr>\r\n")

    assert reply.headers.all("path") == ["<sip:a.test;lr>", "<sip:b.test;lr>"]


def test_a_refresh_replaces_and_a_removal_removes():
    phone = Phone()
    phone.register(ONE)
    phone.register(TWO)
    refreshed = phone.register("<SIP:anna@10.0.0.1:5070>;q=0.5;expires=120")
    after = phone.bindings
    removed = phone.register(ONE + ";expires=0")

    assert len(refreshed.headers.all("contact")) == 2
    assert [(b.q, b.contact) for b in after] == [
        (1.0, "sip:anna@10.0.0.2:5070;transport=tcp"),
        (0.5, "sip:anna@10.0.0.1:5070"),
    ]
    assert len(removed.headers.all("contact")) == 1


@pytest.mark.parametrize(
    ("text", "q"),
    [("0.3", 0.3), ("1", 1.0), ("0", 0.0), ("1.9", 1.0), ("nan", 1.0), ("", 1.0), ("-1", 1.0)],
)
def test_a_q_that_is_no_number_counts_as_one(text, q):
    phone = Phone()
    phone.register(f"{ONE};q={text}")

    assert phone.bindings[0].q == q


def test_a_query_changes_nothing():
    phone = Phone()
    phone.register(ONE)
    phone.ask()
    asked = phone.peer.event(RegisterReceived).registration
    asked.accept(phone.peer.now)
    [(_, reply)] = phone.peer.out()

    assert (asked.contacts, asked.expires, asked.wildcard) == ((), 0, False)
    assert reply.headers.all("contact") == [f"{ONE};expires=3600"]


def test_the_wildcard_removes_all():
    phone = Phone()
    phone.register(ONE)
    phone.register(TWO, call_id="other", cseq=9)

    reply = phone.register("*", cseq=10, extra="Expires: 0\r\n")

    assert reply.status == 200
    assert reply.headers.all("contact") == []
    assert phone.bindings == ()


@pytest.mark.parametrize(
    ("contacts", "extra"),
    [
        (("*",), ""),
        (("*",), "Expires: 60\r\n"),
        (("*", ONE), "Expires: 0\r\n"),
        (("<mailto:anna@gw.test>",), ""),
        (("<sip:anna@gw.test",), ""),
        ((ONE,), "Path: <sip:edge\r\n"),
        ((ONE,), "Path: " + ", ".join(["<sip:edge.test;lr>"] * 65) + "\r\n"),
        ((ONE,), "Path: <sip:edge.test;lr>\r\n" * 65),
        (tuple(f"<sip:anna@10.0.1.{n}>" for n in range(11)), ""),
    ],
)
def test_what_cannot_be_meant_is_400(contacts, extra):
    phone = Phone()
    phone.register(ONE)

    assert phone.register(*contacts, extra=extra).status == 400
    assert len(phone.bindings) == 1


def test_a_path_as_long_as_a_route_set_may_be_is_kept():
    phone = Phone()

    phone.register(ONE, extra="Path: " + ", ".join(["<sip:edge.test;lr>"] * 64) + "\r\n")

    assert len(phone.bindings[0].path) == 64


def test_an_address_of_record_that_is_none_of_ours_is_404():
    assert Phone().register(ONE, to="mailto:anna@gw.test").status == 404


def test_too_brief_is_423_with_the_least_and_malformed_is_an_hour():
    phone = Phone()

    brief = phone.register(ONE + ";expires=59", TWO)
    odd = phone.register(ONE + ";expires=soon")

    assert (brief.status, brief.headers.first("min-expires")) == (423, "60")
    assert odd.headers.first("contact") == f"{ONE};expires=3600"


def test_a_register_that_was_overtaken_is_refused_as_a_whole():
    phone = Phone()
    phone.register(ONE, cseq=5)

    late = phone.register(TWO, ONE + ";expires=0", cseq=4)
    restarted = phone.register(ONE, cseq=1, call_id="new")

    assert late.status == 500
    assert restarted.status == 200
    assert len(phone.bindings) == 1


def test_a_phone_with_a_new_address_replaces_itself_by_its_instance():
    phone = Phone()
    instance = ';+sip.instance="<urn:uuid:1>";reg-id=1'
    phone.register(ONE + instance)
    phone.register(TWO + instance, call_id="after-reboot")
    phone.register("<sip:anna@10.0.0.3>" + instance.replace("reg-id=1", "reg-id=2"))

    assert [b.contact for b in phone.bindings] == [
        "sip:anna@10.0.0.2:5070;transport=tcp", "sip:anna@10.0.0.3",
    ]  # fmt: skip


def test_of_too_many_the_one_that_ends_first_gives_way():
    phone = Phone()
    for number in range(12):
        phone.register(f"<sip:anna@10.0.2.{number}>;expires={100 + number}")

    assert len(phone.bindings) == 10
    assert phone.peer.engine.counters["binding_displaced"] == 2
    assert "sip:anna@10.0.2.0" not in [b.contact for b in phone.bindings]


def test_the_same_contact_twice_is_one():
    phone = Phone()
    phone.register(ONE, ONE)

    assert len(phone.bindings) == 1


def test_a_rejected_phone_is_not_bound():
    phone = Phone()
    phone.ask(ONE)
    registration = phone.peer.event(RegisterReceived).registration
    with pytest.raises(SipStateError):
        registration.reject(200, phone.peer.now)
    registration.reject(403, phone.peer.now)
    [(_, reply)] = phone.peer.out()

    assert reply.status == 403
    assert phone.bindings == ()
    with pytest.raises(SipStateError):
        registration.accept(phone.peer.now)


def test_a_phone_nobody_decides_about_is_refused_in_time():
    phone = Phone()
    phone.ask(ONE)

    phone.peer.engine.timer(phone.peer.now + 10)

    [(_, reply)] = phone.peer.out()
    assert reply.status == 500
    assert phone.peer.engine.counters["register_undecided"] == 1


@pytest.mark.parametrize(
    ("transport", "contact", "left"),
    [
        ("tcp", "<sip:anna@198.51.100.7;transport=tcp>", ("198.51.100.7", 5060)),
        ("tcp", "<sip:anna@198.51.100.7:5099;transport=tcp>", ("198.51.100.7", 5099)),
        ("tls", "<sip:anna@198.51.100.7;transport=tls>", ("198.51.100.7", 5061)),
        ("tcp", "<sip:anna@10.0.0.1;transport=tcp>", None),  # behind NAT
        ("wss", "<sip:anna@x.invalid;transport=ws>", None),
    ],
)
def test_when_the_connection_is_gone_only_who_can_be_called_anew_stays(transport, contact, left):
    flow = Flow(transport, ("192.0.2.1", 5060), ("198.51.100.7", 40000), 5)
    phone = Phone(flow)
    phone.register(contact)
    phone.register("<sip:anna@10.9.9.9>", call_id="elsewhere", flow=FLOW)

    phone.peer.engine.failed(flow, phone.peer.now)

    gone_by = [b.flow for b in phone.bindings if b.flow.transport == transport]
    assert [(f.remote, f.connection) for f in gone_by] == ([(left, 0)] if left else [])
    assert len(phone.bindings) == 1 + len(gone_by)


def test_what_has_run_out_is_forgotten():
    phone = Phone()
    phone.register(ONE, most=90)
    phone.register("<sip:bob@10.0.0.1>", to="sip:bob@gw.test", call_id="b")
    bindings = phone.peer.engine.bindings
    before = len(bindings)

    phone.peer.now += 121
    phone.peer.engine.timer(phone.peer.now)

    assert (before, len(bindings)) == (2, 1)
    assert len(bindings.of("sip:bob@gw.test", phone.peer.now)) == 1


def test_a_register_inside_of_a_call_is_refused():
    peer = Peer()
    peer.engine.authority = Everybody()
    _, tag = peer.answered()

    [(_, reply)] = peer.send(request("REGISTER", branch="r", to_tag=tag, cseq=2))

    assert (reply.status, "REGISTER" in reply.tokens("allow")) == (405, False)


def test_headers_in_a_contact_do_not_get_into_a_request_uri():
    peer = Peer()
    session, _ = peer.answered(contact="<sip:peer@198.51.100.7:5070?Route=%3Csip:elsewhere%3E>")

    session.bye(peer.now)

    [(_, bye)] = peer.out()
    assert bye.uri_text == "sip:peer@198.51.100.7:5070"


def test_a_datagram_that_could_not_be_sent_costs_no_nat_mapping():
    peer = Peer()
    natted = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 41000))
    via = "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKn;rport"
    peer.send(request(body=OFFER, via=via, contact="<sip:peer@10.0.0.5>"), natted)
    session = peer.event(IncomingInvite).session

    peer.engine.failed(natted, peer.now)

    assert session.dialog.next_flow() == natted
