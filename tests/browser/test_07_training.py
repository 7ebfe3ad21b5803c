"""Notebook 07 in a real browser: patients, epochs and guesses move the clinic, with and without a kernel."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_a_patient_is_watched_guessed_and_told(lab, page):
    errors = []
    page.on("pageerror", lambda problem: errors.append(str(problem)))
    run_notebook(lab, page, "07_training", shows=["curves_explorer"])
    clinic, parts = page.locator(".diffrec-curves").nth(0), page.locator(".diffrec-curves").nth(1)
    clinic.scroll_into_view_if_needed()
    told, verdict = clinic.locator(".drl-readout"), clinic.locator(".tc-verdict")
    own = clinic.locator("svg polyline[stroke='#B34E00']")
    expect(clinic.locator("svg")).to_have_count(3)
    expect(told).to_contain_text("After epoch 3:")
    expect(verdict).to_have_text("Look at all three panels before you choose.")
    look(page, "07_training_start")

    epochs = clinic.get_by_label("Epochs seen")
    assert len(own.first.get_attribute("points").split()) == 3
    epochs.press("ArrowRight")
    expect(told).to_contain_text("After epoch 4:")

    choices = clinic.get_by_label("Your diagnosis")
    before = clinic.bounding_box()["height"]
    answers = []
    for place in range(1, 7):
        choices.select_option(index=place)
        answers.append(verdict.inner_text())
        assert clinic.bounding_box()["height"] <= before + 60, "the layout jumps"
    assert sum(answer.startswith("Yes:") for answer in answers) == 1
    first = own.first.get_attribute("points")
    clinic.get_by_label("Run", exact=True).select_option(index=2)
    assert own.first.get_attribute("points") != first
    expect(verdict).to_have_text("Look at all three panels before you choose.")
    epochs.fill("16")
    choices.select_option(index=6)
    expect(verdict).to_contain_text("Yes:")
    look(page, "07_training_told")

    for width in (1400, 1100):
        page.set_viewport_size({"width": width, "height": 1000})
        for number, explorer in enumerate((clinic, parts)):
            explorer.scroll_into_view_if_needed()
            inside = explorer.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
            assert inside, f"cropped at {width}"
            tops = [panel.bounding_box()["y"] for panel in explorer.locator("svg").all()]
            assert max(tops) - min(tops) < 2, f"the panels do not stand side by side at {width}"
            look(page, f"07_training_{width}_{number}")
    page.set_viewport_size({"width": 1280, "height": 1000})

    lab.stop_kernels()
    expect(parts.get_by_label("Your diagnosis")).to_have_count(0)
    before = parts.locator(".drl-readout").inner_text()
    parts.get_by_label("Without").select_option(index=5)
    expect(parts.locator(".drl-readout")).not_to_have_text(before)
    assert errors == []
