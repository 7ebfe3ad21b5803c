"""Learning from every position at once is learning from every prefix: the same numbers, by a thirteenth of the work."""

import pytest
import torch
from models.small import ITEMS, make, same_weights
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.data import Batch, pad
from diffrec_lite.models import DCRec, dcrec

TARGET_ALONE = {
    "implicit": False,
    "positions": "relative",
    "stream": "guess",
    "slot": True,
    "seen_bias": True,
    "signal": 0.7,
}
WHOLE_STREAM = [
    {"positions": "relative", "stream": "guess", "slot": True, "seen_bias": True},
    {"positions": "relative"},
    {"positions": "none", "explicit": False},
    {"positions": "none", "cond_ln": False, "slot": True},
]


class ByPlace:
    """Noise for tests: every reader's every place has its own, wherever it stands in a batch, and its own step."""

    def __init__(self, users: Tensor, lengths: Tensor, step_for_each: bool) -> None:
        self.users, self.lengths, self.step_for_each = users, lengths, step_for_each
        generator = torch.Generator().manual_seed(3)
        self.table = torch.randn(5, 20, 16, generator=generator)
        self.steps = torch.randint(1, 51, (5, 20), generator=generator)

    def places(self, L: int) -> Tensor:
        return (torch.arange(L) - L + self.lengths[:, None]).clamp(min=0)

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        return self.table[self.users[:, None], self.places(like.shape[1])]

    def integers(self, low: int, high: int, length: int | None = None) -> Tensor:
        if length is not None:
            return self.steps[self.users[:, None], self.places(length)]
        return self.steps[self.users, self.lengths - 1 if self.step_for_each else 0]


def prefixes_of(batch: Batch) -> Batch:
    """Every prefix of every reader as an example of its own."""
    rows = [
        (int(u), [*h[h > 0].tolist(), int(t)]) for u, h, t in zip(batch.users, batch.history, batch.target, strict=True)
    ]
    examples = [(user, items[:p], items[p]) for user, items in rows for p in range(1, len(items))]
    users, histories, targets = zip(*examples, strict=True)
    lengths = torch.tensor([len(history) for history in histories])
    return Batch(torch.tensor(users), pad(list(histories)), torch.tensor(targets), lengths)


def noise_of(batch: Batch, step_for_each: bool = False) -> ByPlace:
    return ByPlace(batch.users, (batch.history != 0).sum(1), step_for_each)


def predictions(model: DCRec, batch: Batch, noise: ByPlace, monkeypatch) -> tuple[Tensor, Tensor]:
    """What `loss` ranks: the predicted vectors `(B, n, d)` and the ranking loss of each, `(B, n)`."""
    found = []

    def each(score, vectors, target, history, V):
        flat = None if history is None else history.flatten(0, 1)
        losses = F.cross_entropy(score(vectors.flatten(0, 1), flat), target.flatten(), ignore_index=0, reduction="none")
        found.append((vectors, losses.reshape(target.shape)))
        return losses.sum()

    with monkeypatch.context() as patch:
        patch.setattr(dcrec, "cross_entropy", each)
        model.loss(batch, noise)
    return found[0]


@pytest.mark.parametrize("step_for_each", [False, True])
def test_the_loss_of_whole_histories_is_that_of_all_their_prefixes(step_for_each, batch):
    """Explicit only: the model that was built for prefixes gives the same loss, part by part, with the same weights."""
    causal = make("dcrec", causal=True, step_for_each=step_for_each, **TARGET_ALONE)
    prefix_form = same_weights(causal, causal=False, step_for_each=False)
    assert (causal.learns_from, prefix_form.learns_from) == ("sequences", "prefixes")
    each = prefixes_of(batch)
    whole = causal.loss(batch, noise_of(batch, step_for_each))
    apart = prefix_form.loss(each, noise_of(each, step_for_each))
    assert len(each.users) == 1 + 2 + 5 + 9 + 12
    for part in ("loss", "prior", "denoising", "ranking"):
        assert whole[part].item() == pytest.approx(apart[part].item(), abs=1e-5)


@pytest.mark.parametrize("step_for_each", [False, True])
def test_the_gradient_of_whole_histories_is_that_of_all_their_prefixes(step_for_each, batch):
    causal = make("dcrec", causal=True, step_for_each=step_for_each, **TARGET_ALONE)
    prefix_form = same_weights(causal, causal=False, step_for_each=False)
    each = prefixes_of(batch)
    causal.loss(batch, noise_of(batch, step_for_each))["loss"].backward()
    prefix_form.loss(each, noise_of(each, step_for_each))["loss"].backward()
    for (name, mine), theirs in zip(causal.named_parameters(), prefix_form.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-5), name


@pytest.mark.parametrize("step_for_each", [False, True])
def test_each_position_of_the_whole_is_its_prefix_scored_by_itself(step_for_each, batch, monkeypatch):
    causal = make("dcrec", causal=True, step_for_each=step_for_each, **TARGET_ALONE)
    compare_positions(
        causal, same_weights(causal, causal=False, step_for_each=False), step_for_each, batch, monkeypatch
    )


@pytest.mark.parametrize("settings", WHOLE_STREAM, ids=str)
@pytest.mark.parametrize("step_for_each", [False, True])
def test_a_position_of_the_stream_is_the_last_one_of_its_prefix(settings, step_for_each, batch, monkeypatch):
    """With the history in the stream too: a causal stream reads a prefix exactly as it reads the whole."""
    causal = make("dcrec", causal=True, step_for_each=step_for_each, **settings)
    compare_positions(causal, causal, step_for_each, batch, monkeypatch)


def compare_positions(causal: DCRec, by_prefix: DCRec, step_for_each: bool, batch: Batch, monkeypatch) -> None:
    vectors, losses = predictions(causal, batch, noise_of(batch, step_for_each), monkeypatch)
    for user in range(5):
        n = int(batch.positions[user])
        for p in range(1, n + 1):
            row = Batch(*(x[user : user + 1] for x in batch))
            items = [*row.history[0, -n:].tolist(), int(row.target)]
            prefix = row._replace(history=torch.tensor([items[:p]]), target=torch.tensor([items[p]]))
            alone, loss = predictions(by_prefix, prefix, noise_of(prefix, step_for_each), monkeypatch)
            place = vectors.shape[1] - n + p - 1
            assert torch.allclose(vectors[user, place], alone[0, -1], atol=1e-5)
            assert losses[user, place].item() == pytest.approx(loss[0, -1].item(), abs=1e-5)


@pytest.mark.parametrize("settings", [TARGET_ALONE, *WHOLE_STREAM], ids=str)
@pytest.mark.parametrize("changed", [2, 6, 11, 12])
def test_no_later_item_moves_an_earlier_position(settings, changed, histories, monkeypatch):
    """Item `changed` is the target of place `changed` - 1, where its noised vector is seen, and of nobody before."""
    model = make("dcrec", causal=True, **settings)
    items = [*histories[-1], 5]
    other = list(items)
    other[changed] = next(i for i in range(1, ITEMS + 1) if i not in items)
    found = []
    for one in (items, other):
        row = Batch(torch.tensor([4]), torch.tensor([one[:-1]]), torch.tensor([one[-1]]), torch.tensor([12]))
        found.append(predictions(model, row, noise_of(row), monkeypatch))
    (before, losses), (after, other_losses) = found
    moved = (before - after).abs().amax(-1)[0] > 1e-6
    assert not bool(moved[: changed - 1].any()) and torch.allclose(
        losses[0, : changed - 1], other_losses[0, : changed - 1]
    )
    assert bool(moved[changed - 1 :].any()) and not torch.allclose(losses[0, changed - 1], other_losses[0, changed - 1])


@pytest.mark.parametrize("settings", [TARGET_ALONE, *WHOLE_STREAM], ids=str)
def test_nothing_of_a_target_is_left_when_it_is_all_noise(settings, histories, monkeypatch):
    """At step T, with a schedule that ends in nothing, a place predicts the same whatever its target is."""
    model = make("dcrec", causal=True, T=16, schedule="trunc_lin", share_at_T=0.0, **settings)
    assert model.diffusion.abar[-1] < 1e-10
    found = []
    for target in (5, 17):
        row = Batch(torch.tensor([4]), torch.tensor([histories[-1]]), torch.tensor([target]), torch.tensor([12]))
        noise = noise_of(row)
        noise.steps = torch.full_like(noise.steps, 16)
        found.append(predictions(model, row, noise, monkeypatch)[0])
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("settings", [TARGET_ALONE, *WHOLE_STREAM], ids=str)
def test_a_causal_model_recommends_from_a_history_as_it_was_trained(settings, batch, monkeypatch):
    """Sampling's first step is training's last place at step T, given the same x_T (and delta 0)."""
    model = make("dcrec", causal=True, delta=0.0, T=16, schedule="trunc_lin", **settings)
    noise = noise_of(batch)
    noise.steps = torch.full_like(noise.steps, 16)
    trained, _ = predictions(model, batch, noise, monkeypatch)
    x_T, denoise = model.start(batch.history, noise, [16, 0])
    assert torch.allclose(denoise(x_T, 16)[:, -1], trained[:, -1], atol=1e-4)
