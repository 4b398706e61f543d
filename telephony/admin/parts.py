"""What the forms have in common: fields, and how a change reaches the media nodes and the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

from telephony.models.routing import WEEK
from telephony.selectors import answering_agents
from telephony.services import announce_routing, record_audit

LOST = "What was set cannot be decrypted on this machine; set it again."
DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class AgentChoiceField(forms.ChoiceField):
    """The agents there are; one that is not published yet can be chosen and says so."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("max_length", None)
        super().__init__(choices=agent_choices, **kwargs)


def agent_choices() -> list[tuple[str, str]]:
    """For a select box; read at each display of the form."""
    rows = [("", "choose an agent")]
    for agent in answering_agents().values():
        state = f"version {agent.version}" if agent.version else "not published yet"
        rows.append((agent.slug, f"{agent.name} ({state})"))
    return rows


class AgentsField(forms.MultipleChoiceField):
    """Any of the agents, as a list of their slugs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            choices=lambda: agent_choices()[1:],
            widget=forms.CheckboxSelectMultiple,
            required=False,
            **kwargs,
        )


class LinesField(forms.CharField):
    """A list of texts, one per line. `problem`: what is wrong with one, in words, or None."""

    def __init__(
        self,
        *,
        problem: Callable[[str], str | None] = lambda text: None,
        rows: int = 3,
        placeholder: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.pop("encoder", None)
        kwargs.pop("decoder", None)
        self._problem = problem
        attributes = {"rows": rows, "placeholder": placeholder}
        super().__init__(widget=forms.Textarea(attrs=attributes), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in str(value or "").splitlines() if line.strip()]
        faults = [(line, self._problem(line)) for line in lines]
        problems = [f"{line}: {problem}." for line, problem in faults if problem]
        if problems:
            raise ValidationError(problems)
        return list(dict.fromkeys(lines))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or []))
        except ValidationError:
            return True


class WordsField(LinesField):
    """A list of words in one line."""

    def __init__(self, *, choices: Iterable[str], **kwargs: Any) -> None:
        known = tuple(choices)
        super().__init__(
            problem=lambda word: None if word in known else f"one of {', '.join(known)}", **kwargs
        )
        self.widget = forms.TextInput(attrs={"class": "vTextField"})

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return super().to_python("\n".join(str(value or "").replace(",", " ").upper().split()))


class DaysField(forms.MultipleChoiceField):
    """Days of the week, kept as their figures: 12345."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("max_length", None)
        choices = list(zip(WEEK, DAY_NAMES, strict=True))
        super().__init__(
            choices=choices, widget=forms.CheckboxSelectMultiple, required=False, **kwargs
        )

    def prepare_value(self, value: Any) -> Any:
        return list(value) if isinstance(value, str) else value

    def clean(self, value: Any) -> Any:
        return "".join(sorted(super().clean(value))) or WEEK

    def has_changed(self, initial: Any, data: Any) -> bool:
        return "".join(sorted(data or ())) not in ("", initial or WEEK)


class SecretField(forms.CharField):
    """A secret that can be written and never read: an empty one changes nothing."""

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"autocomplete": "new-password", "class": "vTextField"}
        widget = forms.PasswordInput(attrs=attributes, render_value=False)
        super().__init__(widget=widget, required=False, strip=True, max_length=128, **kwargs)


SHORT_NAMES: Final[Mapping[Any, Mapping[str, Any]]] = {
    models.SlugField: {
        "error_messages": {
            "invalid": "Use only the letters A to Z, figures, hyphens and underscores; no spaces."
        }
    }
}


class PublishedAdmin(admin.ModelAdmin):
    """Changes are published: the next call has them. Each leaves a row in the audit, with the names of the fields."""

    formfield_overrides = SHORT_NAMES

    def changed(self, request: HttpRequest) -> None:
        announce_routing(lambda text: messages.info(request, text))

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        fields = ", ".join(form.changed_data)[:500]
        self.record(request, "changed" if change else "added", obj, fields=fields)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        self.record(request, "removed", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            self.record(request, "removed", obj)
        super().delete_queryset(request, queryset)

    def record(self, request: HttpRequest, deed: str, obj: models.Model, fields: str = "") -> None:
        who = request.user.get_username()
        detail = {"fields": fields} if fields else None
        what = f"{self.opts.model_name}.{deed}"
        record_audit(who=who, what=what, subject=str(obj)[:100], detail=detail)
        self.changed(request)
