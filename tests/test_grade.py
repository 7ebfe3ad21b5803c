"""A class of planted submissions is graded once, by real nbgrader, and each gets the marks and the words it should."""

import csv
import json
import shutil

import pytest

pytest.importorskip("nbgrader", reason="grading needs nbgrader")

import nbformat
from grade import grade_class, main
from grading import gradebook
from grading.reports import harmless
from grading.verdict import Status
from nbgrader.api import Gradebook
from planted import AFTER, BEFORE, CHECK, EXERCISE, LESSON, SOURCE, WHOLE_FILE, at, plants, write_plants

from notebooks import course

COURSE = course()
SECONDS = 10
FORMULA, COMMA = "=HYPERLINK('http:x')", "Doe, Jane"


def answers(path):
    """The course's own answers of a notebook, by the name of the exercise."""
    cells = nbformat.read(path, as_version=4).cells
    named = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in cells}
    return {name: cell.source for name, cell in named.items() if name and cell.metadata.nbgrader.solution}


def wrong(source):
    """Something wrong under every name that the answer gives to something."""
    functions = [line[4 : line.index("(")] for line in source.splitlines() if line.startswith("def ")]
    letters = [line.split(" = ")[0] for line in source.splitlines() if line.endswith(('= "b"', "= 'b'"))]
    return "\n".join(
        [*(f"def {name}(*args):\n    return 'wrong'" for name in functions), *(f"{name} = 'z'" for name in letters)]
    )


@pytest.fixture(scope="module")
def class_(tmp_path_factory):
    """Everybody's results by name, and the folders of the submissions, of the results, and of what nobody may touch."""
    folder, out, outside = (tmp_path_factory.mktemp(name) for name in ("submissions", "grades", "outside"))
    (handed_out,) = gradebook.student_versions(tmp_path_factory.mktemp("handed_out"), [SOURCE])
    planted = write_plants(folder, outside, handed_out)
    for path in COURSE:
        for student in ("all right", "all wrong"):
            (folder / student).mkdir(exist_ok=True)
            notebook = json.loads(path.read_text(encoding="utf-8"))
            for name, source in answers(path).items() if student == "all wrong" else ():
                at(notebook, name)["source"] = wrong(source)
            (folder / student / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    right = folder / "right" / SOURCE.name
    for student, name in {
        FORMULA: SOURCE.name,
        COMMA: SOURCE.name,
        "renamed": "My homework (final).ipynb",
        "other lesson's name": "03_cross_attention.ipynb",
        "deeper": "unpacked/again/" + SOURCE.name,
        "two": SOURCE.name,
        "Ada Byron_4711_assignsubmission_file_": SOURCE.name,
        ".": f"byronada_4711_99_{SOURCE.name}",
    }.items():
        (folder / student / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(right, folder / student / name)
    shutil.copy(right, folder / f"grace_LATE_4712_100_{SOURCE.stem}-1.ipynb")
    shutil.copy(right, folder / f"flat_{SOURCE.name}")
    shutil.copy(right, folder / "two" / "copy.ipynb")
    (folder / "stranger").mkdir()
    (folder / "stranger" / "holiday.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "1"}]}')
    (folder / "nothing").mkdir()
    (folder / "link").mkdir()
    (folder / "link" / SOURCE.name).symlink_to(SOURCE)
    results = grade_class(folder, out, COURSE, SECONDS)
    return {student.name: student for student in results}, out, outside, planted


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_there_are_more_than_thirty_planted_submissions(tmp_path):
    assert len(plants(tmp_path)) > 30


@pytest.mark.parametrize("student", list(plants(SOURCE.parent)))
def test_a_planted_submission_gets_the_verdict_that_it_should(class_, student):
    students, _, outside, planted = class_
    plant, verdicts = planted[student], students[student].verdicts[LESSON]
    found = verdicts[EXERCISE]
    assert found.status is plant.status, found
    assert plant.words in found.words
    assert plant.remark in " ".join(found.notes) and bool(plant.remark) == bool(found.notes)
    others = [verdicts[name].status for name in (BEFORE, AFTER)]
    assert others == ([plant.status] * 2 if student in WHOLE_FILE else [Status.UNANSWERED, Status.PASSED])
    assert students[student].marks.get(LESSON, 0) == 2 * sum(verdict.passed for verdict in verdicts.values())
    assert list(outside.iterdir()) == []


def test_every_right_answer_of_the_course_passes_and_every_wrong_one_fails_in_the_checks_own_words(class_):
    students = class_[0]
    for path in COURSE:
        right, bad = (students[name].verdicts[path.stem] for name in ("all right", "all wrong"))
        assert {verdict.status for verdict in right.values()} == {Status.PASSED}, right
        assert {verdict.status for verdict in bad.values()} == {Status.FAILED}, bad
        assert all(verdict.words for verdict in [*right.values(), *bad.values()])
        assert list(right) == list(answers(path))


@pytest.mark.parametrize(
    ("student", "note"),
    [
        ("renamed", "05_step_skipping: It was handed in as My homework (final).ipynb."),
        ("other lesson's name", "05_step_skipping: It was handed in as 03_cross_attention.ipynb."),
        ("two", "copy.ipynb was left out: 05_step_skipping.ipynb is the same notebook."),
        ("stranger", "holiday.ipynb belongs to no notebook of the course."),
        ("latin_1", "05_step_skipping: The file is not in UTF-8 and was read as Latin-1."),
        ("empty", "05_step_skipping.ipynb cannot be read: it is empty."),
    ],
)
def test_what_is_odd_about_a_file_is_said(class_, student, note):
    assert class_[0][student].notes == [note]


def test_a_notebook_is_known_by_its_cells_before_its_name(class_):
    students = class_[0]
    full = students["right"].marks[LESSON]
    for student in ("renamed", "other lesson's name", "deeper", "two", "flat", "grace", "byronada", "Ada Byron"):
        assert students[student].marks == {LESSON: full}
    assert students["other lesson's name"].verdicts["03_cross_attention"]["03-mask"].status is Status.ABSENT


def test_who_handed_in_nothing_that_counts_stands_in_the_tables_all_the_same(class_):
    for student in ("nothing", "link", "stranger"):
        assert class_[0][student].marks == {}
    assert {"nothing", "link", "stranger"} <= {row[0] for row in rows(class_[1] / "grades.csv")}


def test_the_marks_are_those_of_nbgraders_own_gradebook(class_):
    students, out, _, _ = class_
    with Gradebook(f"sqlite:///{out / 'nbgrader' / 'gradebook.db'}") as book:
        for name in ("right", "wrong", "all wrong", FORMULA):
            submission = book.find_submission(LESSON, gradebook.safe(name))
            assert submission.score == students[name].marks[LESSON]
        grade = book.find_grade(CHECK, LESSON, LESSON, "wrong")
        assert (grade.auto_score, grade.max_score) == (0, 2)


def test_the_tables_have_the_columns_that_canvas_and_moodle_read(class_):
    students, out, _, _ = class_
    names = [path.stem for path in COURSE]
    canvas, moodle = rows(out / "canvas.csv"), rows(out / "moodle.csv")
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names]
    assert canvas[1][:5] == ["    Points Possible", "", "", "", ""]
    whole = next(row for row in canvas if row[0] == "all right")
    assert whole[5:] == canvas[1][5:]
    assert next(row for row in canvas if row[0] == "byronada")[:5] == ["byronada", "4711", "", "", ""]
    assert moodle[0] == ["Username", "Email address", *names]
    assert len(moodle) - 1 == len(canvas) - 2 == len(students)
    assert {len(row) for row in moodle} == {2 + len(names)} and {len(row) for row in canvas} == {5 + len(names)}
    grades = {row[0]: row for row in rows(out / "grades.csv")}
    assert grades["all right"][-2] == grades["all right"][-1] == f"{sum(map(float, canvas[1][5:])):g}"


def test_no_name_becomes_a_formula_and_a_comma_stays_inside_its_column(class_):
    out = class_[1]
    for table in ("grades.csv", "canvas.csv", "moodle.csv", "exercises.csv"):
        cells = {cell for row in rows(out / table) for cell in row}
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r")]
        assert {harmless(FORMULA), COMMA} <= cells
    assert harmless(" =1") == "' =1" and harmless("a\tb\r") == "a b " and harmless("a=b") == "a=b"


def test_each_student_has_a_page_that_says_what_became_of_each_exercise(class_):
    students, out, _, _ = class_
    assert len(list((out / "reports").iterdir())) == len(students)
    page = (out / "reports" / "wrong.md").read_text(encoding="utf-8")
    assert page.startswith("# wrong: 2 of ")
    assert "- Exercise 2: find the bug in the grid (`05-step-grid`): **not passed**" in page
    assert "The bug is still there: step\\_grid(50, 8) ends at t = 2" in page
    assert "## 03_cross_attention: 0 of 6\n\nNot handed in." in page


def test_a_mark_that_was_given_by_hand_stays_when_the_class_is_graded_again(tmp_path):
    folder, out = tmp_path / "submissions", tmp_path / "grades"
    (folder / "ada").mkdir(parents=True)
    (handed_out,) = gradebook.student_versions(tmp_path / "handed_out", [SOURCE])
    nbformat.write(handed_out, folder / "ada" / SOURCE.name)  # nothing is answered, so nothing is run
    assert grade_class(folder, out, [SOURCE])[0].marks == {LESSON: 0}
    with Gradebook(f"sqlite:///{out / 'nbgrader' / 'gradebook.db'}") as book:
        book.find_grade(CHECK, LESSON, LESSON, "ada").manual_score = 1
        book.db.commit()
    assert grade_class(folder, out, [SOURCE])[0].marks == {LESSON: 1}
    assert rows(out / "grades.csv")[1] == ["ada", "1", "1", "6"]


def test_one_notebook_is_told_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    (handed_out,) = gradebook.student_versions(tmp_path / "handed_out", [SOURCE])
    readable, broken = tmp_path / SOURCE.name, tmp_path / "broken.ipynb"
    nbformat.write(handed_out, readable)
    broken.write_text("{")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for path, code in ((readable, 0), (broken, 1)):
        monkeypatch.setattr("sys.argv", ["grade.py", str(path), "--out", "grades"])
        assert main() == code
    told = capsys.readouterr().out
    assert f"{EXERCISE}: not answered" in told and "broken.ipynb cannot be read" in told
    assert sorted(tmp_path.rglob("*")) == before
