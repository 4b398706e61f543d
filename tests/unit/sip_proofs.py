"""Requests, challenges and proofs of digest tests."""

from telephony.sip.auth import ClientAuth, Credentials
from telephony.sip.digest import parse_answer
from telephony.sip.message import Headers, Request, Response
from tests.unit.sip_line import counting_ids

SECRET = Credentials("anna", "open sesame")


def ours(method="INVITE", cseq=1, uri="sip:b.test", extra=()):
    """A request of ours, with the headers that matter here."""
    items = [
        ("Via", "SIP/2.0/UDP a.test;branch=z9hG4bKold;rport"),
        ("CSeq", f"{cseq} {method}"),
        *extra,
        ("Content-Length", "0"),
    ]
    return Request(Headers(items), b"", method, uri)


def challenged(*headers, status=401):
    return Response(Headers(headers), b"", status, "")


def client(credentials=SECRET):
    return ClientAuth(credentials, counting_ids())


def answered(auth, request, response, cseq=2):
    return auth.answer(request, response, cseq=cseq, branch="z9hG4bKnew")


def proof(request, header="authorization"):
    return parse_answer(request.headers.first(header))
