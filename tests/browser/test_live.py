"""Build your own shelf: the network in the page says what PyTorch says, and the page does what the learner asks."""

import pytest
import torch
from browser.pages import open_exported
from playwright.sync_api import expect

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.data.batches import pad
from diffrec_lite.diffusion import SCHEDULES
from diffrec_lite.widgets.live import KNOWN_OF, NETWORK, answers, live, pack

SHOP = load("bookshop")
TRAINED = {name: models.load_checkpoint(name.lower()) for name in KNOWN_OF}
# Float32 against float64, the reverse process over: vectors differ by some 3e-6 at most, scores by some 5e-6. A layer
# norm that forgets its eps of 1e-5 is told apart.
VECTORS, SCORES = 1e-5, 2e-5
HISTORIES = [[5], [62, 61], SHOP.history(1)[:-1].tolist(), list(range(1, 51)), [7, 7, *range(20, 83)]]
WALKS = "([packed, cases]) => cases.map(([history, options]) => [...trajectory(unpack(packed), history, options)])"


@pytest.fixture
def network(page):
    """network.js as functions of an empty page."""
    page.add_script_tag(content=NETWORK)
    return page


@torch.inference_mode()
def walks_of(model, histories, users, **options):
    """PyTorch's states for histories that are padded into one batch; the rounded scores of each, without padding."""
    batch = pad(histories)
    return [
        (state, model.rounding(state.xt if state.x0_hat is None else state.x0_hat, batch[:, -model.max_len :])[:, 1:])
        for state in model.trajectory(batch, users=users, **options)
    ]


def compare(page, model, histories, users, steps, seed, transition):
    """Walk both ways, and hold every state's x_t, x0_hat and scores against each other."""
    options = [{"steps": steps, "seed": seed, "user": user, "transition": transition} for user in users]
    theirs = page.evaluate(WALKS, [pack(model), list(zip(histories, options, strict=True))])
    ours = walks_of(model, histories, users, steps=steps, seed=seed, transition=transition)
    for row, walk in enumerate(theirs):
        assert [state["t"] for state in walk] == [state.t for state, _ in ours]
        for found, (state, scores) in zip(walk, ours, strict=True):
            assert found["scores"][0] == -torch.inf
            torch.testing.assert_close(torch.tensor(found["xt"]), state.xt[row], atol=VECTORS, rtol=0)
            torch.testing.assert_close(torch.tensor(found["scores"][1:]), scores[row], atol=SCORES, rtol=0)
            if state.x0_hat is None:
                assert found["x0_hat"] is None
            else:
                torch.testing.assert_close(torch.tensor(found["x0_hat"]), state.x0_hat[row], atol=VECTORS, rtol=0)


@pytest.mark.parametrize("transition", ["posterior", "renoise", "ddim"])
@pytest.mark.parametrize("name", list(TRAINED))
def test_the_page_and_pytorch_walk_through_the_same_states(network, name, transition):
    for steps, seed in ((1, 0), (4, 1), (32, 2)):
        compare(network, TRAINED[name], HISTORIES, [0, 3, 1499, 17, 5], steps, seed, transition)


@pytest.mark.parametrize("name", list(TRAINED))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_networks_of_other_sizes_walk_alike(network, name, schedule):
    torch.manual_seed(0)
    asked = {setting: value for setting, value in KNOWN_OF[name].items() if setting != "samples"}
    sizes = {"d": 12, "heads": 3, "blocks": 1, "T": 7, "max_len": 6, "delta": 0.3, "schedule": schedule}
    model = models.build(name.lower(), 30, **asked, **sizes, **({"signal": 0.5} if name == "DCRec" else {})).eval()
    with torch.no_grad():
        for weight in model.parameters():  # also those that begin at zero
            weight.add_(0.1 * torch.randn_like(weight))
    compare(network, model, [[3], [1, 2, 30, 4], list(range(9, 20))], [2, 0, 9], 5, 11, model.settings.transition)


def test_the_noise_is_the_same_for_every_user_step_stream_and_place(network):
    from diffrec_lite.noise import Noise

    for seed, user, step, stream, L, d in [(0, 0, 32, 0, 1, 32), (9, 1499, 5, 1, 50, 32), (2**40, 7, 0, 2, 3, 5)]:
        found = network.evaluate(f"noiseOf({seed}, {user})({L}, {d}, {step}, {stream})")
        wanted = Noise(seed, [user])(torch.zeros(1, L, d, dtype=torch.float64), step, stream)[0]
        torch.testing.assert_close(torch.tensor(found), wanted.float(), atol=2e-6, rtol=0)


# ---------------------------------------------------------------- the page

SHELVES = {"reader A": SHOP.history(1)[:-1].tolist(), "reader B": SHOP.history(7)[:-1].tolist()}


@pytest.fixture
def shelf(page, tmp_path):
    """The exported page with the network cut; afterwards, no request may have been tried and no error seen."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_exported(page, tmp_path, live(list(TRAINED.values()), SHOP, SHELVES))
    yield page
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert errors == []


def best(page):
    """The titles that each panel lists, best first."""
    return [panel.locator(".ls-title").all_inner_texts() for panel in page.locator(".ls-best").all()]


def pytorch(shelf, steps=1, seed=0, transition=None, at=-1):
    """What each panel should list."""
    told = (answers(model, shelf, steps, seed, transition)[at] for model in TRAINED.values())
    return [[SHOP.title(item) for item in answer["best"]] for answer in told]


def test_a_book_is_found_added_moved_and_taken_off(shelf):
    read = SHELVES["reader A"]
    assert best(shelf) == pytorch(read)
    new = next(item for item in range(1, 241) if item not in read and SHOP.item_features.genre[item] == "Ghosts")
    shelf.get_by_label("Genre or series").select_option(label="Ghosts")
    shelf.get_by_label("Words of a title").fill(SHOP.title(new)[:12])
    shelf.get_by_label("Books of the shop").select_option(label=SHOP.title(new))
    shelf.get_by_label("Books of the shop").press("Enter")
    expect(shelf.get_by_text(f"Your shelf: {len(read) + 1} books")).to_be_visible()
    assert best(shelf) == pytorch([*read, new])
    expect(shelf.locator(".ls-told")).to_contain_text(f"{SHOP.title(new)} was added")
    assert "new, was" in shelf.locator(".ls-best").first.inner_text()

    shelf.get_by_role("button", name=f"{SHOP.title(new)}: earlier").press("Enter")
    assert best(shelf) == pytorch([*read[:-1], new, read[-1]])
    focused = "document.activeElement.getAttribute('aria-label')"
    assert shelf.evaluate(focused) == f"{SHOP.title(new)}: earlier"
    shelf.get_by_role("button", name=f"{SHOP.title(new)}: off the shelf").press("Enter")
    assert best(shelf) == pytorch(read)
    assert shelf.evaluate(focused) == f"{SHOP.title(read[-1])}: off the shelf"


def test_steps_sampler_and_seed_can_be_chosen_and_every_state_looked_at(shelf):
    read = SHELVES["reader B"]
    shelf.get_by_role("button", name="reader B").click()
    shelf.get_by_label("Steps").select_option(label="4")
    shelf.get_by_label("Sampler").select_option(label="ddim")
    shelf.get_by_label("Noise seed").select_option(label="3")
    assert best(shelf) == pytorch(read, 4, 3, "ddim")
    clock = shelf.get_by_label("After step")
    for at in (3, 2, 1, 0):
        clock.press("ArrowLeft")
        assert best(shelf) == pytorch(read, 4, 3, "ddim", at)
    expect(shelf.locator(".ls-where").first).to_contain_text("noise alone, no prediction yet")


def test_an_empty_shelf_says_so_and_takes_a_first_book(shelf):
    shelf.get_by_role("button", name="Empty").click()
    expect(shelf.locator(".ls-books")).to_contain_text("Add a book")
    expect(shelf.locator(".ls-best").first).to_be_hidden()
    shelf.get_by_label("Books of the shop").select_option(index=0)
    shelf.get_by_role("button", name="Add to the shelf").click()
    assert best(shelf) == pytorch([1])
    expect(shelf.get_by_text("Your shelf: 1 book,")).to_be_visible()
