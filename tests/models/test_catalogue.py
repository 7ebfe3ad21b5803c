"""A model knows its items: the same go, another order is mapped, anything else is refused by name."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models.small import make

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.models import MODELS
from diffrec_lite.models.base import WEIGHTS
from diffrec_lite.models.catalogue import Catalogue
from diffrec_lite.models.packed import about
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.record import fingerprint

TOKENS = [f"item {i}" for i in range(12)]


def world(tokens=TOKENS, readers=9):
    """A data set with these tokens, in their order, and the same events by token whatever the order."""
    rows = [(u, TOKENS[(u * 3 + j * (1 + u % 2)) % 12], j) for u in range(readers) for j in range(7)]
    named = SequenceDataset.from_log(
        pd.DataFrame(rows, columns=["user", "item", "timestamp"]),
        "world",
        pd.DataFrame({"title": [f"The {token}" for token in TOKENS], "pages": range(12)}, index=TOKENS),
    )
    return shuffled(named, [named.item_tokens.index(token) for token in tokens])


def shuffled(data, order):
    """The data set in which item `order[i]` is called i + 1."""
    new = torch.zeros(data.num_items + 1, dtype=torch.long)
    new[order] = torch.arange(1, data.num_items + 1)
    features = data.item_features.loc[order].set_axis(range(1, data.num_items + 1))
    return replace(
        data,
        items=new[data.items],
        item_tokens=["[PAD]", *(data.item_tokens[i] for i in order)],
        titles=["", *(data.titles[i] for i in order)],
        item_features=features,
    )


@pytest.fixture(scope="module")
def markov():
    model = models.build("markov", 12)
    model.fit_counts(world())
    return model


@given(st.permutations(TOKENS))
@settings(deadline=None, max_examples=15)
def test_another_order_of_the_same_items_changes_nothing(markov, tokens):
    mine, theirs = world(), world(tokens)
    again = markov.numbered(theirs)
    assert torch.equal(again.items, mine.items) and again.item_tokens == mine.item_tokens
    assert again.titles == mine.titles and again.item_features.equals(mine.item_features)
    one, other = evaluate(markov, mine), evaluate(markov, theirs)
    assert torch.equal(one.ranks, other.ranks)
    # What comes back is in the caller's numbers.
    assert [mine.item_tokens[i] for i in one.targets] == [theirs.item_tokens[i] for i in other.targets]
    assert torch.equal(other.targets, theirs.test.targets)


def test_ranks_would_differ_without_the_map(markov):
    bare = models.build("markov", 12)
    bare.load_state_dict({**markov.state_dict()})
    other = world(TOKENS[::-1])
    assert not torch.equal(evaluate(bare, other).ranks, evaluate(markov, other).ranks)


@given(st.integers(1, 12), st.text(min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_one_other_token_is_refused_by_name(markov, place, token):
    data = world()
    tokens = [*data.item_tokens]
    if token in tokens:
        return
    lost, tokens[place] = tokens[place], token
    other = replace(data, item_tokens=tokens)
    for ask in (markov.numbered, lambda data: evaluate(markov, data), lambda data: next(fit(markov, data))):
        with pytest.raises(ValueError, match="world has other items") as refused:
            ask(other)
        assert repr(lost) in str(refused.value) and repr(token) in str(refused.value)


def test_the_first_token_that_differs_is_named():
    known = Catalogue(["[PAD]", "a", "b", "c"])
    data = world()
    for tokens, message in (
        (["a", "x", "y"], "item 'b' of the model .* and item 'x' of the data"),
        (["a", "b"], "item 'c' of the model is not among the data;"),
        (["a", "b", "c", "d"], "item 'd' of the data is unknown to the model;"),
        (["c", "c", "a"], "item 'b' of the model .* and item 'c' of the data"),
    ):
        with pytest.raises(ValueError, match=message):
            known.numbered(replace(data, item_tokens=["[PAD]", *tokens]))
    with pytest.raises(ValueError, match="the same token"):
        Catalogue(["[PAD]", "a", "b", "a"]).numbered(replace(data, item_tokens=["[PAD]", "a", "a", "b"]))


@pytest.mark.parametrize("name", list(MODELS))
def test_items_travel_with_every_model(name, tmp_path):
    data = world()
    known = MODELS[name].Settings.defaults()
    small = {setting: value for setting, value in {"d": 8, "heads": 2, "blocks": 1}.items() if setting in known}
    model = models.build(name, 12, **small)
    assert model.catalogue is None
    next(fit(model, data, Recipe(epochs=1)))
    model.save_pretrained(tmp_path)
    loaded = models.load(tmp_path)
    assert loaded.catalogue == Catalogue(data.item_tokens, data.titles) and loaded.catalogue.ids["item 3"] > 0
    assert list(loaded.recommend([[1, 2]], 3).title) == [data.titles[i] for i in loaded.recommend([[1, 2]], 3).item_id]


def test_every_save_writes_the_items_anew(markov, tmp_path):
    make("sasrec").save_pretrained(tmp_path)
    assert about(tmp_path / WEIGHTS)["catalogue"] is None
    markov.save_pretrained(tmp_path)
    assert models.load(tmp_path).catalogue == markov.catalogue
    other = models.build("markov", 12)
    other.fit_counts(replace(world(), item_tokens=["[PAD]", *"abcdefghijkl"]))
    other.save_pretrained(tmp_path)
    assert models.load(tmp_path).catalogue.tokens == ["[PAD]", *"abcdefghijkl"]


def test_weights_carry_their_config(markov, tmp_path):
    markov.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    loaded = models.load(tmp_path)
    assert loaded.config == markov.config and loaded.catalogue == markov.catalogue


def test_training_elsewhere_forgets_where_it_was(markov):
    markov.trained_on = {"name": "world"}
    markov.fit_counts(world(readers=5))
    assert markov.trained_on == {}
    markov.fit_counts(world())


def test_a_model_without_items_compares_their_number():
    with pytest.raises(ValueError, match="the model knows 13 items, the data set world 12"):
        evaluate(models.build("popularity", 13), world())


@pytest.mark.parametrize("name", ["sasrec", "diffurec", "diffurecsys", "dcrec"])
def test_the_shipped_models_know_the_bookshop(name):
    shop = load("bookshop")
    model = models.load_checkpoint(name)
    assert model.catalogue == Catalogue.of(shop) and model.trained_on["fingerprint"] == fingerprint(shop)
