"""Pictures of `layers.py`: images through kernels and windows, matrices, curves, probabilities, the loss."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from grader.show import panels
from grader.show.look import Seen
from grader.show.panels import BLUE, GREY, ORANGE, absent, empty, numbers, title, word, wrong_cells


def conv2d(seen: Seen, figure: Figure) -> None:
    """A digit through two kernels: wanted, yours, difference."""
    panels.frame(figure, seen, (11, 6.5))
    grid = figure.subplots(2, 5, width_ratios=(1, 0.8, 1, 1, 1))
    calls = {"edges": "conv2d(x, edges)", "blur": "conv2d(x, blur, padding=2)"}
    for row, (part, call) in zip(grid, calls.items(), strict=True):
        panels.image(row[0], seen.inputs["x"][0, 0])
        title(row[0], "x")
        row[0].set_ylabel(call, size=10.5)
        _kernel(row[1], seen.inputs["kernels"][part][0, 0], part)
        largest = float(seen.wanted[part].abs().max())
        panels.trio(row[2:], seen, part, -largest if part == "edges" else 0.0, largest)


def _kernel(axes: Axes, kernel: Tensor, name: str) -> None:
    """The kernel with its numbers, where they can be read."""
    side = len(kernel)
    largest = float(kernel.abs().max())
    panels.image(axes, kernel, -largest if float(kernel.min()) < 0 else 0.0, largest)
    title(axes, f"{name}, {side} × {side}")
    if side <= 3:
        for i, j in ((i, j) for i in range(side) for j in range(side)):
            dark = abs(float(kernel[i, j])) > 0.7 * largest
            color = "white" if dark else "#222222"
            axes.text(j, i, word(kernel[i, j]), ha="center", va="center", size=10, color=color)


def max_pool2d(seen: Seen, figure: Figure) -> None:
    """A digit and its windows, and what is left of each."""
    panels.frame(figure, seen, (10.5, 6.8))
    grid = figure.subplots(2, 4)
    x = seen.inputs["x"][0, 0]
    rows = (
        ("bright", "max_pool2d(x, 4)", x, 4, 0.0, 1.0),
        ("negative", "max_pool2d(x − 1, 3)", x - 1, 3, -1.0, 0.0),
    )
    for row, (part, call, values, size, low, high) in zip(grid, rows, strict=True):
        _grey_image(row[0], values, low, high)
        title(row[0], "x with its windows" if part == "bright" else "x − 1: all below 0")
        row[0].set_ylabel(call, size=10.5)
        whole = len(values) // size * size
        for edge in range(0, whole + 1, size):
            for draw in (row[0].hlines, row[0].vlines):
                draw(edge - 0.5, -0.5, whole - 0.5, color="#e69f00", linewidth=0.9)
        if whole < len(values):
            row[0].set_xlabel("the last row and column have\nno whole window: dropped", size=10)
        _pooled(row[1:], seen, part, low, high)


def _grey_image(axes: Axes, values: Tensor, low: float, high: float) -> None:
    panels.image(axes, (values.double() - low) / (high - low))


def _pooled(row: list[Axes], seen: Seen, part: str, low: float, high: float) -> None:
    wanted = seen.wanted[part][0, 0]
    title(row[0], f"wanted, {len(wanted)} × {len(wanted)}", BLUE)
    _grey_image(row[0], wanted, low, high)
    if part not in seen.got:
        empty(row[1], absent(seen, part), like=wanted)
        row[2].set_axis_off()
        return
    got = seen.got[part][0, 0]
    title(row[1], "yours", ORANGE)
    _grey_image(row[1], got, low, high)
    panels.difference(row[2], got, wanted)


def linear(seen: Seen, figure: Figure) -> None:
    """A small matrix product with its numbers."""
    panels.frame(figure, seen, (10.5, 5.6))
    grid = figure.subplots(2, 4, width_ratios=(2, 2.2, 4, 4))
    x, weight, bias = (seen.inputs[name] for name in ("x", "weight", "bias"))
    numbers(grid[0, 0], x, "x  (3, 2)")
    numbers(grid[0, 1], weight, "weight  (4, 2)")
    numbers(grid[1, 1], bias[:, None], "bias  (4)")
    grid[1, 0].set_axis_off()
    for row, part in zip(grid, seen.wanted, strict=True):
        wanted = seen.wanted[part]
        numbers(row[2], wanted, f"wanted, {part}", BLUE)
        if part in seen.got:
            numbers(row[3], seen.got[part], "yours", ORANGE, wrong_cells(seen.got[part], wanted))
        else:
            empty(row[3], absent(seen, part))


def activation(seen: Seen, figure: Figure) -> None:
    """The curve and its slope, for each setting."""
    names = [part for part in seen.wanted if not part.startswith("slope of") and not part.endswith("(100)")]
    panels.frame(figure, seen, (10, 1.0 + 3.1 * len(names)))
    grid = figure.subplots(len(names), 2, squeeze=False)
    x = seen.inputs["x"]
    for row, name in zip(grid, names, strict=True):
        for axes, part in zip(row, (name, f"slope of {name}"), strict=True):
            wanted = seen.wanted[part]
            panels.cross(axes)
            panels.curve(axes, x, wanted, seen.got.get(part))
            title(axes, part)
            axes.set_ylim(*_range(wanted, seen.got.get(part)))
            axes.set_xlim(-4, 4)
            if part not in seen.got and absent(seen, part):
                _note(axes, absent(seen, part))
    grid[0, 0].legend(frameon=False, loc="upper left", handlelength=3)
    _far(grid[-1, 1], seen)


def _range(wanted: Tensor, got: Tensor | None) -> tuple[float, float]:
    """Lowest and highest value that is shown: the wanted ones, and of yours what is not far from them."""
    low, high = float(wanted.min()), float(wanted.max())
    span = high - low
    if got is not None and bool((shown := got[torch.isfinite(got)]).numel()):
        low = min(low, max(float(shown.min()), low - 1.5 * span))
        high = max(high, min(float(shown.max()), high + 1.5 * span))
    return low - 0.15 * span, high + 0.15 * span


def _far(axes: Axes, seen: Seen) -> None:
    """Value and slope at 100, where an exponential is more than a float32 can hold."""
    for part, wanted in seen.wanted.items():
        if part.startswith("slope of") and part.endswith("(100)"):
            got = seen.got.get(part)
            yours = f", yours {word(got[0])}" if got is not None else ""
            mark = "" if got is None or float(got[0]) == float(wanted[0]) else " ✗"
            axes.set_xlabel(
                f"{part}: wanted {word(wanted[0])}{yours}{mark}", size=10.5, color=ORANGE if mark else GREY
            )


def _note(axes: Axes, text: str, height: float = 0.05) -> None:
    axes.text(
        0.97, height, panels._clipped(text, 6, 34), ha="right", va="bottom", size=10, color=ORANGE,
        transform=axes.transAxes, parse_math=False,
    )  # fmt: skip


def softmax(seen: Seen, figure: Figure) -> None:
    """Probabilities of growing logits."""
    x, wanted = seen.inputs["x"], seen.wanted["probabilities"]
    panels.frame(figure, seen, (11, 4.2))
    grid = figure.subplots(1, len(x), sharey=True)
    got = seen.got.get("probabilities")
    for k, axes in enumerate(grid):
        _bars(axes, wanted[k], got[k] if got is not None else None)
        title(axes, "x = " + ", ".join(word(value) for value in x[k]))
        axes.title.set_size(10)
        axes.set(xticks=range(4), ylim=(0, 1.12))
    grid[0].set_ylabel("softmax(x)")
    grid[0].legend(frameon=False, loc="upper right")
    if got is None and absent(seen, "probabilities"):
        _note_across(figure, absent(seen, "probabilities"))


def _bars(axes: Axes, wanted: Tensor, got: Tensor | None) -> None:
    """Bars beside each other, yours hatched; a value that cannot be a bar is written."""
    places = torch.arange(len(wanted)).double()
    width = 0.4
    axes.bar(places - width / 2, wanted, width, color=BLUE, label="wanted")
    if got is None:
        return
    right = torch.isfinite(got)
    # hatched, not filled: to be told from the other without colour
    axes.bar(
        places + width / 2, torch.where(right, got, 0.0), width, facecolor="#fae0cf", edgecolor=ORANGE,
        hatch="///", linewidth=1.2, label="yours",
    )  # fmt: skip
    for place, value, fine in zip(places, got, right, strict=True):
        if not fine:
            axes.text(
                float(place) + width / 2, 0.03, str(float(value)), rotation=90, ha="center", va="bottom",
                color=ORANGE, weight="bold",
            )  # fmt: skip


def _note_across(figure: Figure, text: str) -> None:
    figure.text(
        0.73, 0.5, panels._clipped(text, 5, 40), ha="center", va="center", size=11, color=ORANGE,
        bbox={"facecolor": "white", "edgecolor": ORANGE, "pad": 6}, parse_math=False,
    )  # fmt: skip


def cross_entropy(seen: Seen, figure: Figure) -> None:
    """The loss while the target's logit grows, and the gradient of a small batch."""
    panels.frame(figure, seen, (11, 5.0))
    left, right = panels.parts(figure, 1, 2, width_ratios=(1, 1.15))
    axes = left.subplots()
    losses = seen.got.get("losses")
    panels.cross(axes)
    panels.curve(
        axes,
        seen.inputs["z"],
        torch.stack(seen.wanted["losses"]),
        torch.stack(losses) if losses is not None else None,
    )
    title(axes, "cross_entropy([[z, 1, −1]], [0])")
    shown = None if losses is None else torch.stack(losses)
    axes.set(
        xlabel=axes.get_xlabel() or "z, the logit of the target",
        ylim=_range(torch.stack(seen.wanted["losses"]), shown),
        xlim=(-10, 10),
    )
    axes.legend(frameon=False, loc="upper right", handlelength=3)
    if losses is None and absent(seen, "losses"):
        _note(axes, absent(seen, "losses"), height=0.3)
    huge = seen.wanted["huge"]
    words = f"logits times 1000: wanted {word(huge)}"
    if "huge" in seen.got:
        words += f", yours {word(seen.got['huge'])}"
    axes.text(0.97, 0.74, words, ha="right", transform=axes.transAxes, size=10, color=GREY)
    grid = right.subplots(3, 1)
    wanted = seen.wanted["gradient"]
    numbers(grid[0], seen.inputs["logits"], "logits; the target's is framed")
    for row, column in enumerate(seen.inputs["target"].tolist()):
        grid[0].add_patch(
            Rectangle((column, row), 1, 1, fill=False, edgecolor="#222222", linewidth=2.5, zorder=4)
        )
    numbers(grid[1], wanted, "wanted gradient: (softmax − onehot) / N", BLUE, decimals=3)
    if "gradient" in seen.got:
        got = seen.got["gradient"]
        numbers(grid[2], got, "gradient through yours", ORANGE, wrong_cells(got, wanted), decimals=3)
    else:
        empty(grid[2], absent(seen, "gradient"))
    for axes in grid:
        axes.set_aspect("auto")
