"""The survey's figures are drawn from the models at work: other weights, another picture and other words."""

import dataclasses
import re

import pytest
import torch
from torch import nn

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.metrics import hit_rate
from diffrec_lite.widgets import survey, workflow

SHOP = load("bookshop")


@pytest.fixture(scope="module")
def dcrec():
    return models.load_checkpoint("dcrec")


@pytest.fixture(scope="module")
def small():
    """A tiny DCRec of other sizes, never trained."""
    torch.manual_seed(0)
    return models.build("dcrec", SHOP.num_items, d=16, heads=2, blocks=3, T=6, stream="guess", slot=True).eval()


# ---------------------------------------------------------------- 1: the workflow


def test_the_boxes_are_the_parts_of_the_model_in_the_order_of_their_calls(dcrec):
    found = workflow.stages(dcrec, SHOP)
    names = [box.name for box in found]
    assert names[0] == "history" and names[-2:] == ["scores", "loss"] and len(set(names)) == len(names)
    assert names.index("item_embedding") < names.index("x_T") < names.index("blocks[0]") < names.index("x0_hat")
    by_name = {box.name: box for box in found}
    assert by_name["blocks[0]"].kind == "DCDTBlock" and by_name["blocks[0]"].shape == "(B, L, d)"
    assert by_name["scores"].shape == "(B, V)" and by_name["x_T"].shape == "(B, L, d)"
    assert by_name["item_embedding"].weights == dcrec.item_embedding.weight.numel()


def test_a_loss_without_weight_is_not_in_the_picture(dcrec, small):
    assert dcrec.settings.prior == 0 and small.settings.prior == 1
    assert workflow.stages(dcrec, SHOP)[-1].kind == "in training: denoising + ranking"
    assert workflow.stages(small, SHOP)[-1].kind == "in training: prior + denoising + ranking"


def test_another_model_has_other_boxes(small):
    found = {box.name: box for box in workflow.stages(small, SHOP)}
    assert "blocks[2]" in found and "seen_bias" not in found
    found = {box.name: box for box in workflow.stages(models.load_checkpoint("diffurecsys"), SHOP)}
    assert found["x_T"].shape == "(B, d)" and found["cross_attention"].kind == "EfficientAttention"
    assert found["loss"].kind == "in training: cross-entropy"


def test_two_sizes_that_are_one_number_are_refused():
    width = SHOP.val.batch(torch.tensor(workflow.READERS), 50).history.shape[1]
    model = models.build("dcrec", SHOP.num_items, d=width, heads=1, blocks=1)
    with pytest.raises(ValueError, match="same number"):
        workflow.stages(model, SHOP)


def test_no_hook_is_left_behind(dcrec):
    workflow.stages(dcrec, SHOP)
    workflow.updates(dcrec, SHOP, readers=4)
    assert not any(part._forward_hooks for part in dcrec.modules())


# ---------------------------------------------------------------- 3: the block


@torch.no_grad()
def test_a_sublayer_that_adds_nothing_is_shown_to_add_nothing(small):
    before = workflow.updates(small, SHOP, readers=8)
    assert set(before) == {"self_attention", "cross_attention", "feed_forward"}
    assert all(len(of) == 3 and min(of) > 0 for of in before.values())
    copy = models.build("dcrec", SHOP.num_items, **small.settings.as_dict())
    copy.load_state_dict(small.state_dict())
    for weight in copy.blocks[1].cross_attention.out.parameters():
        nn.init.zeros_(weight)
    after = workflow.updates(copy, SHOP, readers=8)
    assert after["cross_attention"][1] == 0 and after["self_attention"][0] == before["self_attention"][0]


@torch.no_grad()
def test_twice_the_output_is_shown_as_twice_as_much(small):
    copy = models.build("dcrec", SHOP.num_items, **small.settings.as_dict())
    copy.load_state_dict(small.state_dict())
    for weight in copy.blocks[0].self_attention.out.parameters():
        weight.mul_(2)
    before, after = (workflow.updates(model, SHOP, readers=8)["self_attention"][0] for model in (small, copy))
    assert after == pytest.approx(2 * before, rel=1e-4)


# ---------------------------------------------------------------- 2 and 4: the walk


@pytest.fixture(scope="module")
def chains(dcrec):
    return {"both": survey.walk(dcrec, SHOP), "one": survey.walk(survey.without_history(dcrec), SHOP)}


def test_the_single_condition_has_the_same_weights_and_the_same_noise_and_no_clean_history(dcrec, chains):
    single = survey.without_history(dcrec)
    assert not any(block.explicit for block in single.blocks) and dcrec.blocks[0].explicit
    assert all(torch.equal(weight, dcrec.state_dict()[name]) for name, weight in single.state_dict().items())
    both, one = chains["both"], chains["one"]
    noise = [chain.states[0].xt - known_part(model, chain) for model, chain in ((dcrec, both), (single, one))]
    assert torch.allclose(*noise, atol=1e-6)
    with torch.no_grad():
        changed = models.build("dcrec", SHOP.num_items, **single.settings.as_dict()).eval()
        changed.load_state_dict(single.state_dict())
        history, t = both.history[:4], torch.full((4,), 5)
        stream = torch.randn(4, history.shape[1], dcrec.settings.d, generator=torch.Generator().manual_seed(0))
        a, b = (changed.denoise(stream, t, changed.clean(h), history != 0) for h in (history, history.flip(0)))
        c, d = (dcrec.denoise(stream, t, dcrec.clean(h), history != 0) for h in (history, history.flip(0)))
    assert torch.equal(a, b) and not torch.allclose(c, d)


@torch.no_grad()
def known_part(model, chain):
    """What the start of a walk adds to the noise at the target's place."""
    s = model.settings
    return s.delta / s.signal * model.known(chain.history, model.clean(chain.history))[:, -1]


def test_the_ranks_are_those_of_the_models_own_scores(dcrec, chains):
    chain = chains["both"]
    assert chain.ranks.shape == (survey.STEPS + 1, survey.READERS)
    assert [state.t for state in chain.states] == dcrec.diffusion.steps(survey.STEPS)
    with torch.inference_mode():
        scores = dcrec.score(chain.history, users=chain.users, steps=survey.STEPS)
    assert survey.hits(chain)[-1] == hit_rate(survey.ranks(scores, chain.target), 5)
    assert chain.ranks[-1, chain.shown] <= 5 and (chain.ranks[-1, : chain.shown] > 5).all()


def test_the_words_hold_the_numbers_of_the_walk(chains):
    alt = survey.alt_of_trajectories(chains)
    for chain in chains.values():
        assert f"{survey.hits(chain)[-1]:.3f}" in alt
    worse = dataclasses.replace(chains["one"], ranks=chains["one"].ranks + 200)
    assert survey.alt_of_trajectories({**chains, "one": worse}) != alt


def test_a_state_is_drawn_in_units_of_its_own_spread(dcrec):
    x0 = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)) * dcrec.settings.signal
    for t in (0, 4, dcrec.diffusion.T):
        noise = torch.randn(4000, 8, generator=torch.Generator().manual_seed(t + 1))
        drawn = dcrec.diffusion.q_sample(x0, t, noise) / survey.spread(dcrec, t)
        assert drawn.std().item() == pytest.approx(1, abs=0.02)


def test_the_slot_looks_at_the_whole_history_and_at_nothing_else(dcrec, chains):
    history = chains["both"].history[:1]
    history = history[:, history[0] != 0]
    look = survey.attended(dcrec, history)
    assert look.shape == history.shape[1:] and look.sum().item() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(look, survey.attended(dcrec, history.flip(1)))


def test_every_figure_is_described_and_no_name_is_used_twice():
    drawn = list(survey.all_figures())
    assert [d.name for d in drawn] == ["figure_1", "figure_2", "figure_3", "figure_4"]
    for drawing in drawn:
        assert len(drawing.alt) > 80 and drawing.png().startswith(b"\x89PNG")
        svg = drawing.svg().decode()
        assert drawing.alt[:40] in svg.replace("&quot;", '"') and not re.search(r"20\d\d-\d\d-\d\d", svg)
        assert drawing.svg().decode() == svg
