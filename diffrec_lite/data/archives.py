"""The real data sets: where they come from, and how their official archives become atomic files.

None of them may be passed on, so none comes with this package. `prepare` reads the archive as its owners publish it and
writes `NAME.inter` (and `NAME.item` where titles are known). It downloads by itself only where the owners publish a
plain link and the file has a known checksum; otherwise it says where to get a copy, and takes it as `source`.
"""

from __future__ import annotations

import csv
import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from diffrec_lite.data.door import DataError, door, expand
from diffrec_lite.data.files import catalogue_beside, is_table, read_log, stem
from diffrec_lite.data.log import as_catalogue, as_log, one_line
from diffrec_lite.data.prepare import in_order, k_core
from diffrec_lite.data.whole import write_all


@dataclass(frozen=True)
class Archive:
    """A data set that `prepare` knows.

    `users`, `items` and `interactions` are those of Table I of the survey; preparing the official archive gives them,
    except for Yelp. `member` is how the name of the wanted file ends, `k` the core that is kept. `url` and `md5` are
    None where a person has to fetch the archive.
    """

    title: str
    terms: str
    page: str
    how: str
    users: int
    items: int
    interactions: int
    member: str
    read: Callable[[Path, Archive], tuple[pd.DataFrame, pd.DataFrame | None]]
    k: int = 5
    url: str | None = None
    md5: str | None = None


def prepared_folder() -> Path:
    """Where prepared data sets are kept unless told otherwise: the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("diffrec-lite"))


def prepare(name: str, source: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Write `NAME.inter` into the folder `out` (default: `prepared_folder()`) and return its path.

    `source` is a copy of the official archive, packed or unpacked, or a `.inter`, CSV or parquet file, of which users,
    items and times are taken; without it the archive is downloaded where that is allowed. A source that is `NAME.inter`
    in `out` already stays as it is. A file appears whole or not at all. Raises DataError for an unknown name, for an
    archive that must be fetched by hand, and for everything that is wrong with it.
    """
    if name not in CATALOGUE:
        raise DataError(f"{name!r} is no data set to prepare; choose {', '.join(CATALOGUE)}")
    archive = CATALOGUE[name]
    source = _download(name, archive) if source is None else expand(source)
    folder = prepared_folder() if out is None else expand(out)
    path, catalogue = folder / f"{name}.inter", folder / f"{name}.item"
    with door(source, remedy="fetch it again"):
        if not source.is_file():
            raise DataError(f"{source}: no such file; --from wants the archive itself. {archive.how}")
        if is_table(source):
            log, items = read_log(source), catalogue_beside(source)
        else:
            log, items = archive.read(source, archive)
            log = k_core(log, archive.k)
        if log.empty:
            raise DataError(f"{source.name}: no interactions are left after filtering; is it the whole archive?")
    with door(path, doing="written", remedy="choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        if source.resolve() == path.resolve():
            return path
        drafts = {path: _atomic(in_order(log).set_axis(["user_id", "item_id", "timestamp"], axis=1), "float")}
        beside = source.with_name(stem(source) + ".item").resolve() == catalogue.resolve()
        if items is not None and not beside:
            drafts[catalogue] = _atomic(items.reset_index(), "token_seq")
        elif catalogue.exists() and is_table(source) and not beside:
            raise DataError(f"{catalogue} is there already and describes the items of other data; move it away first")
        write_all(drafts)
    return path


def _download(name: str, archive: Archive) -> Path:
    if archive.url is None:
        raise DataError(
            f"{name} cannot be downloaded by a program. {archive.how} "
            f"Then run `diffrec-lite data prepare {name} --from FILE`"
        )
    import pooch

    try:
        known = f"md5:{archive.md5}"
        path = prepared_folder() / "archives"
        return Path(pooch.retrieve(archive.url, known, fname=archive.url.rsplit("/", 1)[1], path=path))
    except Exception as problem:
        raise DataError(
            f"{archive.url} could not be downloaded ({(str(problem).splitlines() or ['no answer'])[0]}); "
            f"fetch it by hand and run `diffrec-lite data prepare {name} --from FILE`"
        ) from None


# ------------------------------------------------------------ reading


def _amazon(path: Path, archive: Archive) -> tuple[pd.DataFrame, None]:
    """Reviews, one JSON object a line: reviewerID, asin, unixReviewTime."""
    keys = ["reviewerID", "asin", "unixReviewTime"]
    return _log(pd.DataFrame.from_dict(dict(_objects(path, archive, keys)), "index", columns=keys), path.name), None


def _yelp(path: Path, archive: Archive) -> tuple[pd.DataFrame, None]:
    """Reviews, one JSON object a line: user_id, business_id, date as YYYY-MM-DD HH:MM:SS in UTC; from 2019 on."""
    keys, rows = ["user_id", "business_id", "date"], {}
    for line, (user, item, date) in _objects(path, archive, keys):
        with door(f"{path.name}:{line}", remedy="a date is YYYY-MM-DD HH:MM:SS"):
            when = datetime.fromisoformat(date)
            if when.tzinfo:
                raise ValueError(f"{date!r} has a time zone")
        if when.year >= 2019:
            rows[line] = [user, item, int(when.replace(tzinfo=UTC).timestamp())]
    return _log(pd.DataFrame.from_dict(rows, "index", columns=keys), path.name), None


def _movielens(path: Path, archive: Archive) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ratings.dat and movies.dat of ml-1m.zip, fields parted by "::", text in Latin-1. Every rating is an event."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path.name}: not a zip archive; give ml-1m.zip as it was downloaded")
    ratings = _dat(path, archive.member, ["user", "item", "rating", "timestamp"])
    movies = _dat(path, "ml-1m/movies.dat", ["item_id", "title", "genre"])
    movies["genre"] = movies["genre"].str.replace("|", " ")
    return _log(ratings[["user", "item", "timestamp"]], "ratings.dat"), as_catalogue(movies, "movies.dat", ":")


def _log(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The log in a table that has users, items and times in this order, and line numbers as its index."""
    return as_log(table, source, dict(zip(("user", "item", "time"), table, strict=True)), at=":")


def _dat(path: Path, member: str, columns: list[str]) -> pd.DataFrame:
    with _member(path, member) as file:
        lines = pd.Series(file.read().decode("latin-1").split("\n"), dtype=object).str.removesuffix("\r")
    lines = lines.set_axis(range(1, len(lines) + 1)).loc[lambda line: line != ""]
    table = lines.str.split("::", expand=True)
    if table.shape[1] != len(columns) or table.isna().any(axis=None):
        odd = lines.str.count("::") != len(columns) - 1
        name = member.rsplit("/", 1)[-1]
        raise DataError(f"{path.name}: {name}:{odd.idxmax()}: not {len(columns)} fields parted by '::'")
    return table.set_axis(columns, axis=1)


def _objects(path: Path, archive: Archive, keys: list[str]) -> Iterator[tuple[int, list]]:
    """The values of `keys` in the JSON objects of a file, one a line; before them the number of the line."""
    with _member(path, archive.member) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place, ask = f"{path.name}:{number}", "is it the official reviews file?"
            with door(place, remedy=ask):
                value = json.loads(line)
            missing = [key for key in keys if not isinstance(value, dict) or key not in value]
            if missing:
                raise DataError(f"{place}: no {missing[0]!r}; {ask}")
            yield number, [value[key] for key in keys]


@contextmanager
def _member(path: Path, ending: str) -> Iterator[BinaryIO]:
    """The wanted file as a stream of bytes: out of a zip or tar archive, gzipped, or plain.

    Only that one member is read, and never written to disk: a hostile path inside an archive has no effect.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = _pick(path, archive.namelist(), ending)
            with archive.open(name) as file:
                yield file
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            file = archive.extractfile(_pick(path, [m.name for m in archive if m.isfile()], ending))
            assert file is not None  # isfile() above
            yield file
    elif _begins_with(path, b"\x1f\x8b"):
        with gzip.open(path) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file


def _pick(path: Path, names: list[str], ending: str) -> str:
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise DataError(
            f"{path.name}: the archive holds {', '.join(names[:5]) or 'nothing'} and not one {ending}; "
            "unpack an archive inside it first"
        )
    return found[0]


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


# ------------------------------------------------------------ writing


def _atomic(table: pd.DataFrame, other: str) -> str:
    """A RecBole atomic file: tokens, numbers, and all other columns of type `other`, each on one line."""
    text = {}
    for name in table:
        number = pd.api.types.is_numeric_dtype(table[name])
        kind = "token" if name.endswith("_id") else "float" if number else other
        text[f"{name}:{kind}"] = table[name] if number else table[name].map(one_line, na_action="ignore")
    return pd.DataFrame(text).to_csv(sep="\t", index=False, quoting=csv.QUOTE_NONE, lineterminator="\n")


# ------------------------------------------------------------ the data sets


def _reviews(title: str, file: str, users: int, items: int, interactions: int) -> Archive:
    page = "https://jmcauley.ucsd.edu/data/amazon/"
    return Archive(
        title=f"Amazon {title}, 5-core, 2014",
        terms="Published by J. McAuley (UCSD) for research; no licence is stated, so no copy may be passed on.",
        page=page,
        how=f"Fetch {file} from {page} (5-core).",
        users=users,
        items=items,
        interactions=interactions,
        member=".json",
        read=_amazon,
    )


CATALOGUE: dict[str, Archive] = {
    "beauty": _reviews("Beauty", "reviews_Beauty_5.json.gz", 22_363, 12_101, 198_502),
    "toys": _reviews("Toys and Games", "reviews_Toys_and_Games_5.json.gz", 19_412, 11_924, 167_597),
    "ml-1m": Archive(
        title="MovieLens-1M",
        terms="GroupLens, University of Minnesota: research only, to be acknowledged, not to be passed on.",
        page="https://grouplens.org/datasets/movielens/1m/",
        how="Fetch ml-1m.zip from https://grouplens.org/datasets/movielens/1m/.",
        users=6_040,
        items=3_706,
        interactions=1_000_209,
        member="ml-1m/ratings.dat",
        read=_movielens,
        k=0,
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        md5="c4d9eecfca2ab87c1945afe126590906",
    ),
    "yelp": Archive(
        title="Yelp reviews from 2019 on, 5-core",
        terms="Yelp Dataset License: academic use after accepting it on the page; not to be passed on.",
        page="https://business.yelp.com/data/resources/open-dataset/",
        # Each release goes on later than the last one, so its counts differ from the papers'.
        how="Accept the licence on https://business.yelp.com/data/resources/open-dataset/ and fetch the JSON archive.",
        users=30_499,
        items=20_068,
        interactions=317_182,
        member="yelp_academic_dataset_review.json",
        read=_yelp,
    ),
}
