"""Phones of our own people: sipp and baresip prove who they are, register, are rung, and talk with a caller."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority
from tests.interop import sipp
from tests.interop.baresip import baresip
from tests.interop.phones import PASSWORD, set_up_phones
from tests.interop.tones import pitch, tone_wav
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(60)

DESK, PROVING = "desk1", "sipp1"
CALLER_HZ, DESK_HZ = 700, 440
PCMU = "audio_codecs=PCMU/8000/1;ptime=20"


@pytest.fixture(scope="module", autouse=True)
def _phones(product: RunningProduct) -> None:
    set_up_phones(product, (DESK, "201"), (PROVING, ""))


def connected(product: RunningProduct, name: str) -> int:
    health = product.ask("node.health")["health"]
    return int(health["extensions"][name]["connected"])


def test_a_caller_and_a_registered_phone_hear_each_other(
    product: RunningProduct, authority: Authority, tmp_path: Path
) -> None:
    """One leg in clear over UDP, the other over TLS with SRTP; a tone goes each way."""
    desk_folder, caller_folder = tmp_path / "desk", tmp_path / "caller"
    desk_folder.mkdir()
    caller_folder.mkdir()
    sip, tls = product.configuration.sip, product.configuration.sip_tls
    user = f"outside{secrets.token_hex(2)}"
    desk_account = f"<sip:{DESK}@{sip};transport=udp>;auth_user={DESK};auth_pass={PASSWORD};regint=60;answermode=auto;{PCMU}"
    caller_account = f"<sip:{user}@{tls};transport=tls>;regint=0;mediaenc=srtp-mand;{PCMU}"
    desk_tone = tone_wav(desk_folder / "tone.wav", DESK_HZ, 20.0)
    caller_tone = tone_wav(caller_folder / "tone.wav", CALLER_HZ, 20.0)

    with (
        baresip(desk_folder, desk_tone, desk_account) as desk,
        baresip(caller_folder, caller_tone, caller_account, authority=authority.file) as caller,
    ):
        product.until(lambda: connected(product, DESK) == 1, 10.0, "the registration")
        caller.command("dial", f"sip:201@{tls};transport=tls")
        caller.until("CALL_ESTABLISHED")
        desk.until("CALL_ESTABLISHED")
        caller.listen(3.0)
        caller.command("hangup")
        desk.until("CALL_CLOSED")
        caller.until("CALL_CLOSED")

    assert pitch(read_wav(caller.recording(), 8000)[-16_000:-8_000]) == pytest.approx(
        DESK_HZ, abs=3
    )
    assert pitch(read_wav(desk.recording(), 8000)[-16_000:-8_000]) == pytest.approx(
        CALLER_HZ, abs=3
    )
    kinds = [event["kind"] for event in product.events(product.newest_call(caller=user))]
    assert kinds.count("LegConnected") == 2
    assert kinds[-1] == "CallEnded"
    product.until(lambda: connected(product, DESK) == 0, 10.0, "the phone has signed off")


def authenticated(request: str, cseq: int, password: str) -> str:
    """The same request again with the digest of the challenge before it."""
    signed = f"[authentication username={PROVING} password={password}]\n"
    again = request.replace("CSeq: 1 ", f"CSeq: {cseq} ")
    return again.replace("Max-Forwards: 70\n", f"Max-Forwards: 70\n{signed}")


CHALLENGED = '<recv response="401" auth="true" />\n'


def register() -> str:
    sent = sipp.send("REGISTER", 1, PROVING, to_tag=False).replace(
        "To: <sip:demo@", f"To: <sip:{PROVING}@"
    )
    return sent.replace("REGISTER sip:demo@", "REGISTER sip:").replace(
        "Max-Forwards: 70\n", "Max-Forwards: 70\nExpires: 60\n"
    )


def test_sipp_registers_with_its_digest(product: RunningProduct, tmp_path: Path) -> None:
    steps = register() + CHALLENGED + authenticated(register(), 2, PASSWORD) + sipp.expect(200)
    result = sipp.call(product, tmp_path, steps)

    assert result.code == 0, result.log
    assert connected(product, PROVING) == 1


def test_sipp_calls_with_its_digest(product: RunningProduct, tmp_path: Path) -> None:
    invite = sipp.invite(PROVING)
    steps = (
        invite
        + sipp.maybe(100)
        + CHALLENGED
        + sipp.ack_refusal(PROVING, 1)
        + authenticated(invite, 2, PASSWORD)
        + sipp.maybe(100)
        + sipp.maybe(180)
        + sipp.expect(200, routes=True)
        + sipp.send("ACK", 2, PROVING)
        + sipp.pause(1)
        + sipp.hang_up(PROVING, 3)
    )
    options = ("-m", "1", "-auth_uri", f"demo@{product.configuration.sip}")
    result = sipp.call(product, tmp_path, steps, options=options)

    assert result.code == 0, result.log
    call = product.newest_call(caller=PROVING)
    assert "LegConnected" in [event["kind"] for event in product.events(call)]


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    product: RunningProduct, tmp_path: Path
) -> None:
    answers = []
    for name, password in ((PROVING, "wrong"), ("nobody", PASSWORD)):
        folder = tmp_path / name
        folder.mkdir()
        steps = register() + CHALLENGED + authenticated(register(), 2, password) + CHALLENGED
        result = sipp.call(product, folder, steps.replace(PROVING, name))
        answers.append(result.code)

    assert answers == [0, 0]
    assert connected(product, PROVING) <= 1
