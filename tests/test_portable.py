"""What is printed and drawn hangs neither on the processor's instructions nor on the number of threads."""

import os
import subprocess
import sys
from difflib import unified_diff

import nbformat

from notebooks import NOTEBOOKS, execute

# The plainest instructions that each library can be held to: every processor has them, and most have better ones.
PLAIN = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
ONE, FOUR = "torch.set_num_threads(1)", "torch.set_num_threads(4)"
ASK = "print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())"
TRAINS = "04_cond_layer_norm.ipynb"  # the notebook that trains most models, and prints what came of each
COMPARED = ("text/plain", "text/html", "image/svg+xml")


def said(cell):
    """The text that a cell shows, as strict nbval compares it: what each stream wrote, and each form of an output."""
    streams, forms = {}, []
    for output in cell.outputs:
        if output.output_type == "stream":
            streams[output.name] = streams.get(output.name, "") + output.text
        else:
            forms += [output.data[form] for form in COMPARED if form in output.get("data", {})]
    return "\n".join([*streams.values(), *forms]).splitlines()


def test_a_training_prints_the_same_with_the_plainest_instructions_and_four_threads(monkeypatch):
    for variable, value in PLAIN.items():
        monkeypatch.setenv(variable, value)
    text = (NOTEBOOKS / TRAINS).read_text(encoding="utf-8")
    stored, again = (nbformat.reads(each, as_version=4) for each in (text, text.replace(ONE, FOUR)))
    again.cells.append(nbformat.v4.new_code_cell(ASK))
    execute(again, NOTEBOOKS)
    assert said(again.cells.pop()) == ["DEFAULT 4"], "the notebook was not run under these conditions"
    moved = {
        index: list(unified_diff(said(before), said(after), "stored", "now", n=0, lineterm=""))
        for index, (before, after) in enumerate(zip(stored.cells, again.cells, strict=True))
        if before.cell_type == "code" and said(before) != said(after)
    }
    assert moved == {}


def test_the_surveys_figures_are_the_same_files_with_the_plainest_instructions(tmp_path):
    for name, environment in (("usual", {}), ("plain", PLAIN)):
        command = [sys.executable, "-m", "diffrec_lite", "figures", "--out", str(tmp_path / name)]
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    usual, plain = ({path.name: path.read_bytes() for path in (tmp_path / of).iterdir()} for of in ("usual", "plain"))
    assert len(usual) > 10 and usual.keys() == plain.keys()
    assert [name for name in usual if usual[name] != plain[name]] == []
