"""Tables III and IV: DCRec with parts taken away, and what denoising steps do and cost. Their numbers are ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from diffrec_lite.data.shipped import shipped
from diffrec_lite.models import MODELS
from diffrec_lite.training.recipe import settings
from diffrec_lite.training.results import Score
from diffrec_lite.training.table import Table, measured, numbers, published

# ---------------------------------------------------------------- III: conditions, losses and repairs


def table_3() -> Table:
    """HR@5 of DCRec with parts taken away: printed on test readers of real data, ours on validation readers."""
    printed = published("dcrec_results")
    printed = printed[printed.metric == "HR@5"].pivot(index="model", columns="dataset", values="value")
    repairs, conditions = measured("dcrec_repairs"), measured("conditions")
    shop, beauty = repairs[repairs.dataset == "bookshop"], repairs[repairs.dataset == "beauty"]
    ablations = [m for m in published("dcrec_results").model.unique() if m.startswith("DCRec: ") and "steps" not in m]
    names = {"both": "DCRec", **{model.removeprefix("DCRec: "): model for model in ablations}}
    parts = [("conditions", name, names.get(name), conditions, None) for name in conditions.variant.unique()]
    told = {part[2] for part in parts}
    parts += [(_part(name), name, model, None, None) for name, model in names.items() if model not in told]
    for name in shop.variant.unique():
        parts.append(("repairs", name, "DCRec" if name == "as printed" else None, shop, beauty))
    rows = []
    for part, variant, model, on_shop, on_beauty in parts:
        row: dict[str, object] = {"part": part, "variant": variant}
        for dataset in ("beauty", "toys", "yelp"):
            row[f"published {dataset}"] = printed[dataset].get(model) if model else None
        row |= _over_seeds("our bookshop", on_shop, variant, steps=1) | _over_seeds("our beauty", on_beauty, variant, 1)
        rows.append(row)
    note = (
        "HR@5. Ours at one denoising step, on validation readers: compare the order of variants, not the numbers. "
        "Losses, lambda schedules and the noise on the target alone are read by eye from the paper's figures. "
        "The number of this table is ours. Made by experiments/conditions.py and experiments/repairs.py."
    )
    return Table("table_3", "Table III. Conditions, losses and repairs of DCRec", note, pd.DataFrame(rows))


def _part(name: str) -> str:
    return {"losses": "losses", "lambda": "lambda", "noise": "noise"}.get(name.split(" ", 1)[0], "conditions")


def _over_seeds(name: str, record: pd.DataFrame | None, variant: str, steps: int) -> dict[str, float | None]:
    """The mean of HR@5 and its deviation over the seeds; with one seed, the record's interval."""
    rows = [] if record is None else record[(record.variant == variant) & (record.steps == steps)]
    if not len(rows):
        return numbers(name, None)
    low, high = (rows.get(column, rows.get(f"HR@5 {column}")) for column in ("low", "high"))
    sd = rows["HR@5"].std() if len(rows) > 1 else None
    return numbers(name, Score(rows["HR@5"].mean(), sd, low.min(), high.max(), len(rows)))


# ---------------------------------------------------------------- IV: steps and cost


def table_4_steps() -> Table:
    """HR@5 against the number of denoising steps."""
    printed = published("dcrec_results")
    printed = printed[printed.model.str.startswith("DCRec: steps ")]
    chains = measured("chains")
    chains = chains[chains.way == "plain"]
    T = steps_of("dcrec", "quick")
    rows: dict[str, dict[str, object]] = {}
    for cell in printed.itertuples():
        rows.setdefault(cell.model.removeprefix("DCRec: steps "), {})[f"published {cell.dataset}"] = cell.value
    for (signal, steps), of in chains.groupby(["signal", "steps"], sort=True):
        row = rows.setdefault(share(int(steps), T), {})
        of, name = of["HR@5"], f"our bookshop, signal {signal:g}"
        row |= numbers(name, Score(of.mean(), of.std(), of.min(), of.max(), len(of)))
    frame = pd.DataFrame([{"steps": name, **row} for name, row in rows.items()])
    note = (
        f"Published: DCRec, read by eye. Ours: experiments/chains.py, T = {T}, validation readers, "
        f"{chains.seed.nunique()} seeds; signal 1 is the printed loudness of the item vectors beside the noise, 0.1 "
        "the repaired one. The table's number is ours."
    )
    return Table("table_4_steps", "Table IV. Denoising steps: HR@5", note, frame)


def steps_of(model: str, preset: str) -> int:
    """T of a preset."""
    return MODELS[model].Settings(**settings(model, preset)[0]).T


def share(steps: int, T: int) -> str:
    """A number of steps as the paper writes it: "T", "T/4", "one"."""
    if steps == 1:
        return "one"
    return "T" if steps == T else f"T/{T // steps}" if T % steps == 0 else f"{steps} of {T}"


def table_4_cost(paths: Iterable[Path] | None = None) -> Table:
    """What training and inference cost: `diffrec-lite bench` as recorded in data/runs/bench*.json."""
    rows = []
    for path in sorted(shipped("runs").glob("bench*.json")) if paths is None else paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        for phase in ("training", "inference"):
            for way in record[phase]:
                rows.append(
                    {
                        "phase": phase,
                        "way": way["way"],
                        "steps": "" if way["steps"] is None else str(way["steps"]),
                        "precision": way["precision"],
                        "examples a second": way["per_second"],
                        "times the plain way": way["ratio"],
                        "model": record["model"],
                        "device": record["device"],
                        "record": path.stem,
                    }
                )
    note = (
        "The rows of a CPU are of one thread of a shared computer: read the ratios of one record. DCRec's paper shows "
        "seconds that grow linearly with the number of steps; we have not read them off its figure. The table's number "
        "is ours."
    )
    return Table("table_4_cost", "Table IV, continued. What steps cost", note, pd.DataFrame(rows))
