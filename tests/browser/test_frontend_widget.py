"""The widget in a real browser, on our page and on a stranger's."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import faults_of, open_page
from tests.browser.conftest import MICROPHONE_HZ
from tests.browser.fake_product import FakeProduct
from tests.browser.test_frontend_desk import BIN_HZ, heard_by_call, near, until
from tests.browser.tone_peer import TONE_HZ

pytestmark = pytest.mark.timeout(90)

Visit = Callable[..., Page]
STATE = "document.querySelector('voice-agent').getState()"

# What a site's own policy must allow for the widget to work, and nothing beyond it.
STRICT = (
    "default-src 'none'; script-src {base}; connect-src {base} {sockets}; media-src blob:; "
    "require-trusted-types-for 'script'"
)


@pytest.fixture
def strange_site(tmp_path: Path, product: FakeProduct) -> Iterator[str]:
    """A page on another origin that embeds the demo's key."""
    policy = STRICT.format(base=product.base, sockets=product.base.replace("http", "ws"))
    page = (
        f'<!doctype html><meta charset=utf-8><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>shop</title><script src="{product.base}/w/1/widget.js" data-agent="demo" defer></script>'
    )
    (tmp_path / "index.html").write_text(page)
    handler = partial(QuietHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def call_of(page: Page) -> str:
    return str(until(lambda: page.evaluate(STATE)["callId"], bool))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_one_button_makes_a_call_that_is_heard_both_ways(
    visit: Visit, product: FakeProduct
) -> None:
    page = visit("/try/")
    page.get_by_role("button", name="Talk now").last.click()
    expect(page.get_by_role("button", name="End call")).to_be_visible()
    heard = until(lambda: page.evaluate("heard().hz"), near(TONE_HZ))
    assert heard == pytest.approx(TONE_HZ, abs=BIN_HZ)
    call = call_of(page)
    spoken = until(lambda: heard_by_call(product, call), near(MICROPHONE_HZ))
    assert spoken == pytest.approx(MICROPHONE_HZ, abs=BIN_HZ)
    page.get_by_role("button", name="End call").click()
    expect(page.get_by_role("button", name="Talk again")).to_be_visible()


def test_mute_sends_silence_and_unmute_speaks_again(visit: Visit, product: FakeProduct) -> None:
    page = visit("/try/")
    page.get_by_role("button", name="Talk now").last.click()
    page.get_by_role("button", name="Mute").click()
    call = call_of(page)
    assert until(lambda: heard_by_call(product, call), lambda hz: hz == 0.0) == 0.0
    page.get_by_role("button", name="Unmute").click()
    assert until(lambda: heard_by_call(product, call), near(MICROPHONE_HZ)) > 0


def test_typed_words_become_the_callers_line(visit: Visit) -> None:
    page = visit("/try/")
    page.get_by_role("button", name="Talk now").last.click()
    page.get_by_role("button", name="Type").click()
    page.get_by_role("textbox").fill("friday at <b>three</b>")
    page.get_by_role("textbox").press("Enter")
    expect(page.locator(".log .caller p")).to_have_text("friday at <b>three</b>")


def test_a_reloaded_page_is_back_in_its_call_with_its_captions(visit: Visit) -> None:
    page = visit("/try/")
    page.get_by_role("button", name="Talk now").last.click()
    page.get_by_role("button", name="Type").click()
    page.get_by_role("textbox").fill("before the reload")
    page.get_by_role("textbox").press("Enter")
    expect(page.locator(".log .caller p")).to_have_text("before the reload")
    call = page.evaluate(STATE)["callId"]
    page.reload()
    expect(page.get_by_role("button", name="End call")).to_be_visible()
    expect(page.locator(".log .caller p")).to_have_text("before the reload")
    assert page.evaluate(STATE)["callId"] == call
    page.get_by_role("button", name="End call").click()
    page.reload()
    expect(page.get_by_role("button", name="Talk now").last).to_be_visible()


def test_a_denied_microphone_is_explained_and_typing_offered(visit: Visit) -> None:
    page = visit("/try/", microphone=False)
    page.get_by_role("button", name="Talk now").last.click()
    expect(page.get_by_role("alert")).to_contain_text("does not let this page use the microphone")
    page.get_by_role("button", name="Type instead").click()
    expect(page.get_by_role("textbox")).to_be_visible()


def test_another_site_is_refused_with_words(browser: Browser, strange_site: str) -> None:
    page = open_page(browser)
    page.goto(strange_site)
    page.get_by_role("button", name="Open voice assistant").click()
    page.get_by_role("button", name="Talk now").last.click()
    expect(page.get_by_role("alert")).to_contain_text("not allowed")
    assert page.evaluate(STATE)["state"] == "error"
    assert faults_of(page) == []
    page.context.close()


def test_a_page_hears_of_its_call_by_events(visit: Visit) -> None:
    page = visit("/try/")
    page.evaluate(
        """() => { window.told = [];
        for (const name of ["call", "state", "connected", "transcript", "ended"])
          addEventListener("voice-agent:" + name, (event) => told.push([name, event.detail])); }"""
    )
    page.evaluate("VoiceAgent.start({ variables: { plan: 'gold' } })")
    expect(page.get_by_role("button", name="End call")).to_be_visible()
    until(lambda: page.evaluate("told.map(([name]) => name)"), lambda names: "connected" in names)
    page.evaluate("VoiceAgent.end()")
    until(lambda: page.evaluate("told.map(([name]) => name)"), lambda names: "ended" in names)
    names = {name for name, _ in page.evaluate("told")}
    assert {"call", "state", "connected", "ended"} <= names


def test_the_script_tag_passes_on_every_attribute_and_names_what_it_does_not_know(
    visit: Visit, product: FakeProduct
) -> None:
    page = visit("/try/")
    warned: list[str] = []
    page.on("console", lambda line: warned.append(line.text) if line.type == "warning" else None)
    page.evaluate(
        """(src) => { document.querySelector("voice-agent").remove();
        const tag = Object.assign(document.createElement("script"), { src });
        Object.assign(tag.dataset, { agent: "demo", placement: "middle", theme: "dim", variables: '{"plan": "gold"}' });
        document.head.append(tag); }""",
        f"{product.base}/w/1/widget.js",
    )
    expect(page.get_by_role("button", name="Open voice assistant")).to_be_visible()
    assert page.locator("voice-agent").get_attribute("variables") == '{"plan": "gold"}'
    assert [text.split(" is unknown")[0] for text in warned] == [
        'voice-agent: placement="middle"',
        'voice-agent: theme="dim"',
    ]


def test_no_notice_of_an_automated_assistant_stands_beside_a_person(visit: Visit) -> None:
    page = visit("/try/")
    notice = page.locator(".notice")
    expect(notice).to_be_visible()
    page.evaluate("document.querySelector('voice-agent').panel.show('human', true)")
    expect(notice).to_be_hidden()


def test_variables_over_a_limit_place_no_call(visit: Visit) -> None:
    page = visit("/try/")
    said = page.evaluate(
        "VoiceAgent.start({ variables: { plan: 'x'.repeat(2001) } }).catch((error) => error.message)"
    )
    assert "2000" in said
    assert page.evaluate(STATE)["state"] == "idle"
