"""Fixtures of the browser tests: one JupyterLab and one Chromium for all, a fresh page for each."""

import re

import pytest
from browser.lab import CHROMIUM_OPTIONS, chromium, look, start
from playwright.sync_api import expect, sync_playwright

WAIT = 60_000  # milliseconds until a test gives up: a busy computer is slow and not wrong


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    if path is None:
        pytest.skip("browser tests need Chromium or Chrome on the PATH; none is installed")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield program
        program.close()


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    lab, process = start(tmp_path_factory.mktemp("lab"))
    yield lab
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def lab(server):
    """The running JupyterLab; its kernels end with the test."""
    yield server
    server.stop_kernels()


@pytest.fixture
def page(browser):
    """An empty page in a browser profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None:
        path = look(page, re.sub(r"\W+", "_", item.name))
        report.sections.append(("screenshot", str(path)))
    return report
