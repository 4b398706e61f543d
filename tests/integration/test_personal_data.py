"""A caller's number and words: in the encrypted columns and on permitted pages, and in no line of any log."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from telephony.call.events import Recorded, SegmentHeard
from telephony.models import AuditEvent, Outbox, RejectedEvent
from telephony.selectors import log_of_call
from telephony.services import deliver_due, utc_now
from tests.fakes.calls import CONNECT, START, FakeParticipant
from tests.fakes.conversation import Talk
from tests.integration.call_logs import fill_spool
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.shipper import Shipper, hand_out
from voiceapp.logs import JsonFormatter, PersonalDataFilter

NUMBER = "+49305550142"
SENTENCE = "my sister Wilhelmina canary is ill"


class Faulty(FakeParticipant):
    """Raises what was said, as careless code does."""

    def on_event(self, record: Recorded, state: Any) -> None:
        if isinstance(record.event, SegmentHeard):
            raise ValueError(record.event.text)


async def a_conversation() -> list[Recorded]:
    """A call from the canary number in which the canary sentence is said, keys are pressed and a part fails."""
    talk = Talk()
    talk.session.join(Faulty(talk.session))
    talk.session.start()
    talk.brain.attach()
    await talk.do(replace(START, caller=NUMBER), CONNECT)
    await talk.until_quiet()
    await talk.says(SENTENCE)
    await talk.until_quiet()
    await talk.presses(NUMBER[1:])
    records = await talk.log()
    await talk.close()
    return records


def lines_of(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, at every level, as the processes write it."""
    hide, form = PersonalDataFilter(), JsonFormatter()
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    return "\n".join(form.format(record) for record in records if hide.filter(record))


def tell_nobody(topic: str, body: Mapping[str, Any]) -> None:
    raise ValueError(SENTENCE)


def ship(data: Path) -> None:
    shipper = Shipper(data / "spool", Keyring.load(data / "secrets" / "data.key"))
    while shipper.ship():
        pass
    shipper.close()


@pytest.fixture
def shipped(data_folder: Path, caplog: pytest.LogCaptureFixture, db: None) -> list[Recorded]:
    """The conversation in the database; its last row was damaged in the spool, its summary failed once."""
    caplog.set_level(logging.DEBUG)
    records = asyncio.run(a_conversation())
    spool = fill_spool(data_folder, records)
    with closing(sqlite3.connect(spool)) as connection, connection:
        connection.execute("UPDATE event SET body = 'x' WHERE seq = ?", (len(records),))
    ship(data_folder)
    Outbox.objects.create(topic="call_ended", key="c1", body={"call": "c1"}, next_at=utc_now())
    deliver_due(now=utc_now(), deliver=tell_nobody)
    Outbox.objects.update(next_at=utc_now())
    hand_out()
    return records


def test_neither_number_nor_words_of_a_caller_are_in_any_log_line(
    shipped: list[Recorded], admin: Client, supervisor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for page in ("/admin/telephony/callrecord/c1/change/", "/admin/telephony/callrecord/"):
        for client in (admin, supervisor):
            client.get(page)

    lines = lines_of(caplog)

    assert SENTENCE in [r.event.text for r in log_of_call("c1") if type(r.event) is SegmentHeard]
    assert "participant_failed" in lines
    assert "events_rejected" in lines
    assert "outbox_postponed" in lines
    assert "Wilhelmina" not in lines
    assert NUMBER[1:] not in lines


def test_neither_is_in_the_texts_of_faults_and_audit(
    shipped: list[Recorded], admin: Client
) -> None:
    admin.get("/admin/telephony/callrecord/c1/change/")

    faults = [rejected.reason for rejected in RejectedEvent.objects.all()]
    faults += [task.last_error for task in Outbox.objects.all()]
    deeds = [f"{deed} {deed.detail}" for deed in AuditEvent.objects.all()]

    assert faults
    assert deeds
    assert not [text for text in faults + deeds if "Wilhelmina" in text or NUMBER[1:] in text]


def test_the_text_of_our_own_errors_and_of_the_system_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    try:
        Path("/nowhere/at/all").read_bytes()
    except OSError as error:
        try:
            raise ExceptionGroup("parts", [ValueError(SENTENCE)]) from error
        except ExceptionGroup:
            logging.getLogger("x").exception("part_failed")

    line = lines_of(caplog)

    assert "No such file" in line
    assert "ValueError" in line
    assert "Wilhelmina" not in line
