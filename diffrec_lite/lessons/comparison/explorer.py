"""The explorer of notebook 09: accuracy against cost for every recorded run, by data set, protocol, metric and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import traitlets

from diffrec_lite import models
from diffrec_lite.lessons.comparison import figures
from diffrec_lite.training.results import FILTERED, UNFILTERED, Family
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, question, script

PROTOCOLS = {"unfiltered": UNFILTERED, "seen-filtered": FILTERED}
METRICS = ("NDCG@5", "HR@5", "NDCG@10", "HR@10")
COSTS = ("seconds of training", "seconds of evaluation", "weights learned")
FIRST = "beauty"  # the data set that is shown at first, where it is recorded
ROOM = 3.0  # how much an axis of costs goes beyond its ends, as a factor


def weights(family: Family) -> int:
    """How many numbers a model learns by gradient; 0 for a rule that counts."""
    if figures.kind(family.model) == "counting":
        return 0
    known = {one.name for one in fields(models.MODELS[family.model].Settings)}
    config = family.runs[0]["config"]
    model = models.build(family.model, config["num_items"], **{k: v for k, v in config.items() if k in known})
    return sum(weight.numel() for weight in model.parameters())


def point(family: Family, device: str) -> dict[str, Any]:
    """One mark of the chart: its costs, and [value, low, high] for each protocol and metric.

    Seconds are those on `device`, None for a family that has no run there: seconds of two devices do not compare.
    """
    seconds = [family.seconds(of).get(device) for of in ("seconds", "evaluation_seconds")]
    return {
        "dataset": family.dataset,
        "label": family.title,
        "kind": figures.kind(family.model),
        "devices": family.devices,
        "runs": len(family.runs),
        "costs": [
            *(None if spent is None else max(spent, 0.01) for spent in seconds),
            max(weights(family), 1),  # a log scale has no 0: what counts stands at its left end
        ],
        "scores": {
            name: {
                metric: [round(getattr(family.score(metric, protocol), end), 4) for end in ("value", "low", "high")]
                for metric in METRICS
            }
            for name, protocol in PROTOCOLS.items()
        },
    }


def chart(families: Sequence[Family]) -> dict[str, Any]:
    """All that the explorer needs, as plain data.

    On one data set the axis of a cost never changes, and that of a metric is one for both protocols: what moves is the
    model.
    """
    devices: dict[str, Counter[str]] = {}
    for family in families:
        devices.setdefault(family.dataset, Counter()).update(run["device"] for run in family.runs)
    timed_on = {dataset: count.most_common(1)[0][0] for dataset, count in devices.items()}
    points = [point(family, timed_on[family.dataset]) for family in families]
    datasets = sorted({p["dataset"] for p in points}, key=lambda name: (name != FIRST, name))
    points.sort(key=lambda p: -p["scores"]["unfiltered"][METRICS[0]][0])
    printed = {d: {m: figures.printed(d, m) for m in METRICS} for d in datasets}
    tops, ranges = {}, {}
    for dataset in datasets:
        costs = [p["costs"] for p in points if p["dataset"] == dataset]
        columns = [[cost for cost in column if cost is not None] for column in zip(*costs, strict=True)]
        ranges[dataset] = [[min(column) / ROOM, max(column) * ROOM] for column in columns]
        for metric in METRICS:
            ends = [p["scores"][name][metric][2] for p in points if p["dataset"] == dataset for name in PROTOCOLS]
            tops[f"{dataset}/{metric}"] = round(1.08 * max([*ends, *printed[dataset][metric].values()]), 4)
    return {
        "title": "Accuracy against cost",
        "points": points,
        "printed": printed,
        "untimed": {dataset: untimed(points, dataset, timed_on[dataset]) for dataset in datasets},
        "tops": tops,
        "ranges": ranges,
        "choices": [datasets, list(PROTOCOLS), list(METRICS), list(COSTS)],
        "kinds": {name: text for name, (text, _, _) in figures.KINDS.items()},
    }


def untimed(points: Sequence[dict[str, Any]], dataset: str, device: str) -> str:
    """Which models of a data set have no seconds, in a sentence; "" where all have."""
    names = [p["label"] for p in points if p["dataset"] == dataset and None in p["costs"]]
    return (
        f"Not here, since seconds of two devices do not compare: no run on {device} of {', '.join(names)}."
        if names
        else ""
    )


def asked(data: dict[str, Any]) -> dict[str, Any]:
    """The question before the explorer: which kind of model gains most by a filter on what was read."""
    dataset, metric = data["choices"][0][0], METRICS[0]
    gains = dict.fromkeys(data["kinds"], 0.0)
    for kind in gains:
        scores = [p["scores"] for p in data["points"] if p["dataset"] == dataset and p["kind"] == kind]
        ratios = [one["seen-filtered"][metric][0] / one["unfiltered"][metric][0] - 1 for one in scores]
        gains[kind] = 100 * median(ratios) if ratios else 0.0
    said = "; ".join(f"{data['kinds'][kind]}, {gain:.1f} %" for kind, gain in gains.items())
    return question(
        f"A filter takes what was read out of the ranking. Which kind gains most in {metric} on {dataset}?",
        list(data["kinds"].values()),
        max(range(len(gains)), key=list(gains.values()).__getitem__),
        f"The median of each kind: {said}. Look for those that gain much more.",
    )


def view(data: dict[str, Any], state: Sequence[int]) -> dict[str, Any]:
    """What the explorer shows in one state, the places of the four choices."""
    dataset, protocol, metric, cost = (of[place] for of, place in zip(data["choices"], state, strict=True))
    here = [p for p in data["points"] if p["dataset"] == dataset]
    shown = [
        {**p, "cost": p["costs"][state[3]], "score": p["scores"][protocol][metric]}
        for p in here
        if p["costs"][state[3]] is not None
    ]
    return {
        "dataset": dataset,
        "protocol": protocol,
        "metric": metric,
        "cost": cost,
        "untimed": data["untimed"][dataset] if len(shown) < len(here) else "",
        "points": sorted(shown, key=lambda p: -p["score"][0]),
        "printed": data["printed"][dataset][metric],
        "x": data["ranges"][dataset][state[3]],
        "y": (0, data["tops"][f"{dataset}/{metric}"]),
    }


class CostExplorer(Board):
    """Four pickers, a chart of accuracy against cost, and the list of what its numbers stand for.

    `state` holds the place of each choice: data set, protocol, metric, cost. The page needs no kernel.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "Accuracy against cost: one mark for each recorded model, with its 95 % interval, and the printed numbers as "
        "lines; with it the list of models, best first."
    ).tag(sync=True)
    state = traitlets.List().tag(sync=True)

    def picture(self) -> bytes:
        return style.small_png(figures.cost_chart(view(self.data, self.state)), dpi=90)


def cost_explorer(families: Sequence[Family]) -> CostExplorer:
    """The explorer over recorded runs. Raises ValueError where there are none."""
    if not families:
        raise ValueError("there is no recorded run to show; data/runs is empty")
    data = chart(families)
    return CostExplorer(data=data, ask=asked(data), state=[0, 0, 0, 0])
