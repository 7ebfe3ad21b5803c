"""A real JupyterLab with a copy of the notebooks, and what a test does in it.

def test_something(lab, page):
    run_notebook(lab, page, "01_forward_noising")
    look(page, "forward_noising")
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from names import needed
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
PROMPTS = f"[...document.querySelectorAll('{PANEL} .jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim())"
# JupyterLab shows a traceback under the type of stderr, or under one of its own; warnings are unwanted as well.
ERRORS = ", ".join(f"{PANEL} [data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("stderr", "error"))
CONNECTED = """() => {
    const session = window.jupyterapp.shell.currentWidget?.context?.sessionContext;
    return session?.isReady && session.session?.kernel?.connectionStatus === "connected";
}"""
MODEL = "window.jupyterapp.shell.currentWidget.context.model"
SETTINGS = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}  # every cell in the page at once
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, and the folder whose notebooks it serves."""

    url: str
    folder: Path

    def stop_kernels(self) -> None:
        """End every kernel, so that tests do not pay for each other's memory."""
        with urllib.request.urlopen(f"{self.url}/api/sessions") as answer:
            sessions = json.load(answer)
        for session in sessions:
            request = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(request).close()


def start(folder: Path) -> tuple[Lab, subprocess.Popen]:
    """Start JupyterLab on a free port of this machine, on a copy of the notebooks inside `folder`."""
    served = folder / "notebooks"
    shutil.copytree(ROOT / "notebooks", served)
    for name, content in SETTINGS.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    variables = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "share",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    options = {
        "ip": "127.0.0.1",
        "port": 0,
        "root_dir": served,
        "open_browser": False,
        "allow_root": True,
        "disable_check_xsrf": True,
    }
    with open(folder / "jupyter.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--IdentityProvider.token="]
            + ["--LabApp.expose_app_in_browser=True"]
            + [f"--ServerApp.{name}={value}" for name, value in options.items()],
            env=os.environ | {name: str(folder / place) for name, place in variables.items()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    found = folder / "runtime" / f"jpserver-{process.pid}.json"  # where the server says which port it was given
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            lab = Lab(f"http://127.0.0.1:{json.loads(found.read_text())['port']}", served)
            urllib.request.urlopen(f"{lab.url}/api/status", timeout=5).close()
            return lab, process
        except (OSError, ValueError):  # no file yet, half a file, or nobody answers yet
            time.sleep(0.2)
    process.kill()
    raise RuntimeError(f"JupyterLab did not start:\n{(folder / 'jupyter.log').read_text()[-2000:]}")


def open_notebook(lab: Lab, page: Page, name: str) -> int:
    """Open the notebook `name` (without .ipynb) and wait for its kernel; returns the number of its code cells."""
    cells = json.loads((lab.folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    page.goto(f"{lab.url}/lab/tree/{name}.ipynb?reset")
    page.wait_for_selector(f"{PANEL} .jp-Cell", timeout=60_000)
    indicator = page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator")
    expect(indicator).to_have_attribute("data-status", "idle", timeout=60_000)
    page.wait_for_function(CONNECTED, timeout=60_000)  # a run that is asked for earlier is lost
    return sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in cells)


def run_notebook(lab: Lab, page: Page, name: str, timeout: float = 90, shows: Sequence[str] = ()) -> None:
    """Open the notebook `name`, run all its cells, wait until they are done, and assert that none failed.

    `timeout` is in seconds and counts from the start of the run. With `shows`, the notebook has only the code cells
    that call one of these, and those that they hang on: the others are run by nbval, and take minutes.
    """
    if shows:
        keep_code(lab.folder / f"{name}.ipynb", [f"{call}(" for call in shows])
    code_cells = open_notebook(lab, page, name)
    # The stored prompts would look like a finished run.
    command(page, "editmenu:clear-all")
    page.wait_for_function(f"() => {PROMPTS}.every(text => text === '[ ]:')", timeout=10_000)
    command(page, "runmenu:run-all")
    finished = f"{PROMPTS}.length === n && {PROMPTS}.every(text => /^\\[\\d+\\]:$/.test(text))"
    failed = f'document.querySelector("{ERRORS}") !== null'
    page.wait_for_function(f"n => ({finished}) || {failed}", arg=code_cells, timeout=timeout * 1000)
    errors = page.locator(ERRORS)
    assert errors.count() == 0, f"{name}: a cell failed\n{errors.first.inner_text()[-1500:]}"
    no_kernel = page.locator(".jp-Dialog").get_by_role("button", name="No Kernel", exact=True)
    page.add_locator_handler(no_kernel, lambda button: button.click())  # once kernels are stopped, it asks for another


def keep_code(path: Path, calls: Sequence[str]) -> None:
    """Take from the notebook at `path` each code cell that neither has one of `calls` in it nor is needed for one."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = ["".join(cell["source"]) if cell["cell_type"] == "code" else "" for cell in notebook["cells"]]
    wanted = [place for place, source in enumerate(text) if any(call in source for call in calls)]
    assert len(wanted) >= len(calls), f"{path.name} has no cell for some of {calls}"
    kept = needed(text, wanted)
    notebook["cells"] = [cell for place, cell in enumerate(notebook["cells"]) if place in kept or not text[place]]
    path.write_text(json.dumps(notebook), encoding="utf-8")


def command(page: Page, name: str) -> None:
    """Give JupyterLab a command of its menus, such as "runmenu:run-all", and do not wait for its end."""
    page.evaluate("name => void window.jupyterapp.commands.execute(name)", name)


def save(page: Page) -> None:
    """Save the notebook that is open, and wait until it is written."""
    command(page, "docmanager:save")
    page.wait_for_function(f"() => !{MODEL}.dirty", timeout=20_000)


def look(page: Page, name: str) -> Path:
    """A screenshot of what the page shows now, in build/screenshots; returns its path."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path
