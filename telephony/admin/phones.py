"""Extensions and queues in the admin. Passwords can be set and never seen."""

from __future__ import annotations

import secrets
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from telephony.admin.parts import LOST, AgentChoiceField, PublishedAdmin, SecretField, WordsField
from telephony.models import Extension, Queue, QueueMember
from telephony.selectors import UNREADABLE, extensions_connected, readable
from telephony.services import set_extension_password
from telephony.trunks import CODECS, EXTENSION_CODECS

SHORTEST_PASSWORD: Final = 12


def _connected_column() -> Any:
    connected = extensions_connected()  # once for the whole list

    @admin.display(description="now")
    def column(extension: Extension) -> str:
        if connected is None:
            return "no media node answers"
        return "logged in" if extension.name in connected else "not logged in"

    return column


class ExtensionForm(forms.ModelForm):
    """A phone's password is kept as what SIP needs of it, encrypted."""

    codecs = WordsField(
        choices=CODECS,
        initial=list(EXTENSION_CODECS),
        help_text="In the order in which we like them.",
    )
    new_password = SecretField(label="Password")

    class Meta:
        model = Extension
        fields = ("name", "label", "person", "codecs", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_set = bool(self.instance.pk and vars(self.instance).get("ha1"))
        kept = "It is set; leave this empty to keep it."
        made = "Leave this empty for a strong one, which is shown once."
        self.fields["new_password"].help_text = kept if is_set else made

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if not password and readable(self.instance, "ha1") == UNREADABLE:
            raise ValidationError(LOST)
        if password and len(password) < SHORTEST_PASSWORD:
            raise ValidationError(
                f"At least {SHORTEST_PASSWORD} characters: phones are attacked day and night."
            )
        return password


@admin.register(Extension)
class ExtensionAdmin(PublishedAdmin):
    """Phones that log in here."""

    form = ExtensionForm
    list_select_related = ("person",)
    search_fields = ("name", "label", "person__username")
    fields = (("name", "label"), "person", "new_password", "codecs", "enabled")

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("name", "label", "person", _connected_column(), "logs_in", "enabled")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Extension | None = None
    ) -> tuple[str, ...]:
        return ("name",) if obj else ()  # the password is bound to it

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        password = form.cleaned_data["new_password"]
        if not password and not vars(obj).get("ha1"):
            password = secrets.token_urlsafe(12)
            text = f"The password of {obj.name} is {password} — it is not shown again."
            messages.warning(request, text)
        if password:
            set_extension_password(obj, password)
        super().save_model(request, obj, form, change)

    @admin.display(description="password")
    def logs_in(self, extension: Extension) -> str:
        return "set" if vars(extension).get("ha1") else "not set"


class QueueForm(forms.ModelForm):
    """Agents are chosen by name."""

    overflow_agent = AgentChoiceField(
        label="If nobody takes it",
        required=False,
        help_text="The agent that answers then; without one the call is refused.",
    )

    class Meta:
        model = Queue
        fields = ("name", "label", "ring_s", "overflow_agent", "overflow_status")


class QueueMemberInline(admin.TabularInline):
    """Whose phones ring, in this order."""

    model = QueueMember
    extra = 1
    fields = ("position", "extension")


@admin.register(Queue)
class QueueAdmin(PublishedAdmin):
    """People who are rung one after the other."""

    form = QueueForm
    inlines = (QueueMemberInline,)
    list_display = ("name", "label", "people", "ring_s", "overflow_agent")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("members__extension")

    @admin.display(description="people")
    def people(self, queue: Queue) -> str:
        return ", ".join(str(member.extension) for member in queue.members.all()) or "nobody"
