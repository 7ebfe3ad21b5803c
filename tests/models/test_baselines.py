"""SASRec reads the past alone, the counting rules count, and the seen bias learns which way readers go."""

import dataclasses

import pandas as pd
import pytest
import torch
from models.small import ITEMS, VARIANTS, make
from torch.nn import functional as F

from diffrec_lite import models
from diffrec_lite.data import Batch, SequenceDataset, pad
from diffrec_lite.noise import Noise


@pytest.fixture
def toy() -> SequenceDataset:
    log = pd.DataFrame({"user": [0] * 5 + [1] * 4, "item": [1, 2, 3, 4, 5, 1, 2, 6, 7], "timestamp": range(9)})
    catalogue = pd.DataFrame({"user": 9, "item": range(1, ITEMS + 1), "timestamp": range(ITEMS)})
    return SequenceDataset.from_log(pd.concat([log, catalogue]), name="toy")


# ---------------------------------------------------------------- SASRec


@pytest.mark.parametrize("changed", range(1, 12))
def test_sasrec_predicts_each_position_from_its_past(changed, histories):
    model = make("sasrec")
    history = torch.tensor([histories[-1]])
    other = history.clone()
    other[:, changed:] = other[:, changed:] % ITEMS + 1
    moved = (model.encode(history) - model.encode(other)).abs().amax(-1)[0] > 1e-5
    assert not bool(moved[:changed].any()) and bool(moved[changed:].all())


def test_the_last_position_alone_is_that_of_the_whole_history(histories):
    model, history = make("sasrec"), pad(histories)
    last = model.encode(history, last=True)
    assert last.shape == (5, 1, 16) and torch.allclose(last, model.encode(history)[:, -1:], atol=1e-5)


@pytest.mark.parametrize("seen_bias", [False, True])
def test_sasrecs_loss_is_the_mean_over_real_positions(seen_bias, batch):
    """Position by position, with what it has read by then and nothing that comes after."""
    model, losses = make("sasrec", seen_bias=seen_bias), []
    encoded = model.encode(batch.history)
    for row in range(5):
        n = int(batch.positions[row])
        items = [*batch.history[row, -n:].tolist(), int(batch.target[row])]
        for p in range(1, n + 1):
            scores = encoded[row, 12 - n + p - 1] @ model.item_embedding.weight.T
            if seen_bias:
                scores = scores + 100 * model.seen_bias.weight * torch.bincount(
                    torch.tensor(items[:p]), minlength=ITEMS + 1
                )
            losses.append(F.cross_entropy(scores[None, 1:], torch.tensor([items[p] - 1])))
    assert len(losses) == 29
    expected = torch.stack(losses).mean().item()
    assert model.loss(batch, Noise(0, batch.users))["loss"].item() == pytest.approx(expected, abs=1e-5)


# ---------------------------------------------------------------- the seen bias


def readers(come_back: bool) -> Batch:
    """40 readers of eight items: some go round among two of them, the others never read one twice."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.stack([torch.randperm(ITEMS, generator=generator)[:8] + 1 for _ in range(40)])
    if come_back:
        rows = rows[:, :2].repeat(1, 4)
    return Batch(torch.arange(40), rows[:, :-1], rows[:, -1], torch.full((40,), 7))


@pytest.mark.parametrize("variant", ["sasrec, seen bias", "diffurec, seen bias", "dcrec, repaired", "dcrec, causal"])
@pytest.mark.parametrize("come_back", [False, True])
def test_the_seen_bias_learns_whether_readers_come_back(variant, come_back):
    name, settings = VARIANTS[variant]
    more = {"lambda_schedule": "fix"} if name == "dcrec" else {}
    model = models.build(name, ITEMS, d=8, blocks=1, heads=2, max_len=8, **{**settings, **more})
    optimiser, batch = torch.optim.Adam(model.parameters(), lr=1e-3), readers(come_back)
    assert model.seen_bias.weight.item() == 0
    for step in range(15):
        optimiser.zero_grad()
        model.loss(batch, Noise(step, batch.users))["loss"].backward()
        optimiser.step()
    learned = 100 * model.seen_bias.weight.item()
    assert learned > 0.5 if come_back else learned < -0.5
    scores = model.eval().score(batch.history)
    bare = scores.clone()
    model.seen_bias.weight.data.zero_()
    bare = scores - model.score(batch.history)
    counts = torch.zeros_like(bare).scatter_add_(1, batch.history, torch.ones_like(batch.history, dtype=torch.float))
    assert torch.allclose(bare[:, 1:], learned * counts[:, 1:], atol=1e-4)


# ---------------------------------------------------------------- counting


def test_markov_counts_what_follows(toy):
    model = models.build("markov", ITEMS, backoff=0.001)
    model.fit_counts(toy)
    scores = model.score(torch.tensor([[5, 1], [1, 2]]))
    assert torch.allclose(scores[:, 1:].sum(1), torch.ones(2), atol=1e-5)
    assert scores[0].argmax() == 2 and scores[0, 2] > 0.99
    assert scores[1].argmax() == 3 and scores[1, 7] < 0.01  # 7 is a target and never counted


def test_markov_backs_off_to_popularity(toy):
    markov, popularity = models.build("markov", ITEMS, backoff=1e6), models.build("popularity", ITEMS)
    for model in (markov, popularity):
        model.fit_counts(toy)
    history = torch.tensor([[1, 2]])
    assert torch.allclose(markov.score(history)[:, 1:], popularity.score(history)[:, 1:], atol=1e-5)


@pytest.mark.parametrize("end", ["at_least", "at_most"])
@pytest.mark.parametrize("name", ["markov", "gap", "recent", "ridge"])
def test_counts_are_numbers_at_the_ends_of_every_setting(name, end, toy):
    """Also after an item that nothing ever followed, and where pairs weigh nothing."""
    fields = dataclasses.fields(models.MODELS[name].Settings)
    model = models.build(name, ITEMS, **{f.name: f.metadata[end] for f in fields if f.metadata.get(end) is not None})
    model.fit_counts(toy)
    scores = model.score(torch.arange(1, ITEMS + 1)[:, None])
    assert not scores.isnan().any() and scores[:, 1:].isfinite().all()


def test_popularity_counts_the_training_part(toy):
    model = models.build("popularity", ITEMS)
    model.fit_counts(toy)
    scores = model.score(torch.tensor([[1], [9]]))
    assert scores[0, 1:].sum().item() == pytest.approx(1) and torch.equal(scores[0], scores[1])
    assert scores[0].argmax().item() in (1, 2) and scores[0, 0] == -torch.inf


def test_recent_ranks_what_was_chosen_by_its_latest_place_and_the_rest_by_popularity(toy):
    model, popularity = (models.build(name, ITEMS) for name in ("recent", "popularity"))
    for each in (model, popularity):
        each.fit_counts(toy)
    scores = model.score(torch.tensor([[0, 3, 1, 3, 2], [0, 0, 0, 0, 4]]))
    assert scores[0].topk(3).indices.tolist() == [2, 3, 1] and scores[1].argmax() == 4
    rest = [i for i in range(1, ITEMS + 1) if i not in (1, 2, 3)]
    assert torch.equal(scores[0, rest], popularity.score(torch.tensor([[1]]))[0, rest])
    assert torch.isneginf(scores[:, 0]).all() and torch.equal(scores[:1], model.score(torch.tensor([[3, 1, 3, 2]])))


@pytest.mark.parametrize("name", ["popularity", "recent", "markov"])
def test_what_counts_has_no_loss(name, toy, batch):
    model = make(name)
    assert model.learns_from == "counts"
    with pytest.raises(NotImplementedError):
        model.loss(batch, Noise(0, batch.users))


@pytest.mark.parametrize("settings", [{}, {"gaps": 2, "recall": 0.7}, {"backward": 0.0, "popularity": 0.0}], ids=str)
def test_gap_counts_pairs_at_a_distance_in_both_directions(settings, toy):
    """Against the same rule in plain Python, pair after pair."""
    model = models.build("gap", ITEMS, **settings)
    model.fit_counts(toy)
    s, M = model.settings, torch.zeros(ITEMS + 1, ITEMS + 1, dtype=torch.float64)
    sequences = [toy.history(u)[:-2].tolist() for u in range(toy.num_users)]
    for items in sequences:
        for place, j in enumerate(items):
            for g in range(1, min(s.gaps, place) + 1):
                M[items[place - g], j] += s.fading ** (g - 1)
                M[j, items[place - g]] += s.backward * s.fading ** (g - 1)
    count = torch.bincount(toy.train_items(), minlength=ITEMS + 1).clamp(min=1)
    M = M / (M.sum(1, keepdim=True) + s.smoothing) / count**s.popularity
    history = [1, 6, 2]
    expected = sum(s.recall**age * M[item] for age, item in enumerate(reversed(history)))[1:]
    scores = model.score(pad([history]))[0, 1:].double()
    assert torch.allclose(scores, expected, atol=1e-6)
    assert scores.max() > 0.01


def test_gap_counts_no_further_than_histories_reach(toy):
    near, far = (models.build("gap", ITEMS, gaps=gaps) for gaps in (50, 10**12))
    near.fit_counts(toy)
    far.fit_counts(toy)
    assert torch.equal(near.weight, far.weight)


def test_gap_survives_saving(toy, tmp_path):
    model = models.build("gap", ITEMS)
    model.fit_counts(toy)
    model.save_pretrained(tmp_path)
    history = pad([[3], [1, 2]])
    assert torch.equal(models.load(tmp_path).score(history), model.score(history))


# ---------------------------------------------------------------- ridge


def test_ridge_is_the_linear_regression_of_the_next_item(toy):
    model = models.build("ridge", ITEMS, penalty=2.0, recall=0.5, keep=ITEMS)
    model.fit_counts(toy)
    rows, targets = [], []
    for user in range(toy.num_users):
        items = toy.history(user)[:-2].tolist()
        for n in range(1, len(items)):
            x = torch.zeros(ITEMS + 1)
            for age, item in enumerate(reversed(items[:n])):
                x[item] += 0.5**age
            rows.append(x)
            targets.append(items[n])
    X, Y = torch.stack(rows), F.one_hot(torch.tensor(targets), ITEMS + 1).float()
    W = torch.linalg.solve(X.T @ X + 2.0 * torch.eye(ITEMS + 1), X.T @ Y)
    history = torch.tensor([[0, 0, 1, 2], [3, 4, 2, 1]])
    age = 0.5 ** torch.tensor([3.0, 2.0, 1.0, 0.0])
    expected = torch.stack([sum(a * W[i] for a, i in zip(age, row, strict=True)) for row in history])
    assert expected.abs().max() > 0.1
    assert torch.allclose(model.score(history)[:, 1:], expected[:, 1:], atol=1e-5)


def test_ridge_says_how_much_memory_it_lacks(toy, monkeypatch):
    model = models.build("ridge", ITEMS)

    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(ValueError, match=f"ridge solves for {ITEMS} items at once and needs 0 GB of memory"):
        model.fit_counts(toy)


def test_ridge_keeps_the_largest_weights_of_each_item(toy):
    whole, part = (models.build("ridge", ITEMS, keep=keep) for keep in (ITEMS, 3))
    for model in (whole, part):
        model.fit_counts(toy)
    assert torch.equal(torch.bincount(part.origin)[1:], torch.full((ITEMS,), 3))
    for item in range(1, ITEMS + 1):
        kept, every = part.weight[part.origin == item], whole.weight[whole.origin == item]
        assert torch.allclose(kept.abs().sort().values, every.abs().sort().values[-3:], atol=1e-6)
