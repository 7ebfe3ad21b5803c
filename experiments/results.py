"""Write the tables of RESULTS.md and of README.md from the records in data/runs.

    python experiments/results.py            # after a record came

A table stands between `<!-- NAME -->` and `<!-- / -->`; nothing else is touched.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from diffrec_lite.training.results import FILTERED, Family, recorded
from diffrec_lite.training.table import as_markdown, published

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "RESULTS.md")
PLACE = re.compile(r"<!-- ([\w-]+) -->\n[^<]*<!-- / -->")
METRICS = ("HR@5", "NDCG@5")
DATA = {"beauty": "Beauty", "toys": "Toys", "ml-1m": "MovieLens-1M", "yelp": "Yelp"}
# A family by the middle of its records' names, and what a table calls it, in the order of its rows.
LABELS = {
    "popularity_quick": "popularity",
    "recent_quick": "what the reader chose before, the latest first (`recent`)",
    "markov_quick": "first-order Markov counts",
    "gap_quick": "counts of pairs at a distance (`gap`)",
    "ridge_quick": "linear regression (`ridge`)",
    "bprmf_repaired": "BPR-MF",
    "bert4rec_repaired": "BERT4Rec",
    "gru4rec_repaired": "GRU4Rec",
    "sasrec_paper": "SASRec, every position at once, settings of ours (`paper`)",
    "sasrec_repaired_bce": "SASRec, one random negative",
    "sasrec_repaired_untied": "SASRec, two item tables",
    "sasrec_repaired_narrow": "SASRec, softmax over the catalogue, half as wide, up to 40 epochs (`narrow`)",
    "sasrec_repaired_half": "SASRec, softmax over the catalogue, half as wide",
    "sasrec_repaired_long": "SASRec, softmax over the catalogue, for longer",
    "sasrec_repaired_rate": "SASRec, softmax over the catalogue, twice the learning rate",
    "sasrec_repaired_light": "SASRec, softmax over the catalogue, less dropout",
    "sasrec_repaired": "SASRec, softmax over the catalogue",
    "adrec_repaired": "ADRec",
    "diffurec_paper": "DiffuRec as printed (`paper`)",
    "diffurec_repaired_lambda0": "DiffuRec with λ = 0: no target, no noise",
    "diffurec_repaired": "DiffuRec",
    "diffurecsys_paper": "DiffuRecSys as printed (`paper`)",
    "diffurecsys_paper_norm": "DiffuRecSys as printed, but for a layer norm on what is read",
    "diffurecsys_paper_start": "DiffuRecSys as printed, but for item vectors from σ = 1",
    "diffurecsys_paper_start_norm": "DiffuRecSys as printed, but for item vectors from σ = 1 and a norm",
    "diffurecsys_paper_start_between": "DiffuRecSys as printed, but for item vectors from σ = .2",
    "diffurecsys_repaired_unbiased": "DiffuRecSys without the bias on what was read",
    "diffurecsys_repaired_rate": "DiffuRecSys with twice the learning rate",
    "diffurecsys_repaired_light": "DiffuRecSys with less dropout",
    "diffurecsys_repaired_narrow": "DiffuRecSys, half as wide, up to 40 epochs (`narrow`)",
    "diffurecsys_repaired": "DiffuRecSys",
    "dcrec_paper": "DCRec as printed (`paper`)",
    "dcrec_paper_detached": "DCRec as printed, but for a detached target",
    "dcrec_paper_after": "DCRec as printed, but for positions added after the noise",
    "dcrec_paper_weights": "DCRec as printed, but for our loss weights",
    "dcrec_repaired_light": "DCRec with less dropout",
    "dcrec_repaired_unbiased": "DCRec without the bias on what was read",
    "dcrec_repaired_narrow": "DCRec, half as wide, up to 40 epochs (`narrow`)",
    "dcrec_repaired": "DCRec",
    "hybrid_repaired_narrow_without": "hybrid without diffusion, half as wide, up to 40 epochs (`narrow`)",
    "hybrid_repaired_narrow": "hybrid, half as wide, up to 40 epochs (`narrow`)",
    "hybrid_repaired_without": "hybrid without diffusion (all at t = T)",
    "hybrid_repaired": "hybrid",
}
SHORT = {  # the rows of README's table
    "diffurecsys_repaired": "DiffuRecSys, our recipe",
    "diffurecsys_repaired_narrow": "DiffuRecSys, half as wide, up to 40 epochs",
    "diffurecsys_repaired_light": "DiffuRecSys, our recipe with less dropout",
    "diffurecsys_paper": "DiffuRecSys, the printed recipe",
    "dcrec_repaired": "DCRec, our recipe (MovieLens-1M: eight epochs)",
    "dcrec_repaired_narrow": "DCRec, half as wide, up to 40 epochs",
    "dcrec_repaired_light": "DCRec, our recipe with less dropout",
    "dcrec_paper": "DCRec, the printed recipe",
    "hybrid_repaired": "hybrid of both",
    "hybrid_repaired_narrow": "hybrid of both, half as wide, up to 40 epochs",
    "sasrec_repaired": "SASRec, no diffusion",
    "sasrec_repaired_narrow": "SASRec, no diffusion, half as wide, up to 40 epochs",
    "sasrec_repaired_light": "SASRec, no diffusion, less dropout",
    "ridge_quick": "linear regression, no gradient",
    "recent_quick": "what the reader chose before, the latest first",
}


def variant(family: Family) -> str:
    """The middle of its records' names, "dcrec_repaired", which names a family within a data set."""
    return family.names[0].removeprefix(f"{family.dataset}_").rpartition("_")[0]


def rows(dataset: str, families: list[Family]) -> list[list[str]]:
    """All that was recorded on a data set, a family a row."""
    found = {variant(family): family for family in families if family.dataset == dataset}
    if unnamed := set(found) - set(LABELS):
        raise SystemExit(f"LABELS in {Path(__file__).name} has no name for {', '.join(sorted(unnamed))}")
    filtered_too = [f"{metric}, seen-filtered" for metric in METRICS]
    head = [DATA[dataset], *METRICS, *filtered_too, "precision", "device", "records"]
    table = []
    for name, label in LABELS.items():
        if family := found.get(name):
            scores = [str(family.score(metric)) for metric in METRICS]
            filtered = [f"{family.score(metric, FILTERED).value:.4f}" for metric in METRICS]
            devices = ", ".join(sorted({device.partition(":")[0] for device in family.devices}))
            names = ", ".join(f"`{record}`" for record in family.names)
            table.append([label + epochs(family), *scores, *filtered, family.precision, devices, names])
    return [head, *table]


def epochs(family: Family) -> str:
    """At most how many, where its command asks for another number than the preset's."""
    given = [change.partition("=")[2] for change in family.changes if change.startswith("epochs=")]
    return f" (up to {given[0]} epochs)" if given else ""


def summary(families: list[Family]) -> list[list[str]]:
    """Both systems, printed and ours, and what they are measured against: HR@5 / NDCG@5."""
    printed = published("table_2")
    variants = {(family.dataset, variant(family)): family for family in families}

    def said(system: str, dataset: str) -> str:
        cells = printed[(printed.model == system) & (printed.true_dataset == dataset)].set_index("metric").value
        return pair(lambda metric: cells[metric]) if len(cells) else "not printed"

    def ours(name: str, dataset: str) -> str:
        family = variants.get((dataset, name))
        return pair(lambda metric: family.score(metric).value) if family else "not run"

    table = [["HR@5 / NDCG@5", *DATA.values()]]
    for name, label in SHORT.items():
        system = label.partition(",")[0]
        if name.endswith("_repaired") and system in set(printed.model):
            table.append([f"**{system}, as published**", *(said(system, dataset) for dataset in DATA)])
        table.append([label, *(ours(name, dataset) for dataset in DATA)])
    return table


def pair(value: Callable[[str], float]) -> str:
    """Both metrics in a cell."""
    return " / ".join(f"{value(metric):.4f}".removeprefix("0") for metric in METRICS)


def written(page: str, families: list[Family]) -> str:
    """A page with every table as the records say it."""

    def table(place: re.Match[str]) -> str:
        found = summary(families) if place[1] == "summary" else rows(place[1], families)
        return f"<!-- {place[1]} -->\n\n{as_markdown(found)}\n<!-- / -->"

    return PLACE.sub(table, page)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    families = recorded()
    for name in PAGES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), families), encoding="utf-8")


if __name__ == "__main__":
    main()
