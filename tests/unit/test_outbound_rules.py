from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.destinations import COSTLY
from telephony.outbound_rules import (
    Allowed,
    Counters,
    Denied,
    DialRight,
    Limits,
    OrderFacts,
    OutboundRules,
    Usage,
    Verdict,
    judge,
    parse_outbound,
)
from telephony.snapshot_rows import Row
from telephony.trunks import Extension, Trunk

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BERLIN = "+4930123456"
CARRIER = Trunk(
    name="carrier",
    hosts=("sip.carrier.example",),
    country="49",
    caller_ids=("+4930999", "+1212999"),
    allowed_prefixes=("+49", "+1", "2XX"),
)
RULES = OutboundRules(
    trunks={"carrier": CARRIER},
    extensions={"200": Extension(name="200", ha1={}), "ann": Extension(name="ann", ha1={})},
    agents={"desk": DialRight()},
)


def ask(destination: str, rules: OutboundRules = RULES, **facts: Any) -> Verdict:
    counters = facts.pop("counters", Counters())
    return judge(
        OrderFacts(destination=destination, at=NOON, **{"agent": "desk", **facts}), rules, counters
    )


def with_trunk(**changes: Any) -> OutboundRules:
    return replace(RULES, trunks={"carrier": replace(CARRIER, **changes)})


def reason(verdict: Verdict) -> str:
    assert isinstance(verdict, Denied), verdict
    return verdict.reason


def number(verdict: Verdict) -> str:
    assert isinstance(verdict, Allowed), verdict
    return verdict.number


# --------------------------------------------------------------------------------------------- denied by default


def test_without_a_trunk_nothing_is_dialled() -> None:
    assert reason(ask(BERLIN, replace(RULES, trunks={}))) == "no_trunk"


def test_an_empty_list_of_destinations_allows_none() -> None:
    assert reason(ask(BERLIN, with_trunk(allowed_prefixes=()))) == "destination"


def test_an_agent_without_the_right_dials_nobody() -> None:
    assert reason(ask(BERLIN, agent="stranger")) == "agent_may_not_dial"


def test_a_trunk_that_is_off_is_no_trunk() -> None:
    assert reason(ask(BERLIN, with_trunk(enabled=False), trunk="carrier")) == "unknown_trunk"


@pytest.mark.parametrize("destination", ["+33123456789", "+4", "+390123456789", "0033123456789"])
def test_a_destination_off_the_list_is_refused(destination: str) -> None:
    assert isinstance(ask(destination), Denied)


@pytest.mark.parametrize(
    "destination", ["+881612345678", "+870123456789", "+882161234567", "+979123456789"]
)
def test_satellite_and_premium_need_an_entry_of_their_own(destination: str) -> None:
    wide = with_trunk(allowed_prefixes=("+8", "+9"))
    assert reason(ask(destination, wide)) == "costly"
    named = with_trunk(allowed_prefixes=(destination[:4],))
    assert number(ask(destination, named)) == destination


@pytest.mark.parametrize("destination", ["+19005551234", "+18765551234", "0900 123456"])
def test_a_country_does_not_open_its_premium_ranges(destination: str) -> None:
    assert reason(ask(destination)) == "costly"


def test_what_the_operator_blocked_stays_blocked() -> None:
    rules = replace(RULES, blocked=("+4930",))
    assert reason(ask(BERLIN, rules)) == "blocked"
    assert isinstance(ask("+4940123456", rules), Allowed)


@pytest.mark.parametrize("destination", ["110", "112", "911", "999", "+112", "11833"])
def test_emergency_and_short_codes_are_not_dialled(destination: str) -> None:
    assert isinstance(ask(destination, with_trunk(allowed_prefixes=("+49", "+1", "XXX"))), Denied)


# ------------------------------------------------------------------------------------------------------- tricks


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        (f"{BERLIN};phone-context=+1", "parameters"),
        (f"tel:{BERLIN};isub=1", "parameters"),
        (f"{BERLIN}?P-Asserted-Identity=x", "parameters"),
        (f"{BERLIN}&to=+1900", "parameters"),
        (f"{BERLIN}%3Bx", "parameters"),
        (f'"x"<sip:{BERLIN}@sip.carrier.example>', "not_a_number"),
        (f"{BERLIN}\r\nP-Asserted-Identity: <sip:x>", "not_a_number"),
        (f"{BERLIN}\x00", "not_a_number"),
        (f"{BERLIN}p1", "not_a_number"),
        (f"{BERLIN},,9", "parameters"),
        (f"{BERLIN}#9", "not_a_number"),
        ("*72+19005551234", "not_a_number"),
        ("+49３０１２３４５６", "not_a_number"),
        ("+49٣٠١٢٣٤٥٦", "not_a_number"),
        ("++4930123456", "not_a_number"),
        ("+49+30123456", "not_a_number"),
        ("1-800-FLOWERS", "not_a_number"),
        ("+4930123456789012", "too_long"),
        ("9" * 500, "too_long"),
        ("+0049301234567", "not_a_number"),
        (f"sip:{BERLIN}@evil.example", "foreign_host"),
        (f"sip:{BERLIN}@sip.carrier.example.evil.example", "foreign_host"),
        (f"sip:{BERLIN}@evil.example@sip.carrier.example", "foreign_host"),
        (f"sip:{BERLIN}@sip.carrier.example;transport=tcp", "parameters"),
        (f"sips:{BERLIN}", "not_a_number"),
        ("sip:bob@sip.carrier.example", "not_a_number"),
        ("http://evil.example/", "not_a_number"),
        ("mailto:x", "not_a_number"),
        ("", "not_a_number"),
        ("+", "not_a_number"),
        (" ", "not_a_number"),
    ],
)
def test_a_trick_is_refused(destination: str, why: str) -> None:
    assert reason(ask(destination)) == why


def test_no_refusal_repeats_the_number() -> None:
    for destination in (f"{BERLIN};x=1", "+33123456789", "+19005551234"):
        verdict = ask(destination)
        assert isinstance(verdict, Denied)
        assert not any(figure.isdigit() for figure in verdict.reason)
        assert destination not in verdict.user_message


@pytest.mark.parametrize(
    "written",
    [BERLIN, "+49 (0)30 123-456", "0049 30 123456", "030/123456", f"tel:{BERLIN}",
     f"sip:{BERLIN}@sip.carrier.example", f"sips:{BERLIN}@SIP.carrier.example"],
)  # fmt: skip
def test_a_number_may_be_written_as_people_do(written: str) -> None:
    assert number(ask(written)) == BERLIN


def test_a_number_without_a_country_needs_a_trunk_that_knows_one() -> None:
    assert reason(ask("030123456", with_trunk(country=""))) == "not_international"


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("2125551234", "+12125551234"),
        ("12125551234", "+12125551234"),
        ("011493012345678", "+493012345678"),
    ],
)
def test_north_american_spelling_is_read(written: str, full: str) -> None:
    rules = with_trunk(country="1", national_prefix="1", international_prefix="011")
    assert number(ask(written, rules)) == full


@pytest.mark.parametrize(
    ("changes", "destination", "dialled"),
    [
        ({"number_format": "plus"}, BERLIN, BERLIN),
        ({"number_format": "plain"}, BERLIN, BERLIN[1:]),
        ({"number_format": "national"}, BERLIN, "030123456"),
        ({"number_format": "national"}, "+12125551234", "0012125551234"),
        ({"number_format": "plus", "prefix": "77#"}, BERLIN, f"77#{BERLIN}"),
        ({"number_format": "plain"}, "242", "242"),
    ],
)
def test_a_trunk_gets_numbers_in_its_format(
    changes: dict[str, Any], destination: str, dialled: str
) -> None:
    verdict = ask(destination, with_trunk(**changes))
    assert isinstance(verdict, Allowed)
    assert verdict.dialled == dialled


# ------------------------------------------------------------------------------------------- extensions, trunks


def test_a_phone_of_ours_rings_without_a_trunk() -> None:
    verdict = ask("ann", agent="", purpose="person")
    assert isinstance(verdict, Allowed)
    assert (verdict.extension, verdict.trunk) == ("ann", "")


def test_an_extension_is_preferred_to_an_own_number_of_a_trunk() -> None:
    assert ask("200") == Allowed("", "", "200", "200", "200")
    assert ask("200", trunk="carrier") == Allowed("carrier", "+4930999", "200", "200")
    assert ask("242") == Allowed("carrier", "+4930999", "242", "242")


def test_the_narrowest_allow_list_is_tried_first_and_the_others_after_a_failure() -> None:
    local = replace(CARRIER, name="local", allowed_prefixes=("+4930",))
    rules = replace(RULES, trunks={"carrier": CARRIER, "local": local})

    def chosen(**facts: Any) -> str:
        verdict = ask(BERLIN, rules, **facts)
        assert isinstance(verdict, Allowed)
        return verdict.trunk

    assert chosen() == "local"
    assert chosen(tried=frozenset({"local"})) == "carrier"
    assert chosen(counters=Counters(down=frozenset({"local"}))) == "carrier"
    assert chosen(counters=Counters(trunks={"local": Usage(calls=10)})) == "carrier"
    assert chosen(counters=Counters(down=frozenset({"local", "carrier"}))) == "local"
    assert reason(ask(BERLIN, rules, tried=frozenset({"local", "carrier"}))) == "no_trunk"


def test_an_agent_may_be_bound_to_trunks_and_destinations_and_never_widens_them() -> None:
    for trunks in (
        frozenset({"other"}),
        frozenset[str](),
    ):  # what was chosen is gone: still no other
        right = DialRight(trunks=trunks)
        assert reason(ask(BERLIN, replace(RULES, agents={"desk": right}))) == "agent_trunk"
    right = DialRight(destinations=("+1", "+33"))
    rules = replace(RULES, agents={"desk": right})
    assert reason(ask(BERLIN, rules)) == "agent_destination"
    assert reason(ask("+33123456789", rules)) == "destination"
    assert isinstance(ask("+12125551234", rules), Allowed)


# -------------------------------------------------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("limits", "usage", "why"),
    [
        ({"max_calls": 2}, Usage(calls=2), "calls"),
        ({"max_calls": 0}, Usage(), "calls"),
        ({"max_cps": 2.0}, Usage(last_second=2), "cps"),
        ({"max_cps": 0.5}, Usage(idle_s=1.9), "cps"),
        ({"max_calls_per_day": 5}, Usage(calls_today=5), "calls_per_day"),
        ({"max_minutes_per_day": 1}, Usage(seconds_today=60.0), "minutes_per_day"),
    ],
)
def test_caps_hold_for_a_trunk_an_agent_and_all_together(
    limits: dict[str, Any], usage: Usage, why: str
) -> None:
    none: dict[str, Any] = dict.fromkeys(
        ("max_calls", "max_cps", "max_calls_per_day", "max_minutes_per_day")
    )
    free = with_trunk(**none)
    right = DialRight(limits=Limits(**limits))
    cases = (
        (with_trunk(**(none | limits)), Counters(trunks={"carrier": usage})),
        (replace(free, agents={"desk": right}), Counters(agents={"desk": usage})),
        (replace(free, limits=Limits(**limits)), Counters(total=usage)),
    )
    for rules, counters in cases:
        assert reason(ask(BERLIN, rules, counters=counters)) == why
    for rules, _ in cases[:2]:
        if limits.get("max_calls") != 0:
            assert isinstance(ask(BERLIN, rules), Allowed)


def test_below_one_call_a_second_the_pause_counts() -> None:
    counters = Counters(trunks={"carrier": Usage(idle_s=2.0)})
    assert isinstance(ask(BERLIN, with_trunk(max_cps=0.5), counters=counters), Allowed)


def test_a_destination_may_have_hours_of_its_own() -> None:
    row = Row(
        {
            "hours": [
                {"prefixes": ["+1"], "zone": "America/New_York", "from": "08:00", "to": "21:00"},
                {"prefixes": ["+1808"], "zone": "Pacific/Honolulu", "from": "08:00", "to": "21:00"},
            ]
        },
        "outbound",
    )
    rules = replace(RULES, hours=parse_outbound(row, {}, {}).hours)
    early = datetime(2026, 11, 20, 13, 30, tzinfo=UTC)  # 08:30 in New York, 03:30 in Honolulu

    def at(destination: str) -> Verdict:
        return judge(OrderFacts(destination=destination, at=early, agent="desk"), rules, Counters())

    assert isinstance(at("+12125551234"), Allowed)
    assert reason(at("+18085551234")) == "hours"
    assert isinstance(at(BERLIN), Allowed)


# --------------------------------------------------------------------------------------------------- caller ID


def shown(destination: str, rules: OutboundRules = RULES, **facts: Any) -> str:
    verdict = ask(destination, rules, **facts)
    assert isinstance(verdict, Allowed)
    return verdict.caller_id


def test_a_fixed_caller_id_is_the_first_of_the_pool() -> None:
    assert shown("+12125551234") == "+4930999"


def test_a_matching_caller_id_shares_the_beginning_with_the_called_number() -> None:
    rules = with_trunk(caller_id_rule="match")
    assert shown("+12125551234", rules) == "+1212999"
    assert shown(BERLIN, rules) == "+4930999"
    assert shown("242", rules) == "+4930999"


def test_a_rotating_caller_id_stays_the_same_for_one_number() -> None:
    rules = with_trunk(caller_id_rule="rotate", caller_ids=tuple(f"+4930{i}" for i in range(9)))
    once = [shown(f"+4930123{i:03}", rules) for i in range(200)]
    assert once == [shown(f"+4930123{i:03}", rules) for i in range(200)]
    assert len(set(once)) == 9


def test_a_caller_id_that_was_asked_for_must_be_in_the_pool() -> None:
    assert shown(BERLIN, caller_id="+1212999") == "+1212999"
    assert reason(ask(BERLIN, caller_id="+4930998")) == "caller_id"
    assert reason(ask(BERLIN, with_trunk(caller_ids=()), caller_id="+4930999")) == "caller_id"


def test_an_empty_pool_shows_no_number() -> None:
    assert shown(BERLIN, with_trunk(caller_ids=())) == ""


# -------------------------------------------------------------------------------------------------- 1e5 numbers

TRICKS = (";", "?", "@", "%", "#", "*", "p", "w", ",", "\r\n", "\0", "+", "٣", "３", "tel:", "sip:", "-", " ", "(0)")  # fmt: skip


def hostile(random_: random.Random) -> str:
    figures = "".join(random_.choices("0123456789", k=random_.randint(1, 18)))
    text = random_.choice(("", "+", "00", "0", "011", "+49", "+1", "0049", "++"))
    text += random_.choice(("", *(prefix[1:] for prefix in COSTLY))) + figures
    for _ in range(random_.choice((0, 0, 1, 2))):
        place = random_.randint(0, len(text))
        text = text[:place] + random_.choice(TRICKS) + text[place:]
    if random_.random() < 0.1:
        text = f"sip:{text}@{random_.choice(('sip.carrier.example', 'evil.example', '10.0.0.1'))}"
    return text


def is_in_policy(verdict: Allowed) -> bool:
    """Said again in other words than the rules': German and American numbers, no costly range, no other sign."""
    called = verdict.number
    if len(called) == 3:
        return called.isascii() and called.isdigit() and called[0] == "2"
    plain = called[1:].isascii() and called[1:].isdigit() and 7 <= len(called) - 1 <= 15
    listed = called.startswith(("+49", "+1")) and not called.startswith(COSTLY)
    return (
        plain and listed and verdict.caller_id in CARRIER.caller_ids and verdict.dialled == called
    )


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_none_of_a_hundred_thousand_numbers_passes_the_policy() -> None:
    random_ = random.Random(16)
    allowed = 0
    for _ in range(100_000):
        verdict = ask(hostile(random_), trunk="carrier")
        if isinstance(verdict, Allowed):
            allowed += 1
            assert is_in_policy(verdict)
    assert allowed > 1_000  # the net is not simply closed


@given(st.text(max_size=80))
def test_any_text_gets_a_verdict(destination: str) -> None:
    verdict = ask(destination, trunk="carrier")
    assert isinstance(verdict, Denied) or is_in_policy(verdict)
