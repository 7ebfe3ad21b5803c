"""The player as a still picture, for the stored notebook: planes above, curves of rank and distance below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from diffrec_lite.widgets import style
from diffrec_lite.widgets.trajectories import Trajectories, frame, span, state_at, within

HALO = withStroke(linewidth=2.5, foreground="white")
DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
TICKS = {"rank": (1, 5, 25, 125, 625, 3125, 15625), "distance": (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)}
CURVES = {"rank": "rank of the true book", "distance": "distance to it"}


def draw(chains: Sequence[tuple[Trajectories, int]], reader: int = 0, seed: int | None = None, t: int = 0) -> Figure:
    """The player as a still figure, one column for each (trajectories, number of steps), when the clock shows `t`."""
    fig, axes = style.axes(
        3, len(chains), size=(3.9 * len(chains), 6.6), squeeze=False, gridspec_kw={"height_ratios": [3.4, 1, 1]}
    )
    walks = [data.states(reader, steps, seed) for data, steps in chains]
    low, high = span([data for data, _ in chains])
    limits = {"rank": (0.85, 1.15 * chains[0][0].num_items), "distance": (low / 1.1, high * 1.1)}
    for column, ((data, steps), states) in enumerate(zip(chains, walks, strict=True)):
        past = states[: state_at(states, t) + 1]
        _plane(axes[0, column], data, past, reader)
        last = past[-1]
        axes[0, column].set_title(
            f"{data.name}, {steps} step{'s' * (steps != 1)}: t = {last['t']}, rank {last['rank']}"
        )
        others = walks[:column] + walks[column + 1 :]
        for ax, (key, name) in zip(axes[1:, column], CURVES.items(), strict=True):
            _curve(ax, states, others, key)
            ax.axvline(t, color=style.INK, linewidth=0.8)
            ticks = [value for value in TICKS[key] if limits[key][0] <= value <= limits[key][1]]
            ax.set(ylim=limits[key], xlim=(data.T + 0.5, -0.5), yticks=ticks, yticklabels=map(str, ticks))
            if column == 0:
                ax.set_ylabel(name.replace(" ", "\n", 1), fontsize=8)
        axes[2, column].set_xlabel("step t")
    handles, labels = axes[0][0].get_legend_handles_labels()
    if len(chains) > 1:
        handles.append(axes[1][0].get_lines()[1])
        labels.append("the other panel" if len(chains) == 2 else "the other panels (dashed: the left one)")
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return fig


def _plane(ax: Axes, data: Trajectories, past: Sequence[dict[str, Any]], reader: int) -> None:
    """The books, the names of the genres, and the way of x_t and of x0_hat so far."""
    items, person, shown = data.items, data.readers[reader], frame(data)
    ax.scatter(items["x"][1:], items["y"][1:], s=9, color="#c4c4c4", label="all books")
    x, y = ([items[axis][i] for i in person["history"]] for axis in "xy")
    ax.scatter(x, y, s=24, color=style.HISTORY, label="books read")
    ax.scatter(x[-1:], y[-1:], s=75, facecolors="none", edgecolors=style.HISTORY, linewidths=1.5, label="the last one")
    noised = [within(state["xt"], shown) for state in past]
    entered = max((i for i, state in enumerate(past) if noised[i] != tuple(state["xt"])), default=-1) + 1
    ax.plot(*zip(*noised, strict=True), "D", color=style.NOISE, markersize=4, label="x_t")
    ax.plot(*zip(*noised[entered:] or [(None, None)], strict=True), "--", color=style.NOISE, linewidth=1.2)
    if found := [within(state["x0"], shown) for state in past if state["x0"] is not None]:
        look = {"color": style.PREDICTION, "marker": "s", "markersize": 4, "label": "x0_hat, the prediction"}
        ax.plot(*zip(*found, strict=True), **look)
    else:
        where = {"transform": ax.transAxes, "ha": "center", "va": "top", "path_effects": [HALO]}
        ax.text(0.5, 0.98, "this is pure noise", **where)
    truth, look = person["target"], {"markersize": 15, "markeredgecolor": "white", "label": "true next book"}
    ax.plot(items["x"][truth], items["y"][truth], "*", color=style.TARGET, **look)
    for name, (left, low) in zip(data.genres, _apart(data.genres, data.centres, shown), strict=True):
        ax.text(
            left, low, name, fontsize=8.5, ha="center", va="center", color="#444444", path_effects=[HALO], zorder=1.5
        )
    ax.set(xlim=shown[:2], ylim=shown[2:], aspect="equal", xticks=[], yticks=[])
    ax.set_xlabel(f"a plane with {data.share:.0%} of the variance", fontsize=8)


def _apart(names: Sequence[str], places: Sequence[Sequence[float]], shown: Sequence[float]) -> list[list[float]]:
    """The places of the genres' names, from above: one that would cover another moves down."""
    line = 0.045 * max(shown[1] - shown[0], shown[3] - shown[2])
    taken: dict[int, list[float]] = {}
    for g in sorted(range(len(names)), key=lambda g: -places[g][1]):
        left, low = places[g]
        while any(
            abs(y - low) < line and abs(x - left) < 0.23 * line * (len(names[g]) + len(names[other]))
            for other, (x, y) in taken.items()
        ):
            low -= line / 4
        taken[g] = [left, low]
    return [taken[g] for g in range(len(names))]


def _curve(ax: Axes, states: Sequence[dict[str, Any]], others: Sequence[Sequence[dict[str, Any]]], key: str) -> None:
    """This panel's predictions against t, solid, and those of the other panels, dashed; both axes fixed."""
    for walk, dashes in [(states, "-"), *zip(others, DASHES, strict=False)]:
        points = [(state["t"], state[key]) for state in walk if state["x0"] is not None]
        own = dashes == "-"
        marker = {"marker": "s" if own else "o", "markersize": 3} if len(points) <= 9 else {}
        colour, width = (style.PREDICTION, 2.2) if own else ("#555555", 1.2)
        ax.plot(*zip(*points, strict=True), linestyle=dashes, color=colour, linewidth=width, **marker)
    ax.set_yscale("log")
    ax.minorticks_off()
    ax.tick_params(labelsize=8)
