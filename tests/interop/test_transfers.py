"""Transfers through the running product: asked for by phones and trunks, by the desk, and by who takes a call over."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.interop import sipp
from tests.interop.office import (
    ASKED,
    CALLER_HZ,
    CARRIER,
    TARGET_HZ,
    THIRD_HZ,
    Office,
    ToneParty,
    acked,
    answers,
    hangs_up_as_callee,
    invited,
    reply,
)

pytestmark = pytest.mark.timeout(60)
TARGET, ABROAD = "+4930123456", "+442071234567"


@pytest.fixture
def user() -> str:
    return f"x{secrets.token_hex(3)}"


def refer(user: str, cseq: int, target: str) -> str:
    return sipp.send("REFER", cseq, user, more=f"Refer-To: <{target}>\n")


def notified(status: int) -> str:
    """NOTIFYs up to the one with this outcome; another outcome leaves the scenario waiting for ever.

    Nothing stands between the last 200 and the next step: the product's BYE may follow at once.
    """
    return (
        '<label id="1"/>\n<recv request="NOTIFY"><action>\n'
        '<ereg regexp="SIP/2.0 [2-6]" search_in="body" assign_to="final"/>\n'
        f'<ereg regexp="SIP/2.0 {status}" search_in="body" assign_to="wanted"/>\n'
        '</action></recv>\n<nop next="2" test="wanted"/>\n<nop next="3" test="final"/>\n'
        + sipp.ANSWER_200.replace("<send>", '<send next="1">')
        + '<label id="3"/>\n<recv request="OPTIONS"/>\n<label id="2"/>\n'
        + sipp.ANSWER_200
    )


def calling(user: str, party: ToneParty) -> str:
    return sipp.invite(user, str(party.port)) + sipp.answered(user)


def test_a_trunk_hands_its_caller_to_somebody_else(
    office: Office, tmp_path: Path, user: str
) -> None:
    """Blind, by REFER: we call the target, tell how it went, and the one who asked is let go."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        asks = calling(user, caller) + sipp.pause(0.5) + refer(user, 2, f"sip:{TARGET}@127.0.0.1")
        asks += sipp.expect(202) + notified(200) + sipp.hung_up_on()
        called = invited("INVITE sip:4930123456@", "X-Call-Reference") + answers(target)
        called += sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", asks, at=CARRIER) as asking,
        ):
            call = office.call_of(user)
            office.until_fact(call, "TransferEnded", outcome="answered")
            office.until_fact(call, "LegReplaced", leg="caller")
            office.product.until(target.hears_voice, what="the agent's voice at the target")
            assert asking.wait(10).code == 0
            office.end(call)
            assert other.wait(10).code == 0

    [asked] = office.facts(call, "TransferRequested")
    assert (asked["by"], asked["mode"], asked["method"]) == ("caller", "blind", "bridge")


def test_whom_the_target_refuses_stays_on_the_line(
    office: Office, tmp_path: Path, user: str
) -> None:
    with ToneParty(CALLER_HZ, CARRIER) as caller:
        asks = calling(user, caller) + sipp.pause(0.5) + refer(user, 2, f"sip:{TARGET}@127.0.0.1")
        asks += sipp.expect(202) + notified(486) + sipp.pause(0.5) + sipp.hang_up(user, 3)
        called = invited() + reply(486, "Busy Here") + acked()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier),
            office.party(tmp_path / "a", asks, at=CARRIER) as asking,
        ):
            result = asking.wait(15)

    assert result.code == 0, result.log
    call = office.call_of(user)
    [ended] = office.facts(call, "TransferEnded")
    assert (ended["outcome"], ended["status"]) == ("declined", 486)
    assert office.row(call)["end_cause"] == "caller_hung_up"


@pytest.mark.parametrize(
    ("at", "target", "status"), [(ASKED, TARGET, 403), (CARRIER, "+39123", None)]
)
def test_who_may_not_transfer_is_refused_and_stays(
    office: Office, tmp_path: Path, user: str, at: str, target: str, status: int | None
) -> None:
    """A trunk without the right: 403. One that has it, but names a destination that nobody may dial: told by NOTIFY."""
    with ToneParty(CALLER_HZ, at) as caller:
        asks = calling(user, caller) + sipp.pause(0.5) + refer(user, 2, f"sip:{target}@127.0.0.1")
        asks += sipp.expect(status) if status else sipp.expect(202) + notified(403)
        asks += sipp.pause(0.5) + sipp.hang_up(user, 3)
        with office.party(tmp_path / "a", asks, at=at) as asking:
            result = asking.wait(15)

    assert result.code == 0, result.log
    call = office.call_of(user)
    assert [fact["outcome"] for fact in office.facts(call, "TransferEnded")] == (
        [] if status else ["refused"]
    )
    assert office.row(call)["end_cause"] == "caller_hung_up"


WHO_IS_THERE = """<recv response="200" rrs="true"><action>
<ereg regexp="tag=([^;\\r\\n]+)" search_in="hdr" header="To:" assign_to="all,tag"/>
<log message="[$tag]"/>
</action></recv>
<Reference variables="all"/>
"""
"""The 200 of a call, and a line in sipp's log: the product's tag."""


def logged(folder: Path) -> str:
    """What sipp wrote down, once it has."""
    for file in folder.glob("scenario*_logs.log"):
        return file.read_text().strip()
    return ""


def test_another_phone_takes_the_place_of_the_one_on_the_call(
    office: Office, tmp_path: Path, user: str
) -> None:
    """INVITE with Replaces: same call and conversation, the first phone is let go."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as taker:
        first = sipp.invite(user, str(caller.port)) + sipp.maybe(100) + sipp.maybe(180)
        first += WHO_IS_THERE + sipp.send("ACK", 1, user) + sipp.hung_up_on()
        own = ("-cid_str", f"{user}-%u", "-trace_logs")
        with office.party(tmp_path / "a", first, at=CARRIER, options=own) as replaced:
            call = office.call_of(user)
            office.product.until(lambda: bool(logged(tmp_path / "a")), what="the tag")
            tag = logged(tmp_path / "a")
            replaces = f"Replaces: {user}-1;to-tag={tag};from-tag=1\n"
            other = f"{user}b"
            takes = sipp.invite(other, str(taker.port)).replace(
                "Max-Forwards", f"{replaces}Max-Forwards"
            )
            takes += sipp.answered(other) + sipp.hung_up_on()
            with office.party(tmp_path / "b", takes, at=CARRIER) as taking:
                assert replaced.wait(10).code == 0
                office.until_fact(call, "LegReplaced", leg="caller")
                office.product.until(taker.hears_voice, what="the agent's voice")
                office.end(call)
                assert taking.wait(10).code == 0

    assert len([row for row in office.product.rows() if row["caller"] in (user, other)]) == 1


def test_an_invite_that_replaces_nothing_is_481(office: Office, tmp_path: Path, user: str) -> None:
    invite = sipp.invite(user).replace(
        "Max-Forwards", "Replaces: nobody;to-tag=1;from-tag=2\nMax-Forwards"
    )
    steps = invite + sipp.maybe(100) + sipp.expect(481) + sipp.ack_refusal(user, 1)
    with office.party(tmp_path / "a", steps, at=CARRIER) as asking:
        assert asking.wait(10).code == 0


def test_a_caller_who_has_spoken_with_the_target_hands_over(
    office: Office, tmp_path: Path, user: str
) -> None:
    """Attended, by REFER with Replaces: our INVITE to the target names the dialog that it has with the caller."""
    dialog = "abc%40127.0.0.2%3Bto-tag%3Dt1%3Bfrom-tag%3Df1"
    where = f"sip:{TARGET}@{CARRIER}?Replaces={dialog}"
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        asks = calling(user, caller) + sipp.pause(0.5) + refer(user, 2, where)
        asks += sipp.expect(202) + notified(200) + sipp.hung_up_on()
        called = invited("Replaces: abc@127.0.0.2;to-tag=t1;from-tag=f1") + answers(target)
        called += sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", asks, at=CARRIER) as asking,
        ):
            call = office.call_of(user)
            office.until_fact(call, "LegReplaced", leg="caller")
            office.product.until(target.hears_voice, what="the agent's voice at the target")
            assert asking.wait(10).code == 0
            office.end(call)
            assert other.wait(10).code == 0


def test_a_phone_of_ours_hands_over_a_call_that_it_made(office: Office, tmp_path: Path) -> None:
    """baresip's own transfer: whom it names speaks with the agent, and baresip is told and gone."""
    with ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited("INVITE sip:4930123456@") + answers(target) + sipp.hung_up_on()
        with (
            office.phone(tmp_path / "phone", "200", CALLER_HZ) as phone,
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
        ):
            phone.command("dial", office.product.uri)
            phone.until("CALL_ESTABLISHED")
            call = office.call_of("200")
            phone.listen(0.5)
            phone.command("transfer", f"sip:{TARGET}@{office.product.configuration.sip}")
            office.until_fact(call, "TransferEnded", outcome="answered")
            phone.until("CALL_CLOSED")
            office.product.until(target.hears_voice, what="the agent's voice at the target")
            office.end(call)
            assert other.wait(10).code == 0


def test_a_person_hands_the_caller_to_somebody_else(
    office: Office, tmp_path: Path, user: str
) -> None:
    """baresip, rung for a caller, transfers: caller and target hear each other, baresip is gone."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited("INVITE sip:4930123456@") + answers(target) + sipp.hung_up_on()
        calls = calling(user, caller).replace("sip:demo@", "sip:+4930200@") + sipp.hung_up_on()
        with (
            office.phone(tmp_path / "phone", "200", THIRD_HZ) as phone,
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as calling_party,
        ):
            office.product.until(lambda: caller.hears(THIRD_HZ), what="the person's tone")
            phone.until("CALL_ESTABLISHED")
            phone.command("transfer", f"sip:{TARGET}@{office.product.configuration.sip}")
            office.product.until(lambda: caller.hears(TARGET_HZ), what="the target's tone")
            office.product.until(lambda: target.hears(CALLER_HZ), what="the caller's tone")
            phone.until("CALL_CLOSED")
            office.end(office.call_of(user))
            assert [calling_party.wait(10).code, other.wait(10).code] == [0, 0]


REFERRED = """<recv request="REFER"><action>
<ereg regexp="Refer-To:[^\\r\\n]*442071234567" search_in="msg" check_it="true" assign_to="to"/>
<ereg regexp="X-Call-Reference" search_in="msg" check_it="true" assign_to="reference"/>
</action></recv>
<Reference variables="to,reference"/>
"""


def notify(user: str, cseq: int, state: str, line: str) -> str:
    sent = sipp.send("NOTIFY", cseq, user, more=f"Event: refer\nSubscription-State: {state}\n")
    body = f"Content-Type: message/sipfrag;version=2.0\nContent-Length: [len]\n\n{line}\n"
    return sent.replace("Content-Length: 0\n\n", body) + sipp.expect(200)


def transfer(office: Office, call: str, to: str, mode: str = "blind") -> None:
    office.product.ask("desk.transfer", call=call, who="ann", to=to, mode=mode, id=f"t-{call}-{to}")


ACCEPTED = sipp.ANSWER_200.replace("200 OK", "202 Accepted").replace(
    "Content-Length", "Contact: <sip:x@[local_ip]:[local_port]>\nContent-Length"
)


def test_the_desk_hands_a_call_to_the_trunk_that_it_came_by(
    office: Office, tmp_path: Path, user: str
) -> None:
    """Blind, by our REFER: the trunk tells that it rings and that it was answered, and our call is over."""
    with ToneParty(CALLER_HZ, ASKED) as caller:
        steps = (
            calling(user, caller)
            + REFERRED
            + ACCEPTED
            + notify(user, 2, "active;expires=60", "SIP/2.0 180 Ringing")
            + notify(user, 3, "terminated;reason=noresource", "SIP/2.0 200 OK")
            + sipp.hung_up_on()
        )
        with office.party(tmp_path / "a", steps, at=ASKED, port=office.asked) as trunk:
            call = office.call_of(user)
            office.until_fact(call, "LegConnected")
            transfer(office, call, ABROAD)
            result = trunk.wait(15)

    assert result.code == 0, result.log
    [asked] = office.facts(call, "TransferRequested")
    assert asked["method"] == "refer"
    assert "ringing" in [fact["stage"] for fact in office.facts(call, "TransferProgressed")]
    [ended] = office.facts(call, "TransferEnded")
    assert (ended["outcome"], ended["status"]) == ("answered", 200)
    assert office.row(call)["end_cause"] == "transferred"


def test_a_trunk_that_refuses_to_transfer_is_helped_out_by_a_bridge(
    office: Office, tmp_path: Path, user: str
) -> None:
    """603 to the REFER: we call the target ourselves, and caller and target hear each other."""
    declined = sipp.ANSWER_200.replace("200 OK", "603 Decline")
    with ToneParty(CALLER_HZ, ASKED) as caller, ToneParty(TARGET_HZ, ASKED) as target:
        steps = calling(user, caller) + REFERRED + declined + sipp.hung_up_on()
        called = invited("INVITE sip:.?442071234567@") + answers(target) + sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=ASKED, port=office.asked) as other,
            office.party(tmp_path / "a", steps, at=ASKED) as trunk,
        ):
            call = office.call_of(user)
            office.until_fact(call, "LegConnected")
            transfer(office, call, ABROAD)
            office.product.until(lambda: caller.hears(TARGET_HZ), what="the target's tone")
            office.product.until(lambda: target.hears(CALLER_HZ), what="the caller's tone")
            office.end(call)
            assert [trunk.wait(10).code, other.wait(10).code] == [0, 0]

    assert [fact["outcome"] for fact in office.facts(call, "TransferEnded")] == [
        "fell_back",
        "answered",
    ]
    assert [fact["method"] for fact in office.facts(call, "TransferRequested")] == [
        "refer",
        "bridge",
    ]
    assert office.facts(call, "FloorGiven")


def test_the_target_hangs_up_and_the_agent_is_back(
    office: Office, tmp_path: Path, user: str
) -> None:
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        steps = calling(user, caller) + sipp.hung_up_on()
        called = invited() + answers(target) + sipp.pause(2.0) + hangs_up_as_callee()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", steps, at=CARRIER) as trunk,
        ):
            call = office.call_of(user)
            office.until_fact(call, "LegConnected")
            transfer(office, call, TARGET)
            office.product.until(lambda: caller.hears(TARGET_HZ), what="the target's tone")
            office.until_fact(call, "FloorReturned")
            office.product.until(lambda: speaks_again(office, call), what="the agent")
            office.end(call)
            assert [trunk.wait(10).code, other.wait(10).code] == [0, 0]


def speaks_again(office: Office, call: str) -> bool:
    """The agent, after the floor came back to it."""
    kinds = [event["kind"] for event in office.product.events(call)]
    return "UtteranceStarted" in kinds[kinds.index("FloorReturned") :]
