"""The loop: a generator of forty lines, the same numbers whenever and wherever it runs, and no waiting inside."""

import ast
import inspect
import textwrap

import pytest
import torch
from accelerate import Accelerator

from diffrec_lite import models
from diffrec_lite.data import Batch, SequenceDataset, Split
from diffrec_lite.noise import Noise
from diffrec_lite.training import loop
from diffrec_lite.training.loop import LOOK_EVERY, Means, NonFiniteLoss, fit, part
from diffrec_lite.training.recipe import Recipe

SMALL = Recipe(batch_size=32, epochs=3)


def test_fit_can_be_read_at_a_glance():
    source = textwrap.dedent(inspect.getsource(fit))
    function = ast.parse(source).body[0]
    docstring = function.body[0]
    assert isinstance(docstring.value, ast.Constant)
    assert len(source.splitlines()) - (docstring.end_lineno - docstring.lineno + 1) <= 40


def test_a_row_comes_every_epoch_and_nobody_has_to_take_them_all(data, build, weights):
    taken, whole = build("sasrec"), build("sasrec")
    rows = fit(taken, data, SMALL)
    first, second = next(rows), next(rows)
    after_two = weights(taken).clone()
    rows.close()
    steps = -(-len(data.train.longest()) // 32)
    assert (first["epoch"], first["step"], second["epoch"], second["step"]) == (1, steps, 2, 2 * steps)
    assert list(first) == ["epoch", "step", "lr", "loss", "gradient norm"] + [n for n in first if n.startswith("val ")]
    assert {"val HR@5", "val NDCG@10", "val MRR"} <= first.keys() and not taken.training
    assert list(fit(whole, data, SMALL))[:2] == [first, second]
    assert not torch.equal(weights(whole), after_two)


def test_a_row_holds_the_mean_of_each_loss(data, build):
    model = build("dcrec", item_dropout=0.0, dropout=0.0)
    seen = []
    loss = model.loss
    model.loss = lambda *arguments: seen.append(loss(*arguments)) or seen[-1]
    (row,) = fit(model, data, Recipe(batch_size=32, epochs=1))
    assert len(seen) == row["step"] > 2
    for name in seen[0]:
        assert row[name] == pytest.approx(torch.stack([losses[name] for losses in seen]).mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["sasrec", "diffurecsys", "dcrec"])
def test_the_seed_decides_everything(data, build, weights, name):
    def trained(seed):
        model = build(name)
        torch.manual_seed(99 + seed)  # the global generator must not matter
        torch.rand(seed + 1)
        return list(fit(model, data, SMALL, seed=seed)), weights(model)

    (a, one), (b, two), (c, other) = trained(1), trained(1), trained(2)
    assert a == b and torch.equal(one, two)
    assert a != c and not torch.equal(one, other)


def test_every_step_is_told(data, build):
    told = []
    (row,) = fit(build(), data, Recipe(batch_size=32, epochs=1), on_step=told.append)
    assert told == list(range(1, row["step"] + 1))


def test_the_gradient_is_clipped_and_its_norm_before_that_is_told(data, build, weights):
    model = build("sasrec")
    before, optimizer = weights(model).clone(), torch.optim.SGD(model.parameters())
    (row,) = fit(model, data, Recipe(batch_size=100, epochs=1, lr=2.0, clip=0.01), optimizer=optimizer)
    assert row["step"] == 1 and row["gradient norm"] > 0.1
    assert (weights(model) - before).norm().item() == pytest.approx(2.0 * 0.01, rel=1e-3)


def test_a_model_that_counts_gives_one_row(data):
    model = models.build("markov", 12)
    (row,) = fit(model, data, SMALL)
    assert row["epoch"] == 1 and row["val HR@5"] > 0.6
    assert list(fit(model, data, SMALL, done=1)) == []


def test_a_precision_that_is_none_is_refused(data, build):
    for wrong in ("fp16", "auto"):
        with pytest.raises(ValueError, match=f"precision must be fp32 or bf16, got '{wrong}'"):
            next(fit(build("sasrec"), data, SMALL, precision=wrong))


def test_too_little_data_is_refused(build):
    tiny = SequenceDataset("tiny", torch.tensor([1, 2, 3]), torch.tensor([0, 3]), ["0"], ["[PAD]", *"abcdefghijkl"])
    with pytest.raises(ValueError, match="nothing to learn from"):
        next(fit(build("sasrec"), tiny, SMALL))


# ---------------------------------------------------------------- validation


def test_the_validation_readers_do_not_depend_on_the_seed(data, build, monkeypatch):
    asked = []
    found = loop.evaluate(build("sasrec"), data, "val")
    monkeypatch.setattr(loop, "evaluate", lambda *_, **settings: asked.append(settings) or found)
    for seed in (0, 5):
        next(fit(build("sasrec"), data, Recipe(val_users=10), seed=seed))
    assert asked[0] == asked[1] == {"steps": 1, "users": 10, "seed": 0}


def test_validation_on_some_readers(data, build):
    (row,) = fit(build(), data, Recipe(epochs=1, val_users=10, val_steps=2))
    assert row["val HR@5"] * 10 == pytest.approx(round(row["val HR@5"] * 10))


# ---------------------------------------------------------------- numbers that are none


def test_nan_stops_with_the_place(data, build):
    model = build("dcrec")
    loss, calls = model.loss, []

    def broken(batch, noise, epoch=0.0):
        calls.append(epoch)
        return {name: x * (float("nan") if len(calls) == steps + 2 else 1) for name, x in loss(batch, noise).items()}

    model.loss, steps = broken, -(-len(data.train) // 32)
    rows = fit(model, data, SMALL)
    assert next(rows)["epoch"] == 1
    with pytest.raises(NonFiniteLoss, match=rf"epoch 2, step {steps + 2}: loss nan, .*ranking nan.*gradient norm nan"):
        next(rows)


def test_an_infinite_gradient_stops_too(data, build):
    model = build("sasrec")
    model.item_embedding.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteLoss, match=r"epoch 1, step 1: loss \d.*gradient norm (nan|inf)"):
        next(fit(model, data, SMALL))


def test_the_losses_are_looked_at_every_fifty_steps():
    means, bad, good = Means(3, 1000), torch.tensor(float("inf")), torch.tensor(2.0)
    for step in range(LOOK_EVERY - 1):
        means.add({"loss": bad if step == 7 else good}, good, 1.0)
    with pytest.raises(NonFiniteLoss, match="epoch 3, step 1008: loss inf, gradient norm 2"):
        means.add({"loss": good}, good, 1.0)


def test_the_loop_never_waits_for_the_device(data, build, monkeypatch):
    """Twice the steps ask the device for no more numbers: each question would make an accelerator wait.

    The batches are made beforehand, since their order is made on the CPU everywhere.
    """
    questions, make = [], Split.batches
    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__", "__index__"):
        method = getattr(torch.Tensor, name)

        def ask(tensor, *arguments, _method=method, _name=name, **settings):
            questions.append(_name)
            return _method(tensor, *arguments, **settings)

        monkeypatch.setattr(torch.Tensor, name, ask)

    def batches(*arguments, **settings):
        made = list(make(*arguments, **settings))
        questions.clear()
        return made

    monkeypatch.setattr(Split, "batches", batches)
    monkeypatch.setattr(loop, "validate", lambda *_: {})

    def asked(model, batch_size):
        (row,) = fit(model, data, Recipe(batch_size=batch_size, epochs=1))
        return len(questions), row["step"]

    for name in ("sasrec", "diffurecsys", "dcrec"):
        (few, steps), (many, more) = asked(build(name), 8), asked(build(name), 4)
        assert more - steps > 6
        assert many - few <= 2 + (more - steps) // LOOK_EVERY, f"{name}: {questions}"


# ---------------------------------------------------------------- several processes


@pytest.mark.parametrize("name", ["sasrec", "diffurec", "dcrec"])
def test_the_parts_of_a_batch_add_up_to_the_batch(data, build, name):
    """With dropout off, the weighted losses of three processes are the loss of one."""
    model = build(name).eval()
    batch = data.train.longest().batch(torch.arange(10), 8)

    class Process(Accelerator):
        def __init__(self, rank, processes):
            self.rank, self.processes = rank, processes

        process_index = property(lambda self: self.rank)
        num_processes = property(lambda self: self.processes)

    def loss(rank, processes):
        own, weight = part(batch, model, Process(rank, processes))
        assert isinstance(own, Batch) and len(own.users) <= -(-10 // processes)
        losses = model.loss(own, Noise(7, own.users, own.positions))
        # prior matching averages over positions, the others over readers
        return losses["ranking" if name == "dcrec" else "loss"].item() * float(weight) / processes

    assert sum(loss(rank, 3) for rank in range(3)) == pytest.approx(loss(0, 1), rel=1e-5)
    assert loss(11, 12) == 0  # more processes than rows


def test_each_step_has_noise_dropout_order_and_epoch_of_its_own(data, build):
    model, seen = build("dcrec"), []
    loss = model.loss

    def spy(batch, noise, epoch):
        seen.append((batch.users, batch.positions, noise, torch.initial_seed(), epoch))
        return loss(batch, noise, epoch)

    model.loss = spy
    rows = list(fit(model, data, Recipe(batch_size=32, epochs=2), seed=3))
    n = rows[0]["step"]
    assert len(seen) == 2 * n and [epoch for *_, epoch in seen] == [0.0] * n + [1.0] * n
    assert len({noise.seed for _, _, noise, _, _ in seen}) == len({dropout for *_, dropout, _ in seen}) == 2 * n
    for users, positions, noise, _, _ in seen:
        assert torch.equal(noise.rows, Noise(0, users, positions).rows)
        assert not torch.equal(noise.rows, Noise(0, users).rows)
    first, second = (torch.cat([users for users, *_ in part]) for part in (seen[:n], seen[n:]))
    assert torch.equal(first.sort().values, second.sort().values) and not torch.equal(first, second)
