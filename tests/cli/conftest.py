"""A run whose items and titles are as awkward as data can be."""

import pandas as pd
import pytest
from command import run

AWKWARD = ["a,b", 'say "hi"', "[/b]", ":book:", "[red]x", "é", "日本", "007", "NA", "-1", "#1", '"q"']


@pytest.fixture(scope="session")
def items():
    return AWKWARD


@pytest.fixture(scope="session")
def log(tmp_path_factory):
    """A CSV whose columns have other names than ours, with a catalogue beside it."""
    folder = tmp_path_factory.mktemp("awkward")
    rows = [(f"reader {u}", AWKWARD[(u + j) % 12], j) for u in range(9) for j in range(5)]
    table = pd.DataFrame(rows, columns=["userId", "movieId", "when"])
    table.to_csv(folder / "log.csv", index=False)
    titles = "".join(f"{token}\tEnds {token} :smile: [/b]\n" for token in AWKWARD)
    (folder / "log.item").write_text("item_id:token\ttitle:token_seq\n" + titles, encoding="utf-8")
    return folder / "log.csv"


COLUMNS = "user=userId,item=movieId,time=when"


@pytest.fixture(scope="session")
def trained(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "popularity"
    code, _, err = run("train", "popularity", "--dataset", log, "--out", out, "--columns", COLUMNS)
    assert code == 0, err
    return out
