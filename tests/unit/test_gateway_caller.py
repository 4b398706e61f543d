from __future__ import annotations

import pytest

from telephony.gateway.caller import MAX_HOPS, MAX_VALUE, MAX_VARIABLES, caller_facts
from telephony.gateway.user_to_user import MAX_OCTETS, read_user_to_user, write_user_to_user
from telephony.sip.message import Headers, Request
from telephony.trunks import Trunk

TRUNK = Trunk(name="carrier", country="49")
TRUSTED = Trunk(name="carrier", country="49", trusted=True)


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
    assert facts.variables["cut-headers"] == "x-long"
    assert facts.oddities == ("value_cut",)
    assert "subject" not in facts.variables


def test_no_more_than_fifty_variables_are_taken() -> None:
    many = [(f"X-{n}", "v") for n in range(80)]
    assert len(caller_facts(invite(*many)).variables) == MAX_VARIABLES


def test_a_diversion_that_cannot_be_read_is_left_out() -> None:
    assert caller_facts(invite(("Diversion", '"unclosed <'))).called == ("demo", "desk")


# --------------------------------------------------------------------------------- who calls


def asserted(*extra: tuple[str, str]) -> Request:
    return invite(("P-Asserted-Identity", '"Ann" <tel:+49305550100>'), *extra)


def test_the_asserted_identity_of_a_trusted_trunk_is_the_caller() -> None:
    facts = caller_facts(asserted(), TRUSTED)
    assert (facts.caller, facts.variables["caller-name"]) == ("+49305550100", "Ann")


def test_a_trunk_that_is_not_trusted_asserts_nothing() -> None:
    facts = caller_facts(asserted(("Identity", "eyJ;info=<https://x>")), TRUNK)
    assert facts.caller == "+4930"
    assert "caller-name" not in facts.variables
    assert not {"p-asserted-identity", "identity"} & set(facts.headers)
    assert "Identity" not in dict(facts.passed)


def test_a_remote_party_id_stands_in_where_nothing_is_asserted() -> None:
    rpid = ("Remote-Party-ID", "<sip:0305550100@x>;party=calling;privacy=off")
    assert caller_facts(invite(rpid), TRUSTED).caller == "+49305550100"
    hidden = ("Remote-Party-ID", "<sip:0305550100@x>;party=calling;privacy=full")
    assert caller_facts(invite(hidden), TRUSTED).caller == ""
    other = ("Remote-Party-ID", "<sip:0305550100@x>;party=called")
    assert caller_facts(invite(other), TRUSTED).caller == "+4930"


def test_privacy_hides_an_asserted_caller_and_its_name_everywhere() -> None:
    facts = caller_facts(asserted(("Privacy", "id;critical")), TRUSTED)
    assert facts.caller == ""
    assert "caller-name" not in facts.variables
    assert ("Privacy", "id") in facts.passed


def test_the_verdict_over_a_signature_is_told_by_a_trusted_trunk_alone() -> None:
    request = invite(
        ("P-Asserted-Identity", "<tel:+4930;verstat=TN-Validation-Passed>"), ("Identity", "eyJ")
    )
    trusted = caller_facts(request, TRUSTED)
    assert trusted.variables["verstat"] == "TN-Validation-Passed"
    assert ("Identity", "eyJ") in trusted.passed
    assert "verstat" not in caller_facts(request, TRUNK).variables


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("sip:+49305550100@x", "+49305550100"),
        ("sip:0305550100@x;user=phone", "+49305550100"),
        ("sip:0049305550100@x", "+49305550100"),
        ("tel:+49-30-555-0100", "+49305550100"),
        ("sip:desk@x", "desk"),
        ("sip:112@x", "112"),
    ],
)
def test_numbers_are_read_in_the_spelling_of_the_trunk(written: str, normal: str) -> None:
    assert caller_facts(invite(uri=written), TRUNK).called[0] == normal
    assert caller_facts(invite(from_=f"<{written}>"), TRUNK).caller == normal


def test_a_called_number_is_also_asked_for_as_it_was_written() -> None:
    called = caller_facts(invite(uri="sip:0305550100@x"), TRUNK).called
    assert called == ("+49305550100", "0305550100", "desk")


# --------------------------------------------------------------------------------- forwarding, context


def test_the_first_hop_that_forwarded_the_call_is_told() -> None:
    hops = ("Diversion", "<sip:0305550111@x>;reason=user-busy, <sip:0305550122@x>;reason=no-answer")
    facts = caller_facts(invite(hops), TRUNK)
    assert facts.variables["forwarded-from"] == "+49305550111"
    assert facts.variables["forwarded-reason"] == "user-busy"
    assert [name for name, _ in facts.passed] == ["Diversion", "Diversion"]


def test_history_tells_who_forwarded_where_no_diversion_does() -> None:
    history = (
        "History-Info",
        "<sip:0305550111@x?Reason=SIP%3Bcause%3D486>;index=1, <sip:desk@x>;index=1.1",
    )
    facts = caller_facts(invite(history), TRUNK)
    assert facts.variables["forwarded-from"] == "+49305550111"
    assert facts.variables["forwarded-reason"] == "SIP;cause=486"
    alone = caller_facts(invite(("History-Info", "<sip:desk@x>;index=1")), TRUNK)
    assert "forwarded-from" not in alone.variables


def test_more_than_ten_hops_are_cut_and_counted() -> None:
    hops = ", ".join(f"<sip:{n}@x>" for n in range(14))
    facts = caller_facts(invite(("Diversion", hops)))
    assert facts.oddities == ("diversion_cut",)
    assert sum(name == "Diversion" for name, _ in facts.passed) == MAX_HOPS


@pytest.mark.parametrize(
    ("value", "text", "trouble"),
    [
        ("0448656c6c6f;encoding=hex", "Hello", ""),
        ("48656C6C6F", "Hello", ""),
        ("00ff10", "00ff10", ""),
        ('"48656c6c6f";purpose=isdn-uui;content=isdn-uui', "Hello", ""),
        ("xyz", "xyz", "undecodable"),
        ("Hello;encoding=ascii", "Hello", "undecodable"),
        ("41" * 200, "A" * MAX_OCTETS, "cut"),
    ],
)
def test_user_to_user_is_decoded(value: str, text: str, trouble: str) -> None:
    read = read_user_to_user(value)
    assert (read.text, read.trouble) == (text, trouble)


def test_user_to_user_of_ours_is_read_back() -> None:
    assert read_user_to_user(write_user_to_user("Grüße")).text == "Grüße"


def test_user_to_user_that_cannot_be_decoded_is_kept_and_the_log_says_so() -> None:
    facts = caller_facts(invite(("User-to-User", "zz")))
    assert facts.variables["user-to-user"] == "zz"
    assert facts.variables["user-to-user-trouble"] == "undecodable"
    assert facts.oddities == ("user_to_user",)


def test_identifiers_of_the_call_are_kept_for_whoever_looks_for_it() -> None:
    facts = caller_facts(invite(("Session-ID", "ab30;remote=00"), ("Call-ID", "1@x")))
    assert (facts.variables["session-id"], facts.variables["call-id"]) == ("ab30;remote=00", "1@x")
    assert ("Session-ID", "ab30;remote=00") in facts.passed


def test_rules_see_headers_but_no_secrets() -> None:
    facts = caller_facts(invite(("X-Tenant", "blue"), ("Authorization", "Digest x")))
    assert facts.headers["x-tenant"] == "blue"
    assert "authorization" not in facts.headers
