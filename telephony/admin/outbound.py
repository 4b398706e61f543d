"""What may be dialled by whom, and who is shut out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from telephony.admin.parts import AgentChoiceField, DaysField, LinesField, PublishedAdmin
from telephony.admin.routing import zone_problem
from telephony.admin.trunks import network_problem
from telephony.models import Ban, CallingWindow, DialRight, OutboundPolicy
from telephony.models.routing import WEEK
from telephony.services import ensure_outbound_policy
from telephony.trunks import is_destination

CAPS = (("max_calls", "max_cps"), ("max_calls_per_day", "max_minutes_per_day"))


def prefix_problem(text: str) -> str | None:
    """What is wrong with a prefix, in words."""
    return None if is_destination(text) else "write + and figures, such as +49"


class DialRightForm(forms.ModelForm):
    """Agents are chosen by name."""

    agent = AgentChoiceField(label="Agent")
    destinations = LinesField(
        required=False,
        placeholder="+49",
        problem=prefix_problem,
        help_text=DialRight._meta.get_field("destinations").help_text,
    )

    class Meta:
        model = DialRight
        fields = ("agent", "destinations")


@admin.register(DialRight)
class DialRightAdmin(PublishedAdmin):
    """Agents that may place calls."""

    form = DialRightForm
    list_display = ("agent", "max_calls", "max_calls_per_day", "max_minutes_per_day", "enabled")
    filter_horizontal = ("trunks",)
    fieldsets = (
        (None, {"fields": (("agent", "enabled"), *CAPS)}),
        ("Only", {"classes": ("collapse",), "fields": ("any_trunk", "trunks", "destinations")}),
    )


class CallingWindowForm(forms.ModelForm):
    """Hours in the zone of the people who are called."""

    prefixes = LinesField(rows=2, placeholder="+49", problem=prefix_problem)
    days = DaysField(initial=WEEK)

    class Meta:
        model = CallingWindow
        fields = ("prefixes", "zone", "days", "opens", "closes")

    def clean_zone(self) -> str:
        zone: str = self.cleaned_data["zone"]
        problem = zone_problem(zone)
        if problem:
            raise ValidationError(f"{zone}: {problem}.")
        return zone


class CallingWindowInline(admin.StackedInline):
    """When people may be called."""

    model = CallingWindow
    form = CallingWindowForm
    extra = 0
    fields = ("prefixes", ("zone", "opens", "closes"), "days")


class OutboundPolicyForm(forms.ModelForm):
    """One prefix per line."""

    blocked = LinesField(
        label="Never dialled",
        required=False,
        problem=prefix_problem,
        help_text=OutboundPolicy._meta.get_field("blocked").help_text,
    )

    class Meta:
        model = OutboundPolicy
        fields = ("blocked",)


@admin.register(OutboundPolicy)
class OutboundPolicyAdmin(PublishedAdmin):
    """What holds for all placed calls: one page."""

    form = OutboundPolicyForm
    inlines = (CallingWindowInline,)
    fieldsets = ((None, {"fields": (*CAPS, "blocked")}),)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)
        policy = ensure_outbound_policy()
        return HttpResponseRedirect(
            reverse("admin:telephony_outboundpolicy_change", args=[policy.pk])
        )


class BanForm(forms.ModelForm):
    """An address or a network."""

    class Meta:
        model = Ban
        fields = ("network", "reason", "until")

    def clean_network(self) -> str:
        text: str = self.cleaned_data["network"].strip()
        problem = network_problem(text)
        if problem:
            raise ValidationError(f"{text}: {problem}.")
        return text


@admin.register(Ban)
class BanAdmin(PublishedAdmin):
    """Sources whose packets are dropped unread."""

    form = BanForm
    list_display = ("network", "reason", "until")
    search_fields = ("network", "reason")
