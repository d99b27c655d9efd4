"""One server and one browser for all tests of the pages; any script error, console error or outside request fails."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from dashboard_demo import TASK, demo
from dashboard_foreign import images, metamath

from harness.dashboard.page import Dashboard
from harness.experiment import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # milliseconds that a condition may take on a slow machine


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Published results of two tasks, and a made-up task with every kind of row."""
    base = tmp_path_factory.mktemp("results")
    images(metamath(base / "published"))
    return [base / "published", demo(base / TASK / "results")]


@pytest.fixture(scope="session")
def everything(folders):
    """The pages over these and the committed results, without a server."""
    return Dashboard([*folders, ROOT / "results"], None)


@contextmanager
def served(*arguments):
    """The address of a dashboard in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for(address, process):
    deadline = time.monotonic() + 2 * PATIENCE / 1000
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(process.stdout.read())
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError("the dashboard did not answer")


@pytest.fixture(scope="session")
def serve():
    """`served`, for tests that need a server of their own."""
    return served


@pytest.fixture(scope="session")
def server(folders):
    paths = [part for folder in [*folders, ROOT / "results"] for part in ("--results", folder)]
    with served(*paths) as address:
        yield address


@pytest.fixture(scope="session")
def context():
    """The browser, one for all tests. Skipped without Chromium or playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: requirements-dev.txt")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        yield context
        browser.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(f"script: {error}"))
    page.on(
        "console", lambda line: errors.append(f"console: {line.text}") if line.type in ("error", "warning") else None
    )
    page.on("dialog", lambda dialog: (errors.append(f"popup: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda one: None if _is_inside(one.url) else errors.append(f"outside: {one.url}"))
    page.on("response", lambda one: errors.append(f"{one.status}: {one.url}") if one.status >= 400 else None)
    yield page
    page.close()
    assert errors == []


def _is_inside(url):
    return re.match(r"http://127\.0\.0\.1:|data:|blob:|file:|about:", url)


@pytest.fixture
def visit(page, server):
    """Opens a link and waits until the page has drawn what it says."""

    def open_(**view):
        pairs = [(key, one) for key, value in view.items() for one in (value if isinstance(value, list) else [value])]
        page.goto(f"{server}/?{urllib.parse.urlencode(pairs)}")
        page.wait_for_selector("body[data-drawn]")
        return page

    return open_


@pytest.fixture
def demo_view():
    return {"task": TASK, "model": "embedded/llama"}
