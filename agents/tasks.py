"""What happens after a call. Started by the outbox alone, perhaps twice: each task may be repeated."""

from __future__ import annotations

from celery import shared_task

from agents.conversation.summary import summarise
from telephony.selectors import log_of_call
from telephony.services import save_summary, utc_now


@shared_task(name="agents.write_summary", acks_late=True, ignore_result=True)
def write_summary(call: str) -> None:
    """Writes what the call was about, from its log. Raises: CallGoneError for an unknown call."""
    summary = summarise(log_of_call(call))
    save_summary(call=call, text=summary.text, figures=summary.figures, now=utc_now())
