from __future__ import annotations

import pytest

from telephony.gateway.caller import MAX_VALUE, MAX_VARIABLES, caller_facts
from telephony.sip.message import Headers, Request


def invite(
    *extra: tuple[str, str], uri: str = "sip:demo@127.0.0.1", from_: str = "<sip:+4930@x>"
) -> Request:
    headers = Headers([("From", f"{from_};tag=1"), ("To", "<sip:desk@127.0.0.1>"), *extra])
    return Request(headers, b"", "INVITE", uri)


def test_the_request_uri_is_asked_before_to_and_diversion() -> None:
    request = invite(("Diversion", "<sip:first@x>;reason=busy, <sip:second@x>"))
    assert caller_facts(request).called == ("demo", "desk", "first")


def test_the_caller_is_the_user_of_from() -> None:
    assert caller_facts(invite()).caller == "+4930"


@pytest.mark.parametrize(
    "request_",
    [
        invite(("Privacy", "id")),
        invite(("Privacy", "header;id;critical")),
        invite(from_="<sip:anonymous@anonymous.invalid>"),
    ],
)
def test_a_withheld_caller_stays_withheld(request_: Request) -> None:
    assert caller_facts(request_).caller == ""


def test_an_asserted_identity_of_a_stranger_is_not_believed() -> None:
    assert caller_facts(invite(("P-Asserted-Identity", "<sip:ceo@x>"))).caller == "+4930"


def test_an_escaped_number_is_asked_for_as_it_is_meant() -> None:
    assert caller_facts(invite(uri="sip:%64emo@127.0.0.1")).called[0] == "demo"


def test_a_name_in_escaped_utf_8_is_read() -> None:
    assert caller_facts(invite(from_="<sip:m%C3%BCller@x>")).caller == "müller"


def test_a_password_in_an_address_is_kept_nowhere() -> None:
    assert caller_facts(invite(from_="<sip:ann:secret@x>")).caller == "ann"


def test_octets_that_are_no_text_are_left_out_of_the_caller() -> None:
    broken = b"<sip:+49\xff30@x>".decode("utf-8", "surrogateescape")
    assert caller_facts(invite(from_=broken)).caller == "+4930"


def test_x_headers_become_variables_in_lower_case_cut_and_clean() -> None:
    facts = caller_facts(
        invite(
            ("X-Order-Id", "7"), ("x-order-id", "8"), ("X-Long", "a\tb" * 400), ("Subject", "no")
        )
    )
    assert facts.variables["x-order-id"] == "7"
    assert len(facts.variables["x-long"]) == MAX_VALUE
    assert "\t" not in facts.variables["x-long"]
    assert set(facts.variables) == {"x-order-id", "x-long"}


def test_no_more_than_fifty_variables_are_taken() -> None:
    many = [(f"X-{n}", "v") for n in range(80)]
    assert len(caller_facts(invite(*many)).variables) == MAX_VARIABLES


def test_a_diversion_that_cannot_be_read_is_left_out() -> None:
    assert caller_facts(invite(("Diversion", '"unclosed <'))).called == ("demo", "desk")
