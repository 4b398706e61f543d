"""Forms of the admin in a real browser: a rule asks for the fields of what is chosen, and no error is folded away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]


def test_a_rule_shows_the_fields_of_what_it_does(visit: Visit) -> None:
    page = visit("/admin/telephony/number/add/", "chief")
    rule = page.locator("#routes-0")
    expect(rule.locator("[name=routes-0-agent]")).to_be_visible()
    expect(rule.get_by_text("Phone, queue, forwarding, refusal")).to_be_hidden()
    rule.locator("[name=routes-0-target]").select_option("person")
    expect(rule.locator("[name=routes-0-extension]")).to_be_visible()
    expect(rule.locator("[name=routes-0-agent]")).to_be_hidden()
    expect(rule.locator("[name=routes-0-queue]")).to_be_hidden()
    rule.locator("[name=routes-0-target]").select_option("refuse")
    expect(rule.locator("[name=routes-0-refuse_status]")).to_be_visible()
    expect(rule.locator("[name=routes-0-extension]")).to_be_hidden()
    rule.locator("[name=routes-0-target]").select_option("forward")
    expect(rule.locator("[name=routes-0-forward_number]")).to_be_visible()
    page.get_by_text("Add another Rule").click()
    expect(page.locator("[name=routes-1-position]")).to_have_value("2")


def test_what_is_wrong_with_a_rule_is_not_folded_away(visit: Visit) -> None:
    page = visit("/admin/telephony/number/add/", "chief")
    page.fill("[name=dialled]", "+4930123")
    page.select_option("[name=routes-0-target]", "person")
    page.locator("#routes-0").get_by_text("Only when").click()
    page.fill("[name=routes-0-opens]", "08:00:00")
    page.locator("[name=_save]").first.click()
    expect(page.get_by_text("Please correct the error")).to_be_visible()
    expect(page.locator("#routes-0 .errorlist").first).to_be_visible()


def test_what_is_wrong_with_a_trunk_is_not_folded_away(visit: Visit) -> None:
    page = visit("/admin/telephony/trunk/add/", "chief")
    page.fill("[name=name]", "east two")
    audio = page.get_by_text("More about audio")
    audio.click()
    page.fill("[name=media_networks]", "somewhere")
    audio.click()
    page.locator("[name=_save]").first.click()
    expect(page.get_by_text("Please correct the error")).to_be_visible()
    expect(page.locator("[name=media_networks]")).to_be_visible()
    expect(page.locator("[name=prefix]")).to_be_hidden()
    for error in page.locator(".errorlist").all():
        expect(error).to_be_visible()
    expect(page.get_by_text("Use only the letters A to Z")).to_be_visible()


def test_what_is_wrong_with_an_agent_is_not_folded_away(visit: Visit) -> None:
    page = visit("/admin/agents/agent/add/", "chief")
    page.get_by_text("Limits", exact=True).click()
    page.fill("[name=turns]", "")
    page.get_by_role("button", name="Save draft").first.click()
    expect(page.get_by_text("Please correct the error")).to_be_visible()
    expect(page.locator("[name=turns]")).to_be_visible()
    for error in page.locator(".errorlist").all():
        expect(error).to_be_visible()
