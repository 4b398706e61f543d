"""One fake product and one browser for all tests of pages; a missing Chromium fails the run with the reason.

They end with the package: while Playwright runs, no other test of the same process can have an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.chromium import PROGRAM, chromium, faults_of, open_page, write_tone
from tests.browser.fake_product import PASSWORD, FakeProduct, fake_product

MICROPHONE_HZ = 1000.0


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProduct]:
    with fake_product(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="package")
def play() -> Iterator[Playwright]:
    if not Path(PROGRAM).exists():
        pytest.fail(f"{PROGRAM} is missing: apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(play: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    tone = write_tone(tmp_path_factory.mktemp("tone") / "mic.wav", MICROPHONE_HZ)
    with chromium(play, tone) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, product: FakeProduct) -> Iterator[Callable[..., Page]]:
    """Opens an address, logged in as `who` if one is given; at the end no script of any page may have failed."""
    pages: list[Page] = []

    def open_at(path: str, who: str = "", **options: Any) -> Page:
        page = open_page(browser, **options)
        pages.append(page)
        if who:
            page.goto(f"{product.base}/login/")
            page.fill("[name=username]", who)
            page.fill("[name=password]", PASSWORD)
            page.press("[name=password]", "Enter")
            page.wait_for_url(f"{product.base}/")
        page.goto(product.base + path)
        return page

    yield open_at
    faults = [fault for page in pages for fault in faults_of(page)]
    for page in pages:
        page.context.close()
    assert faults == []
