"""What every model must keep: padding is nothing, a reader's scores are its own, and the program never waits."""

import pytest
import torch
from models.small import DIFFUSIONS, ITEMS, LOUD, TRAINED, VARIANTS, make, small
from torch.nn import functional as F
from watch import Watch

from diffrec_lite import models
from diffrec_lite.data import Batch, pad
from diffrec_lite.models import Recommender
from diffrec_lite.models.reading import trusting
from diffrec_lite.noise import Noise

EVERY = pytest.mark.parametrize("variant", VARIANTS)
# The released mask lets padding in (ledger 16), so with it nothing can be promised about padding.
MASKED = pytest.mark.parametrize("variant", [v for v, (_, s) in VARIANTS.items() if "mask_rows" not in s])


def build(variant: str, **more) -> Recommender:
    name, settings = VARIANTS[variant]
    return make(name, **{**settings, **more})


def noise_of(batch: Batch) -> Noise:
    return Noise(0, batch.users, batch.positions)


# ---------------------------------------------------------------- training


@EVERY
def test_loss_is_finite_and_reaches_every_parameter(variant, batch):
    model = build(variant).train()
    parts = model.loss(batch, noise_of(batch))
    assert all(part.dim() == 0 and bool(torch.isfinite(part)) for part in parts.values())
    parts["loss"].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not bool(torch.isfinite(p.grad).all())] == []
    parts = model(batch, noise_of(batch))  # the name that torch's distributed wrapper calls
    assert "loss" in parts


@MASKED
def test_padding_never_changes_a_loss(variant, batch):
    model = build(variant, max_len=15)
    wider = batch._replace(history=F.pad(batch.history, (3, 0)))
    one, other = (model.loss(x, noise_of(x)) for x in (batch, wider))
    assert {name: part.item() for name, part in one.items()} == pytest.approx(
        {name: part.item() for name, part in other.items()}, abs=1e-5
    )


@MASKED
def test_a_loss_is_the_mean_over_examples(variant, batch):
    """The loss of a batch is the mean of the losses of its rows, each weighted by how many positions it counts."""
    model = build(variant)
    rows = [Batch(*(x[i : i + 1] for x in batch)) for i in range(5)]
    losses = torch.stack([model.loss(row, noise_of(row))["loss"] for row in rows])
    counted = batch.positions.float() if model.learns_from == "sequences" else torch.ones(5)
    expected = (losses * counted).sum() / counted.sum()
    assert model.loss(batch, noise_of(batch))["loss"].item() == pytest.approx(expected.item(), abs=1e-5)


@EVERY
def test_a_loss_repeats_with_its_noise_and_differs_between_seeds(variant, batch):
    model = build(variant, **LOUD.get(VARIANTS[variant][0], {}))
    one, again, other = (model.loss(batch, Noise(s, batch.users))["loss"].item() for s in (0, 0, 1))
    draws_nothing = VARIANTS[variant][0] in ("sasrec", "gru4rec") and "loss" not in VARIANTS[variant][1]
    assert one == again and (one == other) == draws_nothing


@EVERY
def test_half_precision_gives_nearly_the_same_loss(variant, batch):
    model = build(variant)
    exact = model.loss(batch, noise_of(batch))["loss"].item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(batch, noise_of(batch))["loss"]
        scores = model.score(batch.history)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(exact, rel=0.02)
    assert bool(torch.isfinite(scores[:, 1:]).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


@pytest.mark.parametrize("name", [name for name in TRAINED if name != "bprmf"])  # it knows no order
def test_it_can_learn_one_batch_by_heart(name, batch):
    by_ranking = {"ranking": 20.0, "lambda_schedule": "fix"}
    helped = {"dcrec": by_ranking, "hybrid": by_ranking}
    learn_by_heart(name, batch, helped.get(name, {}))


@pytest.mark.parametrize("variant", ["dcrec, repaired", "dcrec, causal", "dcrec, causal, a step for each"])
def test_the_repaired_dcrec_can_learn_one_batch_by_heart(variant, batch):
    name, settings = VARIANTS[variant]
    learn_by_heart(name, batch, {**settings, "seen_bias": False, "ranking": 20.0, "lambda_schedule": "fix"})


def learn_by_heart(name: str, batch: Batch, settings: dict) -> None:
    known = models.MODELS[name].Settings.defaults()
    without = {dropout: 0.0 for dropout in ("dropout", "item_dropout") if dropout in known}
    model = models.build(name, ITEMS, **{**small(name), **without, **settings})
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        optimiser.zero_grad()
        model.loss(batch, Noise(step, batch.users))["loss"].backward()
        optimiser.step()
    scores = model.eval().score(batch.history, steps=2 if name in DIFFUSIONS else None)
    assert scores.argmax(1).tolist() == batch.target.tolist()


# ---------------------------------------------------------------- inference


@MASKED
def test_padding_never_changes_a_score(variant, histories):
    model = build(variant)
    steps = 4 if variant.startswith("dcrec") else None
    users = torch.arange(5)
    together = model.score(pad(histories), users, steps)
    for row, history in enumerate(histories):
        alone = model.score(torch.tensor([history]), users[row : row + 1], steps)
        assert torch.allclose(together[row], alone[0], atol=1e-4)


@EVERY
def test_padding_is_never_a_candidate(variant, histories):
    scores = build(variant).score(pad(histories))
    assert scores.shape == (5, ITEMS + 1) and bool((scores[:, 0] == -torch.inf).all())
    assert bool(torch.isfinite(scores[:, 1:]).all())


@EVERY
def test_scoring_leaves_the_weights_and_the_history_alone(variant, histories):
    """Scores are changed in place, by the bias and the padding: never what they were computed from."""
    model, history = build(variant), pad(histories)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = model.score(history), model.score(history)
    assert torch.equal(first, second) and torch.equal(history, pad(histories))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "variant", [v for v, (name, s) in VARIANTS.items() if name in DIFFUSIONS and "mask_rows" not in s]
)
def test_sampling_depends_on_the_user_and_the_seed_alone(variant, histories):
    # A linear guess of x_T holds next to nothing of the noise.
    name = VARIANTS[variant][0]
    more = {"stream": "noised"} if name in ("dcrec", "hybrid") else LOUD[name]
    model, history = build(variant, **more), pad(histories)
    whole = model.score(history, users=[4, 8, 15, 16, 23], seed=1)
    part = model.score(history[[3, 1]], users=[16, 8], seed=1)
    assert torch.allclose(part, whole[[3, 1]], atol=1e-5)
    assert not torch.allclose(whole, model.score(history, users=[4, 8, 15, 16, 23], seed=2), atol=1e-3)
    assert not torch.allclose(whole, model.score(history, users=[0, 1, 2, 3, 5], seed=1), atol=1e-3)
    assert torch.equal(model.score(history), model.score(history, users=range(5)))


@pytest.mark.parametrize("variant", [v for v, (name, _) in VARIANTS.items() if name in DIFFUSIONS])
def test_trajectory_ends_in_the_score(variant, histories):
    model, history = build(variant, samples=1), pad(histories)
    states = list(model.trajectory(history, steps=4, seed=3))
    assert [s.t for s in states] == model.diffusion.steps(4)
    assert all(s.xt.shape == (5, 16) for s in states) and all(s.x0_hat.shape == (5, 16) for s in states[1:])
    assert torch.equal(states[-1].xt, states[-1].x0_hat)
    assert torch.allclose(model.rounding(states[-1].xt, history), model.score(history, steps=4, seed=3))
    assert model.item_vectors().shape == (ITEMS + 1, 16)


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_a_trajectory_takes_another_transition_and_shares_its_noise(name, histories):
    model, history = make(name, **LOUD[name]), pad(histories)
    walks = {how: list(model.trajectory(history, 5, transition=how)) for how in ("posterior", "renoise", "ddim")}
    own = list(model.trajectory(history, 5))
    assert torch.equal(own[2].xt, walks[model.settings.transition][2].xt)
    assert torch.equal(walks["ddim"][0].xt, walks["renoise"][0].xt)  # they start from the same noise
    assert not torch.allclose(walks["ddim"][2].xt, walks["renoise"][2].xt, atol=1e-3)


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_more_steps_than_the_schedule_has_are_refused(name, histories):
    model = make(name, T=6, sampling_steps=99)
    assert model.sampling_steps == 6
    with pytest.raises(ValueError, match="1 … 6, got 7"):
        model.score(pad(histories), steps=7)


# ---------------------------------------------------------------- averaging samples


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_the_draws_of_two_seeds_share_nothing(name, histories):
    model, drawn = make(name, samples=4), []
    sample = model.sample

    def remembered(history, steps, seed, users):
        drawn.append(seed)
        return sample(history, steps, seed, users)

    model.sample = remembered
    for seed in range(20):
        model.score(pad(histories), steps=1, seed=seed)
    assert len(drawn) == len(set(drawn)) == 80 and drawn[::4] == list(range(20))


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_samples_average_the_score_distributions(name, histories, monkeypatch):
    history, model = pad(histories), make(name, **LOUD[name], samples=3)
    drawn, sample = [], model.sample
    monkeypatch.setattr(model, "sample", lambda *args: drawn.append(sample(*args)) or drawn[-1])
    score = model.score(history, seed=5)
    assert len(drawn) == 3 and not torch.allclose(drawn[0], drawn[1], atol=1e-3)
    single = torch.stack([model.rounding(x0_hat, history).softmax(-1) for x0_hat in drawn])
    assert torch.allclose(score.exp(), single.mean(0), atol=1e-6)


@pytest.mark.parametrize("name", ["diffurec", "diffurecsys", "adrec"])
def test_averaged_samples_rank_what_a_softmax_would_round_to_nothing(name, histories):
    model, history = make(name, **LOUD[name], item_std=30.0, samples=2), pad(histories)
    single = make(name, **LOUD[name], item_std=30.0)
    single.load_state_dict(model.state_dict())
    assert (single.score(history).softmax(-1)[:, 1:] == 0).any()
    assert model.score(history)[:, 1:].isfinite().all()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_a_model_can_be_asked_in_another_precision(name, precision, histories):
    model, history = make(name), pad(histories)
    score = model.score(history)[:, 1:].double()
    other = model.to(precision).score(history)[:, 1:].double()
    assert torch.allclose(other, score, atol=1e-4 if precision == torch.float64 else 0.1)


# ---------------------------------------------------------------- a device is never waited for


@EVERY
def test_neither_training_nor_sampling_waits_for_a_number(variant, batch):
    model = build(variant).train()
    with Watch() as watch:
        model.loss(batch, noise_of(batch))["loss"].backward()
    assert len(watch.ops) > 20 and watch.waits == []
    with Watch() as watch, torch.inference_mode(), trusting(model):  # the check reads the histories: it waits once
        model.eval().score(batch.history, batch.users, steps=3)
    assert len(watch.ops) > 20 and watch.waits == []


@EVERY
def test_everything_is_computed_where_the_model_is(variant, batch):
    """On torch's device without memory whatever reads a number, or meets a tensor from elsewhere, is an error."""
    model = build(variant).to("meta").train()
    there = Batch(*(x.to("meta") for x in batch))
    loss = model.loss(there, noise_of(there))["loss"]
    loss.backward()
    assert loss.device.type == "meta" and all(p.grad.device.type == "meta" for p in model.parameters())
    with trusting(model):
        scores = model.eval().score(there.history, there.users)
    assert scores.device.type == "meta" and scores.shape == (5, ITEMS + 1)


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_waiting_would_be_noticed(mode, batch):
    for wait in (
        lambda x: float(x[0]),
        lambda x: x[x > 1],
        lambda x: x.nonzero(),
        lambda x: bool((x > 0).all()),
        lambda x: x.index_put_((x > 1,), torch.tensor(0)),
    ):
        with Watch() as watch, mode():
            wait(batch.target.clone())
        assert watch.waits


@pytest.mark.parametrize("name", ["diffurec", "diffurecsys", "dcrec", "adrec", "hybrid"])
def test_no_two_draws_of_a_loss_share_their_numbers(name, batch):
    class Asked(Noise):
        def _key(self, step, stream):
            asked.append((step, stream))
            return super()._key(step, stream)

    asked: list[tuple[int, int]] = []
    switches = {"offset_strength": 0.1, "share_at_T": 0.5}
    known = models.MODELS[name].Settings.defaults()
    make(name, **{key: value for key, value in switches.items() if key in known}).loss(
        batch, Asked(1, batch.users, batch.positions)
    )
    assert len(asked) == len(set(asked)) >= 2, asked
