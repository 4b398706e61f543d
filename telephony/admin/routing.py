"""Numbers with their rules, widget keys, and the page that says where a call would go."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telephony.admin.parts import AgentChoiceField, DaysField, LinesField, PublishedAdmin
from telephony.dialplan import RouteFacts, RouteLoad
from telephony.models import Number, Route, Trunk, WidgetKey, origin_problem
from telephony.models.routing import WEEK
from telephony.selectors import answering_agents, plan_in_force, rule_always_applies
from telephony.services import utc_now
from telephony.snapshot_rows import SnapshotError
from telephony.wording import where_to


def zone_problem(name: str) -> str | None:
    """What is wrong with the name of a time zone, in words."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return "not a time zone such as Europe/Berlin"
    return None


def _date_problem(text: str) -> str | None:
    try:
        date.fromisoformat(text)
    except ValueError:
        return "write dates like 2026-12-25"
    return None


class RuleForm(forms.ModelForm):
    """Agents are chosen by name, days by ticking them."""

    agent = AgentChoiceField(label="Answered by", required=False)
    overflow_agent = AgentChoiceField(
        label="If nobody takes it",
        required=False,
        help_text="The agent that answers then; without one the call is refused.",
    )
    days = DaysField(initial=WEEK)
    closed = LinesField(
        label="Not on",
        required=False,
        rows=2,
        placeholder="2026-12-25",
        problem=_date_problem,
        help_text="Holidays, one date per line.",
    )

    class Meta:
        model = Route
        fields = ("agent", "overflow_agent", "days", "closed")

    def clean_zone(self) -> str:
        zone: str = self.cleaned_data["zone"]
        problem = zone_problem(zone) if zone else None
        if problem:
            self.instance.zone = zone  # named, if wrongly: the rule does not ask for it again
            raise ValidationError(f"{zone}: {problem}.")
        return zone


class RuleFormSet(forms.BaseInlineFormSet):
    """The rules of a number, in their order."""

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if self._is_kept(form)]
        enabled = [form for form in kept if form.instance.enabled]
        enabled.sort(key=lambda form: form.instance.position)
        for form in enabled[:-1]:
            if rule_always_applies(form.instance):
                text = "This rule always applies, so none behind it is ever reached: put it last, or say when."
                form.add_error(None, text)
                raise ValidationError("The rules were not saved.")

    def _is_kept(self, form: forms.ModelForm) -> bool:
        filled = form.has_changed() or form.instance.pk is not None
        return filled and form.is_valid() and not form.cleaned_data.get("DELETE", False)


class RuleInline(admin.StackedInline):
    """Where calls of this number go: from the top, the first rule that applies."""

    model = Route
    form = RuleForm
    formset = RuleFormSet
    extra = 0
    min_num = 1
    fieldsets = (
        (
            None,
            {"fields": (("position", "name", "enabled"), ("target", "agent"))},
        ),
        (
            "Phone, queue, forwarding, refusal",
            {
                "classes": ("collapse",),
                "fields": (
                    ("extension", "queue"),
                    ("forward_trunk", "forward_number"),
                    ("ring_s", "overflow_agent"),
                    ("refuse_status", "retry_after_s"),
                ),
            },
        ),
        (
            "Only when",
            {
                "classes": ("collapse",),
                "description": "Empty fields ask for nothing; all that are filled in must fit.",
                "fields": (
                    "trunk",
                    ("header", "header_test", "header_value"),
                    ("zone", "opens", "closes"),
                    "days",
                    "closed",
                    ("agent_calls_below", "node_calls_below"),
                ),
            },
        ),
    )


@admin.register(Number)
class NumberAdmin(PublishedAdmin):
    """What can be dialled, and who answers."""

    inlines = (RuleInline,)
    search_fields = ("dialled", "label")
    change_list_template = "admin/telephony/number/change_list.html"

    class Media:
        js = (forms.Script("admin_theme/rules.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("routes__extension", "routes__queue", "routes__forward_trunk")
        )

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("dialled", "label", _answered_by_column(), "in_service")

    @admin.display(description="in service", boolean=True)
    def in_service(self, number: Number) -> bool:
        return any(rule.enabled for rule in number.routes.all())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [path("preview/", view, name="telephony_number_preview"), *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Where a call would go by the plan in force; changes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PreviewForm(request.POST if request.method == "POST" else None)  # no number in a URL
        context = {
            **self.admin_site.each_context(request),
            "title": "Where would a call go?",
            "opts": self.opts,
            "form": form,
            "answer": form.answer() if form.is_bound and form.is_valid() else None,
        }
        return TemplateResponse(request, "admin/telephony/number/preview.html", context)


def _answered_by_column() -> Any:
    agents = answering_agents()  # once for the whole list

    def words(rule: Route) -> str:
        if rule.target != "agent":
            return rule.answered_by
        agent = agents.get(rule.agent)
        if agent is None:
            return "nobody"
        version = f"version {agent.version}" if agent.version else "not published"
        return f"{agent.name} ({version})"

    @admin.display(description="answered by")
    def column(number: Number) -> str:
        rules = [rule for rule in number.routes.all() if rule.enabled]
        return (
            "; ".join(f"{rule.name}: {words(rule)}" if rule.name else words(rule) for rule in rules)
            or "nobody"
        )

    return column


class PreviewForm(forms.Form):
    """A call that is only thought of."""

    called = forms.CharField(label="A call to", max_length=64)
    trunk = forms.ChoiceField(label="from trunk", required=False)
    at = forms.CharField(
        label="at",
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "2026-12-24 18:30"}),
        help_text="Empty: now.",
    )
    zone = forms.CharField(label="time zone", initial="UTC", max_length=64)
    header = forms.CharField(label="with header", required=False, max_length=64)
    value = forms.CharField(required=False, max_length=128)
    agent_calls = forms.IntegerField(
        label="while the agent has", required=False, min_value=0, help_text="calls"
    )
    node_calls = forms.IntegerField(
        label="and the media node", required=False, min_value=0, help_text="calls"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Trunk.objects.values_list("name", flat=True)
        field = self.fields["trunk"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [("", "none"), *((name, name) for name in names)]

    def clean_zone(self) -> ZoneInfo:
        name: str = self.cleaned_data["zone"]
        problem = zone_problem(name)
        if problem:
            raise ValidationError(f"{name}: {problem}.")
        return ZoneInfo(name)

    def clean_at(self) -> datetime | None:
        text: str = self.cleaned_data["at"]
        try:
            return datetime.fromisoformat(text) if text else None
        except ValueError as error:
            raise ValidationError("Write it like 2026-12-24 18:30.") from error

    def answer(self) -> dict[str, str]:
        """`where`, and the `rule` that said so; or why it cannot be told. For a form that is valid."""
        given = self.cleaned_data
        zone, at = given["zone"], given["at"]
        moment = utc_now() if at is None else at.replace(tzinfo=at.tzinfo or zone)
        try:
            plan = plan_in_force()
        except FileNotFoundError:
            return {"where": "Nothing is published yet: no number is answered.", "rule": ""}
        except (SnapshotError, OSError):
            return {"where": "The published plan cannot be read here.", "rule": ""}
        facts = RouteFacts(
            called=(given["called"],),
            at=moment,
            trunk=given["trunk"],
            headers={given["header"].lower(): given["value"]} if given["header"] else {},
            load=RouteLoad(
                node_calls=given["node_calls"] or 0,
                agent_calls=dict.fromkeys(answering_agents(), given["agent_calls"] or 0),
            ),
        )
        decision = plan.decide(facts)
        when = moment.astimezone(zone).strftime("%a %d %b %Y, %H:%M")
        return {"where": where_to(decision), "rule": decision.rule, "when": f"{when} ({zone.key})"}


class WidgetKeyForm(forms.ModelForm):
    """Origins one per line, agents by name."""

    agent = AgentChoiceField(label="Answered by")
    origins = LinesField(
        required=False,
        rows=4,
        placeholder="https://www.example.com",
        problem=origin_problem,
        help_text="Sites that may use this key, one per line, exactly as the browser's address begins: "
        "https://www.example.com. No wildcards. Without one, nobody can use it.",
    )

    class Meta:
        model = WidgetKey
        fields = ("label", "key", "agent", "origins", "enabled")


@admin.register(WidgetKey)
class WidgetKeyAdmin(PublishedAdmin):
    """Sites that may call from the browser."""

    form = WidgetKeyForm
    list_display = ("label_or_key", "key", "agent", "sites", "enabled")
    list_filter = ("enabled", "agent")
    search_fields = ("label", "key", "agent")
    readonly_fields = ("embed",)

    def get_fields(self, request: HttpRequest, obj: WidgetKey | None = None) -> tuple[str, ...]:
        fields = ("label", "key", "agent", "origins", "enabled")
        return (*fields, "embed") if obj else fields

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> WidgetKey | None:
        key: WidgetKey | None = super().get_object(request, object_id, from_field)
        if key is not None:  # the address this person sees us under goes into the tag to copy
            vars(key)["script"] = request.build_absolute_uri(settings.WIDGET_SCRIPT)
        return key

    @admin.display(description="site", ordering="label")
    def label_or_key(self, key: WidgetKey) -> str:
        return key.label or key.key

    @admin.display(description="origins")
    def sites(self, key: WidgetKey) -> str:
        return ", ".join(key.origins) or "none: nobody can use it"

    @admin.display(description="for the page")
    def embed(self, key: WidgetKey) -> SafeString:
        script = f'<script src="{vars(key)["script"]}" defer></script>'
        tag = f'{script}\n<voice-agent agent="{key.key}"></voice-agent>'
        return format_html('<pre class="embed">{}</pre>', tag)
