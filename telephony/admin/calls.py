"""Calls, audit and the outbox in the admin: for reading alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from telephony.call.errors import BrokenLogError
from telephony.models import AuditEvent, CallRecord, Outbox, RejectedEvent
from telephony.selectors import masked, readable, state_of_call, summary_of_call
from telephony.services import record_audit


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that the program writes and people read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LiveFilter(admin.SimpleListFilter):
    """Calls that are up, or over."""

    title = "state"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "live"), ("0", "ended")]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[CallRecord]
    ) -> models.QuerySet[CallRecord]:
        if self.value() is None:
            return queryset
        return queryset.filter(ended_at__isnull=self.value() == "1")


@admin.register(CallRecord)
class CallAdmin(ReadOnlyAdmin):
    """Calls, for reading. Numbers are masked without `view_pii`; what was said needs `view_transcript`."""

    list_display_links = ("started",)
    list_filter = (LiveFilter, "agent", "transport", "person_requested", "started_at")
    search_fields = ("call", "agent")
    search_help_text = "Call id or agent. Numbers are encrypted and cannot be searched."
    date_hierarchy = "started_at"
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("telephony.view_call")

    def has_view_permission(self, request: HttpRequest, obj: CallRecord | None = None) -> bool:
        return request.user.has_perm("telephony.view_call")

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        caller, called = (_number_column(request, name) for name in ("caller", "called"))
        figures = ("interruptions", "response", "person")
        return ("started", caller, called, "agent", "length", *figures)

    def get_fieldsets(self, request: HttpRequest, obj: CallRecord | None = None) -> Any:
        caller, called = (_number_column(request, name) for name in ("caller", "called"))
        return (
            (None, {"fields": (("call", "state"), (caller, called), ("agent", "version", "step"))}),
            (
                "Times",
                {"fields": (("started_at", "answered_at", "ended_at"), ("length", "end_cause"))},
            ),
            (
                "Figures",
                {"fields": (("barge_ins", "answer_ms"), ("person_requested", "controller"))},
            ),
            ("What was said", {"fields": (_summary_column(request), _transcript_column(request))}),
        )

    @admin.display(description="started", ordering="started_at")
    def started(self, call: CallRecord) -> str:
        return date_format(localtime(call.started_at), "j M, H:i:s") if call.started_at else "—"

    @admin.display(description="barge-ins", ordering="barge_ins")
    def interruptions(self, call: CallRecord) -> int:
        return call.barge_ins

    @admin.display(description="response", ordering="answer_ms")
    def response(self, call: CallRecord) -> str:
        return f"{call.answer_ms:.0f} ms" if call.answer_ms is not None else "—"

    @admin.display(description="person", ordering="person_requested")
    def person(self, call: CallRecord) -> str:
        if call.controller:
            return f"with {call.controller}"
        return "asked for" if call.person_requested else ""

    @admin.display(description="state", ordering="ended_at")
    def state(self, call: CallRecord) -> str:
        return call.phase if call.is_live else "ended"

    @admin.display(description="length")
    def length(self, call: CallRecord) -> str:
        if call.seconds is None:
            return "live"
        minutes, seconds = divmod(round(call.seconds), 60)
        return f"{minutes}:{seconds:02}"


def _number_column(request: HttpRequest, name: str) -> Any:
    """A column that shows a number as far as this person may see it."""
    unmasked = request.user.has_perm("telephony.view_pii")

    @admin.display(description=name, empty_value="")
    def column(call: CallRecord) -> str:
        number = readable(call, name)
        return number if unmasked else masked(number)

    column.__name__ = f"{name}_shown"
    return column


def _summary_column(request: HttpRequest) -> Any:
    @admin.display(description="summary")
    def summary(call: CallRecord) -> str:
        if not request.user.has_perms(("telephony.view_transcript", "telephony.view_pii")):
            return "Your role may not read this: it names the caller."
        found = summary_of_call(call.pk)
        return readable(found, "text") if found else "It is written after the call."

    return summary


def _transcript_column(request: HttpRequest) -> Any:
    @admin.display(description="transcript")
    def transcript(call: CallRecord) -> SafeString | str:
        if not request.user.has_perm("telephony.view_transcript"):
            return "Your role may not read what was said."
        record_audit(who=request.user.get_username(), what="transcript.read", subject=call.pk)
        return _transcript(call)

    return transcript


def _transcript(call: CallRecord) -> SafeString | str:
    try:
        said = state_of_call(call.pk).conversation.said
    except BrokenLogError:
        return "The log of this call cannot be read."
    lines = []
    for part in said:
        heard = part.text if part.heard is None else part.heard
        unheard = part.text[len(heard) :].strip() if part.interrupted else ""
        mark = format_html(" <s>{}</s> (not heard)", unheard) if unheard else ""
        lines.append((part.role, round(part.start_s), part.role, heard, mark))
    row = '<p class="said said-{}"><span class="said-at">{} s</span> <b>{}</b> {}{}</p>'
    return format_html_join("", row, lines) or "Nothing was said."


@admin.register(AuditEvent)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ("at", "who", "what", "object", "detail")
    list_filter = ("what", "at")
    search_fields = ("who", "object")
    date_hierarchy = "at"


@admin.register(RejectedEvent)
class RejectedEventAdmin(ReadOnlyAdmin):
    """Spool rows that could not be taken."""

    list_display = ("at", "node", "position", "call", "seq", "reason")
    list_filter = ("node",)
    search_fields = ("call",)
    exclude = ("body",)


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin):
    """Work that follows calls: done, due, or failing."""

    list_display = ("topic", "key", "tries", "next_at", "done_at", "last_error")
    list_filter = ("topic", ("done_at", admin.EmptyFieldListFilter))
    search_fields = ("key",)
