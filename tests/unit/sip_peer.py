"""A hand-written peer of one engine: requests as text, replies as messages."""

from telephony.sip.events import IncomingInvite
from telephony.sip.flow import Flow
from tests.unit.sip_line import ANSWER, OFFER, make_engine, read

PEER = ("198.51.100.7", 5070)
FLOW = Flow("udp", ("192.0.2.1", 5060), PEER)


def request(
    method="INVITE", *, branch="b1", to_tag="", cseq=1, call_id="c1", extra="", body=b"", **values
):
    via = values.get("via", f"SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{branch}")
    contact = values.get("contact", "<sip:peer@198.51.100.7:5070>")
    tag = f";tag={to_tag}" if to_tag else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:desk@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nFrom: <sip:peer@peer.test>;tag=p1\r\n"
        f"To: <sip:desk@gw.test>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: {contact}\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Peer:
    """Feeds an engine by hand."""

    def __init__(self, engine=None):
        self.engine = engine or make_engine()
        self.now = 10.0

    def send(self, data, flow=FLOW):
        """What comes back at once, as (flow, message)."""
        self.engine.receive(data, flow, self.now)
        return self.out()

    def out(self):
        return [(flow, read(data)) for flow, data in self.engine.to_send()]

    def event(self, kind):
        [found] = [event for event in self.engine.events() if isinstance(event, kind)]
        return found

    def events(self, kind):
        """All events of a kind since the last look."""
        return [event for event in self.engine.events() if isinstance(event, kind)]

    def answered(self, **values):
        """A call of the peer that is answered and ACKed: session, our tag."""
        self.send(request(body=OFFER, **values))
        session = self.event(IncomingInvite).session
        session.answer(ANSWER, self.now)
        [(_, ok)] = self.out()
        self.send(request("ACK", branch="ack", to_tag=ok.to.tag))
        self.engine.events()
        return session, ok.to.tag


def calling(peer=None, **more):
    """Our INVITE on its way to a hand-written peer: peer, session, INVITE."""
    peer = peer or Peer()
    session = peer.engine.invite(
        "sip:desk@peer.test",
        from_="<sip:us@192.0.2.1>",
        flow=FLOW,
        sdp=more.pop("sdp", OFFER),
        now=peer.now,
        **more,
    )
    [(_, invite)] = peer.out()
    return peer, session, invite


def reply(to, status, tag="", *, contact="<sip:fork@198.51.100.8>", extra="", body=b""):
    """A response to a request of ours; `tag` only for the one that makes the dialog."""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    suffix = f";tag={tag}" if tag else ""
    return (
        f"SIP/2.0 {status} Text\r\nVia: {to.headers.first('via')}\r\n"
        f"From: {to.headers.first('from')}\r\nTo: {to.headers.first('to')}{suffix}\r\n"
        f"Call-ID: {to.call_id}\r\nCSeq: {to.cseq}\r\nContact: {contact}\r\n{extra}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def from_fork(invite, method, tag, *, cseq=1, extra="", body=b""):
    """A request of the side we called, in the dialog of one fork."""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:us@192.0.2.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 198.51.100.8;branch=z9hG4bK{method}{tag}{cseq}\r\n"
        f"From: {invite.headers.first('to')};tag={tag}\r\nTo: {invite.headers.first('from')}\r\n"
        f"Call-ID: {invite.call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:{tag}@198.51.100.8>\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def lines(sent):
    return [message.start_line for _, message in sent]
