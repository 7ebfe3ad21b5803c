"""Build your own shelf: what is sent to the page, and which models are refused. For the page, see tests/browser."""

import base64

import numpy as np
import pandas as pd
import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.models.base import ModelError
from diffrec_lite.widgets import live as lab
from diffrec_lite.widgets.live import FREE, FREE_OF, KNOWN_OF, answers, books_of, live, pack

SHOP = load("bookshop")


@pytest.fixture(scope="module")
def trained():
    return [models.load_checkpoint(name.lower()) for name in KNOWN_OF]


def test_a_pack_holds_every_weight_as_it_is(trained):
    for model in trained:
        packed = pack(model)
        assert packed["weights"].keys() == model.state_dict().keys()
        for name, weight in model.state_dict().items():
            coded = packed["weights"][name]
            numbers = np.frombuffer(base64.b64decode(coded["data"]), dtype="<f4").reshape(coded["shape"])
            assert torch.equal(torch.from_numpy(numbers.copy()), weight)
        assert packed["abar"] == model.diffusion.abar.tolist()
        assert packed["settings"]["sampling_steps"] == model.sampling_steps


@pytest.mark.parametrize("name", list(KNOWN_OF))
def test_every_setting_of_a_model_is_either_free_or_known(name):
    settings = models.build(name.lower(), 9, d=4, heads=1).settings.as_dict()
    assert settings.keys() == (FREE | FREE_OF[name] | KNOWN_OF[name].keys()) - {"num_items"}


OTHERS = {
    "DiffuRecSys": {"cross_attention": "softmax", "samples": 2, "mask_rows": True, "residual": False},
    "DCRec": {"stream": "noised", "positions": "relative", "noise_on": "target", "rounding_by": "cosine"},
}


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for name, others in OTHERS.items() for setting in others]
)
def test_a_setting_that_the_page_does_not_know_is_refused_by_name(name, setting):
    known = {**KNOWN_OF[name], "d": 4, "heads": 1}
    pack(models.build(name.lower(), 9, **known))
    model = models.build(name.lower(), 9, **{**known, setting: OTHERS[name][setting]})
    with pytest.raises(ModelError, match=f"{name} with {setting}={KNOWN_OF[name][setting]!r} only"):
        pack(model)


def test_a_setting_that_is_new_to_the_page_is_refused(trained, monkeypatch):
    monkeypatch.delitem(KNOWN_OF["DCRec"], "project")
    with pytest.raises(ModelError, match="has no project for DCRec"):
        pack(trained[1])


def test_another_model_is_refused():
    with pytest.raises(ModelError, match="knows DiffuRecSys and DCRec, not SASRec"):
        pack(models.build("sasrec", 9, d=4, heads=1))


def test_the_answers_are_those_of_recommend(trained):
    shelf = SHOP.history(3).tolist()
    for model in trained:
        state = answers(model, shelf, steps=model.sampling_steps)[-1]
        table = model.recommend([shelf], k=lab.BEST)
        assert state["t"] == 0 and state["best"] == table.item_id.tolist()
        assert state["scores"] == pytest.approx(table.score.tolist())


def test_books_carry_what_the_data_tell():
    books = books_of(SHOP)
    assert len(books) == SHOP.num_items + 1
    assert books[1] == {"title": SHOP.title(1), "genre": "Fantasy", "series": "Wardens of Thistlemoor"}
    single = SHOP.titles.index("The Perfect Key")
    assert books[single] == {"title": "The Perfect Key", "genre": "Crime", "series": ""}
    log = pd.DataFrame([(u, i, i) for u in range(3) for i in range(1, 6)], columns=["user", "item", "timestamp"])
    assert books_of(SequenceDataset.from_log(log, "plain"))[2] == {"title": "2", "genre": "", "series": ""}


def test_the_widget_has_a_picture_and_says_what_it_is(trained):
    widget = live(trained, SHOP, {"a": [1, 2, 3]})
    data, metadata = widget._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "DiffuRecSys and DCRec recommend" in metadata["image/png"]["alt"]
    before = widget.picture()
    widget.state = {**widget.state, "shelf": [130, 131]}
    assert widget.picture() != before


def test_the_picture_names_the_books(trained):
    shelf = SHOP.history(3).tolist()
    columns = {type(model).__name__: answers(model, shelf, steps=4)[-1] for model in trained}
    figure = lab.draw(SHOP.titles, shelf, columns)
    texts = [" ".join(text.get_text().split()) for ax in figure.axes for text in ax.texts]
    assert f"The shelf: the last 5 of {len(shelf)} books" in texts
    for answer in columns.values():
        assert all(f"{rank} {SHOP.title(item)}" in texts for rank, item in enumerate(answer["best"], start=1))


@pytest.mark.parametrize(
    ("shelves", "options", "message"),
    [
        ({}, {}, "at least one model and one shelf"),
        ({"a": []}, {}, "shelf 'a' needs item ids from 1 to 240"),
        ({"a": [0, 4]}, {}, "needs item ids"),
        ({"a": [241]}, {}, "needs item ids"),
        ({"a": [1]}, {"steps": 3}, "steps must be one of 1, 2, 4, 8, 16, 32, got 3"),
    ],
)
def test_what_cannot_be_shown_is_refused(trained, shelves, options, message):
    with pytest.raises(ValueError, match=message):
        live(trained, SHOP, shelves, **options)


def test_other_data_are_refused(trained):
    log = pd.DataFrame([(u, i, i) for u in range(3) for i in range(1, 6)], columns=["user", "item", "timestamp"])
    with pytest.raises(ValueError, match="bookshop|items"):
        live(trained, SequenceDataset.from_log(log, "other"), {"a": [1]})
