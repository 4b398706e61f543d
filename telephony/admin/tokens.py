"""Keys to the API: shown once, kept as hashes, revoked and never removed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from telephony.admin.parts import AgentsField
from telephony.models import ApiToken
from telephony.services import new_token, record_audit, revoke_token, utc_now


class ApiTokenForm(forms.ModelForm):
    """Agents are ticked by name."""

    agents = AgentsField(help_text="It may place calls for these alone.")

    class Meta:
        model = ApiToken
        fields = ("label", "agents")

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("may_dial") and not found.get("agents"):
            self.add_error("agents", "Tick the agents for which it may place calls.")
        return found


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Programs that may place calls over HTTP (docs/api.md)."""

    form = ApiTokenForm
    list_display = ("label", "hint", "may_dial", "may_read", "state", "used_at")
    search_fields = ("label",)
    actions = ("revoke",)
    readonly_fields = ("hint", "made_by", "made_at", "used_at", "revoked_at")
    fieldsets = (
        (None, {"fields": ("label", ("may_dial", "may_read"), "agents", "expires_at")}),
        ("Limits", {"fields": (("per_minute", "max_calls", "max_calls_per_day"),)}),
        (
            "Life",
            {
                "classes": ("collapse",),
                "fields": ("hint", "made_by", "made_at", "used_at", "revoked_at"),
            },
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # which calls it placed stays known

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        deed = "changed" if change else "added"
        if not change:
            secret = new_token(obj)
            obj.made_by_id = request.user.pk
            text = f"The token is {secret} — copy it now, it is not shown again."
            messages.warning(request, text)
        super().save_model(request, obj, form, change)
        fields = ", ".join(form.changed_data)[:500]
        record_audit(
            who=request.user.get_username(),
            what=f"apitoken.{deed}",
            subject=str(obj)[:100],
            detail={"fields": fields} if fields else None,
        )

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return "revoked"
        return "expired" if token.expires_at and token.expires_at <= utc_now() else "in force"

    @admin.action(description="Revoke at once", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset:
            revoke_token(token, who=request.user.get_username())
