"""The page in a real browser: with and without its script, by keyboard alone, on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pytest

import awry
from awry.ops.service import Service
from awry.ops.settings import Settings
from servers import awry_server
from test_server_api import csv

sync_api = pytest.importorskip("playwright.sync_api")
_CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium here")
_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

Opener = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with awry_server(home=home, rate=1e6, burst=10**6, poll_seconds=0.02) as found:
        yield found


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    amount = rng.normal(50, 5, 300).round(3)
    amount[[100, 200]] = [900, 700]
    file = tmp_path_factory.mktemp("data") / "payments 2024.csv"
    file.write_bytes(csv(pa.table({"amount": amount, "hour": rng.integers(8, 18, 300)})))
    return file


@pytest.fixture(scope="module")
def opener() -> Iterator[Opener]:
    """Opens tabs, and fails where one loads anything from elsewhere or complains."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGS)

        @contextmanager
        def tab(**options: Any) -> Iterator[Any]:
            context = browser.new_context(**options)
            page, complaints = context.new_page(), []
            page.on("console", lambda said: complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "request",
                lambda asked: (
                    asked.url.startswith(("http://127.0.0.1:", "data:"))
                    or complaints.append(asked.url)
                ),
            )
            try:
                yield page
            finally:
                context.close()
            assert complaints == []

        yield tab
        browser.close()


def judge(page: Any, address: str, file: Path, name: str | None) -> None:
    """From the first page to the anomalies of an uploaded file."""
    page.goto(address)
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_label("File").set_input_files(file)
    if name is not None:
        page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Upload").click()
    sync_api.expect(page.get_by_role("status")).to_contain_text("The data set is stored")
    sync_api.expect(page.get_by_text("Not judged yet")).to_be_visible()
    page.get_by_label("Method").first.select_option("mcd")
    page.get_by_label("Share to flag").first.fill("1")
    page.get_by_role("button", name="Start detection").click()
    # The page follows the job by itself, with its script or by loading again.
    page.get_by_role("link", name="See the anomalies").click(timeout=60_000)


def count(page: Any, what: str) -> int:
    return int(page.locator(f"#{what}").inner_text())


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_person_finds_an_anomaly_and_marks_it_false(
    opener: Opener, address: str, payments: Path, scripts: bool
) -> None:
    with opener(java_script_enabled=scripts) as page:
        # With the script the file's name is the data set's.
        judge(page, address, payments, None if scripts else "by-hand")
        assert "payments-2024" in page.url or not scripts
        for picture in ("Scores over the rows", "How scores are spread"):
            sync_api.expect(page.get_by_role("img", name=picture)).to_be_visible()
        here, before = page.url, count(page, "open-events")
        assert before >= 2
        assert count(page, "false-alarms") == 0
        page.get_by_role("link", name="Row 101").click()
        sync_api.expect(page.get_by_role("heading", level=1)).to_contain_text("unusual amount")
        sync_api.expect(page.get_by_role("heading", name="Beside normal rows")).to_be_visible()
        page.get_by_label("Note").fill("a planned sale")
        page.get_by_role("button", name="False alarm").click()
        sync_api.expect(page.get_by_role("status")).to_contain_text("false alarm")
        sync_api.expect(page.get_by_text("a planned sale")).to_be_visible()
        page.reload()  # sends nothing again
        assert page.get_by_text("a planned sale").count() == 1
        page.goto(here)
        assert count(page, "open-events") == before - 1
        assert count(page, "false-alarms") == 1


def press_until(page: Any, focused: str, most: int = 60) -> None:
    """Press Tab until what matches ``focused`` has the focus, which must be seen all the way."""
    for _ in range(most):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("s => document.activeElement.matches(s)", focused):
            return
    raise AssertionError(f"{focused} is not reached by the keyboard")


@pytest.fixture(scope="module")
def judged(address: str, payments: Path) -> str:
    """The name of a data set that a model of the same name has judged."""
    with awry.Client(address) as client:
        client.upload("judged", payments)
        for job in (
            client.train("judged", "judged", method="mcd", threshold=0.01),
            client.detect_batch("judged", method="mcd", threshold=0.01),
        ):
            assert client.wait(job["id"], every=0.05)["state"] == "done"
    return "judged"


def test_the_keyboard_is_enough(opener: Opener, address: str, judged: str) -> None:
    with opener() as page:
        page.goto(f"{address}/page/events?source={judged}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        press_until(page, "td.what a", most=8)  # past the bar, behind three filters
        page.keyboard.press("Enter")
        page.wait_for_url("**/page/events/*")
        press_until(page, "textarea[name=note]")
        page.keyboard.type("by keyboard")
        press_until(page, "button[value=confirmed]", most=2)
        page.keyboard.press("Enter")
        sync_api.expect(page.get_by_text("by keyboard")).to_be_visible()
        page.goto(f"{address}/page/source?name={judged}")
        press_until(page, 'a[href="#judge"]')
        page.keyboard.press("Enter")
        press_until(page, "select[name=by]", most=3)


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_questions_are_answered_by_keyboard(
    opener: Opener, address: str, judged: str, scripts: bool
) -> None:
    with opener(java_script_enabled=scripts) as page:
        page.goto(address)
        page.get_by_role("link", name="Review", exact=True).click()
        sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Review")
        page.goto(f"{address}/page/review?model={judged}")
        left, false_alarms = count(page, "left"), count(page, "false-alarms")
        asked = page.locator("input[name=event]").get_attribute("value")
        sync_api.expect(page.get_by_role("heading", name="Why")).to_be_visible()
        if scripts:  # without, the test cannot ask what has the focus
            press_until(page, "textarea[name=note]")
            page.keyboard.type("seen")
            press_until(page, "button[value=false_alarm]", most=2)
            page.keyboard.press("Enter")
        else:
            page.get_by_role("button", name="False alarm").focus()
            page.keyboard.press("Space")
        sync_api.expect(page.get_by_role("status")).to_contain_text("false alarm")
        assert count(page, "left") == left - 1
        assert count(page, "false-alarms") == false_alarms + 1
        page.reload()  # sends nothing again
        assert count(page, "left") == left - 1
        if left > 1:
            assert page.locator("input[name=event]").get_attribute("value") != asked


def test_a_phone_shows_all_without_moving_sideways(
    opener: Opener, address: str, judged: str
) -> None:
    with opener(viewport={"width": 360, "height": 740}) as page:
        page.goto(f"{address}/page/events?source={judged}")
        event = page.locator("td.what a").first.get_attribute("href")
        page.goto(f"{address}/page/jobs")
        job = page.locator("td a").first.get_attribute("href")
        lists = ("/", "/page/data", "/page/events", "/page/review", "/page/models", "/page/jobs")
        for path in (*lists, f"/page/source?name={judged}", f"/page/models/{judged}", event, job):
            page.goto(address + path)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, (path, wide)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")


def test_a_key_is_asked_for_once(opener: Opener, tmp_path: Path) -> None:
    made = Service(Settings(home=tmp_path))
    key = made.keys.create("person", "read")
    made.close()
    with awry_server(home=tmp_path, require_key=True, workers=0) as address:
        with opener() as page:
            page.goto(f"{address}/page/models")
            page.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
            sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Models")
            assert page.evaluate("document.cookie") == ""
            page.goto(address)
            sync_api.expect(page.get_by_text("Nothing has been judged yet")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            sync_api.expect(page.get_by_label("API key")).to_be_visible()
        assert urlopen(f"{address}/health").status == 200
