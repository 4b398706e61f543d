"""What values show of themselves in a log or a failure: who they are, but no number, name or address of a person."""

import pytest

from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import Headers
from telephony.sip.registrar import AskedBindings, AskedContact, Binding
from telephony.sip.session import Cause, EndKind, IncomingRefer
from telephony.sip.uri import parse_uri

FLOW = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
NAMED = parse_name_addr('"Canary" <sip:canary@gw.test;x=canary?Subject=canary>;x=canary')
TEXT = "sip:canary@gw.test"


@pytest.mark.parametrize(
    "value",
    [
        parse_uri("sip:canary@gw.test;x=canary?Subject=canary"),
        parse_uri("tel:+15550000;phone-context=canary"),
        parse_uri("mailto:canary@gw.test"),
        NAMED,
        Binding(TEXT, FLOW, 1.0, path=(f"<{TEXT}>",)),
        AskedContact(NAMED, 60),
        AskedBindings(TEXT, (AskedContact(NAMED, 60),), False, "c", 1, (f"<{TEXT}>",)),
        IncomingRefer(TEXT, None, TEXT, Headers()),
        Cause(EndKind.REJECTED, 302, "Moved", (TEXT,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_shows_a_person(value):
    assert "anary" not in repr(value)
    assert "5550000" not in repr(value)
