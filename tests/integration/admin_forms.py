"""Forms of the admin as a browser would send them."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse


def blank(client: Client, model: str, **values: Any) -> dict[str, Any]:
    """The add form as a browser would send it, with these values; `…-0-…` rows are counted by themselves."""
    context = client.get(reverse(f"admin:telephony_{model}_add")).context
    form = context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    for inline in context["inline_admin_formsets"]:
        prefix = inline.formset.prefix
        rows = {key.split("-")[1] for key in values if key.startswith(f"{prefix}-")}
        data |= {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": 0}
        empty = inline.formset.empty_form
        for row in rows:
            data |= {
                f"{prefix}-{row}-{name}": value
                for name in empty.fields
                if (value := empty[name].value()) is not None
            }
    sent = {}
    for name, value in (data | values).items():
        if isinstance(value, list) and name in {"codecs", "hosts", "networks", "media_networks"}:
            value = "\n".join(value)
        if value is not None and value is not False and value != "":
            sent[name] = value
    return sent


def add(client: Client, model: str, **values: Any) -> Any:
    data = blank(client, model, **values)
    return client.post(reverse(f"admin:telephony_{model}_add"), data)


def errors(response: Any) -> str:
    return " ".join(str(error) for error in response.context["errors"])
