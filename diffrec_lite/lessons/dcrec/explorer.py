"""The explorer of notebook 08: weigh DCRec's three losses, and see which one pulls, and what becomes of the books.

It shows the runs of data/runs/loss_balance.csv, made by experiments/loss_balance.py, and trains nothing.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from diffrec_lite.lessons.dcrec import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, chosen, question, script

LOSSES = ("L_T", "L_t", "L_z")
# Each control: the column of the record, the label, and how its values are written, in their order.
CONTROLS: dict[str, tuple[str, dict[Any, str]]] = {
    "denoising": (
        "L_t",
        {
            "off": "off",
            "target moves": "on, its target moves (printed)",
            "target is detached": "on, its target is detached",
        },
    ),
    "prior": ("L_T", {0: "off", 1: "on (printed)"}),
    "ranking": ("weight of L_z", {1: "1 × lambda (printed)", 10: "10 × lambda"}),
    "lambda": (
        "lambda",
        {0.003: "0.003 (smooth at its end)", 0.1: "0.1 (fix; smooth at epoch 11)", 0.203: "0.203 (smooth at epoch 0)"},
    ),
}
AS_PRINTED = {"denoising": "target moves", "prior": 1, "ranking": 1, "lambda": 0.203}
# What a button sets; the rest of the balance goes back to what is printed.
GUIDED: dict[str, dict[str, Any]] = {
    "As printed": {},
    "Detach the target": {"denoising": "target is detached"},
    "Let L_z speak": {"prior": 0, "ranking": 10, "lambda": 0.1},
    "L_z alone": {"denoising": "off", "prior": 0},
}


def balance_of(record: pd.DataFrame, **balance: Any) -> pd.DataFrame:
    """One balance of the record, a row a look: apart and HR@5 with their least and greatest seed, and the shares.

    A share is the length of one weighted loss's gradient over the sum of the three lengths, mean over the seeds.
    Columns: apart, apart low, apart high, HR@5, HR@5 low, HR@5 high, and L_T items … L_z network, of 1.
    """
    rows = record
    for name, value in balance.items():
        rows = rows[rows[name] == value]
    rows = rows.copy()
    for on in ("items", "network"):
        columns = [f"{loss} {on}" for loss in LOSSES]
        rows[columns] = rows[columns].div(rows[columns].sum(axis=1), axis=0)
    shares = [f"{loss} {on}" for on in ("items", "network") for loss in LOSSES]
    groups = rows.groupby("batch")
    found = groups[["apart", "HR@5", *shares]].mean()
    for name in ("apart", "HR@5"):
        found[f"{name} low"], found[f"{name} high"] = groups[name].min(), groups[name].max()
    return found


def said(looks: pd.DataFrame, batch: int) -> str:
    """One look at one balance in words."""
    row = looks.loc[batch]
    pull = ", ".join(f"{loss} {100 * row[f'{loss} items']:.0f} %" for loss in LOSSES)
    return (
        f"After {batch} batches. Pull on the book vectors: {pull}. {100 * row['apart']:.0f} % of their squared length "
        f"tells books apart. HR@5 {row['HR@5']:.3f}."
    )


class LossBalance(Board):
    """Four pickers for the balance, a slider over the batches, who pulls, and what becomes of books and hits.

    `state` holds the index of each picker's value and, last, that of the look. The page needs no kernel.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "Loss balance: for each loss its share of the gradient, how far the book vectors are still apart, and HR@5, "
        "over the first 161 batches."
    ).tag(sync=True)
    state = traitlets.List().tag(sync=True)

    def shown(self) -> dict[str, Any]:
        """What the page shows now: the curves of the chosen balance, and the words of the chosen look."""
        return self.data["states"]["/".join(map(str, self.state[:-1]))]

    def picture(self) -> bytes:
        return style.small_png(figures.balance(self.data, self.shown(), self.state[-1]), dpi=90)

    def shows(self) -> str:
        return f"{chosen(self.data['controls'], self.state)}, batch {self.data['batches'][self.state[-1]]}"


def asked(record: pd.DataFrame) -> dict[str, Any]:
    """The question before the explorer: which change, made alone, keeps the books of the printed balance apart.

    They count as apart when more than half of their squared length still tells one from another at the last look.
    """
    changes = {"L_T switched off": {"prior": 0}, "L_t's target detached": GUIDED["Detach the target"]}
    changes["L_z ten times as loud"] = {"ranking": 10}
    left = [balance_of(record, **{**AS_PRINTED, **change}).iloc[-1]["apart"] for change in changes.values()]
    options = {name: tuple(other == name for other in changes) for name in changes}
    options |= {"either of the last two": (False, True, True), "none of the three": (False, False, False)}
    said = "; ".join(f"{name}, {100 * share:.0f} %" for name, share in zip(changes, left, strict=True))
    return question(
        "As printed, all books become one. Which change, made alone, keeps them apart?",
        list(options),
        list(options.values()).index(tuple(share > 0.5 for share in left)),
        f"Share of their squared length that tells books apart at the end: {said}.",
    )


def loss_balance(record: pd.DataFrame, popularity: float) -> LossBalance:
    """The explorer over what experiments/loss_balance.py recorded; `popularity` is the HR@5 of what sells."""
    values = {name: list(texts) for name, (_, texts) in CONTROLS.items()}
    batches = sorted(int(batch) for batch in record.batch.unique())
    states = {}
    for places in product(*(range(len(each)) for each in values.values())):
        balance = {name: values[name][place] for name, place in zip(values, places, strict=True)}
        looks = balance_of(record, **balance)
        states["/".join(map(str, places))] = {
            "apart": _rounded(looks, "apart"),
            "hr": _rounded(looks, "HR@5"),
            **{on: looks[[f"{loss} {on}" for loss in LOSSES]].round(3).values.tolist() for on in ("items", "network")},
            "said": [said(looks, batch) for batch in batches],
        }
    last = len(batches) - 1
    guided = [
        {"text": text, "state": [values[name].index(value) for name, value in {**AS_PRINTED, **changed}.items()]}
        for text, changed in GUIDED.items()
    ]
    n = record.seed.nunique()
    data = {
        "seeds": "one seed" if n == 1 else f"mean of {n} seeds, with the least and the greatest",
        "title": "Who pulls, and what becomes of the books",
        "controls": [{"label": label, "texts": list(texts.values())} for label, texts in CONTROLS.values()],
        "batches": batches,
        "states": states,
        "guided": guided,
        "reference": "/".join(map(str, guided[0]["state"])),
        "popularity": round(popularity, 4),
        "top": 0.05 * -(-record["HR@5"].max() // 0.05),
    }
    return LossBalance(data=data, ask=asked(record), state=[*guided[0]["state"], last])


def _rounded(looks: pd.DataFrame, name: str) -> list[list[float]]:
    """The mean, the least and the greatest seed of each look."""
    return looks[[name, f"{name} low", f"{name} high"]].round(4).values.tolist()
