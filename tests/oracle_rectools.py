"""Ask RecTools for the metrics of some rankings, and keep rankings and answers for tests/test_metrics.py.

    python -m venv build/rectools && build/rectools/bin/pip install rectools
    build/rectools/bin/python tests/oracle_rectools.py

An environment of its own, because RecTools needs older versions of numpy and pandas than this project is tested with.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

KEPT = Path(__file__).with_suffix(".json")
READERS, ITEMS = 300, 150


def main() -> None:
    from rectools.metrics import MRR, NDCG, CatalogCoverage, HitRate

    rng = np.random.default_rng(0)
    # Lists in which some items come first for everybody, and targets that are found near the top or anywhere.
    order = np.argsort(rng.gumbel(size=(READERS, ITEMS)) - np.log(np.arange(1, ITEMS + 1)), axis=1) + 1
    ranks = np.where(rng.random(READERS) < 0.6, rng.geometric(0.1, READERS), rng.integers(1, ITEMS + 1, READERS))
    ranks = ranks.clip(max=ITEMS)
    targets = order[np.arange(READERS), ranks - 1]
    popularity = rng.poisson(60 / targets)
    users = np.repeat(np.arange(READERS), ITEMS)
    reco = pd.DataFrame({"user_id": users, "item_id": order.flatten(), "rank": np.tile(np.arange(ITEMS) + 1, READERS)})
    asked = pd.DataFrame({"user_id": np.arange(READERS), "item_id": targets})
    kinds = {f"HR@{k}": HitRate(k=k) for k in (5, 10, 20)}
    kinds |= {f"NDCG@{k}": NDCG(k=k, divide_by_achievable=True) for k in (5, 10, 20)} | {"MRR": MRR(k=ITEMS)}
    each = {name: kind.calc_per_user(reco, asked).reindex(np.arange(READERS)) for name, kind in kinds.items()}
    found = {name: float(values.mean()) for name, values in each.items()}
    found["NDCG@10 debiased"] = float(np.average(each["NDCG@10"], weights=1 / popularity.clip(min=1)))
    found["coverage@10"] = float(CatalogCoverage(k=10, normalize=True).calc(reco, catalog=np.arange(1, ITEMS + 1)))
    given = {"ranks": ranks.tolist(), "popularity": popularity.tolist(), "best": order[:, :10].tolist()}
    kept = {"rectools": version("rectools"), "items": ITEMS, **given, "metrics": found}
    KEPT.write_text(json.dumps(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
