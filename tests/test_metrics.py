"""Metrics against hand-computed numbers, a slow bootstrap, and the cases that a fast implementation gets wrong."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from diffrec_lite import metrics


def test_rank_counts_the_items_that_score_higher():
    scores = torch.tensor([[-torch.inf, 0.1, 0.9, 0.5], [-torch.inf, 3.0, 2.0, 1.0]])
    assert metrics.ranks(scores, torch.tensor([3, 1])).tolist() == [2, 1]


def test_ties_count_against_the_model():
    assert metrics.ranks(torch.zeros(1, 5), torch.tensor([2])).tolist() == [4]


def test_padding_is_never_a_candidate():
    scores = torch.tensor([[99.0, 1.0, 2.0]])
    assert metrics.ranks(scores, torch.tensor([2])).tolist() == [1]


def test_target_at_minus_infinity_is_last_and_plus_infinity_is_allowed():
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0], [-torch.inf, 0.0, torch.inf, 1.0]])
    assert metrics.ranks(scores, torch.tensor([2, 2])).tolist() == [3, 1]


def test_nan_names_the_row():
    scores = torch.zeros(3, 4)
    scores[1, 2] = torch.nan
    with pytest.raises(ValueError, match="row 1"):
        metrics.ranks(scores, torch.tensor([1, 1, 1]))


@pytest.mark.parametrize("target", [0, 4, -1])
def test_target_outside_the_catalogue_names_the_row(target):
    with pytest.raises(ValueError, match=f"row 1: target {target}"):
        metrics.ranks(torch.zeros(2, 4), torch.tensor([1, target]))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(B, V\)"):
        metrics.ranks(torch.zeros(2, 4), torch.tensor([1]))


def test_metrics_by_hand():
    ranks = torch.tensor([1, 3, 6, 100])
    found = metrics.summary(ranks)
    assert list(found) == ["HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"]
    assert found["HR@5"] == 0.5 and found["HR@10"] == found["HR@20"] == 0.75
    assert found["NDCG@5"] == pytest.approx((1 + 1 / 2) / 4)
    assert found["NDCG@10"] == pytest.approx((1 + 1 / 2 + 1 / math.log2(7)) / 4)
    assert found["MRR"] == pytest.approx((1 + 1 / 3 + 1 / 6 + 1 / 100) / 4)
    assert found["HR@5"] == metrics.hit_rate(ranks, 5)
    assert found["NDCG@10"] == pytest.approx(metrics.ndcg(ranks, 10))
    assert found["MRR"] == pytest.approx(metrics.mrr(ranks))


def test_every_metric_is_that_of_rectools():
    """On rankings that RecTools was asked about by tests/oracle_rectools.py."""
    asked = json.loads((Path(__file__).parent / "oracle_rectools.json").read_text(encoding="utf-8"))
    ranks, popularity = torch.tensor(asked["ranks"]), torch.tensor(asked["popularity"])
    debiased = {metrics.DEBIASED: metrics.debiased_ndcg(ranks, popularity)}
    covered = {metrics.COVERAGE: metrics.coverage(torch.tensor(asked["best"]), asked["items"])}
    assert {**metrics.summary(ranks), **debiased, **covered} == pytest.approx(asked["metrics"], abs=1e-6, rel=0)
    assert len(set(asked["metrics"].values())) == 9 and 0.1 < asked["metrics"][metrics.COVERAGE] < 1
    better = (ranks - 1).clamp(min=1)
    both = metrics.compare(better, ranks, popularity)
    assert both["B"].to_dict() == pytest.approx({k: asked["metrics"][k] for k in both.index}, abs=1e-6, rel=0)


def test_nobody_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match="no reader"):
        metrics.summary(torch.tensor([], dtype=torch.long))
    with pytest.raises(ValueError, match="no reader"):
        metrics.bootstrap(torch.tensor([], dtype=torch.long))


def test_bootstrap_agrees_with_drawing_readers_one_by_one():
    ranks = torch.from_numpy(np.random.default_rng(0).integers(1, 60, 500))
    fast = metrics.bootstrap(ranks, draws=4000)
    rng = np.random.default_rng(1)
    drawn = ranks.numpy()[rng.integers(0, 500, (4000, 500))]
    slow = np.quantile((drawn <= 10).mean(1), [0.025, 0.975])
    assert fast["HR@10"] == pytest.approx(slow, abs=0.004)
    low, high = fast["NDCG@10"]
    assert low < metrics.ndcg(ranks, 10) < high


def test_bootstrap_is_seeded_and_narrows_with_the_level():
    ranks = torch.arange(1, 200)
    assert metrics.bootstrap(ranks, seed=3) == metrics.bootstrap(ranks, seed=3)
    assert metrics.bootstrap(ranks, seed=3) != metrics.bootstrap(ranks, seed=4)
    narrow, wide = metrics.bootstrap(ranks, level=0.5)["MRR"], metrics.bootstrap(ranks)["MRR"]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap(ranks, level=95)


def test_bootstrap_in_pieces_keeps_its_size():
    many = torch.arange(1, 30_001)  # 30,000 different ranks: several pieces
    low, high = metrics.bootstrap(many, draws=150)["HR@20"]
    assert 0 <= low <= 20 / 30_000 <= high < 0.01


def test_coverage_counts_each_item_once_and_the_padding_never():
    assert metrics.coverage(torch.tensor([[1, 2, 3], [3, 2, 0]]), 6) == 0.5
    assert metrics.coverage(torch.zeros(4, 3, dtype=torch.long), 6) == 0


def test_the_debiased_ndcg_by_hand():
    ranks, popularity = torch.tensor([1, 3, 50, 2]), torch.tensor([4, 2, 1, 0])
    weights = [1 / 4, 1 / 2, 1, 1]  # what was never met weighs like what was met once
    gains = [1, 1 / 2, 0, 1 / math.log2(3)]
    by_hand = sum(w * g for w, g in zip(weights, gains, strict=True)) / sum(weights)
    assert metrics.debiased_ndcg(ranks, popularity) == pytest.approx(by_hand)
    assert metrics.debiased_ndcg(ranks, torch.full((4,), 7)) == pytest.approx(metrics.ndcg(ranks, 10))


def test_debiasing_takes_out_how_often_an_item_was_met():
    """Readers ask for item i in proportion to how often it was met; all items should count alike in the end."""
    met, rank_of_item = torch.tensor([50, 20, 5, 1]), torch.tensor([1, 2, 60, 60])
    asked = torch.arange(4).repeat_interleave(met)
    found = metrics.debiased_ndcg(rank_of_item[asked], met[asked])
    assert found == pytest.approx(metrics.ndcg(rank_of_item, 10)) and found < metrics.ndcg(rank_of_item[asked], 10)


def test_the_debiased_interval_agrees_with_drawing_readers_one_by_one():
    rng = np.random.default_rng(0)
    ranks, popularity = torch.from_numpy(rng.integers(1, 30, 400)), torch.from_numpy(rng.integers(0, 40, 400))
    fast = metrics.bootstrap_debiased(ranks, popularity, draws=4000)
    drawn = np.random.default_rng(1).integers(0, 400, (4000, 400))
    w = 1 / popularity.clamp(min=1).double().numpy()
    gain = np.where(ranks <= 10, 1 / np.log2(ranks.numpy() + 1), 0)
    slow = np.quantile((w * gain)[drawn].sum(1) / w[drawn].sum(1), [0.025, 0.975])
    assert fast == pytest.approx(slow, abs=0.006) and fast[1] - fast[0] > 0.05
    assert fast[0] < metrics.debiased_ndcg(ranks, popularity) < fast[1]


# ---------------------------------------------------------------- two models


def two(readers: int = 600, better: float = 0.3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ranks of two models that mostly agree, where the first is a little better; and popularities."""
    rng = np.random.default_rng(0)
    b = rng.integers(1, 60, readers)
    a = np.where(rng.random(readers) < better, np.maximum(1, b - rng.integers(0, 8, readers)), b)
    return torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(rng.integers(0, 30, readers))


def test_a_comparison_agrees_with_drawing_the_same_readers_for_both():
    """The definition of notebook 06, for every metric."""
    a, b, popularity = two()
    table = metrics.compare(a, b, popularity, draws=4000)
    assert table.index.tolist() == [*metrics.names(), "NDCG@10 debiased"]
    difference = (metrics.per_rank(a) - metrics.per_rank(b)).numpy()
    drawn = np.random.default_rng(1).integers(600, size=(4000, 600))
    low, high = np.quantile(difference[drawn].mean(1), [0.025, 0.975], axis=0)
    assert table["low"][:-1].to_numpy() == pytest.approx(low, abs=0.002)
    assert table["high"][:-1].to_numpy() == pytest.approx(high, abs=0.002)
    assert (table["high"] - table["low"] > 0.01).all()
    assert table["A"].to_dict() == pytest.approx(
        {**metrics.summary(a), "NDCG@10 debiased": metrics.debiased_ndcg(a, popularity)}
    )
    assert table["B"][:-1].to_dict() == pytest.approx(metrics.summary(b))
    assert (table["difference"] == table["A"] - table["B"]).all()


def test_a_comparison_turned_round():
    a, b, popularity = two()
    there, back = metrics.compare(a, b, popularity), metrics.compare(b, a, popularity)
    assert back["difference"].to_numpy() == pytest.approx(-there["difference"].to_numpy(), abs=1e-12)
    assert back["low"].to_numpy() == pytest.approx(-there["high"].to_numpy(), abs=0.003)
    alike = metrics.compare(a, b, torch.full((600,), 5))  # popularity that is the same for all changes nothing
    assert alike.loc["NDCG@10 debiased"].to_numpy() == pytest.approx(alike.loc["NDCG@10"].to_numpy(), abs=1e-12)


def test_of_several_trainings_a_reader_gains_the_mean():
    """A training counted twice changes nothing; of two, A and B are the means, and so is the interval."""
    a, b, popularity = two()
    c = a[torch.randperm(len(a), generator=torch.Generator().manual_seed(0))]
    once, twice = metrics.compare(a, b, popularity), metrics.compare(torch.stack([a, a]), b, popularity)
    pd.testing.assert_frame_equal(once, twice)
    both = metrics.compare(torch.stack([a, c]), torch.stack([b, b, b]), popularity, draws=4000)
    alone = [metrics.compare(one, b, popularity)["A"] for one in (a, c)]
    assert both["A"].to_numpy() == pytest.approx((alone[0] + alone[1]).to_numpy() / 2)
    assert both["B"].to_numpy() == pytest.approx(once["B"].to_numpy())
    difference = ((metrics.per_rank(a) + metrics.per_rank(c)) / 2 - metrics.per_rank(b)).numpy()
    drawn = np.random.default_rng(1).integers(600, size=(4000, 600))
    low, high = np.quantile(difference[drawn].mean(1), [0.025, 0.975], axis=0)
    assert both["low"][:-1].to_numpy() == pytest.approx(low, abs=0.002)
    assert both["high"][:-1].to_numpy() == pytest.approx(high, abs=0.002)


def test_a_model_against_itself_is_no_better():
    a, _, popularity = two()
    table = metrics.compare(a, a, popularity)
    assert (table[["difference", "low", "high"]] == 0).all(axis=None) and (table["p"] == 1).all()


def test_p_is_small_exactly_where_the_interval_excludes_zero():
    for better in (0, 0.02, 0.05, 0.3):
        table = metrics.compare(*two(better=better), draws=999)
        excluded = (table["low"] > 0) | (table["high"] < 0)
        clear = (table["p"] - 0.05).abs() > 0.01  # a draw or two from the edge both may happen
        assert ((table["p"] < 0.05) == excluded)[clear].all()
        assert table["p"].between(2 / 1000, 1).all()
    assert excluded.all() and (table["p"]["MRR"] == 2 / 1000)


def test_p_of_models_that_differ_by_chance_is_uniform():
    """Of many comparisons between equals, as many are below p as p says."""
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        a, b = torch.from_numpy(rng.integers(1, 40, (2, 150)))
        found.append(metrics.compare(a, b, draws=400)["p"]["NDCG@20"])
    share = np.mean(np.array(found) < 0.2)
    assert 0.2 - 3 * 0.0231 < share < 0.2 + 3 * 0.0231  # three standard errors of a share of .2 among 300


def test_a_comparison_needs_the_same_readers():
    with pytest.raises(ValueError, match="the same readers, at least one, got 2 and 3"):
        metrics.compare(torch.tensor([1, 2]), torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="got 0 and 0"):
        metrics.compare(torch.tensor([], dtype=torch.long), torch.tensor([], dtype=torch.long))
    with pytest.raises(ValueError, match="got 2 and 2, popularity of 1"):
        metrics.compare(torch.tensor([1, 2]), torch.tensor([1, 2]), torch.tensor([1]))


@pytest.mark.parametrize("shape", [(5, 1), (5, 3), (0, 5), (1, 1, 5)])
def test_ranks_are_a_row_a_training(shape):
    ranks = torch.ones(shape, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(trainings, readers\)"):
        metrics.compare(ranks, ranks)


def test_groups():
    table = metrics.by_group(torch.tensor([1, 50, 2, 50]), metrics.binned(torch.tensor([3, 12, 5, 7]), (5, 10)))
    assert table.index.tolist() == ["01: up to 5", "02: 6 to 10", "03: over 10"]
    assert table["readers"].tolist() == [2, 1, 1]
    assert table["HR@5"].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="2 ranks but 1"):
        metrics.by_group(torch.tensor([1, 2]), ["a"])


def test_the_debiased_interval_is_that_of_its_k():
    generator = torch.Generator().manual_seed(4)
    ranks, popularity = (torch.randint(1, 30, (400,), generator=generator) for _ in range(2))
    for k in (5, 20):
        low, high = metrics.bootstrap_debiased(ranks, popularity, k=k)
        assert low < metrics.debiased_ndcg(ranks, popularity, k) < high
    assert (
        metrics.bootstrap_debiased(ranks, popularity, k=20)[0] > metrics.bootstrap_debiased(ranks, popularity, k=5)[1]
    )
