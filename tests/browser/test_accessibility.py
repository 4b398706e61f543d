"""Pages for people who use a keyboard, large type, or little contrast: measured in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_product import FakeProduct
from tests.browser.scene import BOOKING

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]

# Texts whose contrast with what lies behind them is under AA (WCAG 2.2, 1.4.3): [text, ratio]. Colours are read back
# from a canvas, which knows every notation; backgrounds are laid over one another down to the first opaque one.
FAINT = """
(() => {
  const paper = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const mixed = (colours) => {
    paper.clearRect(0, 0, 1, 1);
    for (const colour of colours) { paper.fillStyle = colour; paper.fillRect(0, 0, 1, 1); }
    return [...paper.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parent = (node) => node.assignedSlot || node.parentElement || node.getRootNode().host;
  const behind = (node) => {
    const colours = [];
    for (let at = node; at; at = parent(at)) colours.unshift(getComputedStyle(at).backgroundColor);
    return ["Canvas", ...colours];
  };
  const own = (node) => [...node.childNodes].filter((x) => x.nodeType === 3).map((x) => x.data.trim()).join("");
  const all = (root) => [...root.querySelectorAll("*")].flatMap((x) => [x, ...(x.shadowRoot ? all(x.shadowRoot) : [])]);
  const faint = [];
  for (const node of all(document.body)) {
    if (!own(node) || node.matches("script, style, .sr, :disabled, :disabled *") || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(node), ground = behind(node);
    const [ink, back] = [light(mixed([...ground, style.color])), light(mixed(ground))];
    const ratio = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) faint.push([own(node).slice(0, 40), Math.round(ratio * 100) / 100]);
  }
  return faint;
})()
"""
FOCUSED = """
(() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at.textContent.trim() || at.getAttribute("aria-label") || at.tagName;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", f"/calls/{BOOKING}/", "/calls/c-human/", "/history/"])
def test_all_text_of_the_desk_has_enough_contrast(visit: Visit, path: str, scheme: str) -> None:
    page = visit(path, "ravi", color_scheme=scheme)
    page.wait_for_timeout(600)
    assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_the_widget_has_enough_contrast(visit: Visit, scheme: str) -> None:
    page = visit("/try/", color_scheme=scheme)
    assert page.evaluate(FAINT) == []
    page.get_by_role("button", name="Talk now").last.click()
    page.get_by_role("button", name="Type").click()
    page.get_by_role("textbox").fill("hello")
    page.get_by_role("textbox").press("Enter")
    expect(page.locator(".log .caller p")).to_have_text("hello")
    assert page.evaluate(FAINT) == []


@pytest.mark.parametrize(
    ("path", "who"),
    [("/", "ravi"), (f"/calls/{BOOKING}/", "ravi"), ("/history/", "ravi"), ("/try/", "")],
)
def test_at_320_pixels_nothing_is_scrolled_sideways(visit: Visit, path: str, who: str) -> None:
    page = visit(path, who, viewport={"width": 320, "height": 640})
    page.wait_for_timeout(400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_widget_hands_the_focus_on_when_a_button_goes(visit: Visit) -> None:
    page = visit("/try/")
    page.get_by_role("button", name="Talk now").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Mute")).to_be_focused()
    page.get_by_role("button", name="End call").press("Enter")
    expect(page.get_by_role("button", name="Talk again")).to_be_focused()


def test_the_desk_hands_the_focus_on_when_a_button_goes(visit: Visit) -> None:
    page = visit("/calls/c-hours/", "ravi")
    expect(page.locator(".link-state")).to_have_text("Live")
    page.get_by_role("button", name="Take over").press("Enter")
    expect(page.get_by_role("button", name="Mute me")).to_be_focused()
    page.get_by_role("button", name="Hand back").press("Enter")
    page.get_by_role("textbox").press("Enter")
    expect(page.get_by_role("button", name="Hand back")).to_be_hidden()
    assert page.evaluate(FOCUSED) in {"Stop listening", "Take over"}


def test_enter_on_a_link_follows_the_link(visit: Visit, product: FakeProduct) -> None:
    page = visit("/", "ravi")
    expect(page.locator("tr[aria-selected=true]")).to_have_count(1)
    page.get_by_role("link", name="History").press("Enter")
    page.wait_for_url(f"{product.base}/history/")


def test_at_double_zoom_the_list_is_reached_and_opened_by_keys(
    visit: Visit, product: FakeProduct
) -> None:
    page = visit("/", "ravi", viewport={"width": 640, "height": 400})
    expect(page.locator(".link-state")).to_have_text("Live")
    expect(page.locator("#rows tr[tabindex='0']")).to_have_count(1)
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Tab")
    call = page.locator("#rows tr:focus").get_attribute("data-call")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{product.base}/calls/{call}/")
