"""The page of trunks in a real browser: legible in both themes, and whole on a small screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import FAINT

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(visit: Visit, scheme: str) -> None:
    page = visit("/trunks/", "ravi", color_scheme=scheme)
    expect(page.get_by_role("heading", name="Carrier East")).to_be_visible()
    page.get_by_text("Day by day").click()
    assert page.evaluate(FAINT) == []


def test_nothing_leaves_a_small_screen(visit: Visit) -> None:
    page = visit("/trunks/", "ravi", viewport={"width": 390, "height": 800})
    expect(page.get_by_role("img", name="MOS.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
