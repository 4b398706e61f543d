"""baresip over TLS with SRTP: the agent is heard, hold is followed, a key arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.certificates import Authority
from tests.interop.baresip import baresip
from tests.interop.tones import loud_seconds, tone_wav
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav

pytestmark = pytest.mark.timeout(60)

ACCOUNT = "<sip:{user}@{address};transport=tls>;regint=0;mediaenc=srtp-mand;audio_codecs=PCMU/8000/1;ptime=20"


USER = "sealed"


def kinds(product: RunningProduct) -> list[str]:
    return [event["kind"] for event in product.events(product.newest_call(caller=USER))]


def account(product: RunningProduct, user: str) -> str:
    return ACCOUNT.format(user=user, address=product.configuration.sip_tls)


def test_a_secure_call_is_heard_held_and_keyed(
    product: RunningProduct, authority: Authority, tmp_path: Path
) -> None:
    source = tone_wav(tmp_path / "tone.wav", 700, 20.0)
    with baresip(tmp_path, source, account(product, USER), authority=authority.file) as phone:
        phone.command("dial", f"sip:demo@{product.configuration.sip_tls};transport=tls")
        phone.until("CALL_ESTABLISHED")
        secured = phone.until("CALL_MENC")
        product.until(lambda: "UtteranceStarted" in kinds(product), 15.0, "the agent's greeting")
        phone.listen(5.0)
        phone.command("hold")
        phone.listen(1.0)
        phone.command("resume")
        phone.listen(1.0)
        phone.command("sndcode", "5")
        phone.listen(1.5)
        phone.command("hangup")
        phone.until("CALL_CLOSED")

    assert "AES_CM_128_HMAC_SHA1_80" in secured["param"]
    assert loud_seconds(read_wav(phone.recording(), 8000)) >= 2
    call = product.newest_call(caller=USER)
    found = kinds(product)
    assert found.index("CallHeld") < found.index("CallResumed") < found.index("CallEnded")
    events = product.events(call)
    digits = [e["event"]["digit"] for e in events if e["kind"] == "DigitReceived"]
    assert digits == ["5"]
    row = next(row for row in product.rows() if row["id"] == call)
    assert row["end_cause"] == "caller_hung_up"
