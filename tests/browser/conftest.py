"""Reports of invented runs with hostile names, in the system's Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from benchmark import report
from benchmark.bench.synthetic import Content, build_store
from benchmark.collecting import report_data

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HUNDRED = Content(
    losses=(
        'img<img src="x" onerror="window.__x = 1">',
        '"><script>window.__x = 2</script>',
        "giou",
        "a_long_label_without_any_space_that_goes_on_and_on_until_no_phone_has_room_for_it",
        "ciou & 'friends' alpha=0.5 gamma=2",
    ),
    repetitions=5,
    datasets=("shapes", "'><svg onload='window.__x = 3'>"),
    epochs=20,
    tuning=True,
    description='</p><script>window.__x = 4</script> & "quotes"',
    failure='RuntimeError: <b onmouseover="window.__x = 5">bold</b></pre><script>alert(6)</script>',
)
"""Five losses x five repetitions x two data sets x two tasks."""
FEW = replace(HUNDRED, repetitions=3, datasets=HUNDRED.datasets[1:], epochs=10)
"""What a browser loads faster, for what does not depend on how much there is."""


@pytest.fixture(scope="session")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``report.html`` of :data:`HUNDRED`."""
    return written(tmp_path_factory.mktemp("hundred") / "invented", HUNDRED)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``report.html`` of :data:`FEW`."""
    return written(tmp_path_factory.mktemp("few") / "invented", FEW)


def written(folder: Path, content: Content) -> Path:
    store = build_store(folder, content)
    report.write(report_data(store), store.path, only=["page"])
    return store.path / "report.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; keywords are those of a browser context.

    Whatever a test does, no script of the page may fail, none of a name may run, and nothing but
    the file itself may be asked for.
    """
    contexts = []
    problems: list[str] = []

    def asked_for(url: str, own: str) -> None:
        if url.partition("#")[0] != own and not url.startswith("data:"):
            problems.append(f"asked for {url}")

    def open_page(path: Path, **options: Any) -> Page:
        # Without motion a page stands where it was scrolled to at once.
        usual: dict[str, Any] = {
            "viewport": {"width": 1280, "height": 900},
            "reduced_motion": "reduce",
        }
        context = browser.new_context(**{**usual, **options})
        context.set_default_timeout(20_000)
        context.set_default_navigation_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: asked_for(request.url, path.as_uri()))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            if page.evaluate("() => window.__x") is not None:
                problems.append("a name ran as a script")
        context.close()
    assert problems == []


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Save a picture of each section where LOSSBENCH_SCREENSHOTS names a folder."""
    folder = os.environ.get("LOSSBENCH_SCREENSHOTS")

    def save(page: Page, name: str) -> None:
        if folder:
            for part in page.locator("header, section.part").all():
                own = part.get_attribute("id") or "header"
                part.screenshot(path=Path(folder) / f"{name}-{own}.png", timeout=60_000)

    return save
