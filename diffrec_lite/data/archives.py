"""The real data sets: where they come from, and how their official archives become atomic files.

None of them may be passed on, so none comes with this package. `prepare` reads the archive as its owners publish it and
writes `NAME.inter` (and `NAME.item` where titles are known). It downloads by itself only where the owners publish a
plain link and the file has a known checksum; otherwise it says where to get a copy, and takes it as `source`.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from diffrec_lite.data.files import DataError, catalogue_beside, is_table, read_log
from diffrec_lite.data.prepare import in_order, k_core


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

    `source` is a copy of the official archive, packed or unpacked, or a `.inter`, CSV or parquet file, which is taken
    as it is; without it the archive is downloaded where that is allowed. A file appears whole or not at all. Raises
    DataError for an unknown name, an archive that must be fetched by hand, and everything that is wrong with it.
    """
    if name not in CATALOGUE:
        raise DataError(f"{name!r} is no data set to prepare; choose {', '.join(CATALOGUE)}")
    archive = CATALOGUE[name]
    source = _download(name, archive) if source is None else Path(source).expanduser()
    if not source.is_file():
        raise DataError(f"{source}: no such file; --from wants the archive itself. {archive.how}")
    if is_table(source):
        log, items = read_log(source), catalogue_beside(source)
    else:
        with _clear_errors(source):
            log, items = archive.read(source, archive)
        log = k_core(log, archive.k)
    if log.empty:
        raise DataError(f"{source.name}: no interactions are left after filtering; is it the whole archive?")
    folder = prepared_folder() if out is None else Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    if items is not None:
        _write(folder / f"{name}.item", items.rename_axis("item_id").reset_index(), "token_seq")
    log = in_order(log)[["user", "item", "timestamp"]].set_axis(["user_id", "item_id", "timestamp"], axis=1)
    _write(folder / f"{name}.inter", log, "float")
    return folder / f"{name}.inter"


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
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{archive.url} could not be downloaded ({str(problem).splitlines()[0]}); "
            f"fetch it by hand and run `diffrec-lite data prepare {name} --from FILE`"
        ) from None


# ------------------------------------------------------------ reading


def _amazon(path: Path, archive: Archive) -> tuple[pd.DataFrame, None]:
    """Reviews, one JSON object a line: reviewerID, asin, unixReviewTime."""
    rows = []
    with _member(path, archive.member) as file:
        for line, review in _objects(file, path, ("reviewerID", "asin", "unixReviewTime")):
            time = review["unixReviewTime"]
            if not isinstance(time, int):
                raise DataError(f"{path.name}:{line}: unixReviewTime {time!r} is not a number; fetch the file again")
            rows.append((review["reviewerID"], review["asin"], time))
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"]), None


def _yelp(path: Path, archive: Archive) -> tuple[pd.DataFrame, None]:
    """Reviews, one JSON object a line: user_id, business_id, date as YYYY-MM-DD HH:MM:SS; from 2019 on."""
    rows = []
    with _member(path, archive.member) as file:
        for line, review in _objects(file, path, ("user_id", "business_id", "date")):
            try:
                when = datetime.fromisoformat(review["date"]).replace(tzinfo=UTC)
            except (ValueError, TypeError):
                raise DataError(f"{path.name}:{line}: date {review['date']!r} is not YYYY-MM-DD HH:MM:SS") from None
            if when.year >= 2019:
                rows.append((review["user_id"], review["business_id"], int(when.timestamp())))
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"]), None


def _movielens(path: Path, archive: Archive) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ratings.dat and movies.dat of ml-1m.zip, fields parted by "::", text in Latin-1. Every rating is an event."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path.name}: not a zip archive; give ml-1m.zip as it was downloaded")
    with _member(path, archive.member) as file:
        log = _dat(file, path, "ratings.dat", ["user", "item", "rating", "timestamp"])
    with _member(path, "ml-1m/movies.dat") as file:
        movies = _dat(file, path, "movies.dat", ["item_id", "title", "genre"])
    times = pd.to_numeric(log["timestamp"], errors="coerce")
    if times.isna().any():
        row = int(times.isna().idxmax())
        raise DataError(f"ratings.dat:{row + 1}: timestamp {log['timestamp'][row]!r} is not a number; fetch it again")
    movies["genre"] = movies["genre"].str.replace("|", " ")
    return log.assign(timestamp=times.astype("int64")), movies.set_index("item_id")


def _dat(file: BinaryIO, path: Path, name: str, columns: list[str]) -> pd.DataFrame:
    lines = pd.Series(file.read().decode("latin-1").splitlines(), dtype=object)
    table = lines.str.split("::", expand=True)
    if table.shape[1] != len(columns) or table.isna().any(axis=None):
        odd = lines.str.count("::") != len(columns) - 1
        raise DataError(f"{path.name}: {name}:{int(odd.idxmax()) + 1}: not {len(columns)} fields parted by '::'")
    return table.set_axis(columns, axis=1)


def _objects(file: BinaryIO, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[int, dict]]:
    """The JSON objects of a file, one a line, each with all of `keys`; and the number of its line."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            raise DataError(f"{path.name}:{number}: not a line of JSON; is it the official reviews file?") from None
        missing = [key for key in keys if not isinstance(value, dict) or value.get(key) in (None, "")]
        if missing:
            raise DataError(f"{path.name}:{number}: no {missing[0]!r}; is it the official reviews file?")
        yield number, value


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


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turn what the readers of archives raise into one sentence."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise DataError(f"{path.name}: damaged archive ({problem}); fetch it again") from None


# ------------------------------------------------------------ writing


def _write(path: Path, table: pd.DataFrame, other: str) -> None:
    """A RecBole atomic file: tokens, and all other columns of type `other`. Written beside its place, then renamed."""
    columns = [table[name].astype(object).where(table[name].notna(), "").astype(str) for name in table]
    types = ["token" if name.endswith("_id") else _type(table[name], other) for name in table]
    for i, kind in enumerate(types):
        broken = columns[i].str.contains(r"[\t\r\n]", regex=True)
        if kind == "token" and broken.any():
            value = columns[i][broken.idxmax()]
            raise DataError(f"{table.columns[i]} {value!r} holds a tab or a line break; rename it in the source")
        columns[i] = columns[i].where(~broken, columns[i].str.replace(r"[\t\r\n]+", " ", regex=True))
    lines = columns[0].str.cat(columns[1:], sep="\t")
    header = "\t".join(f"{name}:{kind}" for name, kind in zip(table.columns, types, strict=True))
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join([header, *lines]) + "\n")
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _type(column: pd.Series, other: str) -> str:
    return "float" if pd.api.types.is_numeric_dtype(column) else other


# ------------------------------------------------------------ the data sets

_AMAZON_TERMS = "Published by J. McAuley (UCSD) for research; no licence is stated, so no copy may be passed on."

CATALOGUE: dict[str, Archive] = {
    "beauty": Archive(
        title="Amazon Beauty, 5-core, 2014",
        terms=_AMAZON_TERMS,
        page="https://jmcauley.ucsd.edu/data/amazon/",
        how="Fetch reviews_Beauty_5.json.gz from https://jmcauley.ucsd.edu/data/amazon/ (5-core).",
        users=22_363,
        items=12_101,
        interactions=198_502,
        member=".json",
        read=_amazon,
    ),
    "toys": Archive(
        title="Amazon Toys and Games, 5-core, 2014",
        terms=_AMAZON_TERMS,
        page="https://jmcauley.ucsd.edu/data/amazon/",
        how="Fetch reviews_Toys_and_Games_5.json.gz from https://jmcauley.ucsd.edu/data/amazon/ (5-core).",
        users=19_412,
        items=11_924,
        interactions=167_597,
        member=".json",
        read=_amazon,
    ),
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
