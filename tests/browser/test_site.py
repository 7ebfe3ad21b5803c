"""The site: every page opens from its file with the network cut, explorers are drawn, axe finds nothing serious."""

import book
import pytest
from axe_playwright_python.sync_playwright import Axe

from notebooks import course

NAMES = ["index", *(path.stem for path in course()), "notation", "INSTRUCTOR", "api"]
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "preload": False}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return book.build(course(), tmp_path_factory.mktemp("site") / "html").parent


@pytest.fixture
def offline(page):
    """A page with the network cut; afterwards, nothing may have been asked of it, and no error seen."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.context.set_offline(True)
    yield page
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []


def opened(page, site, name):
    """Open a page of the site, and wait until its explorers are drawn; returns how many there are."""
    page.goto((site / f"{name}.html").as_uri())
    places = page.locator("[data-explorer]").count()
    page.wait_for_function("n => document.querySelectorAll('[data-explorer] > :not(img)').length >= n", arg=places)
    return places


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_offline_in_every_width_and_is_accessible(offline, site, name):
    places = opened(offline, site, name)
    assert places or not name[:2].isdigit(), "a notebook has explorers"
    assert grave(offline) == []
    for width in (1100, 400):
        offline.set_viewport_size({"width": width, "height": 900})
        assert offline.evaluate("document.documentElement.scrollWidth") <= width, f"wider than {width} px"


@pytest.mark.parametrize("name", ["index", "00_start_here", "api"])
def test_a_page_is_accessible_on_dark_ground(offline, site, name):
    offline.emulate_media(color_scheme="dark")
    opened(offline, site, name)
    assert offline.evaluate("document.documentElement.dataset.theme") == "dark"
    assert grave(offline) == []


def grave(page):
    """What axe finds serious or critical in a page, each with its first place."""
    found = Axe().run(page, options=WCAG).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in GRAVE]
