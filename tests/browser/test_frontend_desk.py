"""The desk in a real browser: the list grows by itself, a supervisor listens, speaks, hands back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import MICROPHONE_HZ
from tests.browser.fake_product import FakeProduct
from tests.browser.scene import BOOKING
from tests.browser.tone_peer import TONE_HZ

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]
BIN_HZ = 12.0


def until(measure: Callable[[], Any], fits: Callable[[Any], bool], seconds: float = 8.0) -> Any:
    """The first measurement that fits, else the last one."""
    deadline = time.monotonic() + seconds
    while not fits(value := measure()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def heard_by_call(product: FakeProduct, call: str) -> float:
    return float(product.ask_node("scene.heard", call=call)["hz"])


def near(hz: float) -> Callable[[float], bool]:
    return lambda found: abs(found - hz) <= BIN_HZ


def test_the_list_shows_each_call_with_state_words_and_reason(visit: Visit) -> None:
    page = visit("/", "ravi")
    row = page.locator("tr[data-call=c-person]")
    expect(row).to_contain_text("Speaking")
    expect(row).to_contain_text("wants a person")
    expect(page.locator("[data-figure=attention] .value")).not_to_have_text("0")


def test_words_grow_in_the_list_and_on_the_call_page(visit: Visit, product: FakeProduct) -> None:
    live = visit("/", "ravi")
    call = visit(f"/calls/{BOOKING}/", "asha")
    expect(call.locator(".link-state")).to_have_text("Live")
    product.ask_node("scene.play", what="go_on")
    expect(live.locator(f"tr[data-call={BOOKING}] .c-last")).to_contain_text("oh one seven one")
    expect(call.locator(".said.partial .words")).to_contain_text("oh one seven one")


def test_what_the_caller_did_not_hear_is_struck_through(visit: Visit) -> None:
    page = visit(f"/calls/{BOOKING}/", "ravi")
    expect(page.locator(".said del")).to_contain_text("a quarter past three")
    expect(page.locator(".barge")).to_contain_text("138 ms")
    expect(page.locator("#slots")).to_contain_text("Friday, 27 November")


def test_each_turn_has_its_bar_and_its_stages(visit: Visit) -> None:
    page = visit(f"/calls/{BOOKING}/", "ravi")
    expect(page.locator(".turn")).to_have_count(4)
    page.locator(".turn").first.click()
    expect(page.locator(".answer .big")).to_have_text("386")
    expect(page.locator(".stage")).to_have_count(5)


def test_a_supervisor_listens_speaks_and_hands_back(visit: Visit, product: FakeProduct) -> None:
    page = visit("/calls/c-hours/", "ravi")
    page.get_by_role("button", name="Listen").click()
    heard = until(lambda: page.evaluate("heard().hz"), near(TONE_HZ))
    assert heard == pytest.approx(TONE_HZ, abs=BIN_HZ)
    assert heard_by_call(product, "c-hours") == 0.0

    page.get_by_role("button", name="Take over").click()
    expect(page).to_have_title("ON AIR · Web visitor · receptionist")
    spoken = until(lambda: heard_by_call(product, "c-hours"), near(MICROPHONE_HZ))
    assert spoken == pytest.approx(MICROPHONE_HZ, abs=BIN_HZ)
    expect(page.locator("#state")).to_have_text("Human has it")

    page.get_by_role("button", name="Hand back").click()
    page.get_by_role("textbox").fill("offer the early slot")
    page.get_by_role("textbox").press("Enter")
    expect(page.locator(".divider q")).to_have_text("offer the early slot")
    assert until(lambda: heard_by_call(product, "c-hours"), lambda hz: hz == 0.0) == 0.0
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_role("button", name="Listen", exact=True)).to_be_visible()


def test_a_colleague_sees_who_has_the_call_and_must_say_why_to_take_it(visit: Visit) -> None:
    page = visit("/calls/c-human/", "ravi")
    expect(page.locator("#why")).to_have_text("asha has it")
    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_role("dialog")).to_contain_text("asha has this call")
    page.get_by_role("button", name="Cancel").click()


def test_ending_a_call_asks_first_with_the_focus_on_cancel(visit: Visit) -> None:
    page = visit("/calls/c-slow/", "ravi")
    expect(page.locator(".link-state")).to_have_text("Live")
    page.keyboard.press("Shift+E")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name="End call").click()
    expect(page.locator("#state")).to_contain_text("Ended")


def test_who_may_only_watch_sees_masked_callers_and_no_words(visit: Visit) -> None:
    page = visit(f"/calls/{BOOKING}/", "watcher")
    expect(page.locator("h1")).to_have_text("••• 47")
    expect(page.locator(".said .words").first).to_contain_text("Withheld")
    expect(page.get_by_role("button", name="Listen")).to_be_disabled()


def test_the_list_is_walked_by_keys(visit: Visit, product: FakeProduct) -> None:
    page = visit("/", "ravi")
    expect(page.locator("tr[aria-selected=true]")).to_have_count(1)
    first = page.locator("tr[aria-selected=true]").get_attribute("data-call")
    page.keyboard.press("j")
    second = page.locator("tr[aria-selected=true]").get_attribute("data-call")
    assert first != second
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Take over")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{product.base}/calls/{second}/")


def test_history_filters_without_loading_the_page_again(visit: Visit) -> None:
    page = visit("/history/", "ravi")
    page.evaluate("window.same = true")
    page.select_option("[name=way]", "Phone")
    page.wait_for_url("**/history/?*way=Phone*")
    assert page.evaluate("window.same") is True


def test_the_desk_says_that_it_is_not_live_while_its_server_does_not_follow_the_calls(
    visit: Visit,
) -> None:
    page = visit("/", "ravi")
    routed: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        routed.append(route)
        server = route.connect_to_server()
        server.on_message(route.send)
        route.on_message(server.send)

    page.route_web_socket("**/ws/supervisor/", through)
    page.reload()
    link, notice = page.locator(".link-state"), page.locator("#notice")
    expect(link).to_have_text("Live")
    routed[0].send('{"type": "live", "live": false}')
    expect(link).to_have_text("Not live")
    expect(notice).to_contain_text("calls are not affected")
    routed[0].send('{"type": "live", "live": true}')
    expect(link).to_have_text("Live")
    expect(notice).to_be_hidden()


def test_whom_we_called_is_not_named_a_caller(visit: Visit) -> None:
    page = visit("/calls/c-placed/", "ravi")
    expect(page.locator("#people")).to_contain_text("Person called")
    expect(page.locator(".said .who").first).to_contain_text("Person called")
    expect(page.locator("#audit")).to_contain_text("Person called asked for a person")
    page.get_by_role("button", name="End call").click()
    expect(page.get_by_role("dialog")).to_contain_text("The person called is cut off at once.")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("aller", exact=False)).to_have_count(0)
