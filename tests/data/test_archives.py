"""Official archives, in small, and how they become data sets."""

import gzip
import io
import json
import os
import tarfile
import zipfile

import pytest

from diffrec_lite.data import DataError, archives, load
from diffrec_lite.data.archives import CATALOGUE, prepare


def amazon_lines(users=6, items=5):
    """Everyone reviews everything, so that five-core keeps it all; the last user is too rare."""
    rows = [(f"A{u}", f"B00{i}", 1_400_000_000 + 86_400 * ((u * i) % 7)) for u in range(users) for i in range(items)]
    rows.append(("RARE", "B000", 1))
    return "".join(
        json.dumps({"reviewerID": u, "asin": i, "reviewText": "fine\n", "unixReviewTime": t}) + "\n" for u, i, t in rows
    )


RATINGS = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n2::661::1::978298413\n"
MOVIES = "1193::One Flew Over the Cuckoo's Nest (1975)::Drama\n661::Misérables, Les (1995)::Drama|Musical\n"


def movielens(path, ratings=RATINGS, movies=MOVIES):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", ratings.encode("latin-1"))
        archive.writestr("ml-1m/movies.dat", movies.encode("latin-1"))
        archive.writestr("../../evil.txt", "out of the folder")
    return path


def yelp_lines(users=6, items=5):
    rows = [(f"u{u}", f"b{i}", f"2019-0{1 + (u + i) % 9}-10 12:00:00") for u in range(users) for i in range(items)]
    rows += [("u0", "b0", "2018-12-31 23:59:59"), ("u1", "b7", "2022-01-01 00:00:00")]
    keys = ("user_id", "business_id", "date")
    return "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)


def pack(path, name, content):
    """One file in a tar archive, beside another one."""
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for member, data in ((name, content), ("yelp/photo.txt", "none")):
            info = tarfile.TarInfo(member)
            info.size = len(data.encode())
            archive.addfile(info, io.BytesIO(data.encode()))
    return path


# ------------------------------------------------------------ from archive to data set


@pytest.mark.parametrize("packed", [True, False])
def test_amazon(tmp_path, packed):
    source = tmp_path / "reviews_Beauty_5.json"
    source.write_text(amazon_lines())
    if packed:
        source = source.with_suffix(".json.gz")
        source.write_bytes(gzip.compress(amazon_lines().encode()))
    path = prepare("beauty", source, tmp_path / "out")
    assert path == tmp_path / "out" / "beauty.inter"
    data = load("beauty", data_dir=tmp_path / "out")
    assert (data.num_users, data.num_items, data.num_interactions) == (6, 5, 30)
    assert "RARE" not in data.user_tokens
    user = data.user_tokens.index("A1")  # one review a day, (u * i) % 7
    assert [data.item_tokens[i] for i in data.history(user)] == ["B000", "B001", "B002", "B003", "B004"]
    user = data.user_tokens.index("A2")  # days 0 2 4 6 1
    assert [data.item_tokens[i] for i in data.history(user)] == ["B000", "B004", "B001", "B002", "B003"]
    user = data.user_tokens.index("A0")  # all on one day: the order of the file
    assert [data.item_tokens[i] for i in data.history(user)] == ["B000", "B001", "B002", "B003", "B004"]


def test_movielens(tmp_path):
    path = prepare("ml-1m", movielens(tmp_path / "ml-1m.zip"), tmp_path / "out")
    data = load(path)
    assert (data.num_users, data.num_items, data.num_interactions) == (2, 2, 4)
    assert data.item_tokens == ["[PAD]", "661", "1193"]
    assert data.titles == ["", "Misérables, Les (1995)", "One Flew Over the Cuckoo's Nest (1975)"]
    assert data.item_features.genre.tolist() == ["Drama Musical", "Drama"]
    assert data.history(0).tolist() == [2, 1] and data.history(1).tolist() == [2, 1]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["ml-1m.inter", "ml-1m.item"]
    assert not list(tmp_path.parent.glob("evil.txt"))


@pytest.mark.parametrize("kind", ["json", "tar", "tgz", "zip"])
def test_yelp(tmp_path, kind):
    name = "yelp_academic_dataset_review.json"
    source = tmp_path / f"yelp.{kind}"
    if kind == "json":
        source.write_text(yelp_lines())
    elif kind == "zip":
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr(f"Yelp JSON/{name}", yelp_lines())
    else:
        pack(source, f"yelp/{name}", yelp_lines())
    data = load(prepare("yelp", source, tmp_path / "out"))
    assert (data.num_users, data.num_items, data.num_interactions) == (6, 5, 30)
    assert "u0\tb0\t1547121600" in (tmp_path / "out" / "yelp.inter").read_text()  # 2019-01-10 12:00 in UTC


def test_a_file_that_is_prepared_already_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.csv").write_text("timestamp,user,item\n2,1,b\n1,1,a\n5,2,a\n")
    text = prepare("toys", tmp_path / "mine.csv", tmp_path / "out").read_text()
    assert text == "user_id:token\titem_id:token\ttimestamp:float\n1\ta\t1\n1\tb\t2\n2\ta\t5\n"
    (tmp_path / "mine.inter").write_text(text)
    (tmp_path / "mine.item").write_text("item_id:token\ttitle:token_seq\tprice:float\na\tAnna\t1.5\nb\t\t\n")
    data = load(prepare("toys", tmp_path / "mine.inter", tmp_path / "out"))
    assert data.titles == ["", "Anna", "b"]
    assert (tmp_path / "out" / "toys.item").read_text() == (tmp_path / "mine.item").read_text()


def test_preparing_a_file_onto_itself_leaves_it_as_it_is(tmp_path):
    path, items = tmp_path / "toys.inter", tmp_path / "toys.item"
    path.write_text("user_id:token\titem_id:token\ttimestamp:float\trating:float\n2\ta\t1\t5\n1\ta\t1\t4\n")
    items.write_text("item_id:token\ttitle:token\tyear:token\na\tAnna\t007\n")
    before = path.read_bytes(), items.read_bytes()
    (tmp_path / "link.inter").symlink_to(path)
    for source in (path, tmp_path / "link.inter", f"{tmp_path}/../{tmp_path.name}/toys.inter"):
        assert prepare("toys", source, tmp_path) == path
        assert (path.read_bytes(), items.read_bytes()) == before
    path.write_text("no log")
    with pytest.raises(DataError, match="toys.inter"):
        prepare("toys", path, tmp_path)
    assert path.read_text() == "no log"


def test_the_catalogue_beside_its_own_source_stays_as_it_is(tmp_path):
    (tmp_path / "toys.csv").write_text("user,item,time\n1,a,1\n")
    (tmp_path / "toys.item").write_text("item_id:token\ttitle:token\tyear:token\na\tAnna\t007\n")
    before = (tmp_path / "toys.item").read_bytes()
    assert load(prepare("toys", tmp_path / "toys.csv", tmp_path)).titles == ["", "Anna"]
    assert (tmp_path / "toys.item").read_bytes() == before


def test_the_titles_of_other_data_are_not_taken_over(tmp_path):
    out = tmp_path / "out"
    (tmp_path / "old.csv").write_text("user,item,time\n1,1,1\n")
    (tmp_path / "old.item").write_text("item_id:token\ttitle:token_seq\n1\tOld\n")
    (tmp_path / "new.csv").write_text("user,item,time\n7,1,1\n")
    before = prepare("toys", tmp_path / "old.csv", out).read_bytes()
    with pytest.raises(DataError, match=r"toys.item is there already and describes the items of other data"):
        prepare("toys", tmp_path / "new.csv", out)
    assert (out / "toys.inter").read_bytes() == before
    (out / "toys.item").unlink()
    assert load(prepare("toys", tmp_path / "new.csv", out)).titles is None


def test_preparing_twice_gives_the_same_bytes(tmp_path):
    first = prepare("ml-1m", movielens(tmp_path / "ml-1m.zip"), tmp_path / "a").read_bytes()
    assert prepare("ml-1m", tmp_path / "a" / "ml-1m.inter", tmp_path / "b").read_bytes() == first


def test_load_finds_what_was_prepared(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "prepared_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("DIFFREC_DATA", raising=False)
    assert prepare("ml-1m", movielens(tmp_path / "ml-1m.zip")).parent == tmp_path / "cache"
    assert load("ml-1m").num_interactions == 4


# ------------------------------------------------------------ what is wrong


def broken(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", amazon_lines() + "{'reviewerID': 'python'}\n", r"a.json:32: cannot be read .*official reviews file"),
        ("a.json", '{"reviewerID": "A", "asin": "B"}\n', r"a.json:1: no 'unixReviewTime'"),
        ("a.json", "\n[1]\n", r"a.json:2: no 'reviewerID'"),
        ("a.json", '{"reviewerID": "A", "asin": "B", "unixReviewTime": "soon"}', r"a.json:1: unixReviewTime 'soon' is"),
        ("a.json", "", r"a.json: no interactions in it"),
        ("a.json", '{"reviewerID": "A", "asin": "B", "unixReviewTime": 1}', r"a.json: no interactions are left"),
        ("a.json", b"\xff\xfe\x00", r"a.json:1: cannot be read"),
        ("a.json.gz", gzip.compress(amazon_lines().encode())[:-30], r"a.json.gz: cannot be read .*fetch it again"),
    ],
)
def test_bad_amazon_files(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        prepare("toys", broken(tmp_path, name, content), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_movielens_files(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"bad.zip: not a zip archive"):
        prepare("ml-1m", broken(tmp_path, "bad.zip", "no"), out)
    with pytest.raises(DataError, match=r"bad.zip: ratings.dat:5: not 4 fields parted by '::'"):
        prepare("ml-1m", movielens(tmp_path / "bad.zip", ratings=RATINGS + "1::2::3\n"), out)
    with pytest.raises(DataError, match=r"ratings.dat:5: timestamp 'x' is not a number"):
        prepare("ml-1m", movielens(tmp_path / "bad.zip", ratings=RATINGS + "1::2::3::x\n"), out)
    with pytest.raises(DataError, match=r"movies.dat:1: not 3 fields"):
        prepare("ml-1m", movielens(tmp_path / "bad.zip", movies="1::Only a title\n"), out)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("README", "hello")
    with pytest.raises(DataError, match=r"other.zip: the archive holds README and not one ml-1m/ratings.dat"):
        prepare("ml-1m", tmp_path / "other.zip", out)
    whole = movielens(tmp_path / "bad.zip", ratings=RATINGS * 200).read_bytes()
    with pytest.raises(DataError, match=r"flip.zip: cannot be read .*fetch it again"):
        prepare("ml-1m", broken(tmp_path, "flip.zip", whole[:300] + b"?" * 9 + whole[309:]), out)


def test_bad_yelp_files(tmp_path):
    line = '{"user_id": "u", "business_id": "b", "date": "yesterday"}'
    with pytest.raises(DataError, match=r"y.json:1: .*'yesterday.*a date is YYYY-MM-DD"):
        prepare("yelp", broken(tmp_path, "y.json", line), tmp_path / "out")
    with pytest.raises(DataError, match=r"y.tar: the archive holds .*unpack an archive inside it first"):
        prepare("yelp", pack(tmp_path / "y.tar", "inner.tgz", "x"), tmp_path / "out")


def test_tokens_that_an_atomic_file_cannot_hold(tmp_path):
    source = broken(tmp_path, "log.csv", 'user,item,timestamp\n1,"a\tb",3\n')
    with pytest.raises(DataError, match=r"log.csv:2: item 'a.tb' is no token"):
        prepare("toys", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_and_missing_files(tmp_path):
    with pytest.raises(DataError, match="'beaty' is no data set to prepare; choose beauty, toys, ml-1m, yelp"):
        prepare("beaty")
    with pytest.raises(DataError, match=r"none.gz: no such file.*Fetch reviews_Beauty_5.json.gz from https://"):
        prepare("beauty", tmp_path / "none.gz")


@pytest.mark.parametrize("name", ["beauty", "toys", "yelp"])
def test_what_a_person_has_to_fetch(name):
    with pytest.raises(DataError, match=f"{name} cannot be downloaded.*https://.*data prepare {name} --from FILE"):
        prepare(name)


def test_a_download_is_checked(tmp_path, monkeypatch):
    import pooch

    monkeypatch.setattr(archives, "prepared_folder", lambda: tmp_path)
    asked = {}

    def retrieve(url, known_hash, fname, path, **rest):
        asked.update(url=url, known_hash=known_hash)
        return str(movielens(tmp_path / fname))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert load(prepare("ml-1m")).num_interactions == 4
    assert asked == {"url": CATALOGUE["ml-1m"].url, "known_hash": f"md5:{CATALOGUE['ml-1m'].md5}"}

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(DataError, match=r"could not be downloaded \(no route to host\); fetch it by hand"):
        prepare("ml-1m")


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    before = prepare("ml-1m", movielens(tmp_path / "ml-1m.zip"), tmp_path / "out").read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=r"ml-1m.inter: cannot be written \(no space left"):
        prepare("ml-1m", tmp_path / "ml-1m.zip", tmp_path / "out")
    assert (tmp_path / "out" / "ml-1m.inter").read_bytes() == before
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["ml-1m.inter", "ml-1m.item"]


def test_a_folder_that_cannot_be_written(tmp_path):
    source = movielens(tmp_path / "ml-1m.zip")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"ml-1m.inter: cannot be written \(.*\); choose another folder"):
        prepare("ml-1m", source, tmp_path / "file")
    (tmp_path / "out" / "ml-1m.inter").mkdir(parents=True)
    with pytest.raises(DataError, match=r"ml-1m.inter: cannot be written"):
        prepare("ml-1m", source, tmp_path / "out")
    assert (tmp_path / "file").read_text() == "mine"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["ml-1m.inter"]  # and no draft


def test_the_catalogue_tells_what_a_reader_needs():
    for name, archive in CATALOGUE.items():
        assert archive.title and archive.terms and archive.how and archive.page.startswith("https://"), name
        assert (archive.url is None) == (archive.md5 is None)
    assert {n: (a.users, a.items, a.interactions) for n, a in CATALOGUE.items()} == {
        "beauty": (22_363, 12_101, 198_502),
        "toys": (19_412, 11_924, 167_597),
        "ml-1m": (6_040, 3_706, 1_000_209),
        "yelp": (30_499, 20_068, 317_182),
    }
