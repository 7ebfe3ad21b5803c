"""Break small data files in many ways and read each: it loads, or it ends in a DataError, and nothing else.

    python tools/fuzz_data.py --files 10000 --seed 0

File i is a function of the seed and of i, so what fails can be made again with `--first i --files 1`. A file that loads
must be sound: its tokens are different, and the same when they are written as CSV and read again.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from diffrec_lite.data import DataError, SequenceDataset, load
from diffrec_lite.data.archives import prepare

OUTCOMES = ("loaded", "DataError", "unsound", "foreign")
# What real files hold and readers stumble over.
SCRAPS = [
    *(b"", b"\0", b"\t", b"\r", b"\n", b"\r\n", b",", b";", b'"', b"'", b":", b"::", b"\\", b" ", b"-", b".", b"{}"),
    *(b"NA", b"nan", b"None", b"inf", b"true", b"-1", b"007", b"5.0", b"1e400", b"9007199254740993", b"2" * 20),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xf0\x9f\x93\x96", b"PK\x03\x04"),
    *(b"user_id", b"item_id:token", b"timestamp", b"2020-01-01 00:00:00", b"9999-12-31 23:59:59", b"A" * 300),
]
COLUMNS = [
    lambda rng, n: rng.integers(0, 9, n),
    lambda rng, n: rng.integers(-(2**63), 2**63, n),
    lambda rng, n: rng.integers(0, 2**64, n, dtype=np.uint64),
    lambda rng, n: rng.integers(0, 9, n).astype(rng.choice(["f4", "f8"])),
    lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
    lambda rng, n: rng.choice([np.nan, np.inf, -0.0, 1.0, 2.0**53], n),
    lambda rng, n: rng.integers(0, 2, n).astype(bool),
    lambda rng, n: rng.integers(-(2**62), 2**62, n).astype("M8[us]").astype(f"M8[{rng.choice(['s', 'ms', 'us'])}]"),
    lambda rng, n: pd.to_datetime(rng.integers(0, 2**60, n)).tz_localize("UTC").tz_convert("Asia/Tokyo"),
    lambda rng, n: rng.integers(0, 9, n).astype("m8[ms]"),
    lambda rng, n: [SCRAPS[i].decode("utf-8", "replace") for i in rng.integers(0, len(SCRAPS), n)],
    lambda rng, n: [SCRAPS[i] for i in rng.integers(0, len(SCRAPS), n)],
    lambda rng, n: [list(range(i)) for i in rng.integers(0, 3, n)],
    lambda rng, n: [{"a": int(i)} for i in rng.integers(0, 3, n)],
    lambda rng, n: pd.Categorical(rng.choice(["a", "b", "5.0"], n)),
    lambda rng, n: pd.array(rng.choice([1, 2, None], n), dtype="Int64"),
    lambda rng, n: [None] * n,
]


def whole_files() -> dict[str, bytes]:
    """A small file of each kind as it should be, by its name; `.dat` and `.json` are what archives hold."""
    rows = [(f"u{u}", i, 1_500_000_000 + 7 * u + i) for u in range(6) for i in range(1, 6)]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    parquet = io.BytesIO()
    log.to_parquet(parquet)
    reviews = [{"reviewerID": u, "asin": str(i), "unixReviewTime": t} for u, i, t in rows]
    visits = [{"user_id": u, "business_id": str(i), "date": f"2020-01-0{i} 12:00:00"} for u, i, _ in rows]
    return {
        "a.inter": log.set_axis(["user_id:token", "item_id:token", "timestamp:float"], axis=1)
        .to_csv(sep="\t", index=False)
        .encode(),
        "a.csv": log.assign(title='a "quoted", title').to_csv(index=False).encode(),
        "a.parquet": parquet.getvalue(),
        "a.item": b"item_id:token\ttitle:token_seq\tyear:float\n1\tOne\t1999\n2\tTwo\t\n3\tThree\t2001\n",
        "ratings.dat": "".join(f"{u[1:]}::{i}::5::{t}\n" for u, i, t in rows).encode(),
        "movies.dat": "1::Misérables, Les (1995)::Drama|Musical\n".encode("latin-1"),
        "reviews.json": "".join(json.dumps(review) + "\n" for review in reviews).encode(),
        "visits.json": "".join(json.dumps(visit) + "\n" for visit in visits).encode(),
    }


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """The data with one to four changes: something put in, cut out, replaced, repeated, swapped or cut off."""
    for _ in range(rng.integers(1, 5)):
        a, b = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        near = min(b, a + int(rng.integers(0, 12)))
        scrap = SCRAPS[rng.integers(len(SCRAPS))]
        data = [
            data[:a] + scrap + data[a:],
            data[:a] + data[near:],
            data[:a] + scrap + data[near:],
            data[:a] + rng.bytes(near - a) + data[near:],
            data[:b] + data[a:b] + data[b:],
            data[:near].replace(b"\n", b"\r\n") + data[near:],
            data[:b] if rng.random() < 0.3 else data[:a] + data[near:],
            b"\n".join(rng.permutation(np.array(data.split(b"\n"), dtype=object)).tolist()),
        ][rng.integers(8)]
    return data


def odd_table(rng: np.random.Generator) -> pd.DataFrame:
    """A table with the right names and any columns, sometimes with an index of its own."""
    names, n = ["user_id", "item_id", "timestamp", "more"], int(rng.integers(0, 6))
    makers = [COLUMNS[0 if rng.random() < 0.5 else rng.integers(len(COLUMNS))] for _ in names]
    table = pd.DataFrame({name: maker(rng, n) for name, maker in zip(names, makers, strict=True)})
    return table.set_index(names[rng.integers(4)]) if rng.random() < 0.3 else table


def make(folder: Path, rng: np.random.Generator, whole: dict[str, bytes]) -> tuple[str, Callable[[], SequenceDataset]]:
    """A broken file in `folder`: its kind, and how it is read."""
    kind = ["inter", "csv", "parquet", "odd parquet", "odd csv", "item", *PACKAGES][rng.integers(6 + len(PACKAGES))]
    path = folder / f"a.{kind.split()[-1]}"
    if kind == "odd parquet":
        odd_table(rng).to_parquet(path)
    elif kind == "odd csv":
        odd_table(rng).to_csv(path)
    elif kind in PACKAGES:
        name, pack, members = PACKAGES[kind]
        files = {member: whole[file] for member, file in members.items()}
        if inside := rng.random() < 0.7:
            victim = list(files)[rng.integers(len(files))]
            files[victim] = broken(files[victim], rng)
        path.write_bytes(pack(files) if inside else broken(pack(files), rng))
        if name:
            return kind, lambda: load(prepare(name, path, folder / "out"))
    else:
        path.write_bytes(broken(whole[path.name], rng))
    if kind == "item":
        path = path.with_suffix(".inter")
        path.write_bytes(whole["a.inter"])
    return kind, lambda: load(path)


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


# What is packed: the data set that `prepare` makes of it, or "", how it is packed, and what is in it.
PACKAGES = {
    "inter.gz": ("", lambda files: gzip.compress(files[""]), {"": "a.inter"}),
    "json.gz": ("toys", lambda files: gzip.compress(files[""]), {"": "reviews.json"}),
    "zip": ("ml-1m", zipped, {"ml-1m/ratings.dat": "ratings.dat", "ml-1m/movies.dat": "movies.dat"}),
    "tgz": ("yelp", tarred, {"yelp_academic_dataset_review.json": "visits.json"}),
}


def is_sound(data: SequenceDataset) -> bool:
    """Whether a data set agrees with itself, and its tokens and titles survive a table on disk."""
    texts = {"token": data.item_tokens[1:], "title": (data.titles or data.item_tokens)[1:]}
    table = pd.DataFrame(texts, dtype=object)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)), dtype=str, keep_default_na=False)
    return (
        again.to_numpy().tolist() == table.to_numpy().tolist()
        and len(set(data.item_tokens[1:])) == data.num_items
        and len(set(data.user_tokens)) == data.num_users
        and int(data.offsets[-1]) == len(data.items) > 0
        and sorted(set(data.items.tolist())) == list(range(1, data.num_items + 1))
    )


def fuzz(files: int, seed: int, first: int = 0) -> tuple[dict[str, Counter], list[str]]:
    """How often each kind of file ended how, and what is to be mended."""
    whole, found, faults = whole_files(), {}, []
    for i in range(first, first + files):
        with tempfile.TemporaryDirectory() as folder:
            kind, read = make(Path(folder), np.random.default_rng([seed, i]), whole)
            try:
                outcome = "loaded" if is_sound(read()) else "unsound"
            except DataError:
                outcome = "DataError"
            except Exception as problem:
                outcome = "foreign"
                faults.append(f"file {i}, {kind}: {type(problem).__name__}: {problem}")
            if outcome == "unsound":
                faults.append(f"file {i}, {kind}: tokens or titles do not survive a table on disk")
        found.setdefault(kind, Counter())[outcome] += 1
    return found, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    options = parser.parse_args()
    found, faults = fuzz(options.files, options.seed, options.first)
    table = pd.DataFrame.from_dict(found, orient="index").reindex(columns=OUTCOMES).fillna(0).astype(int).sort_index()
    print(pd.concat([table, table.sum().to_frame("all").T]).to_string())
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
