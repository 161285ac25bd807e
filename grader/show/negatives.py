"""Pictures of `transforms.py`: a negative beside its positive, statistics of a set, both kinds shuffled."""

from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from grader.checks.experiments import is_pair
from grader.show import panels
from grader.show.look import Seen
from grader.show.panels import BLUE, GREY, ORANGE, absent, empty, title, word


def invert(seen: Seen, figure: Figure) -> None:
    """The positive, the wanted negative and yours, each above its histogram."""
    panels.frame(figure, seen, (10, 5.6))
    grid = figure.subplots(2, 3, height_ratios=(1.6, 1))
    x, wanted = seen.inputs["x"][0], seen.wanted["negative"][0]
    got = seen.got.get("negative")
    columns: tuple[tuple[str, Tensor | None, str], ...] = (
        ("x", x, GREY),
        ("wanted: Invert()(x)", wanted, BLUE),
        ("yours", got[0] if got is not None else None, ORANGE),
    )
    for k, (name, values, color) in enumerate(columns):
        if values is None:
            empty(grid[0, k], absent(seen, "negative"))
            grid[1, k].set_axis_off()
            continue
        panels.image(grid[0, k], values)
        title(grid[0, k], name, "#222222" if k == 0 else color)
        _histogram(grid[1, k], values, color)
    grid[1, 0].set_ylabel("pixels")


def _histogram(axes: Axes, values: Tensor, color: str) -> None:
    flat = values.detach().double().flatten()
    flat = flat[torch.isfinite(flat)]
    axes.hist(flat.clamp(-0.02, 1.02).numpy(), bins=26, range=(-0.02, 1.02), color=color)
    deviation = float(flat.std(correction=0)) if len(flat) else float("nan")
    mean = float(flat.mean()) if len(flat) else float("nan")
    axes.set(xlim=(-0.03, 1.03), yticks=[])
    axes.set_xlabel(f"mean {mean:.3f}, deviation {deviation:.3f}", size=10.5)


def mean_and_std(seen: Seen, figure: Figure) -> None:
    """Some of the images, and each channel's histogram with mean and deviation."""
    panels.frame(figure, seen, (11, 5.0))
    images = seen.inputs["images"]
    left, right = panels.parts(figure, 1, 2, width_ratios=(1, 1.7))
    axes = left.subplots()
    sheet = torch.cat([torch.cat(list(images[4 * k : 4 * k + 4]), dim=2) for k in range(5)], dim=1)
    axes.imshow(sheet.permute(1, 2, 0).numpy())
    panels.bare(axes)
    title(axes, "images: 60 of 3 × 28 × 28, uint8")
    grid = right.subplots(3, 1, sharex=True)
    wanted = seen.wanted["(mean, std)"]
    got = seen.got.get("(mean, std)")
    for channel, axes in enumerate(grid):
        values = images[:, channel].double().flatten() / 255
        axes.hist(values.numpy(), bins=40, range=(0, 1), color="#dddddd")
        top = axes.get_ylim()[1]
        words = [_spread(axes, "wanted", wanted, channel, 0.45 * top)]
        if got is not None:
            words.append(_spread(axes, "yours", got, channel, 0.18 * top))
        axes.set(yticks=[], ylabel=f"channel {channel}", xlim=(-0.35, 1.05))
        axes.text(
            0.99, 0.97, "\n".join(words), ha="right", va="top", transform=axes.transAxes, size=10.5
        )  # fmt: skip
    grid[2].set_xlabel(
        "grey value, 0 to 1; the bars reach one deviation to both sides of the mean", size=10.5
    )
    if got is None and absent(seen, "(mean, std)"):
        grid[0].set_title(
            panels._clipped(f"yours: {absent(seen, '(mean, std)')}", 3, 70), color=ORANGE, parse_math=False
        )


def _spread(axes: Axes, whose: str, result: tuple[Tensor, Tensor], channel: int, height: float) -> str:
    """A bar from mean - deviation to mean + deviation where it is in the picture; its numbers as text."""
    mean, deviation = (float(values[channel]) for values in result)
    style: dict[str, Any] = (
        {"color": BLUE, "marker": "o", "linestyle": "-"}
        if whose == "wanted"
        else {"color": ORANGE, "marker": "s", "linestyle": (0, (3, 1.6))}
    )
    inside = all(-0.35 <= value <= 1.05 for value in (mean - deviation, mean, mean + deviation))
    if inside:
        axes.plot([mean - deviation, mean, mean + deviation], [height] * 3, linewidth=2.6, **style)
    beyond = "" if inside else " (beyond the picture)"
    return f"{whose}: mean {word(mean)}, deviation {word(deviation)}{beyond}"


def with_negatives(seen: Seen, figure: Figure) -> None:
    """What goes in, and the shuffled set that comes out, with labels; a wrong label is marked."""
    panels.frame(figure, seen, (11, 5.2))
    images, labels = seen.inputs["images"], seen.inputs["labels"]
    grid = figure.subplots(3, 12)
    for k, axes in enumerate(grid[0]):
        if k < len(images):
            _sample(axes, images[k, 0], str(int(labels[k])))
        else:
            axes.set_axis_off()
    grid[0, 0].set_ylabel("images")
    truth = _truth(images, labels)
    _row(grid[1], seen.wanted["result"], truth, "wanted", BLUE)
    result = seen.got.get("result")
    if result is not None and is_pair(result):
        _row(grid[2], result, truth, "yours", ORANGE)
    else:
        for axes in grid[2]:
            axes.set_axis_off()
        if absent(seen, "result"):
            figure.text(
                0.5, 0.3, panels._clipped(absent(seen, "result"), 4, 80), ha="center", va="top", color=ORANGE,
                parse_math=False,
            )  # fmt: skip
    words = grid[0, 6].text(
        0, 0.5, "the number above an image is its label;\nanother order than the wanted one is right, too",
        transform=grid[0, 6].transAxes, va="center", size=10.5, color="#222222",
    )  # fmt: skip
    words.set_in_layout(False)


def _truth(images: Tensor, labels: Tensor) -> list[tuple[Tensor, int]]:
    """Each image and each negative with its label."""
    both = [*images, *(1 - images)]
    return list(zip(both, [*labels.tolist(), *labels.tolist()], strict=True))


def _row(
    row: Any, result: tuple[Tensor, Tensor], truth: list[tuple[Tensor, int]], name: str, color: str
) -> None:
    images, labels = result
    for axes, shown, label in zip(row, images, labels.tolist(), strict=False):
        known = [right for image, right in truth if torch.allclose(shown, image, atol=1e-4)]
        wrong = not known or label not in known
        _sample(axes, shown[0], f"✗ {label}" if wrong else str(label), ORANGE if wrong else "#222222")
        if not known:
            axes.set_xlabel("neither", size=9)
    row[0].set_ylabel(name, color=color)


def _sample(axes: Axes, values: Tensor, label: str, color: str = "#222222") -> None:
    panels.image(axes, values)
    axes.set_title(label[:12], size=11, color=color, parse_math=False)
