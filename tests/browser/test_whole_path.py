"""The whole path on the running product: a caller in a browser, the agent, and a supervisor who steps in."""

from __future__ import annotations

import time
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.browser.chromium import RATE_HZ, chromium, faults_of, open_page, write_tone
from tests.browser.test_frontend_desk import BIN_HZ, near, until
from tests.fakes.speech_audio import spoken_pcm
from tests.running_product import RunningProduct, running_product
from voiceapp.adapters.bus_client import request_sync

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

SUPERVISOR_HZ = 1000.0
AUDIBLE = 0.01
WAIT_MS = 25_000

# The microphone plays this after the greeting; what the caller says later depends on the agent, and is said then.
OPENING = "I would like to book an appointment"
OPENING_AT_S = 7.5
MICROPHONE_S = 200.0


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


def write_speech(path: Path) -> Path:
    samples = bytearray(round(MICROPHONE_S * RATE_HZ) * 2)
    pcm, start = spoken_pcm(OPENING, RATE_HZ), round(OPENING_AT_S * RATE_HZ) * 2
    samples[start : start + len(pcm)] = pcm
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(bytes(samples))
    return path


def log_in(page: Page, product: RunningProduct) -> None:
    name, password = product.login()
    page.goto(f"{product.base}/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{product.base}/")


def events_of(product: RunningProduct, call: str) -> list[dict[str, Any]]:
    args = {"call": call, "since": 0}
    return list(request_sync(product.configuration.run, "node1", "calls.events", args)["events"])


def asked(product: RunningProduct, call: str, word: str, *, since: int = 0) -> None:
    """Waits until the agent has said a sentence with this word to its end."""

    def heard() -> bool:
        ended = [
            e["event"]["heard"]
            for e in events_of(product, call)[since:]
            if e["kind"] == "UtteranceEnded"
        ]
        return any(word in sentence.lower() and sentence.endswith("?") for sentence in ended)

    product.until(heard, seconds=30.0, what=f"the agent asks for the {word}")


def say(page: Page, text: str) -> None:
    """The caller says this now."""
    page.evaluate("samples => say(samples)", array("h", spoken_pcm(text, RATE_HZ)).tolist())


def kinds_between(page_events: list[dict[str, Any]], first: str, last: str) -> list[str]:
    kinds = [str(event["kind"]) for event in page_events]
    return kinds[kinds.index(first) : kinds.index(last)]


def takes_over(desk: Page, caller: Page) -> None:
    """Taken over: the caller hears the supervisor, the agent is silent."""
    desk.get_by_role("button", name="Take over").click()
    expect(desk.locator("#state")).to_have_text("Human has it")
    heard = until(lambda: caller.evaluate("heard().hz"), near(SUPERVISOR_HZ))
    assert heard == pytest.approx(SUPERVISOR_HZ, abs=BIN_HZ)
    assert caller.evaluate("heard().level") > AUDIBLE
    expect(caller.get_by_role("status")).to_have_text("You are talking to a person")
    time.sleep(1.0)  # long enough for an agent that does not keep silent to be caught


def hands_back(product: RunningProduct, call: str, desk: Page, caller: Page) -> None:
    """Handed back: the agent goes on where it was, and still knows the day."""
    desk.get_by_role("button", name="Hand back").click()
    desk.get_by_role("textbox").press("Enter")
    expect(desk.locator("#state")).not_to_have_text("Human has it")
    events = events_of(product, call)
    assert "UtteranceStarted" not in kinds_between(events, "FloorTaken", "FloorReturned")
    returned = len(events)
    asked(product, call, "time", since=returned)
    say(caller, "at eleven in the morning")
    asked(product, call, "name", since=returned)
    say(caller, "five five five one two three")
    product.until(
        lambda: any(
            "friday" in str(event["event"].get("text", "")).lower()
            for event in events_of(product, call)[returned:]
            if event["kind"] == "UtteranceStarted"
        ),
        seconds=45.0,
        what="the agent speaks of Friday after the hand back",
    )


def test_a_supervisor_steps_into_a_call_and_the_agent_goes_on_knowing(
    play: Playwright, product: RunningProduct, tmp_path: Path
) -> None:
    speech = write_speech(tmp_path / "speech.wav")
    tone = write_tone(tmp_path / "tone.wav", SUPERVISOR_HZ)
    with chromium(play, speech) as callers, chromium(play, tone) as supervisors:
        desk = open_page(supervisors, viewport={"width": 1440, "height": 900})
        log_in(desk, product)
        caller = open_page(callers)
        caller.goto(f"{product.base}/try/")

        # The caller presses one button; the call appears on the desk by itself.
        caller.get_by_role("button", name="Talk now").last.click()
        expect(desk.locator("#rows tr")).to_have_count(1, timeout=WAIT_MS)
        call = str(desk.locator("#rows tr").get_attribute("data-call"))
        desk.goto(f"{product.base}/calls/{call}/")

        # The supervisor hears what the caller hears, and reads it.
        desk.get_by_role("button", name="Listen").click()
        level = until(lambda: desk.evaluate("heard().level"), lambda found: found > AUDIBLE, 20.0)
        assert level > AUDIBLE
        lines = desk.locator("#lines .said")
        expect(lines.filter(has_text="appointment")).not_to_have_count(0, timeout=WAIT_MS)
        expect(caller.locator(".log .caller").filter(has_text="appointment")).not_to_have_count(0)
        asked(product, call, "day")
        say(caller, "on friday")
        expect(desk.locator("#slots")).to_contain_text("Friday", timeout=WAIT_MS)
        expect(desk.locator(".turn")).not_to_have_count(0)

        takes_over(desk, caller)
        hands_back(product, call, desk, caller)

        # The end, on both pages.
        caller.get_by_role("button", name="End call").click()
        expect(desk.locator("#state")).to_contain_text("Ended")
        expect(caller.get_by_role("button", name="Talk again")).to_be_visible()
        assert faults_of(desk) == faults_of(caller) == []
