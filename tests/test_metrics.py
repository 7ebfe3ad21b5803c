"""Metrics against hand-computed numbers, a slow bootstrap, and the cases that a fast implementation gets wrong."""

import math

import numpy as np
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


def test_groups():
    table = metrics.by_group(torch.tensor([1, 50, 2, 50]), metrics.binned(torch.tensor([3, 12, 5, 7]), (5, 10)))
    assert table.index.tolist() == ["01: up to 5", "02: 6 to 10", "03: over 10"]
    assert table["readers"].tolist() == [2, 1, 1]
    assert table["HR@5"].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="2 ranks but 1"):
        metrics.by_group(torch.tensor([1, 2]), ["a"])
