"""Trunks in the admin. Passwords can be set and never seen."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telephony.admin.parts import (
    LOST,
    LinesField,
    PublishedAdmin,
    SecretField,
    WordsField,
)
from telephony.admin.presets import PRESETS
from telephony.models import CallerId, Destination, Peer, Trunk
from telephony.selectors import UNREADABLE, TrunkState, readable, trunk_states, trunk_values
from telephony.snapshot_rows import Row, SnapshotError
from telephony.trunks import CODECS, TRUNK_CODECS, parse_trunks

_HOST: Final = re.compile(
    r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(:\d{1,5})?$"
)
_FIELD: Final = re.compile(r"(\w+)")


def network_problem(text: str) -> str | None:
    """What is wrong with an address or a network, in words."""
    try:
        network = ip_network(text)
    except ValueError:
        try:
            return f"write the network as {ip_network(text, strict=False)}"
        except ValueError:
            return "not an address or a network such as 192.0.2.0/24"
    if network.prefixlen == 0:
        return "that is the whole internet; whoever may call needs to be named"
    return None


def host_problem(text: str) -> str | None:
    """What is wrong with a host to call, in words."""
    found = _HOST.match(text)
    if found is None:
        return "write a name or an address, with a port if it is not the usual one: sip.example.com:5070"
    port = found[2]
    return "a port is 1 to 65535" if port and not 0 < int(port[1:]) < 65536 else None


class TrunkForm(forms.ModelForm):
    """Whether the values fit together is checked as the media node will check them."""

    hosts = LinesField(
        required=False,
        placeholder="sip.example.com",
        problem=host_problem,
        help_text=Trunk._meta.get_field("hosts").help_text,
    )
    networks = LinesField(
        label="Accepted addresses",
        required=False,
        placeholder="192.0.2.0/24",
        problem=network_problem,
        help_text=Trunk._meta.get_field("networks").help_text,
    )
    media_networks = LinesField(
        label="Accepted audio addresses",
        required=False,
        problem=network_problem,
        help_text=Trunk._meta.get_field("media_networks").help_text,
    )
    codecs = WordsField(
        choices=CODECS,
        initial=list(TRUNK_CODECS),
        help_text="In the order in which we like them.",
    )
    new_password = SecretField(label="Password")
    forget_password = forms.BooleanField(label="Forget the password", required=False)

    class Meta:
        model = Trunk
        fields = ("hosts", "networks", "media_networks", "codecs")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_set = bool(self.instance.pk and vars(self.instance).get("password"))
        state = "It is set; leave this empty to keep it." if is_set else "It is not set."
        self.fields["new_password"].help_text = state
        if not is_set:
            del self.fields["forget_password"]

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.cleaned_data.get("forget_password"):
            self.instance.password = ""
        elif self.cleaned_data.get("new_password"):
            self.instance.password = self.cleaned_data["new_password"]
        elif readable(self.instance, "password") == UNREADABLE:
            self.add_error("new_password", LOST)
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own hook: the instance has the values now
        if self.errors:
            return
        values = trunk_values(self.instance)
        if vars(self.instance).get("password"):
            values["password"] = "kept"  # noqa: S105 - stands for the one that is not shown
        try:
            parse_trunks([Row(values, "")], lambda sealed, _: sealed)
        except SnapshotError as error:
            name = _FIELD.match(error.where)
            field = name[1] if name and name[1] in self.fields else None
            self.add_error(field, f"{error.what[:1].upper()}{error.what[1:]}.")


class CallerIdInline(admin.TabularInline):
    """Numbers the trunk may show."""

    model = CallerId
    extra = 0
    fields = ("position", "number")


class DestinationInline(admin.TabularInline):
    """What may be dialled."""

    model = Destination
    extra = 0
    fields = ("prefix", "note")


@admin.register(Trunk)
class TrunkAdmin(PublishedAdmin):
    """Carriers and PBXs."""

    form = TrunkForm
    inlines = (CallerIdInline, DestinationInline)
    search_fields = ("name", "label")
    save_on_top = True
    change_form_template = "admin/telephony/trunk/change_form.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "label", "enabled"),
                    "hosts",
                    ("transport", "srtp"),
                    "networks",
                )
            },
        ),
        (
            "Login",
            {
                "description": "Only where the other end asks for it. The password is kept encrypted and never shown.",
                "fields": (("username", "new_password"), "register"),
            },
        ),
        (
            "Limits",
            {"fields": (("max_calls", "max_cps"), ("max_calls_per_day", "max_minutes_per_day"))},
        ),
        (
            "Numbers",
            {
                "fields": (
                    ("number_format", "country"),
                    "caller_id_rule",
                ),
                "description": "Which caller IDs it may show and what may be dialled is listed at the end of this page.",
            },
        ),
        (
            "More about numbers",
            {
                "classes": ("collapse",),
                "fields": (
                    ("prefix", "national_prefix", "international_prefix"),
                    ("trusted", "send_pai"),
                    "position",
                ),
            },
        ),
        (
            "More about audio",
            {
                "classes": ("collapse",),
                "fields": (("codecs", "dtmf"), "srtp_without_tls", "media_networks"),
            },
        ),
        (
            "More about signalling",
            {
                "classes": ("collapse",),
                "fields": (
                    ("realm", "challenge_inbound"),
                    ("register_expires_s", "session_expires_s", "ping_s"),
                    ("allow_refer_in", "send_refer"),
                    "advertised",
                    "peer",
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows.annotate(
            ids=Count("caller_ids", distinct=True), places=Count("destinations", distinct=True)
        )

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("name", "label", _state_column(), "where", "may_dial", "enabled")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Trunk | None = None
    ) -> tuple[str, ...]:
        return ("name",) if obj else ()  # rules and figures refer to it

    def get_fieldsets(self, request: HttpRequest, obj: Trunk | None = None) -> Any:
        if obj is None or not vars(obj).get("password"):
            return self.fieldsets
        first, login, *rest = self.fieldsets
        fields = (("username", "new_password"), "forget_password", "register")
        return (first, (login[0], {**login[1], "fields": fields}), *rest)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        peer = request.GET.get("peer", "")
        return {"peer": peer, **PRESETS[peer].values} if peer in PRESETS else {}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        peer = request.GET.get("peer", "")
        context = {
            "peers": [(each.value, each.label, each.value == peer) for each in Peer],
            "note": PRESETS[peer].note if peer in PRESETS else "",
        }
        return super().add_view(request, form_url, {**(extra_context or {}), **context})

    @admin.display(description="sends to")
    def where(self, trunk: Trunk) -> str:
        return ", ".join(trunk.hosts) or "nowhere"

    @admin.display(description="may dial")
    def may_dial(self, trunk: Any) -> str:
        places = "1 destination" if trunk.places == 1 else f"{trunk.places} destinations"
        ids = "1 caller ID" if trunk.ids == 1 else f"{trunk.ids} caller IDs"
        return f"{places}, {ids}" if trunk.places else "nothing"


def _state_column() -> Any:
    states = trunk_states()  # once for the whole list

    @admin.display(description="now")
    def column(trunk: Trunk) -> SafeString | str:
        if not trunk.enabled:
            return "off"
        if states is None:
            return "no media node answers"
        return state_words(states.get(trunk.name))

    return column


def state_words(state: TrunkState | None) -> SafeString | str:
    """Word, calls and where it is troubled, with a mark whose colour says no more than the word."""
    if state is None:
        return "not watched"
    kind = "good" if state.is_good else "bad" if state.is_bad else "dim"
    calls = f"{state.calls} call{'' if state.calls == 1 else 's'}"
    trouble = f" (not from {', '.join(state.troubled)})" if state.troubled else ""
    trouble += f" ({state.why})" if state.why else ""
    return format_html(
        '<span class="trunk-state {}">{}</span> · {}{}', kind, state.word, calls, trouble
    )
