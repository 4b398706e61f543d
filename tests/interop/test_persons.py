"""People at phones of ours, through the running product: rung by a rule or a queue, and calling out themselves."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.interop import sipp
from tests.interop.baresip import Baresip
from tests.interop.office import (
    CALLER_HZ,
    CARRIER,
    TARGET_HZ,
    THIRD_HZ,
    Office,
    ToneParty,
    acked,
    answers,
    cancelled,
    invited,
    reply,
    sdp_of,
)
from tests.interop.tones import pitch
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def user() -> str:
    return f"p{secrets.token_hex(3)}"


def calling(user: str, number: str, caller: ToneParty) -> str:
    """Calls the number and is answered, rings as long as it will; waits for the BYE."""
    invite = sipp.invite(user, str(caller.port)).replace("sip:demo@", f"sip:{number}@")
    return invite + sipp.answered(user) + sipp.hung_up_on()


def heard_at(phone: Baresip) -> float:
    """Pitch of the last second but a half that the phone heard."""
    return pitch(read_wav(phone.recording(), 8000)[-12_000:-4_000])


def test_a_person_answers_and_speaks_with_the_caller(
    office: Office, tmp_path: Path, user: str
) -> None:
    """No agent is heard by either; the caller is not answered before the person is there."""
    with (
        ToneParty(CALLER_HZ, CARRIER) as caller,
        office.phone(tmp_path / "phone", "200", TARGET_HZ) as phone,
        office.party(tmp_path / "a", calling(user, "+4930200", caller), at=CARRIER) as calls,
    ):
        office.product.until(lambda: caller.hears(TARGET_HZ), what="the person's tone")
        call = office.call_of(user)
        phone.listen(2.0)
        office.end(call)
        phone.until("CALL_CLOSED")
        assert calls.wait(10).code == 0

    assert heard_at(phone) == pytest.approx(CALLER_HZ, abs=3)
    kinds = [event["kind"] for event in office.product.events(call)]
    assert "UtteranceStarted" not in kinds
    assert "FloorGiven" in kinds
    legs = [fact["leg"] for fact in office.facts(call, "LegConnected")]
    assert sorted(legs) == ["caller", "target-1"]


def test_the_agent_answers_if_the_person_does_not(
    office: Office, tmp_path: Path, user: str
) -> None:
    """The phone rings for its time and stops; the caller is then answered by the agent."""
    with (
        ToneParty(CALLER_HZ, CARRIER) as caller,
        office.phone(tmp_path / "phone", "201", TARGET_HZ, answers="manual") as phone,
        office.party(tmp_path / "a", calling(user, "+4930201", caller), at=CARRIER) as calls,
    ):
        phone.until("CALL_INCOMING")
        phone.until("CALL_CLOSED")
        office.product.until(caller.hears_voice, what="the agent's voice")
        call = office.call_of(user)
        office.end(call)
        assert calls.wait(10).code == 0

    [ended] = office.facts(call, "TransferEnded")
    assert ended["outcome"] == "timeout"
    assert office.row(call)["agent"] == "receptionist"


def test_the_agent_answers_at_once_if_no_phone_is_there(
    office: Office, tmp_path: Path, user: str
) -> None:
    with (
        ToneParty(CALLER_HZ, CARRIER) as caller,
        office.party(tmp_path / "a", calling(user, "+4930201", caller), at=CARRIER) as calls,
    ):
        office.product.until(caller.hears_voice, 4.0, what="the agent's voice")
        office.end(office.call_of(user))
        assert calls.wait(10).code == 0


def test_a_queue_is_answered_by_whoever_is_there(office: Office, tmp_path: Path, user: str) -> None:
    """One after the other: 203 lets it ring for its time, then 202 answers."""
    with (
        ToneParty(CALLER_HZ, CARRIER) as caller,
        office.phone(tmp_path / "rings", "203", THIRD_HZ, answers="manual") as rings,
        office.phone(tmp_path / "phone", "202", TARGET_HZ, answers="manual") as phone,
        office.party(tmp_path / "a", calling(user, "+4930300", caller), at=CARRIER) as calls,
    ):
        rings.until("CALL_INCOMING")
        phone.until("CALL_INCOMING", 15.0)
        phone.command("accept")
        office.product.until(lambda: caller.hears(TARGET_HZ), what="the person's tone")
        rings.until("CALL_CLOSED")
        call = office.call_of(user)
        phone.listen(1.5)
        office.end(call)
        phone.until("CALL_CLOSED")
        assert calls.wait(10).code == 0

    assert heard_at(phone) == pytest.approx(CALLER_HZ, abs=3)


def test_a_phone_of_ours_calls_out(office: Office, tmp_path: Path) -> None:
    """By the carrier, as far as it allows the number; both hear each other."""
    with ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited("INVITE sip:4930123456@", "From:[^\\r\\n]*4930999@")
        called += answers(target) + sipp.hung_up_on()
        with (
            office.phone(tmp_path / "phone", "200", CALLER_HZ) as phone,
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
        ):
            phone.command("dial", f"sip:+4930123456@{office.product.configuration.sip}")
            phone.until("CALL_ESTABLISHED")
            office.product.until(lambda: target.hears(CALLER_HZ), what="the phone's tone")
            phone.listen(2.0)
            phone.command("hangup")
            assert other.wait(10).code == 0

    assert heard_at(phone) == pytest.approx(TARGET_HZ, abs=3)
    call = office.call_of("200")
    assert "carrier" in [fact["trunk"] for fact in office.facts(call, "TrunkMeasured")]


def test_a_phone_of_ours_may_not_call_everywhere(office: Office, tmp_path: Path) -> None:
    with office.phone(tmp_path / "phone", "200", CALLER_HZ) as phone:
        phone.command("dial", f"sip:+39123456789@{office.product.configuration.sip}")
        closed = phone.until("CALL_CLOSED")

    assert "403" in closed["param"]
    [ended] = office.facts(office.call_of("200"), "TransferEnded")
    assert (ended["outcome"], ended["reason"]) == ("refused", "destination")


def test_a_forwarded_number_is_called_for_the_caller(
    office: Office, tmp_path: Path, user: str
) -> None:
    """With who forwarded it; caller and target hear each other."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited("INVITE sip:4930123456@", "Diversion:[^\\r\\n]*4930400")
        called += answers(target) + sipp.hung_up_on()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calling(user, "+4930400", caller), at=CARRIER) as calls,
        ):
            office.product.until(lambda: caller.hears(TARGET_HZ), what="the target's tone")
            office.product.until(lambda: target.hears(CALLER_HZ), what="the caller's tone")
            office.end(office.call_of(user))
            assert [calls.wait(10).code, other.wait(10).code] == [0, 0]


def test_what_is_heard_before_the_answer_reaches_the_caller(
    office: Office, tmp_path: Path, user: str
) -> None:
    """An announcement of the target's network: by 183 on both sides, and the caller is answered by the 200 alone."""
    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited() + reply(183, "Session Progress", sdp_of(target)) + sipp.pause(2.5)
        called += reply(486, "Busy Here") + acked()
        calls = sipp.invite(user, str(caller.port)).replace("sip:demo@", "sip:+4930400@")
        calls += sipp.maybe(100) + sipp.maybe(180) + sipp.maybe(183) + sipp.maybe(180)
        calls += sipp.maybe(183) + sipp.expect(486) + sipp.ack_refusal(user, 1, 6)
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as calling_party,
        ):
            office.product.until(lambda: caller.hears(TARGET_HZ), 5.0, "the announcement")
            assert [calling_party.wait(10).code, other.wait(10).code] == [0, 0]

    call = office.call_of(user)
    assert not office.facts(call, "LegConnected")
    assert office.row(call)["end_cause"] == "busy"


def test_who_hangs_up_while_a_phone_rings_stops_the_ringing(
    office: Office, tmp_path: Path, user: str
) -> None:
    with ToneParty(CALLER_HZ, CARRIER) as caller:
        cancel = sipp.send("CANCEL", 1, user, to_tag=False).replace("[branch]", "[branch-4]")
        calls = sipp.invite(user, str(caller.port)).replace("sip:demo@", "sip:+4930400@")
        calls += sipp.maybe(100) + sipp.expect(180) + sipp.pause(0.3)
        calls += cancel.replace("sip:demo@", "sip:+4930400@") + sipp.expect(200)
        calls += sipp.expect(487) + sipp.ack_refusal(user, 1, 7)
        called = invited() + reply(180, "Ringing") + cancelled()
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as calling_party,
        ):
            results = [calling_party.wait(10), other.wait(10)]

    assert [result.code for result in results] == [0, 0], [result.log for result in results]
    assert office.row(office.call_of(user))["end_cause"] == "cancelled"


def test_hold_keys_and_the_end_pass_through_a_bridge(
    office: Office, tmp_path: Path, user: str
) -> None:
    """The caller presses a key, holds and comes back; its BYE ends both legs."""

    def change(cseq: int, direction: str) -> str:
        sdp = sipp.SDP.format(
            version=cseq, address="[local_ip]", port=caller.port, direction=direction
        )
        sent = sipp.send("INVITE", cseq, user, sdp) + sipp.maybe(100) + sipp.expect(200)
        return sent + sipp.send("ACK", cseq, user) + sipp.pause(1.0)

    with ToneParty(CALLER_HZ, CARRIER) as caller, ToneParty(TARGET_HZ, CARRIER) as target:
        called = invited() + answers(target) + sipp.hung_up_on()
        calls = sipp.invite(user, str(caller.port)).replace("sip:demo@", "sip:+4930400@")
        calls += (
            sipp.answered(user) + sipp.pause(1.0) + change(2, "sendonly") + change(3, "sendrecv")
        )
        calls += sipp.hang_up(user, 4)
        with (
            office.party(tmp_path / "b", called, at=CARRIER, port=office.carrier) as other,
            office.party(tmp_path / "a", calls, at=CARRIER) as calling_party,
        ):
            office.product.until(lambda: target.hears(CALLER_HZ), what="the caller's tone")
            call = office.call_of(user)
            caller.press("5")
            office.product.until(lambda: target.keys() == "5", what="the key at the target")
            office.until_fact(call, "CallResumed")
            office.product.until(lambda: caller.hears(TARGET_HZ), what="the tone after hold")
            results = [calling_party.wait(10), other.wait(10)]

    assert [result.code for result in results] == [0, 0], [result.log for result in results]
    assert office.row(call)["end_cause"] == "caller_hung_up"
