"""Agents in the admin: the draft with its steps and questions, published versions, roll back and differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents.models import Agent, AgentVersion, Intent, Step
from agents.selectors import definition_of, diff_lines, draft_definition, text_of, version_of
from agents.services import (
    NotPublishableError,
    copy_to_draft,
    place_of,
    problems_of,
    publish_agent,
    publish_snapshot,
    roll_back,
)
from telephony.admin.parts import SHORT_NAMES

PUBLISH = "_publish"
"""Name of the button “Save and publish”."""


class DraftForm(forms.ModelForm):
    """The agent's own fields; the last formset, which sees the whole draft, reports its faults here too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.draft_form = self


class RowFormSet(forms.BaseInlineFormSet):
    """Rows of a draft, in their order, without those that are being removed."""

    def rows(self) -> list[Any]:
        kept = [form for form in self.forms if self._is_kept(form)]
        ordered = sorted(kept, key=lambda form: form.instance.position or 0)
        return [form.instance for form in ordered]

    def form_of(self, name: str) -> forms.ModelForm | None:
        named = (form for form in self.forms if form.instance.name == name)
        return next((form for form in named if self._is_kept(form)), None)

    def _is_kept(self, form: forms.ModelForm) -> bool:
        filled = form.has_changed() or form.instance.pk is not None
        return filled and not form.cleaned_data.get("DELETE", False)


class StepFormSet(RowFormSet):
    """The steps of a draft."""

    def clean(self) -> None:
        super().clean()
        self.instance.step_forms = self


class IntentFormSet(RowFormSet):
    """The questions of a draft. Cleaned last, so it checks all of it when it is to be published."""

    def clean(self) -> None:
        super().clean()
        steps: StepFormSet | None = getattr(self.instance, "step_forms", None)
        form: DraftForm = self.instance.draft_form
        readable = steps is not None and form.is_valid() and steps.is_valid()
        if PUBLISH not in self.data or not readable or any(self.errors):
            return
        assert steps is not None  # noqa: S101 - `readable` says so; mypy cannot see it
        problems = problems_of(definition_of(self.instance, steps.rows(), self.rows()))
        for problem in problems:
            self._show(problem, form, steps)
        if problems:
            raise forms.ValidationError("Nothing was saved: the flow below has faults.")

    def _show(self, problem: str, form: DraftForm, steps: StepFormSet) -> None:
        place = place_of(problem)
        owners: dict[str, forms.ModelForm | None] = {
            "steps": steps.form_of(place.name),
            "intents": self.form_of(place.name),
        }
        target = owners.get(place.part) or form
        field = place.field if place.field in target.fields else None
        target.add_error(field, place.text if target is not form or field else problem)


TEXTS: Final[Mapping[Any, Mapping[str, Any]]] = {
    models.TextField: {"widget": forms.Textarea(attrs={"rows": 3})}
}


class StepInline(admin.StackedInline):
    """Steps, in the order in which they are read."""

    model = Step
    formset = StepFormSet
    extra = 0
    formfield_overrides = TEXTS
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("position", "name"),
                    "say",
                    ("kind", "slot"),
                    ("next", "ending", "transfer"),
                )
            },
        ),
        (
            "Answers, limits and what it says then",
            {
                "classes": ("collapse",),
                "fields": (
                    ("answers", "options"),
                    ("reprompts", "unfit"),
                    ("listens", "clears"),
                    ("minimum", "maximum", "within_days"),
                    ("weekdays", "earliest", "latest"),
                ),
            },
        ),
    )


class IntentInline(admin.StackedInline):
    """What callers may ask at any time."""

    model = Intent
    formset = IntentFormSet
    extra = 0
    formfield_overrides = TEXTS
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("position", "name", "everywhere"),
                    ("phrases", "say"),
                    ("next", "ending", "transfer"),
                )
            },
        ),
    )


@admin.register(Agent)
class AgentAdmin(admin.ModelAdmin):
    """Draft, publish, roll back."""

    form = DraftForm
    inlines = (StepInline, IntentInline)
    list_display = ("name", "slug", "in_force", "draft_state", "step_count")
    search_fields = ("name", "slug")
    formfield_overrides = {**TEXTS, **SHORT_NAMES}
    save_on_top = True
    actions = ("publish_selected",)
    change_form_template = "admin/agents/agent/change_form.html"
    fieldsets = (
        (None, {"fields": (("name", "slug"), ("start", "voice", "zone"), "facts", "must_say")}),
        (
            "Words and rules",
            {"classes": ("collapse",), "fields": ("never_say", "names", "wording", "instructions")},
        ),
        ("Transfers", {"classes": ("collapse",), "fields": ("transfers",)}),
        (
            "Limits",
            {
                "classes": ("collapse",),
                "fields": (
                    ("turns", "minutes", "misunderstandings"),
                    ("silence_s", "silences"),
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Agent]:
        agents: models.QuerySet[Agent] = super().get_queryset(request).select_related("published")
        agents = agents.annotate(number_of_steps=Count("steps"))
        place = request.resolver_match
        if place is not None and place.url_name == "agents_agent_changelist":
            return agents.prefetch_related("steps", "intents")  # the list compares each draft
        return agents

    def get_readonly_fields(
        self, request: HttpRequest, obj: Agent | None = None
    ) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        if obj is not None and obj.published_id is not None:
            return False  # calls refer to its versions
        return super().has_delete_permission(request, obj)

    @admin.display(description="callers hear")
    def in_force(self, agent: Agent) -> str:
        return f"version {agent.published.number}" if agent.published else "nothing yet"

    @admin.display(description="draft")
    def draft_state(self, agent: Agent) -> str:
        if agent.published and draft_definition(agent) == agent.published.definition:
            return "as published"
        return "has changes"

    @admin.display(description="steps", ordering="number_of_steps")
    def step_count(self, agent: Any) -> int:
        return int(agent.number_of_steps)

    # ------------------------------------------------------------------------------------- publishing

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("agents.publish_agent")

    def response_change(self, request: HttpRequest, obj: Agent) -> HttpResponse:
        if PUBLISH not in request.POST:
            self._mention_faults(request, obj)
            return super().response_change(request, obj)
        self._publish(request, obj)
        return HttpResponseRedirect(reverse("admin:agents_agent_change", args=[obj.pk]))

    def response_add(
        self, request: HttpRequest, obj: Agent, post_url_continue: str | None = None
    ) -> HttpResponse:
        if PUBLISH in request.POST:
            self._publish(request, obj)
            return HttpResponseRedirect(reverse("admin:agents_agent_change", args=[obj.pk]))
        self._mention_faults(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def _mention_faults(self, request: HttpRequest, agent: Agent) -> None:
        problems = problems_of(draft_definition(agent))
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            text = f"The draft is saved. Before it can be published: {problems[0]}{more}."
            messages.warning(request, text)

    def _publish(self, request: HttpRequest, agent: Agent) -> None:
        if not self.has_publish_permission(request):
            raise PermissionDenied
        try:
            version = publish_agent(agent=agent, who=request.user.get_username())
        except NotPublishableError as error:
            for problem in error.problems:
                messages.error(request, f"{agent.name} was not published. {problem}.")
            return
        self._put_in_force(request, f"{agent.name}: version {version.number} is published.")

    def _put_in_force(self, request: HttpRequest, done: str) -> None:
        def tell_nodes() -> None:
            published = publish_snapshot()
            level = messages.WARNING if published.refusals else messages.SUCCESS
            messages.add_message(request, level, f"{done} {published}")

        transaction.on_commit(tell_nodes)

    @admin.action(description="Publish the drafts", permissions=["publish"])
    def publish_selected(self, request: HttpRequest, queryset: models.QuerySet[Agent]) -> None:
        for agent in queryset:
            self._publish(request, agent)

    # --------------------------------------------------------------------------------------- versions

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path(
                "<int:pk>/versions/",
                view(self.versions_view),
                name="agents_agent_versions",
            ),
            path(
                "<int:pk>/versions/<int:number>/",
                view(self.version_view),
                name="agents_agent_version",
            ),
        ]
        return own + super().get_urls()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_publish"] = self.has_publish_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def versions_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """All versions, and what the draft changes."""
        agent = self._agent(request, pk)
        before = text_of(agent.published.definition) if agent.published else ""
        context = self._context(request, agent, f"Versions of {agent.name}")
        context["versions"] = agent.versions.all()
        context["changes"] = diff_lines(before, text_of(draft_definition(agent)))
        context["problems"] = problems_of(draft_definition(agent))
        return TemplateResponse(request, "admin/agents/agent/versions.html", context)

    def version_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """One version against the published one; POST rolls back or copies it into the draft."""
        agent = self._agent(request, pk)
        version = version_of(agent, number)
        if version is None:
            raise Http404
        if request.method == "POST":
            return self._use_version(request, version)
        published = text_of(agent.published.definition) if agent.published else ""
        context = self._context(request, agent, f"{agent.name}, version {number}")
        context["version"] = version
        context["changes"] = diff_lines(published, text_of(version.definition))
        context["definition"] = text_of(version.definition)
        return TemplateResponse(request, "admin/agents/agent/version.html", context)

    def _use_version(self, request: HttpRequest, version: AgentVersion) -> HttpResponse:
        if not (self.has_publish_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        who = request.user.get_username()
        if "_draft" in request.POST:
            copy_to_draft(version=version, who=who)
            messages.success(request, f"The draft is version {version.number} again.")
            return HttpResponseRedirect(
                reverse("admin:agents_agent_change", args=[version.agent_id])
            )
        try:
            with transaction.atomic():
                roll_back(version=version, who=who)
                self._put_in_force(request, f"Callers get version {version.number} again.")
        except NotPublishableError as error:
            messages.error(request, f"Version {version.number} cannot be used: {error}.")
        return HttpResponseRedirect(reverse("admin:agents_agent_versions", args=[version.agent_id]))

    def _agent(self, request: HttpRequest, pk: int) -> Agent:
        agent: Agent | None = self.get_object(request, str(pk))
        if agent is None:
            raise Http404
        if not self.has_view_permission(request, agent):
            raise PermissionDenied
        return agent

    def _context(self, request: HttpRequest, agent: Agent, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "agent": agent,
            "title": title,
            "may_publish": self.has_publish_permission(request)
            and self.has_change_permission(request),
        }


@admin.register(AgentVersion)
class AgentVersionAdmin(admin.ModelAdmin):
    """What was published, for reading."""

    list_display = ("agent", "number", "published_at", "published_by", "note", "look")
    list_filter = ("agent",)
    list_display_links = None

    @admin.display(description="")
    def look(self, version: AgentVersion) -> SafeString:
        address = reverse("admin:agents_agent_version", args=[version.agent_id, version.number])
        return format_html('<a href="{}">compare, roll back</a>', address)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
