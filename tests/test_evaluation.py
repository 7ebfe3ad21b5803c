"""Evaluation: the right candidates, the right readers, and numbers that do not depend on how the work is cut up."""

import json

import pytest
import torch

from diffrec_lite import metrics, models
from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import Oracle, evaluate, evaluate_both


def log(sequences: list[list[int]], num_items: int) -> SequenceDataset:
    """A data set of these sequences."""
    return SequenceDataset(
        name="toy",
        items=torch.tensor([item for items in sequences for item in items]),
        offsets=torch.tensor([0] + [len(items) for items in sequences]).cumsum(0),
        user_tokens=[str(u) for u in range(len(sequences))],
        item_tokens=["[PAD]"] + [str(i) for i in range(1, num_items + 1)],
    )


def random_log(users: int = 30, num_items: int = 20, seed: int = 0) -> SequenceDataset:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, 14, (users,), generator=generator).tolist()
    return log([torch.randint(1, num_items + 1, (n,), generator=generator).tolist() for n in lengths], num_items)


class Fixed:
    """A scorer that prefers items by their number, and padding above all."""

    def __init__(self, num_items: int, max_len: int = 50) -> None:
        self.num_items, self.max_len = num_items, max_len

    def score(self, history, users=None, steps=None, seed=0):
        return -torch.arange(self.num_items + 1.0).expand(len(history), -1)


def test_ranks_by_hand_and_in_the_order_of_the_readers():
    data = log([[5, 6, 7, 1], [1, 2, 3, 4, 9], [2, 8, 3]], 10)
    found = evaluate(Fixed(10), data, batch_size=1)
    assert found.users.tolist() == [0, 1, 2]
    assert found.targets.tolist() == [1, 9, 3]
    assert found.lengths.tolist() == [3, 4, 2]
    assert found.ranks.tolist() == [1, 9, 3]
    assert evaluate(Fixed(10), data, "val").ranks.tolist() == [7, 4, 8]


def test_seen_items_are_taken_out_of_the_whole_history():
    data = log([[1, 2, 3, 4, 5, 6, 7, 8, 9]], 10)
    model = Fixed(10, max_len=2)  # the model sees 7, 8; the reader has seen 1 to 8
    assert evaluate(model, data).ranks.tolist() == [9]
    assert evaluate(model, data, filter_seen=True).ranks.tolist() == [1]


def test_a_target_that_was_seen_before_stays_a_candidate():
    data = log([[1, 4, 2, 4]], 5)
    assert evaluate(Fixed(5), data, filter_seen=True).ranks.tolist() == [2]  # behind 3, which is unseen


@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
def test_what_a_scorer_returns_is_never_written_into(kind):
    """A scorer may hand out its own numbers, of any type, once for all readers."""
    data, own = random_log(), torch.arange(21).to(kind)
    model = Fixed(20)
    model.score = lambda history, **_: own.expand(len(history), -1)
    plain, filtered = evaluate_both(model, data)
    model.score = lambda history, **_: torch.arange(21.0).repeat(len(history), 1)
    for found, expected in zip((plain, filtered), evaluate_both(model, data), strict=True):
        assert torch.equal(found.ranks, expected.ranks)
    assert torch.equal(own, torch.arange(21).to(kind))


def test_readers_with_two_items_are_left_out():
    assert evaluate(Fixed(4), log([[1, 2], [1, 2, 3]], 4)).users.tolist() == [1]


def test_one_pass_gives_both_protocols():
    data = random_log()
    both = evaluate_both(Fixed(20), data, "val")
    for filter_seen, found in zip([False, True], both, strict=True):
        alone = evaluate(Fixed(20), data, "val", filter_seen=filter_seen)
        assert torch.equal(alone.ranks, found.ranks)
        assert found.protocol["seen_filtered"] is filter_seen
    assert both[0].metrics["MRR"] < both[1].metrics["MRR"]


REPAIRED = {"stream": "guess", "slot": True, "positions": "after", "project": True, "seen_bias": True, "samples": 2}
CAUSAL = {"causal": True, "positions": "relative", "slot": True, "stream": "guess", "seen_bias": True}


@pytest.mark.parametrize(
    ("name", "settings"),
    [("diffurec", {}), ("diffurecsys", {}), ("dcrec", {}), ("dcrec", REPAIRED), ("dcrec", CAUSAL)],
)
def test_a_metric_does_not_depend_on_the_batch_size(name, settings):
    """Nor on the padding, which the batch decides: alone a history has none, among others it is padded to theirs."""
    data = random_log()
    torch.manual_seed(0)
    model = models.build(name, data.num_items, d=16, blocks=1, heads=2, T=6, max_len=8, **settings)
    one, all_, three = (evaluate_both(model, data, batch_size=b, steps=3, seed=5) for b in (1, 500, 3))
    for protocol in (0, 1):
        assert torch.equal(one[protocol].ranks, all_[protocol].ranks)
        assert torch.equal(three[protocol].ranks, all_[protocol].ranks)
    assert not torch.equal(evaluate(model, data, steps=3, seed=6).ranks, all_[0].ranks)  # the seed matters


def test_some_readers_get_the_ranks_they_have_among_all():
    data = random_log()
    torch.manual_seed(0)
    model = models.build("diffurec", data.num_items, d=16, blocks=1, heads=2, T=6)
    everyone, some = evaluate(model, data), evaluate(model, data, users=7, batch_size=2)
    assert len(some.users) == 7 and some.protocol["users"] == 7
    assert torch.equal(some.ranks, everyone.ranks[some.users])
    assert len(evaluate(model, data, users=500).users) == 30


def test_the_model_is_evaluated_without_dropout_and_gets_its_mode_back():
    data = random_log()
    torch.manual_seed(0)
    model = models.build("sasrec", data.num_items, d=16, dropout=0.5).train()
    first, second = evaluate(model, data), evaluate(model, data)
    assert torch.equal(first.ranks, second.ranks) and model.training
    assert not any(p.grad is not None for p in model.parameters())
    model.eval()
    evaluate(model, data)
    assert not model.training


def test_an_oracle_sees_whole_histories():
    seen = []

    def odds(history):
        seen.append(history)
        return torch.ones(6) / 5

    data = log([[1, 2, 3, 4], [5, 4, 3]], 5)
    assert evaluate(Oracle(odds), data).ranks.tolist() == [5, 5]
    assert sorted(seen) == [[1, 2, 3], [5, 4]]


def test_nan_scores_name_the_reader():
    class Broken(Fixed):
        def score(self, history, users=None, steps=None, seed=0):
            return super().score(history) * torch.nan

    with pytest.raises(ValueError, match=r"readers \[0\].*NaN"):
        evaluate(Broken(4), log([[1, 2, 3]], 4))


def test_wrong_calls_are_refused():
    data = random_log()
    for name in ("users", "batch_size"):
        for number in (0, -1):
            with pytest.raises(ValueError, match=f"{name} must be at least 1, got {number}"):
                evaluate(Fixed(data.num_items), data, **{name: number})
    with pytest.raises(ValueError, match="choose val or test"):
        evaluate(Fixed(20), data, "train")
    with pytest.raises(ValueError, match="knows 19 items"):
        evaluate(Fixed(19), data)
    with pytest.raises(ValueError, match="nobody"):
        evaluate(Fixed(4), log([[1, 2]], 4))


def test_the_bootstrap_is_drawn_once(monkeypatch):
    found, calls, bootstrap = evaluate(Fixed(20), random_log(), seed=3), [], metrics.bootstrap

    def counted(*args, **settings):
        calls.append(settings)
        return bootstrap(*args, **settings)

    monkeypatch.setattr(metrics, "bootstrap", counted)
    assert found.flat() == found.flat() and found.intervals == bootstrap(found.ranks, seed=3)
    assert calls == [{"seed": 3}]


def test_the_table_has_a_row_for_each_reader():
    found = evaluate(Fixed(20), random_log())
    table = found.table()
    assert table.columns.tolist() == ["user", "target", "length", "popularity", "rank"]
    assert table["target"].tolist() == found.targets.tolist()
    assert table["rank"].tolist() == found.ranks.tolist() and table["length"].tolist() == found.lengths.tolist()
    by_hand = sum(rank <= 5 for rank in table["rank"]) / 30
    assert found.metrics["HR@5"] == pytest.approx(by_hand)


def test_coverage_by_hand():
    data = log([[*range(20, 11, -1), 11, 10, 1, 2], [1, 2, 3]], 20)
    unfiltered, filtered = evaluate_both(Fixed(20), data, batch_size=1)
    assert unfiltered.coverage == 10 / 20  # 1 to 10, for both
    assert filtered.coverage == 11 / 20  # 2 to 9 for the first, who has only these left; 3 to 12 for the second
    few = evaluate_both(Fixed(6), log([[1, 2, 3]], 6))
    assert [found.coverage for found in few] == [1.0, 4 / 6]  # nobody is shown what was filtered out


def test_coverage_does_not_depend_on_the_batch_size_and_counts_only_whom_it_asks():
    data = random_log(num_items=60)
    torch.manual_seed(0)
    model = models.build("sasrec", 60, d=16)
    one, all_ = (evaluate_both(model, data, batch_size=size) for size in (1, 500))
    assert [found.coverage for found in one] == [found.coverage for found in all_]
    assert evaluate(model, data, users=1).coverage == pytest.approx(10 / 60)
    assert evaluate(model, data, users=2).coverage <= evaluate(model, data).coverage


def test_the_popularity_of_a_target_is_counted_in_the_training_part():
    data = log([[7, 7, 8, 9, 9], [7, 8, 3, 7], [9, 9], [1, 2, 7]], 10)
    assert evaluate(Fixed(10), data).popularity.tolist() == [2, 3, 3]  # of 9, 7 and 7; held-out items do not count
    assert evaluate(Fixed(10), data, "val").popularity.tolist() == [2, 0, 0]


def test_the_long_tail_is_judged_from_ranks_and_popularity():
    found = evaluate(Fixed(20), random_log(), seed=3)
    tail = found.long_tail
    assert tail["NDCG@10 debiased"] == metrics.debiased_ndcg(found.ranks, found.popularity) != found.metrics["NDCG@10"]
    low, high = metrics.bootstrap_debiased(found.ranks, found.popularity, seed=3)
    assert (tail["NDCG@10 debiased low"], tail["NDCG@10 debiased high"]) == (low, high)
    assert tail["coverage@10"] == found.coverage and tail.items() <= found.flat().items()


def test_flat_is_json_with_metrics_intervals_and_protocol():
    found = json.loads(json.dumps(evaluate(Fixed(20), random_log(), seed=3).flat()))
    assert found["HR@5 low"] <= found["HR@5"] <= found["HR@5 high"]
    expected = {"dataset": "toy", "split": "test", "seen_filtered": False, "users": 30, "seed": 3, "candidates": 20}
    assert {key: found[key] for key in expected} == expected
    assert found["ties"] == "against the model" and "steps" in found
    assert not any(isinstance(value, dict | list) for value in found.values())


def test_the_seed_draws_the_readers_of_a_sample():
    data = random_log()
    model = models.build("diffurec", data.num_items, d=16, blocks=1, heads=2, T=6)
    one, same, other = (evaluate(model, data, users=7, seed=seed).users.tolist() for seed in (0, 0, 1))
    assert one == same != other
