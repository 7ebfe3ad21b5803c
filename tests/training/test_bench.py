"""The bench: the plain way is the same computation without savings, and the record says what it has to say.

No test looks at how long anything took.
"""

import json
import math
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from diffrec_lite import cli, models
from diffrec_lite.data import load
from diffrec_lite.layers import Attention
from diffrec_lite.training import bench as benchmark
from diffrec_lite.training import plain as plainly
from diffrec_lite.training import timing
from diffrec_lite.training.bench import OneBatch, agreement, bench, our_step, pieces_of, preset_for, stir
from diffrec_lite.training.device import make_accelerator
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.timing import Piece, Way, look, rate

CPU = torch.device("cpu")
CAUSAL = {"causal": True, "positions": "relative", "implicit": False}
REPAIRED = {"stream": "guess", "signal": 0.3, "slot": True, "positions": "after", "project": True, "prior": 0.0}
MODELS = {
    "dcrec": ("dcrec", {"blocks": 2, "seen_bias": True}),
    "dcrec, repaired": ("dcrec", {"blocks": 2, **REPAIRED}),
    "dcrec, causal": ("dcrec", {"blocks": 2, **CAUSAL, "step_for_each": True}),
    "dcrec, masked rows": ("dcrec", {"mask_rows": True}),
    "hybrid": ("hybrid", {"blocks": 2, **REPAIRED, "quiet": 0.5}),
    "diffurec": ("diffurec", {"blocks": 2, "positions": True}),
    "diffurecsys": ("diffurecsys", {"blocks": 2}),
    "sasrec": ("sasrec", {"blocks": 2, "seen_bias": True}),
    "sasrec, relative": ("sasrec", {"blocks": 2, "positions": "relative"}),
    "gru4rec": ("gru4rec", {}),
}
ROW = [
    "way",
    "steps",
    "precision",
    "per_second",
    "ratio",
    "gflop",
    "share_of_peak",
    "peak_memory_mb",
    "rounds",
]


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    name, settings = request.param
    sizes = {"d": 16, "heads": 2, "blocks": 1, "max_len": 8, "T": 4}
    known = models.MODELS[name].Settings.defaults()
    model = models.build(name, 12, **{**{key: value for key, value in sizes.items() if key in known}, **settings})
    stir(model)
    return model


@pytest.mark.parametrize(
    ("name", "settings", "trained", "asked"),
    [
        ("dcrec", {}, ["plain", "prefixes"], [("plain", 4), ("one step", 1), ("all steps", 4)]),
        ("dcrec", CAUSAL, ["plain", "prefixes", "every position"], [("plain", 4), ("one step", 1), ("all steps", 4)]),
        ("sasrec", {}, ["plain", "prefixes", "every position"], [("plain", None), ("ours", None)]),
    ],
)
def test_the_record(build, data, name, settings, trained, asked):
    found = bench(build(name, **settings), data, Recipe(batch_size=32), seconds=0, device="cpu")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == [
        "model",
        "dataset",
        "settings",
        "device",
        "threads",
        "versions",
        "ratios",
        "agreement",
        "peak_gflops",
        "training",
        "inference",
    ]
    assert [row["way"] for row in found["training"]] == trained
    assert [(row["way"], row["steps"]) for row in found["inference"]] == asked
    for row in found["training"] + found["inference"]:
        assert list(row) == ROW
        assert min(row["per_second"], row["ratio"], row["gflop"], row["peak_memory_mb"]) > 0 and row["rounds"] == 3
    assert found["training"][0]["ratio"] == found["inference"][0]["ratio"] == 1
    one_step = found["inference"][1]["ratio"] if name == "dcrec" else None
    assert found["ratios"] == {
        "training": found["training"][-1]["ratio"],
        "inference_one_step": one_step,
        "inference_equal_steps": found["inference"][-1]["ratio"],
    }
    gflop = [row["gflop"] for row in found["training"]]
    assert gflop == sorted(gflop, reverse=True)
    assert {row["precision"] for row in found["peak_gflops"]} == {"fp32", "bf16"}


def test_both_ways_agree(model, data):
    assert max(agreement(model, data).values()) <= 1e-5


def test_ways_that_disagree_are_not_timed(build, data, monkeypatch):
    right = plainly.scores
    for wrong in (2e-4, math.nan):
        monkeypatch.setattr(plainly, "scores", lambda *a, wrong=wrong: right(*a) + wrong)
        with pytest.raises(ArithmeticError, match="plain way and ours differ"):
            bench(build("dcrec"), data, Recipe(), seconds=0, device="cpu")


def test_few_readers_are_enough_and_none_are_refused(build, data):
    few = replace(data, items=data.items[: data.offsets[2]], offsets=data.offsets[:3], user_tokens=data.user_tokens[:2])
    assert set(agreement(build("sasrec"), few)) == {"scores", "losses"}
    short = replace(few, items=few.items[:4], offsets=torch.tensor([0, 2, 4]))
    with pytest.raises(ValueError, match="nobody to be asked"):
        bench(build("sasrec"), short, Recipe(), seconds=0, device="cpu")


def test_memory_is_not_known_everywhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert math.isnan(timing.peak_memory(torch.device("cpu")))


def test_what_has_no_plain_way_is_refused_and_nothing_else(data):
    timed = {name for name, _ in MODELS.values()}
    for name in models.MODELS.keys() - timed:
        with pytest.raises(ValueError, match=f"^{name} does not learn from one prefix.*{', '.join(sorted(timed))}$"):
            bench(models.build(name, 12), data, Recipe(), seconds=0)
    assert all(plainly.of_prefixes(models.build(name, 12)).learns_from == "prefixes" for name in timed)


def test_the_plain_way_computes_every_position_of_every_block(model, data):
    plain, shapes = plainly.plain(plainly.of_prefixes(model)), []
    for block in getattr(plain, "blocks", []):
        block.register_forward_hook(lambda block, inputs, output: shapes.append(output.shape[1]))
    batch = plainly.padded(data.train, torch.arange(5), 8, CPU)
    plain(batch, plainly.PlainNoise(batch.history))
    plainly.scores(plain, batch.history, plainly.PlainNoise(batch.history), 2)
    stream = 1 if MODELS["dcrec, causal"][1].items() <= model.settings.as_dict().items() else 8
    assert batch.history.shape == (5, 8) and set(shapes) == ({stream} if hasattr(plain, "blocks") else set())


@pytest.mark.parametrize("name", ["dcrec", "hybrid"])
def test_the_plain_way_reads_the_history_at_each_step_and_ours_once(build, name, monkeypatch):
    model, readings = build(name), []
    read = type(model.blocks[0]).read
    monkeypatch.setattr(type(model.blocks[0]), "read", lambda block, h: readings.append(1) or read(block, h))
    history = torch.tensor([[1, 2, 3]])
    plainly.scores(plainly.plain(model), history, plainly.PlainNoise(history), 4)
    assert len(readings) == 4
    model.score(history, steps=4)
    assert len(readings) == 5


def test_plain_noise_is_normal_uniform_and_in_range():
    torch.manual_seed(0)
    noise = plainly.PlainNoise(torch.zeros(10_000))
    x, u, t = noise(torch.zeros(10_000, 2)), noise.uniform(), noise.integers(1, 4)
    assert abs(float(x.mean())) < 0.03 and abs(float(x.std()) - 1) < 0.03 and abs(float(u.mean()) - 0.5) < 0.02
    assert t.unique().tolist() == [1, 2, 3, 4] and noise.integers(1, 4, 3).shape == (10_000, 3)


def test_every_position_and_each_prefix_by_itself_have_the_same_loss(build, data):
    """All at step T and without noise, so that only what was read tells two examples apart."""
    model = build("dcrec", **CAUSAL, blocks=2).eval()
    stir(model)
    longest = data.train.longest()
    whole = longest.batch((longest.positions <= model.max_len).nonzero().flatten(), model.max_len)
    prefixes = data.train.take(torch.isin(data.train.users, whole.users).nonzero().flatten())
    each = plainly.padded(prefixes, torch.arange(len(prefixes)), model.max_len, CPU)
    plain = plainly.plain(plainly.of_prefixes(model)).eval()
    assert len(prefixes) == whole.history.count_nonzero() > 2 * len(whole.users)
    for name in ("ranking", "denoising"):
        torch.testing.assert_close(model(whole, Still(whole.history))[name], plain(each, Still(each.history))[name])


class Still(plainly.PlainNoise):
    """No noise, and every example at step 4."""

    def __call__(self, like, step=0, stream=0):
        return torch.zeros_like(like)

    def integers(self, low, high, length=None):
        return torch.full((self.B,), high)


def test_our_step_is_one_step_of_the_loop(build, data, weights):
    model, recipe = build("sasrec"), Recipe(batch_size=20)
    before = weights(model)
    one = OneBatch(data.train.longest(), torch.arange(20), 8, CPU)
    how = {"accelerator": make_accelerator("cpu"), "optimizer": recipe.make_optimizer(model)}
    examples, seconds = our_step(model, recipe, how, one)
    assert examples == int(data.train.longest().positions[:20].clamp(max=8).sum()) and seconds > 0
    assert not torch.equal(weights(model), before) and model.training
    assert {int(state["step"]) for state in how["optimizer"].state.values()} == {1}


def test_a_few_batches_stand_for_all():
    split = load("bookshop").train
    found = pieces_of(split, 64, 50)
    positions = sum(weight * split.batch(batch, 50).history.numel() for weight, batch in found)
    truth = sum(batch.history.numel() for batch in split.batches(64, 50))
    assert len(found) == benchmark.PIECES and sum(weight for weight, _ in found) == math.ceil(len(split) / 64)
    assert abs(positions / truth - 1) < 0.05


def test_a_rate_weighs_its_pieces():
    way = Way("ours", None, "fp32", [Piece(3, lambda: (10, 1.0)), Piece(1, lambda: (10, 2.0))])
    assert rate(way) == 40 / 5


def test_arithmetic_is_counted_attention_included():
    attention, linear = Attention(8, 2), nn.Linear(4, 5, bias=False)
    x = torch.randn(3, 6, 8)

    def work():
        attention(x, x).sum().backward()
        linear(torch.randn(7, 4))
        return 1, 1.0

    maps = 4 * 2 * (3 * 6) * 8 * 8
    attended = 2 * 2 * 3 * 6 * 6 * 8
    # On the way back: the weights' gradients, and those of what went into `out`; five products of attention.
    expected = maps * 2 + maps // 4 + attended + attended * 5 // 2 + 2 * 7 * 4 * 5
    assert look(Way("", None, "fp32", [Piece(1, work)]), CPU)[0] == pytest.approx(expected / 1e9)


def test_real_data_have_a_preset_of_their_own(data):
    assert preset_for("dcrec", load("bookshop")) == "quick"
    assert preset_for("dcrec", data) == "repaired" and preset_for("popularity", data) == "quick"


def test_the_command_prints_strict_json():
    tiny = [f"--set={setting}" for setting in ("d=8", "T=2", "blocks=1", "heads=1", "batch_size=32")]
    done = CliRunner().invoke(cli.app, ["bench", "--json", "--seconds", "0", "--note", "a test", *tiny])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (found["model"], found["dataset"], found["preset"], found["note"]) == (
        "dcrec",
        "bookshop",
        "quick",
        "a test",
    )
    assert found["settings"]["d"] == 8 and found["settings"]["batch_size"] == 32 and found["ratios"]["training"] > 0
