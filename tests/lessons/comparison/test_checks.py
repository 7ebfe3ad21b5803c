"""The right answer passes each check of notebook 09, and each common mistake gets a diagnosis of its own."""

import numpy as np
import pytest
import torch

from diffrec_lite.lessons import comparison as lesson
from diffrec_lite.lessons.check import CheckFailed


def verdict(
    share=0.05, room=1e-9, of="printed", missing=lambda ours: ours is None, asks="interval", swap=False, open_=True
):
    def verdict(printed, ours, low, high):
        if missing(ours):
            return "not run"
        width = {"printed": share * printed, "ours": share * ours, "absolute": share}[of]
        near, far = printed - width - room, printed + width + room
        inside = {
            "interval": near <= low and high <= far,
            "mean": near <= ours <= far,
            "printed": low <= printed <= high,
        }
        if inside[asks]:
            return "replicated"
        if open_ and low <= far and high >= near:
            return "open"
        return "below" if (ours < printed) != swap else "above"

    return verdict


def means(x, draws):
    return x[draws].mean(1)


def ends(values, low=0.025, high=0.975):
    return tuple(float(torch.quantile(values, q)) for q in (low, high))


def paired(a, b, draws):
    return ends(means(a - b, draws))


def debiased(weight=lambda p: 1 / p.double().clamp(min=1), gain=None, inside=lambda r, k: r <= k, total=None):
    gain = gain or (lambda r: 1 / torch.log2(r + 1))

    def debiased_ndcg(ranks, popularity, k):
        r, w = ranks.double(), weight(popularity)
        return float((w * gain(r) * inside(r, k)).sum() / (w.sum() if total is None else total(w)))

    return debiased_ndcg


def test_the_right_answers_pass(capsys):
    lesson.checks.verdict(verdict())
    lesson.checks.paired_interval(paired)
    lesson.checks.paired_interval(
        lambda a, b, d: torch.quantile(means(a, d) - means(b, d), torch.tensor([0.025, 0.975]).double())
    )
    lesson.checks.paired_interval(lambda a, b, d: np.percentile((a - b).numpy()[d.numpy()].mean(1), [2.5, 97.5]))
    lesson.checks.debiased_ndcg(debiased())
    assert capsys.readouterr().out.count("correct") == 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (verdict(missing=lambda ours: not ours), "0.0 is a number that was measured"),
        (verdict(of="ours"), "Of the printed number"),
        (verdict(of="absolute"), "a share of the printed number, and not 0.05"),
        (verdict(room=-1e-5), "at the very edge"),
        (verdict(swap=True), "from our side"),
        (verdict(open_=False), "leaves the question open"),
        (verdict(asks="mean"), "other readers might have said otherwise"),
        (verdict(asks="printed"), "can still reach far out"),
        (lambda p, o, low, high: "replicated", "Without a number of ours"),
        (lambda p, o, low, high: "not run" if o is None else "open", "against the band"),
        (lambda p, o, low, high: o is not None and abs(o - p) < 0.05 * p, "one of the words"),
    ],
)
def test_a_wrong_verdict_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.verdict(wrong)


def each_alone(a, b, d):
    (low_a, high_a), (low_b, high_b) = ends(means(a, d)), ends(means(b, d))
    return low_a - high_b, high_a - low_b


def end_by_end(a, b, d):
    return tuple(x - y for x, y in zip(ends(means(a, d)), ends(means(b, d)), strict=True))


def normal_formula(a, b, d):
    half = 1.96 * (a - b).std() / len(a) ** 0.5
    return (a - b).mean() - half, (a - b).mean() + half


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda a, b, d: paired(b, a, d), "interval of B - A"),
        (lambda a, b, d: paired(a, b, d)[::-1], "low comes first"),
        (lambda a, b, d: ends(means(a, d)), "interval of A alone"),
        (lambda a, b, d: ends(means(b, d)), "interval of B alone"),
        (each_alone, "subtracted the opposite ends"),
        (end_by_end, "no difference of"),
        (lambda a, b, d: ends(means(a, d) - means(b, d.flip(0))), "different readers"),
        (lambda a, b, d: ends(means(a - b, d), 0.05, 0.95), "90 % interval"),
        (lambda a, b, d: ends(means(a - b, d), 0, 1), "least and the greatest"),
        (lambda a, b, d: ends((a - b)[d].sum(1)), "sums over the readers"),
        (lambda a, b, d: ((a - b).mean(),) * 2, "the difference itself"),
        (normal_formula, "normal formula"),
        (lambda a, b, d: ends(a - b), "readers' own differences"),
        (lambda a, b, d: float((a - b).mean()), "two numbers"),
        (lambda a, b, d: ("low", "high"), "a string"),
        (lambda a, b, d: paired(a, b, d[:, :30]), "wrong values"),
    ],
)
def test_a_wrong_interval_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.paired_interval(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (debiased(weight=lambda p: torch.ones(len(p)).double()), "plain NDCG"),
        (debiased(weight=lambda p: p.double().clamp(min=1)), "upside down"),
        (debiased(total=len), "number of readers"),
        (debiased(total=lambda w: 1), "never divided out"),
        (debiased(weight=lambda p: 1 / p.double()), "infinite or NaN"),
        (debiased(weight=lambda p: (1 / p.double()).nan_to_num(posinf=0)), "left out"),
        (debiased(weight=lambda p: 1 / (p.double() + 1)), "add 1 to every popularity"),
        (debiased(weight=lambda p: p.double().clamp(min=1) ** -0.5), "weaker correction"),
        (debiased(inside=lambda r, k: r < k), "rank <= k"),
        (debiased(inside=lambda r, k: 1), "cut-off is missing"),
        (debiased(gain=torch.ones_like), "debiased HR@k"),
        (debiased(gain=lambda r: 1 / torch.log(r + 1)), "base 2"),
        (debiased(gain=lambda r: 1 / r), "reciprocal rank"),
        (lambda r, p, k: debiased()(r, p, 10), "NDCG@5"),
        (lambda r, p, k: debiased()(r, p.clamp_(min=1), k), "overwrites its argument p"),
        (lambda r, p, k: [0.5, 0.5], "single number"),
    ],
)
def test_a_wrong_debiased_ndcg_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.debiased_ndcg(wrong)
