"""What each explorer draws and writes, in two states, held against the data that travelled to the page."""

import math
import re

import numpy as np
import pytest
from browser import pages
from PIL import ImageColor

from diffrec_lite.lessons.comparison.explorer import view

ATTRIBUTES = "(nodes, name) => nodes.map(node => Number(node.getAttribute(name)))"
STYLES = "(nodes, name) => nodes.map(node => node.style[name])"
FIRST_ROWS = """nodes => nodes.map(node => {
    const { data } = node.getContext("2d").getImageData(0, 0, node.width, 1);
    return Array.from({ length: node.width }, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
})"""


@pytest.fixture
def shown(page, tmp_path):
    """Open an explorer; returns its place in the page and its widget."""

    def open_explorer(name):
        widget = getattr(pages, name)()
        pages.open_exported(page, tmp_path, widget)
        return page.locator(".drl-explorer"), widget

    return open_explorer


def attributes(marks, name):
    return np.array(marks.evaluate_all(ATTRIBUTES, name))


def percents(marks, name):
    """A length of each mark, such as its width, as a share of 1."""
    return [float(text.split()[-1].removesuffix("%")) / 100 for text in marks.evaluate_all(STYLES, name)]


def points(line):
    """The points of a polyline, (n, 2)."""
    return np.array([[float(v) for v in point.split(",")] for point in line.get_attribute("points").split()])


def axis(drawn, values):
    """Start and unit of the axis on which `values` stand at `drawn`; fails where no axis puts them there."""
    unit, start = np.polyfit(np.asarray(values, float), np.asarray(drawn, float), 1)
    np.testing.assert_allclose(drawn, start + unit * np.asarray(values), atol=0.1)
    return start, unit


def numbers(text):
    """All numbers with a point in a text, in order."""
    return [float(found.replace("−", "-").replace("+", "")) for found in re.findall(r"[+−]?\d+\.\d+", text)]


def pick(root, name, place):
    root.get_by_label(name, exact=True).select_option(index=place)


def slide(root, name, value):
    root.get_by_label(name, exact=True).fill(str(value))


def texts(root, selector):
    return root.locator(selector).all_inner_texts()


def bare(title):
    """A title without its series."""
    return title.partition(" (")[0]


def test_guess_tells_where_each_model_puts_the_true_book(shown):
    root, widget = shown("guess")
    for place, shelf in enumerate(widget.shelves[:2]):
        pick(root, "Reader", place)
        assert [text.split("\n")[0] for text in texts(root, ".gs-read li span")] == [
            b["title"] for b in shelf["history"]
        ]
        options = root.locator(".gs-options button")
        assert texts(options, "span") == [book["title"] for book in shelf["candidates"]]
        right = shelf["candidates"].index(shelf["truth"])
        options.nth(right if place == 0 else 1 - right).click()
        assert texts(root, ".gs-rank") == [f"puts it at rank {model['rank']}" for model in shelf["models"]]
        listed = [text.removeprefix("✓ ") for text in texts(root, ".gs-top li span")]
        assert listed == [book["title"] for model in shelf["models"] for book in model["top"]]
        told = root.locator(".gs-told").inner_text()
        options.nth(1 - right if place == 0 else right).click(force=True)  # too late: the first guess counts
        assert root.locator(".gs-told").inner_text() == told
        assert told.startswith("Right" if place == 0 else "Not this time") and shelf["truth"]["title"] in told
    assert "You were right for 1 of 2." in root.inner_text()


def test_cloud_puts_every_book_where_its_noised_vector_is(shown):
    root, widget = shown("cloud")
    data, axes = widget.data, []
    for book, schedule, t in ((0, 0, 3), (2, 1, 31)):
        pick(root, "Book", book)
        pick(root, "Schedule", schedule)
        slide(root, "Step t", t)
        item, chosen = data["items"][book], data["schedules"][schedule]
        keep, add = math.sqrt(chosen["abar"][t]), math.sqrt(1 - chosen["abar"][t])
        clean, near = np.array(data["clean"]), chosen["nearest"][t][book]
        noised = keep * clean + add * np.array(data["noise"])
        dots, square = root.locator("svg.drl-chart > circle"), root.locator("svg.drl-chart > rect").last
        expected = np.concatenate(
            [noised[1:], clean[item][None], noised[item][None]]
        )  # all books, home, the noised one
        found = np.stack([attributes(dots, name) for name in ("cx", "cy")], 1)
        axes.append([axis(found[:, i], expected[:, i]) for i in range(2)])
        for i, name in enumerate("xy"):
            start, unit = axes[-1][i]
            corner = float(square.get_attribute(name)) + 5.5
            assert corner == pytest.approx(start + unit * clean[near[0]][i], abs=0.1)
        rows = texts(root, ".diffrec-nearest li > span")
        assert [row.removeprefix("✓ ") for row in rows] == [bare(data["titles"][i]) for i in near]
        assert [row.startswith("✓") for row in rows] == [i == item for i in near]
        said = f"{data['titles'][item]} rounds to {data['titles'][near[0]]}. Its own rank is {chosen['rank'][t][book]}."
        assert root.locator(".drl-readout").inner_text() == said
        x0, eps = data["first"]["x0"][book], data["first"]["noise"][book]
        line = texts(root, ".drl-equation > div")[-1]
        assert numbers(line) == pytest.approx([keep, x0, add, eps, keep * x0 + add * eps], abs=0.006)
        bar = root.locator("div[aria-hidden=true][style*=height] > div")
        assert percents(bar, "width") == pytest.approx([chosen["abar"][t]], abs=1e-5)
    np.testing.assert_allclose(axes[0], axes[1], atol=1e-3)


def outline(path, bins):
    """The height of each bar of a histogram, drawn as one path."""
    corners = [[float(v) for v in place.split(",")] for place in path.removeprefix("M").removesuffix("Z").split("L")]
    return np.array(corners[: 2 * bins : 2])[:, 1]


def test_noise_draws_its_bars_on_axes_that_stay(shown):
    root, widget = shown("noise")
    data, axes, lengths = widget.data, [], []
    for strength, form in ((1, 0), (len(widget.data["strengths"]) - 1, 1)):
        pick(root, "Form", form)
        slide(root, "Strength", strength)
        now = data["states"][strength][form]
        charts = root.locator("svg.drl-chart")
        for chart, name in ((charts.nth(0), "noise"), (charts.nth(1), "means")):
            drawn = chart.locator("> path")
            axes.append(axis(outline(drawn.first.get_attribute("d"), len(now[name])), now[name]))
            plain = data["states"][0][0][name]
            axis(outline(drawn.nth(1).get_attribute("d"), len(plain)), plain)
        bars = charts.nth(2).locator("> rect[y]").all()[-2 * len(data["groups"]) :]
        counts = [now[who][row] for row in range(len(data["groups"])) for who in ("rounding", "model")]
        lengths.append(axis([float(bar.get_attribute("width")) for bar in bars], counts))
        assert [bar.get_attribute("visibility") == "visible" for bar in bars] == [count > 0 for count in counts]
        assert [
            int(n) for n in charts.nth(2).locator("text:not([text-anchor])").all_text_contents()[-len(bars) :]
        ] == counts
        assert root.locator(".drl-readout").inner_text() == now["text"]
        gamma = data["strengths"][strength]
        for line, eps, zeta in zip(texts(root, ".drl-equation > div")[1:], data["eps"], data["zeta"], strict=True):
            offset = [gamma] if form == 0 else [gamma, zeta]
            assert numbers(line) == pytest.approx([eps, *offset, eps + math.prod(offset)], abs=0.011)
    np.testing.assert_allclose(axes[:2], axes[2:], rtol=0.01, atol=0.1)
    assert lengths[0][0] == pytest.approx(0, abs=1e-6)  # no reader, no bar
    np.testing.assert_allclose(*lengths, rtol=0.01, atol=0.1)


def test_attention_writes_every_weight_and_tints_it(shown):
    root, widget = shown("attention")
    for choice in ((0, 0, 0, 0), (1, 2, 1, 2)):
        for control, place in zip(widget.data["controls"], choice, strict=True):
            pick(root, control["label"], place)
        now = widget.data["states"]["/".join(map(str, choice))]
        weights = np.array(now["weights"])
        assert texts(root, "td") == [f"{100 * weight:.1f}" for weight in weights.flat]
        assert texts(root, "tbody th span:first-child") == [
            f"{i} {bare(name)}" for i, name in enumerate(now["asks"], 1)
        ]
        tints = root.locator("td").evaluate_all(STYLES, "background")
        blue = np.array([int(re.findall(r"\d+", tint)[0]) for tint in tints])
        np.testing.assert_allclose(blue, 255 * (1 - np.sqrt(weights.flat)), atol=0.51)
        assert numbers(texts(root, ".drl-equation > div")[1]) == pytest.approx(weights[-1], abs=0.00051)
        assert root.locator(".drl-readout").inner_text() == now["text"]


def test_fields_paint_each_feature_and_write_the_chosen_one(shown):
    root, widget = shown("fields")
    data = widget.data
    palette = np.array([ImageColor.getrgb(colour)[:3] for colour in data["palette"]])
    for reader, layer, step, feature in ((0, 0, 1, 3), (1, 1, 2, 9)):
        pick(root, "Reader", reader)
        pick(root, "Layer", layer)
        slide(root, "Step t", step)
        slide(root, "Feature", feature)
        now, books, reach = data["states"][f"{reader}/{layer}/{step}"], data["books"][reader], data["reach"][layer]
        rows = root.locator(".field-row:not(.field-head):not(.field-key):not([hidden])")
        assert rows.count() == len(books)
        values = np.stack([np.array(now["gain"]) / 100 - 1, np.array(now["shift"]) / 100], 1).reshape(
            -1, data["features"]
        )
        place = np.floor((values + reach) / (2 * reach) * len(palette)).astype(int).clip(0, len(palette) - 1)
        painted = np.array(rows.locator("canvas").evaluate_all(FIRST_ROWS))
        assert (painted == palette[place]).mean() > 0.995  # a value on the edge of two colours may take either
        written = [numbers(text)[0] for text in texts(rows, ".field-number")]
        assert written == pytest.approx(
            [n for i in range(len(books)) for n in (now["gain"][i][feature] / 100, now["shift"][i][feature] / 100)],
            abs=1e-9,
        )
        strongest = now["strongest"]
        line = texts(root, ".drl-equation > div")[1].replace("− ", "−").replace("+ ", "+")
        assert numbers(line) == [now[name][strongest][feature] / 100 for name in ("gain", "shift")]
        assert root.locator(".drl-readout").inner_text() == now["text"]
        named = rows.locator(".field-name").all_text_contents()
        assert named == [bare(book["title"]) + book["genre"] for book in books]


def test_ranking_moves_the_book_and_its_gains(shown):
    root, widget = shown("ranking")
    data = widget.data
    for reader, which, rank in ((0, 0, 2), (1, 1, 40), (1, 1, widget.data["ks"][1])):
        pick(root, "Reader", reader)
        pick(root, "k, the length of the list", which)
        slide(root, "Rank of the true book", rank)
        chosen, k = data["readers"][reader], data["ks"][which]
        rows = root.locator(".rank-list li")
        titles = list(chosen["others"])
        titles.insert(rank - 1, chosen["target"])
        listed = titles[: data["shown"]] + ([chosen["target"]] if rank > data["shown"] else [])
        names = texts(rows, "span:nth-child(3)")
        assert names[: len(listed)] == [bare(title) for title in listed]
        marked = [i + 1 for i, row in enumerate(rows.all()) if "target" in row.get_attribute("class").split()]
        assert marked == [min(rank, data["shown"] + 1)]
        inside = [i + 1 for i, row in enumerate(rows.all()) if "in" in row.get_attribute("class").split()]
        assert inside == [i for i in range(1, data["shown"] + 1) if i <= k]
        gains = [data["gains"]["HR"][which], data["gains"]["NDCG"][which], data["gains"]["MRR"][0]]
        now = [gain[rank - 1] for gain in gains]
        assert [float(text) for text in texts(root, ".rank-gain b")] == pytest.approx(now, abs=0.00051)
        assert percents(root.locator(".rank-track > div"), "width") == pytest.approx(now, abs=1e-6)


def test_clinic_draws_run_and_healthy_run_on_one_axis(shown):
    root, widget = shown("clinic")
    data, axes = widget.data, []
    for run, epochs in ((0, 16), (3, 9)):
        pick(root, "Run", run)
        slide(root, "Epochs seen", epochs)
        for panel, own, healthy, svg in zip(
            data["panels"], data["runs"][run]["curves"], data["healthy"], root.locator("svg").all(), strict=True
        ):
            read = np.log if panel["scale"] == "log" else np.asarray
            lines, seen = svg.locator("polyline"), [*own[:epochs], *healthy[:epochs]]
            drawn = np.concatenate([points(lines.nth(i)) for i in range(2)])
            assert len(drawn) == 2 * epochs
            axis(drawn[:, 0], [*range(epochs)] * 2)
            axes.append(axis(drawn[:, 1], read(np.clip(seen, *panel["range"]))))
            dot = svg.locator("circle")
            assert [float(dot.get_attribute(name)) for name in ("cx", "cy")] == pytest.approx(list(drawn[epochs - 1]))
        assert root.locator(".drl-readout").inner_text() == data["runs"][run]["readouts"][epochs - 1]
        verdict = root.locator(".tc-verdict")
        for guess, answer in enumerate(data["runs"][run]["answers"]):
            pick(root, "Your diagnosis", guess + 1)
            assert verdict.inner_text() == answer
            kind = "right" if guess == data["runs"][run]["right"] else "wrong"
            assert kind in verdict.get_attribute("class").split()
    np.testing.assert_allclose(axes[:3], axes[3:], rtol=1e-3, atol=0.01)


def test_balance_shares_out_the_pull_and_draws_both_curves(shown):
    root, widget = shown("balance")
    data, axes = widget.data, []
    for choice, look in (((1, 1, 0, 2), 2), ((2, 0, 1, 1), len(widget.data["batches"]) - 1)):
        for control, place in zip(data["controls"], choice, strict=True):
            pick(root, control["label"], place)
        slide(root, "batch", look)
        now = data["states"]["/".join(map(str, choice))]
        shares = percents(root.locator(".lb-bar > span"), "flex")
        assert shares == pytest.approx([*now["items"][look], *now["network"][look]], abs=1e-6)
        for svg, name in zip(root.locator(".lb-charts svg").all(), ("apart", "hr"), strict=True):
            dots, means = svg.locator("circle"), [row[0] for row in now[name]]
            axis(attributes(dots, "cx"), data["batches"])
            axes.append(axis(attributes(dots, "cy"), means))
            assert int(attributes(dots, "r").argmax()) == look
            printed = [row[0] for row in data["states"][data["reference"]][name]]
            dashes = svg.locator("path[stroke-dasharray]").get_attribute("d")
            start, unit = axes[-1]
            heights = [float(place.split(",")[1]) for place in dashes.removeprefix("M").split("L")]
            assert heights == pytest.approx([start + unit * value for value in printed], abs=0.2)
        assert root.locator(".drl-readout").inner_text() == now["said"][look]
        pressed = texts(root, "button[aria-pressed=true]")
        assert pressed == [one["text"] for one in data["guided"] if tuple(one["state"]) == choice]
    np.testing.assert_allclose(axes[:2], axes[2:], rtol=0.02, atol=0.3)


def test_cost_puts_every_run_at_its_cost_and_score(shown):
    root, widget = shown("cost")
    data = widget.data
    for state in ((0, 0, 0, 0), (1, 1, 3, 2)):
        for label, place in zip(("data set", "protocol", "metric", "cost"), state, strict=True):
            pick(root, label, place)
        dataset, protocol, metric, cost = (of[place] for of, place in zip(data["choices"], state, strict=True))
        here = [run for run in data["points"] if run["dataset"] == dataset]
        runs = [run for run in here if run["costs"][state[3]] is not None]
        assert (len(runs) < len(here)) == (state[3] == 0)  # seconds on a CPU; some were trained on a GPU alone
        runs.sort(key=lambda run: -run["scores"][protocol][metric][0])
        scores, costs = [run["scores"][protocol][metric] for run in runs], [run["costs"][state[3]] for run in runs]
        still = view(data, state)  # what the picture shows that stays where there is no page
        assert [(run["label"], run["cost"], run["score"]) for run in still["points"]] == [
            (run["label"], spent, score) for run, spent, score in zip(runs, costs, scores, strict=True)
        ]
        svg = root.locator("> svg")
        spans = svg.locator("line[stroke-width='2']")
        axis(attributes(spans, "x1"), np.log10(costs))
        ends = np.concatenate([attributes(spans, "y1"), attributes(spans, "y2")])
        start, unit = axis(ends, [score[1] for score in scores] + [score[2] for score in scores])
        assert unit < 0  # high is good
        labels = svg.locator("text[fill='#fff']")
        assert labels.all_text_contents() == [str(i) for i in range(1, len(runs) + 1)]
        np.testing.assert_allclose(attributes(labels, "x"), attributes(spans, "x1"), atol=1e-6)
        np.testing.assert_allclose(
            attributes(labels, "y") - 4, start + unit * np.array([s[0] for s in scores]), atol=0.1
        )
        printed = attributes(svg.locator("line[stroke-dasharray]"), "y1")
        assert printed == pytest.approx([start + unit * v for v in data["printed"][dataset][metric].values()], abs=0.1)
        assert texts(root, "thead th")[2:5] == [metric, "95 % interval", cost]
        rows = [row.split("\t") for row in texts(root, "tbody tr")]
        assert [row[1] for row in rows] == [run["label"] for run in runs]
        assert [row[2:4] for row in rows] == [[f"{v:.4f}", f"{low:.4f} to {high:.4f}"] for v, low, high in scores]
        best = f"{dataset}, {protocol}. Best recorded {metric}: {scores[0][0]:.4f}, {runs[0]['label']}."
        said = root.locator(".drl-readout").inner_text()
        assert said.startswith(best) and said.endswith(still["untimed"])
        assert [run["label"] in said.removeprefix(best) for run in here if run not in runs] == [True] * (
            len(here) - len(runs)
        )
