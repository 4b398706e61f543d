"""Extensions and numbers of the product under test, as an administrator would set them up."""

from __future__ import annotations

from tests.running_product import RunningProduct

PASSWORD = "violet-otter-stairs"
_SCRIPT = """
from agents.services import publish_snapshot
from telephony.models import Extension, Number, Route
from telephony.services import set_extension_password

for name, number in {phones!r}:
    extension, _ = Extension.objects.get_or_create(name=name, defaults={{"label": name}})
    set_extension_password(extension, {password!r})
    extension.save()
    if number:
        dialled, _ = Number.objects.get_or_create(dialled=number)
        Route.objects.get_or_create(number=dialled, target="person", extension=extension)
print(publish_snapshot().revision)
"""


def set_up_phones(product: RunningProduct, *phones: tuple[str, str]) -> None:
    """Each (extension, number): the extension may register with `PASSWORD`; the number, if any, rings it."""
    revision = int(product.administer(_SCRIPT.format(phones=phones, password=PASSWORD)).split()[-1])
    product.until(
        lambda: product.ask("node.health")["health"]["revision"] == revision, 10.0, "the snapshot"
    )
