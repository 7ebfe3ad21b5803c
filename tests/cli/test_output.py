"""What is printed is what the data say, in any encoding, and JSON that any reader takes."""

import io
import json
import os
import subprocess
import sys

import pytest
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec_lite.cli.output import print_json, print_table

TEXT = st.text(st.characters(exclude_categories=["C", "Z", "M"]), min_size=1, max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=4), TEXT)
@settings(deadline=None, max_examples=60)
def test_nothing_in_the_data_is_markup(cells, title):
    for text in ("[/b]", "[dvd]", ":book:", "[link=x]y[/link]", *cells):
        out = io.StringIO()
        stdout, sys.stdout = sys.stdout, out
        try:
            print_table([text, "a wide column"], [[text, ""]], title=title)
        finally:
            sys.stdout = stdout
        assert out.getvalue().count(text) >= 2 and title in out.getvalue()


def test_titles_are_shown_as_they_are(trained, items):
    code, out, err = run("recommend", trained, "--history", "007", "--k", 12)
    assert code == 0, err
    assert all(f"Ends {item} :smile: [/b]" in out for item in items)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_any_terminal_will_do(trained, encoding, more):
    command = [sys.executable, "-m", "diffrec_lite", "recommend", str(trained), "--history", "007", "--k", "12", *more]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    if more:
        assert {"é", "日本"} <= {row["item"] for row in json.loads(text)} and text.count("\n") == 1
    else:
        assert ("日本" in text) == (encoding == "utf-8") and ("\\u65e5\\u672c" in text) == (encoding != "utf-8")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
@settings(deadline=None, max_examples=100)
def test_json_is_strict_and_stands_on_one_line(value):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    out = io.StringIO()
    stdout, sys.stdout = sys.stdout, out
    try:
        print_json(value)
    finally:
        sys.stdout = stdout
    assert out.getvalue().count("\n") == 1 and out.getvalue().isascii()
    found = json.loads(out.getvalue(), parse_constant=refuse)
    if isinstance(value, float):
        assert found == value or found is None


def test_infinity_is_null(capsys):
    print_json([{"score": float("inf")}, float("-inf"), (float("nan"), 1.5)])
    assert capsys.readouterr().out == '[{"score": null}, null, [null, 1.5]]\n'


def test_a_path_that_is_no_unicode_trains_and_is_recorded(log, tmp_path):
    if sys.platform != "linux":
        pytest.skip("only here may a file name be any bytes")
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    data = os.path.join(folder, "log.csv")
    with open(data, "w") as file:
        file.write("user_id,item_id,timestamp\n" + "".join(f"{u},{j},{j}\n" for u in range(3) for j in range(5)))
    code, _, err = run("train", "popularity", "--dataset", data, "--out", os.path.join(folder, "run"))
    assert code == 0, err
    code, out, err = run("evaluate", os.path.join(folder, "run"), "--json")
    assert code == 0 and json.loads(out)["users"] == 3, err


@pytest.mark.parametrize("missing", ["matplotlib", "ipywidgets", "anywidget"])
@pytest.mark.parametrize("module", ["widgets.player", "widgets.style", "lessons.metrics", "lessons.check"])
def test_a_missing_extra_says_how_to_install_it(missing, module):
    program = f"import sys; sys.modules[{missing!r}] = None\ntry: import diffrec_lite.{module}\n"
    program += "except ModuleNotFoundError as problem: print(problem)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"needs {missing}" in done.stdout and 'pip install "diffrec-lite[course]"' in done.stdout, done.stderr
