"""What the pictures are put together from: images, grids of numbers, curves, and text of a student's.

Readable on a projector and in print without colour: the Okabe-Ito palette, wanted always blue and solid, yours
always orange and dashed, and no meaning that colour alone carries.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from grader.outcomes import Outcome
from grader.show.look import Seen
from grader.terminal import clean

BLACK, GREY, LIGHT = "#222222", "#777777", "#e6e6e6"
BLUE, ORANGE = "#0072b2", "#d55e00"
PALE_BLUE, PALE_ORANGE = "#d3e7f3", "#fae0cf"
BROKEN = "#cc79a7"  # a pixel that is NaN or infinite

STYLE: dict[Any, Any] = {  # matplotlib's rcParams
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.5,
    "text.color": BLACK,
    "savefig.facecolor": "white",
}
WANTED: dict[str, Any] = {"color": BLUE, "linestyle": "-", "linewidth": 4.5, "alpha": 0.55, "label": "wanted"}
YOURS: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (3, 1.6)), "linewidth": 2.2, "label": "yours"}

_HEADINGS = {
    Outcome.PASSED: "✓ yours is what is wanted",
    Outcome.FAILED: "✗ yours is not what is wanted",
    Outcome.MISSING: "not written yet: this is what it should do",
    Outcome.ERROR: "✗ your code raises an error; this is what it should do",
    Outcome.TIMEOUT: "✗ your code took too long; this is what it should do",
    Outcome.MEMORY: "✗ your code took too much memory; this is what it should do",
    Outcome.CRASHED: "✗ your code ended its process; this is what it should do",
    Outcome.FORBIDDEN: "✗ your code uses the finished operation; this is what it should do",
}
_LINE = 105  # characters below a picture
_SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#ffffff", ORANGE]).with_extremes(bad=BROKEN)
_GREY = colormaps["gray"].with_extremes(bad=BROKEN)


def frame(figure: Figure, seen: Seen, size: tuple[float, float]) -> None:
    """Size in inches, the heading, and below the picture what is to be said of the student's result."""
    figure.set_size_inches(*size)
    figure.set_layout_engine("constrained", h_pad=0.07, hspace=0.05)
    heading = f"{seen.task}: {_HEADINGS[seen.outcome]}"
    figure.suptitle(heading, x=0.01, ha="left", weight="bold", size=13.5, parse_math=False)
    below = [] if seen.outcome is Outcome.MISSING else [_clipped(seen.message, 3)]
    if seen.location:
        below.append("at " + _clipped(seen.location.splitlines()[-2 if "\n" in seen.location else -1], 1))
    if seen.diagnosis:
        below.append(_clipped(f"likely: {seen.diagnosis}", 3))
    text = "\n".join(line for line in below if line)
    if text:
        figure.supxlabel(text, x=0.01, ha="left", size=11, parse_math=False)


def _clipped(text: str, lines: int, width: int = _LINE) -> str:
    """`text` without control characters, in so many lines."""
    shown = " ".join(clean(text).encode("utf-8", "replace").decode().split())
    return "\n".join(textwrap.wrap(shown, width, max_lines=lines, placeholder=" ...", break_long_words=True))


def parts(figure: Figure, rows: int, columns: int, **ratios: Any) -> list[SubFigure]:
    """Parts of a figure that are laid out each for itself."""
    return list(figure.subfigures(rows, columns, squeeze=False, **ratios).flat)


def title(axes: Axes, text: str, color: str = BLACK) -> None:
    axes.set_title(text, color=color, parse_math=False)


def bare(axes: Axes) -> None:
    """No ticks, a thin frame."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.8)


def empty(axes: Axes, text: str, heading: str = "yours", like: Tensor | None = None) -> None:
    """A panel with words in the place of a result. like: the image `(H, W)` that stands beside it."""
    title(axes, heading, ORANGE)
    bare(axes)
    if like is not None:
        axes.set_box_aspect(like.shape[0] / like.shape[1])
    axes.set_facecolor("#f7f7f7")
    # a panel holds some 9 characters an inch at this size
    inches = axes.get_window_extent().width / axes.figure.dpi
    width = max(14, int(9.5 * inches))
    words = axes.text(
        0.5, 0.5, _clipped(text, 9, min(width, 60)), ha="center", va="center", size=10,
        transform=axes.transAxes, parse_math=False,
    )  # fmt: skip
    words.set_in_layout(False)


def absent(seen: Seen, part: str) -> str:
    """Why `part` is not drawn: the words for its panel."""
    if seen.outcome is Outcome.MISSING:
        return "(your result will be here)"
    return seen.problems.get(part, "")


def image(axes: Axes, values: Tensor, low: float = 0.0, high: float = 1.0) -> None:
    """A grey image `(H, W)`; what is NaN or infinite is marked."""
    shown = values.detach().double()
    broken = ~torch.isfinite(shown)
    signed = low < 0
    axes.imshow(
        shown.masked_fill(broken, math.nan).numpy(),
        cmap=_SIGNED if signed else _GREY, vmin=-max(-low, high) if signed else low, vmax=max(-low, high) if signed else high,
        interpolation="nearest",
    )  # fmt: skip
    if bool(broken.any()):
        axes.set_xlabel(f"{int(broken.sum())} pixels are NaN or infinite", size=10)
    bare(axes)


def difference(axes: Axes, got: Tensor, wanted: Tensor, atol: float = 1e-5) -> None:
    """Yours less wanted as an image `(H, W)`: orange is too much, blue too little."""
    error = got.detach().double() - wanted.double()
    wrong = ~(error.abs() <= atol + 1e-4 * wanted.double().abs())
    largest = float(error.abs().nan_to_num(0.0, posinf=0.0).max())
    title(axes, "difference")
    span = largest if bool(wrong.any()) and largest > 0 else 1.0
    image(axes, error if bool(wrong.any()) else torch.zeros_like(error), -span, span)
    count = int(wrong.sum())
    words = f"{count} of {wrong.numel()} differ, by up to {largest:.3g}" if count else "none"
    axes.set_xlabel(words, size=9.5)


def trio(
    panels: Sequence[Axes], seen: Seen, part: str, low: float = 0.0, high: float = 1.0, pick: Any = None
) -> None:
    """Three panels: wanted, yours, difference. `pick` takes the image `(H, W)` out of the part."""
    pick = pick or (lambda value: value.reshape(value.shape[-2:]))
    wanted = pick(seen.wanted[part])
    title(panels[0], "wanted", BLUE)
    image(panels[0], wanted, low, high)
    if part not in seen.got:
        empty(panels[1], absent(seen, part), like=wanted)
        panels[2].set_axis_off()
        return
    got = pick(seen.got[part])
    title(panels[1], "yours", ORANGE)
    image(panels[1], got, low, high)
    difference(panels[2], got, wanted)


def numbers(
    axes: Axes,
    values: Tensor,
    heading: str,
    color: str = BLACK,
    wrong: Tensor | None = None,
    decimals: int | None = None,
) -> None:
    """A matrix `(rows, columns)` with its numbers; cells where `wrong` is true are framed, hatched and marked."""
    from matplotlib.patches import Rectangle

    rows, columns = values.shape
    title(axes, heading, color)
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    for i in range(rows):
        for j in range(columns):
            bad = wrong is not None and bool(wrong[i, j])
            axes.add_patch(
                Rectangle(
                    (j, i), 1, 1, facecolor=PALE_ORANGE if bad else "white", edgecolor=ORANGE if bad else GREY,
                    linewidth=2 if bad else 0.8, zorder=2 if bad else 1, clip_on=False,
                )
            )  # fmt: skip
            value = float(values[i, j])
            text = f"{value:.{decimals}f}" if decimals is not None and abs(value) < 1e4 else f"{value:.4g}"
            text = text.replace("-", "−") + ("✗" if bad else "")
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", size=10, zorder=3)


def wrong_cells(got: Tensor, wanted: Tensor, atol: float = 1e-5) -> Tensor:
    """Where two matrices differ by more than the tolerance."""
    return ~((got.double() - wanted.double()).abs() <= atol + 1e-4 * wanted.double().abs())


def curve(axes: Axes, x: Any, wanted: Any, got: Any | None) -> None:
    """The wanted curve, and yours above it where there is one."""
    axes.plot(x, wanted, **WANTED)
    if got is not None:
        values = torch.as_tensor(got).detach().double()
        axes.plot(x, torch.where(torch.isfinite(values), values, math.nan).numpy(), **YOURS)
        broken = int((~torch.isfinite(values)).sum())
        if broken:
            axes.set_xlabel(f"{broken} values of yours are NaN or infinite", color=ORANGE, size=10)


def cross(axes: Axes) -> None:
    """The two lines through the origin."""
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)


def word(value: Any, digits: int = 4) -> str:
    """A number as text."""
    value = float(value)
    return f"{value:.{digits}g}".replace("-", "−") if math.isfinite(value) else str(value)
