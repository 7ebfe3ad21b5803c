"""The figures of notebook 09, and the sentences that follow from the records: what is printed, and what is left of it.

Everything is read from the recorded runs (`training.results`) and the published tables, whichever there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from diffrec_lite.models import COUNTS, DIFFUSIONS
from diffrec_lite.training.results import FILTERED, UNFILTERED, Family, find
from diffrec_lite.training.table import published
from diffrec_lite.training.tables import WITHIN, verdict
from diffrec_lite.widgets import style

COUNTING = {model.__name__.lower() for model in COUNTS}
DIFFUSION = {model.__name__.lower() for model in DIFFUSIONS}
# A kind of model: its name, colour and marker.
KINDS = {
    "counting": ("rule, no gradient", style.NEUTRAL, "o"),
    "network": ("network without diffusion", style.HISTORY, "s"),
    "diffusion": ("diffusion model", style.PREDICTION, "^"),
}
WITHOUT = ("delta=0.0", "share_at_T=1.0")  # a change that takes the diffusion out of training
PROTOCOLS = ((UNFILTERED, "unfiltered"), (FILTERED, "seen-filtered"))
METRICS = ("HR@5", "NDCG@5")
CLOSE = "the intervals meet"


def kind(model: str) -> str:
    """ "counting", "network" or "diffusion"."""
    return "counting" if model in COUNTING else "diffusion" if model in DIFFUSION else "network"


BAND = "#E3F2EC"  # the colour behind what is replicated
PLAIN = {"facecolor": BAND, "edgecolor": "none", "pad": 1}


def cells(table: pd.DataFrame) -> Figure:
    """Table II as ratios, ours / printed, with intervals; the band is ±5 %. `table` is `tables.table_2(…).frame`."""
    fig, ax = style.axes(size=(8.6, 0.27 * len(table) + 0.9))
    ax.axvspan(1 - WITHIN, 1 + WITHIN, color=BAND, label=f"within ±{WITHIN:.0%} of the printed number")
    ax.axvline(1, color=style.NEUTRAL, linestyle=":")
    for y, row in enumerate(table.itertuples(index=False)):
        row = dict(zip(table.columns, row, strict=True))
        if not row["runs"]:
            ax.text(1, y, "not run", ha="center", va="center", fontsize=8, color="#555555", bbox=PLAIN)
            continue
        for name, shift, colour, marker, label in (
            ("ours", -0.12, style.HISTORY, "o", "unfiltered, as printed"),
            ("ours, seen-filtered", 0.16, style.HIGHLIGHT, "s", "seen-filtered"),
        ):
            value, low, high = (row[f"{name}{end}"] / row["published"] for end in ("", " low", " high"))
            ax.plot([low, high], [y + shift] * 2, color=colour)
            ax.plot(value, y + shift, marker, color=colour, label=label)
    ax.set_yticks(
        range(len(table)),
        labels=[" · ".join(row) for row in table[["data set", "model", "metric", "preset"]].itertuples(index=False)],
        fontsize=8,
    )
    ax.set(xlabel="ours / printed", ylim=(len(table) - 0.5, -0.5))
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    return fig


def printed(dataset: str, metric: str) -> dict[str, float]:
    """The survey's two systems on a data set, as printed."""
    table = published("table_2")
    rows = table[(table.true_dataset == dataset) & (table.metric == metric)]
    return dict(zip(rows.model, rows.value, strict=True))


def bars(families: Sequence[Family], datasets: Sequence[str], metric: str) -> Figure:
    """A metric of everything recorded on some data sets, both protocols, with the printed cells as guides."""
    most = max(sum(family.dataset == dataset for family in families) for dataset in datasets)
    fig, panels = style.axes(1, len(datasets), size=(9.2, 0.42 * most + 1.4), squeeze=False)
    for ax, dataset in zip(panels[0], datasets, strict=True):
        here = [family for family in families if family.dataset == dataset]
        here.sort(key=lambda family: family.score(metric).value)
        for y, family in enumerate(here):
            _, colour, marker = KINDS[kind(family.model)]
            for protocol, shift, face in ((UNFILTERED, -0.14, colour), (FILTERED, 0.14, "white")):
                score = family.score(metric, protocol)
                ax.plot([score.low, score.high], [y + shift] * 2, color=colour, lw=1.2)
                ax.plot(score.value, y + shift, marker, color=colour, markerfacecolor=face)
        for (system, value), dash in zip(printed(dataset, metric).items(), (":", "--"), strict=False):
            ax.axvline(value, color=style.TARGET, linestyle=dash, label=f"{system}, printed")
        ax.set_yticks(range(len(here)), labels=[fill(f.title, 32) for f in here], fontsize=7.5)
        ax.set(title=dataset, xlabel=f"{metric} (hollow: seen-filtered)", xlim=(0, None), ylim=(-0.7, len(here) - 0.3))
        ax.legend(fontsize=7.5, loc="lower right")
    return fig


def slices(tables: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """A metric by group, a panel for each table: groups as its index, `readers` and then the models as columns."""
    fig, panels = style.axes(1, len(tables), size=(9.2, 3.6), sharey=True, squeeze=False)
    for ax, (title, table) in zip(panels[0], tables.items(), strict=True):
        for model in table.columns.drop("readers"):
            ax.plot(range(len(table)), table[model], lw=1, label=model, **style.look(model))
        groups = zip(table.index, table.readers, strict=True)
        labels = [f"{group.split(': ')[-1]}\n{n:.0f} readers" for group, n in groups]
        ax.set_xticks(range(len(table)), labels=labels, fontsize=7.5)
        ax.set(title=title, xlim=(-0.4, len(table) - 0.6))
    panels[0][0].set_ylabel(metric)
    panels[0][0].set_ylim(bottom=0)
    panels[0][-1].legend(fontsize=8)
    return fig


def cost_chart(view: Mapping[str, Any]) -> Figure:
    """One state of the explorer (`explorer.view`): a metric against a cost on a log scale; numbers name the models."""
    lines = [f"{i}  {point['label']}: {point['score'][0]:.4f}" for i, point in enumerate(view["points"], start=1)]
    lines = [fill(line, 44, subsequent_indent="     ") for line in [*lines, view["untimed"]] if line]
    rows = sum(1 + 0.8 * line.count("\n") for line in lines)
    fig, (ax, side) = style.axes(1, 2, size=(8.6, max(4.2, 0.9 + 0.16 * rows)), width_ratios=[1.6, 1])
    for number, point in enumerate(view["points"], start=1):
        _, colour, marker = KINDS[point["kind"]]
        value, low, high = point["score"]
        ax.plot([point["cost"]] * 2, [low, high], color=colour, lw=1.2)
        ax.plot(point["cost"], value, marker, color=colour, markersize=13)
        ax.text(point["cost"], value, str(number), ha="center", va="center", fontsize=7.5, color="white", weight="bold")
    row = 0.0
    for line in lines:
        side.text(0, row, line, va="top", fontsize=8, color=style.INK, linespacing=1)
        row += 1 + 0.8 * line.count("\n")
    for system, value in view["printed"].items():
        above = value == max(view["printed"].values())
        ax.axhline(value, color=style.TARGET, linestyle=":")
        text = f"{system}, printed "
        ax.text(view["x"][0], value, text, va="bottom" if above else "top", fontsize=8, color=style.TARGET)
    ax.set(xscale="log", xlim=view["x"], ylim=view["y"], xlabel=view["cost"], ylabel=view["metric"])
    side.set(xlim=(0, 1), ylim=(max(12.0, rows), 0), title=f"{view['dataset']}, {view['protocol']}")
    side.axis("off")
    return fig


# ---------------------------------------------------------------- what follows from the records


def taken_out(families: Sequence[Family]) -> pd.DataFrame:
    """Runs whose training knows no diffusion (`WITHOUT`), each beside the same with it; empty if none is there.

    "apart" says whether the two intervals meet.
    """
    rows = []
    for family in families:
        off = [change for change in family.changes if change in WITHOUT]
        if not off:
            continue
        whole = find(list(families), family.dataset, family.model, family.preset, set(family.changes) - set(off))
        for metric in METRICS if whole else ():
            with_it, without = whole.score(metric), family.score(metric)
            rows.append(
                {
                    "data set": family.dataset,
                    "model": whole.title,
                    "what is switched off": ", ".join(off),
                    "metric": metric,
                    "with diffusion": str(with_it),
                    "without it": str(without),
                    "apart": _apart(with_it, without),
                }
            )
    return pd.DataFrame(rows)


def _apart(a: Any, b: Any) -> str:
    return "the intervals meet" if a.low <= b.high and b.low <= a.high else "the intervals do not meet"


def bar(families: Sequence[Family], dataset: str) -> Family | None:
    """The counting rule that every trained model has to clear: the best on the validation readers, by NDCG@10."""
    rules = [f for f in families if f.dataset == dataset and kind(f.model) == "counting"]
    return max(rules, key=Family.validation, default=None)


def told(families: Sequence[Family], datasets: Sequence[str]) -> Iterator[str]:
    """The verdict in words: one sentence for each thing that the records can say today."""
    for dataset in datasets:
        rule = bar(families, dataset)
        if rule is None:
            continue
        for metric in METRICS:
            score = rule.score(metric)
            for system, value in printed(dataset, metric).items():
                found = verdict(value, score.value)
                words = "equals" if found == "replicated" else "lies above" if found == "above" else "lies below"
                yield (
                    f"{dataset}, {metric}: the rule ({rule.model}) has {score.value:.4f}, {score.value / value:.0%} of "
                    f"what is printed for {system} ({value:.4f}); within ±{WITHIN:.0%} it {words} that cell."
                )
        yield from _against(families, dataset, rule)


def beside(families: Sequence[Family], datasets: Sequence[str], metric: str = "NDCG@5") -> pd.DataFrame:
    """Every trained family beside the counting rule of its data, which comes first, in both protocols.

    "clears": its whole interval lies above the rule's; "is below": it lies below; else "the intervals meet".
    """
    rows = {}
    for dataset in datasets:
        rule = bar(families, dataset)
        for family in [rule, *families] if rule else ():
            if family is not rule and (family.dataset != dataset or kind(family.model) == "counting" or family.changes):
                continue
            row = rows[dataset, family.title] = {}
            for protocol, name in PROTOCOLS:
                ours, counted = family.score(metric, protocol), rule.score(metric, protocol)
                word = "clears" if ours.low > counted.high else "is below" if ours.high < counted.low else CLOSE
                row[name] = f"{ours}: " + ("the bar" if family is rule else word)
    return pd.DataFrame.from_dict(rows, orient="index", columns=[name for _, name in PROTOCOLS])


def _against(families: Sequence[Family], dataset: str, rule: Family) -> Iterator[str]:
    """The best network without diffusion, the best diffusion model and the rule, chosen on validation readers."""
    groups = {name: [] for name in ("network", "diffusion")}
    for family in families:
        asked = family.dataset == dataset and not set(family.changes) & set(WITHOUT)
        if asked and kind(family.model) in groups:
            groups[kind(family.model)].append(family)
    if all(groups.values()):
        best = {name: max(of, key=Family.validation) for name, of in groups.items()}
        for protocol, name in PROTOCOLS:
            plain, noisy = best["network"].score("NDCG@5", protocol), best["diffusion"].score("NDCG@5", protocol)
            yield (
                f"{dataset}, {name}: of the networks without diffusion {best['network'].title} was the best on the "
                f"validation readers, of the diffusion models {best['diffusion'].title}; NDCG@5 {plain} and {noisy}; "
                f"{_apart(plain, noisy)}."
            )
            first, counted = max(best.values(), key=Family.validation), rule.score("NDCG@5", protocol)
            score = first.score("NDCG@5", protocol)
            yield (
                f"{dataset}, {name}: of these two {first.title} was better on them; the rule ({rule.model}) has "
                f"NDCG@5 {counted}, {counted.value / score.value:.0%} of its {score.value:.4f}; "
                f"{_apart(score, counted)}."
            )
