"""Transfers at the desk in a real browser: by keyboard alone, with progress in words, and back again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_product import FakeProduct

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]


def test_a_call_is_put_through_by_keys_alone_and_cancelled(
    visit: Visit, product: FakeProduct
) -> None:
    page = visit("/calls/c-person/", "ravi")
    expect(page.locator(".link-state")).to_have_text("Live")
    page.keyboard.press("x")
    dialog = page.get_by_role("dialog", name="Transfer the call")
    expect(dialog.get_by_label("To", exact=True)).to_be_focused()
    page.keyboard.type("+44 20 7946 0000")
    page.keyboard.press("Enter")

    strip = page.get_by_role("group", name="Transfer", exact=True)
    expect(strip.get_by_role("status")).to_have_text("Calling +442079460000 …")
    expect(page.locator("#state")).to_have_text("Transferring")
    product.ask_node("scene.target", call="c-person", what="rings")
    expect(strip.get_by_role("status")).to_have_text("+442079460000 rings")
    expect(strip.get_by_role("button", name="Put through")).to_be_hidden()

    strip.get_by_role("button", name="Cancel and return").click()
    expect(strip).to_be_hidden()
    expect(page.locator("#audit")).to_contain_text("Transfer: cancelled")
    expect(page.get_by_role("button", name="Transfer", exact=True)).to_be_visible()


def test_a_supervisor_speaks_with_the_target_first_and_puts_the_caller_through(
    visit: Visit, product: FakeProduct
) -> None:
    page = visit("/calls/c-new/", "ravi")
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_label("To", exact=True).fill("200")
    page.get_by_role("radio", name="Speak with them first").check()
    page.get_by_role("dialog").get_by_role("button", name="Transfer").click()

    strip = page.get_by_role("group", name="Transfer", exact=True)
    expect(strip.get_by_role("status")).to_have_text("Calling 200 …")
    expect(page).to_have_title("ON AIR · +49 171 5550 9921 · receptionist")
    product.ask_node("scene.target", call="c-new", what="rings")
    product.ask_node("scene.target", call="c-new", what="answers")
    expect(strip.get_by_role("status")).to_have_text("You speak with 200; the caller waits")
    strip.get_by_role("button", name="Put through").click()
    expect(strip).to_be_hidden()
    expect(page.locator("#people")).to_contain_text("speaks to the caller")
    expect(page.locator(".toast")).to_contain_text("The caller has been put through.")


def test_who_may_not_transfer_sees_a_button_that_says_so(visit: Visit) -> None:
    page = visit("/calls/c-hours/", "watcher")
    button = page.get_by_role("button", name="Transfer", exact=True)
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", "You may not put calls through.")


def test_a_target_that_may_not_be_called_is_refused_in_the_dialog_and_nothing_happens(
    visit: Visit,
) -> None:
    page = visit("/calls/c-hours/", "ravi")
    page.get_by_role("button", name="Transfer", exact=True).click()
    to = page.get_by_label("To", exact=True)
    to.fill("+1 900 555 0100")
    page.get_by_role("radio", name="Speak with them first").check()
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog", name="Transfer the call")
    expect(dialog.get_by_role("alert")).to_contain_text("costly ranges are dialled only where")
    expect(to).to_be_focused()
    expect(to).to_have_value("+1 900 555 0100")
    expect(page.locator("body")).not_to_have_class("on-air")
    expect(page.get_by_role("group", name="Transfer", exact=True)).to_be_hidden()
    to.press("Backspace")
    expect(dialog.get_by_role("alert")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
