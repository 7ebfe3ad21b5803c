"""Devices by name, and the precision that is measured."""

import pytest
import torch

from diffrec_lite.evaluation import device_of
from diffrec_lite.training import device
from diffrec_lite.training.device import choose_device, choose_precision, make_accelerator
from diffrec_lite.training.run import train, typical


def test_devices_by_name():
    assert choose_device("cpu").type == "cpu" and choose_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="unknown device"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no cuda"):
            make_accelerator("cuda")


def test_accelerate_leaves_the_model_as_it_is(build):
    model = build()
    assert make_accelerator("cpu").prepare(model) is model
    assert "forward" not in vars(model) and device_of(model).type == "cpu"


def test_another_use_of_accelerate_is_explained(monkeypatch):
    def refuse(**_):
        raise ValueError("AcceleratorState has already been initialized")

    monkeypatch.setattr(device, "Accelerator", refuse)
    with pytest.raises(ValueError, match="restart it, then train"):
        make_accelerator("cpu")


@pytest.fixture
def batch(data):
    return typical(data.train, 32, 8)


def test_a_typical_batch_is_full_and_of_the_usual_length(data):
    positions = data.train.positions
    found = typical(data.train, 33, 50).positions
    assert len(found) == 33 and found.median() == positions.median()
    assert found.min() > positions.min() and found.max() < positions.max()
    assert len(typical(data.train, 10**6, 50).users) == len(data.train)


def test_a_precision_that_is_asked_for_is_taken(build, batch):
    assert choose_precision("bf16", build(), batch, make_accelerator("cpu"))[0] == "bf16"
    with pytest.raises(ValueError, match="unknown precision"):
        choose_precision("fp8", build(), batch, make_accelerator("cpu"))


@pytest.mark.parametrize(
    ("seconds", "choice"), [((0.5, 0.4), "bf16"), ((0.5, 0.41), "fp32"), ((0.5, 2.0), "fp32"), ((0.5, 0.1), "bf16")]
)
def test_bf16_is_taken_if_it_is_a_quarter_faster(build, batch, monkeypatch, seconds, choice):
    monkeypatch.setattr(device, "measure", lambda *_: seconds)
    chosen, reason = choose_precision("auto", build(), batch, make_accelerator("cpu"))
    assert chosen == choice and f"{seconds[0]:.4f} s in fp32" in reason and f"{seconds[1]:.4f} s in bf16" in reason


@pytest.mark.parametrize("name", ["sasrec", "dcrec"])
def test_measuring_changes_nothing(build, batch, weights, name):
    model = build(name).eval()
    before, state = weights(model).clone(), torch.get_rng_state()
    fp32, bf16 = device.measure(model, batch)
    assert fp32 > 0 and bf16 > 0
    assert torch.equal(weights(model), before) and torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters()) and not model.training


def test_measuring_runs_the_training_loss_in_both_precisions(build, batch):
    model, dtypes = build("sasrec", dropout=0.0, item_dropout=0.0), []
    model.norm.register_forward_hook(lambda norm, inputs, output: dtypes.append((inputs[0].dtype, norm.training)))
    model.blocks[0].register_forward_hook(lambda block, inputs, output: dtypes.append(torch.is_autocast_enabled("cpu")))
    device.measure(model.eval(), batch)
    on = [one for one in dtypes if isinstance(one, bool)]
    assert on == [False, True] * (1 + device.PASSES)
    assert all(training for _, training in (one for one in dtypes if isinstance(one, tuple)))


def test_the_choice_is_said_and_kept(data, build, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(device, "measure", lambda *_: (1.0, 0.5))
    quiet = {"device": "cpu", "progress": False, "batch_size": 32}
    done = train(build("sasrec"), data, tmp_path, epochs=1, precision="auto", **quiet)
    assert done.precision == "bf16" and "precision bf16; measured" in capsys.readouterr().err
    monkeypatch.setattr(device, "measure", lambda *_: (1.0, 2.0))
    again = train(build("sasrec"), data, tmp_path, epochs=2, precision="auto", resume=True, **quiet)
    assert again.precision == "bf16" and "precision" not in capsys.readouterr().err
    with pytest.raises(ValueError, match="precision was bf16, is fp32"):
        train(build("sasrec"), data, tmp_path, epochs=2, resume=True, **quiet)


def test_auto_trains_like_the_precision_that_it_took(data, build, weights, monkeypatch):
    monkeypatch.setattr(device, "measure", lambda model, batch: (1.0, 2.0))
    quiet = {"device": "cpu", "progress": False, "batch_size": 32, "epochs": 1}
    auto, fp32, bf16 = build(), build(), build()
    train(auto, data, precision="auto", **quiet)
    train(fp32, data, **quiet)
    train(bf16, data, precision="bf16", **quiet)
    assert torch.equal(weights(auto), weights(fp32)) and not torch.equal(weights(bf16), weights(fp32))
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in bf16.parameters())
