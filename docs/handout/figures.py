"""Draws the handout's figures into `figures/`: `python docs/handout/figures.py`.

Made for a projector and for readers who cannot tell red from green: large type, the Okabe-Ito palette,
and no meaning that colour alone carries. The same matplotlib gives the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

FOLDER = Path(__file__).parent / "figures"

BLACK, GREY, LIGHT = "#222222", "#777777", "#e6e6e6"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
PALE_BLUE, PALE_ORANGE, PALE_GREEN = "#d3e7f3", "#fae0cf", "#d2efe6"

plt.rcParams.update(
    {
        "font.size": 14,
        "font.family": "DejaVu Sans",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 1.2,
        "lines.linewidth": 3,
        "text.color": BLACK,
        "svg.hashsalt": "lenet5-kit",  # ids that do not change from run to run
        "savefig.facecolor": "white",
    }
)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible set of axes, in units of inches from its lower left corner."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: object) -> None:
    """An arrow between two points."""
    defaults = {
        "arrowstyle": "-|>",
        "mutation_scale": 18,
        "linewidth": 2,
        "color": BLACK,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.add_patch(FancyArrowPatch(start, end, **{**defaults, **style}))


def grid(
    axes: Axes, values: np.ndarray, left: float, top: float, cell: float, colors: dict[tuple[int, int], str]
) -> None:
    """A table of numbers whose cells have the given colours, white elsewhere."""
    for (row, column), value in np.ndenumerate(values):
        corner = (left + column * cell, top - (row + 1) * cell)
        color = colors.get((row, column), "white")
        axes.add_patch(Rectangle(corner, cell, cell, facecolor=color, edgecolor=GREY, linewidth=1))
        axes.text(
            corner[0] + cell / 2,
            corner[1] + cell / 2,
            f"{value:d}".replace("-", "−"),
            ha="center",
            va="center",
            color="#555555" if color == LIGHT else BLACK,
            fontsize=14,
        )


def frame(
    axes: Axes, left: float, top: float, width: float, height: float, color: str, style: str = "-"
) -> None:
    """A thick empty rectangle, from its upper left corner."""
    axes.add_patch(
        Rectangle(
            (left, top - height),
            width,
            height,
            fill=False,
            edgecolor=color,
            linewidth=4,
            linestyle=style,
            zorder=3,
        )
    )


def window() -> Figure:
    """conv2d with stride 2 and padding 1: the example of the text."""
    image = np.array([[1, 2, 0, 1, 0], [0, 1, 3, 1, 2], [2, 0, 1, 0, 1], [1, 1, 0, 2, 0], [0, 2, 1, 0, 1]])
    kernel = np.array([[0, 1, 0], [1, -2, 1], [0, 0, 1]])
    padded = np.pad(image, 1)
    output = np.array(
        [
            [int((padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * kernel).sum()) for j in range(3)]
            for i in range(3)
        ]
    )
    figure, axes = canvas(11, 4.9)
    cell, top = 0.52, 4.25
    border = {(i, j): LIGHT for i in range(7) for j in range(7) if {i, j} & {0, 6}}
    grid(axes, padded, 0.3, top, cell, border)
    frame(axes, 0.3 + 2 * cell, top, 3 * cell, 3 * cell, ORANGE)
    frame(axes, 0.3 + 4 * cell + 0.03, top - 0.03, 3 * cell, 3 * cell, BLUE, (0, (2, 1)))
    arrow(axes, (0.3 + 3.5 * cell, top + 0.2), (0.3 + 5.5 * cell, top + 0.2))
    axes.text(0.3 + 5.7 * cell, top + 0.2, "stride 2", va="center")
    axes.text(0.3, top - 7 * cell - 0.3, "image 5 × 5 with padding 1 (grey zeros)", va="center")
    left = 5.0
    axes.text(left - 0.45, top - 1.5 * cell, "×", ha="center", va="center", fontsize=22)
    grid(axes, kernel, left, top, cell, {})
    axes.text(left + 1.5 * cell, top - 3 * cell - 0.3, "kernel 3 × 3", ha="center", va="center")
    arrow(axes, (left + 3 * cell + 0.25, top - 1.5 * cell), (left + 3 * cell + 1.15, top - 1.5 * cell))
    left = 8.3
    grid(axes, output, left, top, cell, {(0, 1): PALE_ORANGE, (0, 2): PALE_BLUE})
    frame(axes, left + cell, top, cell, cell, ORANGE)
    frame(axes, left + 2 * cell + 0.03, top, cell, cell, BLUE, (0, (2, 1)))
    axes.text(left + 1.5 * cell, top - 3 * cell - 0.3, "output 3 × 3", ha="center", va="center")
    used = padded[0:3, 2:5]
    products = zip(kernel.ravel(), used.ravel(), strict=True)
    terms = [
        f"{weight}·{value}" if weight > 0 else f"({weight})·{value}" for weight, value in products if weight
    ]
    axes.text(5.0, 1.45, "orange window:", color=ORANGE, weight="bold")
    axes.text(5.0, 1.0, f"{' + '.join(terms)} = {output[0, 1]}".replace("-", "−"))
    axes.text(5.0, 0.45, "(5 + 2·1 − 3) // 2 + 1 = 3 windows in each direction", color=BLACK)
    return figure


def pooling() -> Figure:
    """max_pool2d with windows of 2 x 2 on an image of 5 x 6."""
    image = np.array(
        [
            [3, 1, -2, -5, 0, 4],
            [0, 2, -1, -4, 1, 2],
            [-3, -6, 5, 0, 2, 2],
            [-2, -9, 1, 6, 0, 7],
            [8, 9, 8, 9, 9, 8],
        ]
    )
    output = image[:4].reshape(2, 2, 3, 2).max(axis=(1, 3))
    tints = [PALE_BLUE, PALE_ORANGE, PALE_GREEN]
    colors = {(i, j): tints[(i // 2 + j // 2) % 3] for i in range(4) for j in range(6)}
    colors |= {(4, j): LIGHT for j in range(6)}
    figure, axes = canvas(10, 4.1)
    cell, left, top = 0.58, 0.4, 3.8
    grid(axes, image, left, top, cell, colors)
    for i in range(2):
        for j in range(3):
            frame(axes, left + 2 * j * cell, top - 2 * i * cell, 2 * cell, 2 * cell, BLACK)
    axes.add_patch(
        Rectangle(
            (left, top - 5 * cell), 6 * cell, cell, fill=False, hatch="//", edgecolor="#bdbdbd", linewidth=0
        )
    )
    axes.text(left, top - 5 * cell - 0.3, "image 5 × 6, kernel_size 2", va="center")
    arrow(axes, (left + 6 * cell + 0.3, top - 2 * cell), (left + 6 * cell + 1.5, top - 2 * cell))
    axes.text(left + 6 * cell + 0.9, top - 2 * cell + 0.25, "max", ha="center")
    arrow(
        axes,
        (left + 6 * cell + 0.9, top - 4.5 * cell),
        (left + 6 * cell + 0.12, top - 4.5 * cell),
        color=GREY,
    )
    axes.text(
        left + 6 * cell + 1.0,
        top - 4.5 * cell,
        "no whole window fits here:\nthis row is dropped",
        va="center",
        color=BLACK,
    )
    right = left + 6 * cell + 2.0
    grid(
        axes,
        output,
        right,
        top - cell,
        cell,
        {(i, j): tints[(i + j) % 3] for i in range(2) for j in range(3)},
    )
    axes.text(right, top - cell + 0.2, "output 2 × 3")
    axes.text(
        right + 3 * cell + 0.25,
        top - cell - 1.5 * cell,
        "−2: all four\nare negative",
        va="center",
        color=BLACK,
    )
    return figure


def activations() -> Figure:
    """ReLU, leaky ReLU and ELU, and their slopes."""
    x = np.linspace(-5, 3, 801)
    below = x <= 0
    exponential = np.exp(np.minimum(x, 0))
    curves = [  # name, value, slope, colour, line style
        ("relu", np.maximum(x, 0), np.where(below, 0, 1.0), BLACK, "-"),
        ("leaky_relu, slope 0.2", np.where(below, 0.2 * x, x), np.where(below, 0.2, 1.0), ORANGE, "--"),
        ("elu, alpha 1", np.where(below, exponential - 1, x), np.where(below, exponential, 1.0), BLUE, ":"),
    ]
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15)
    for name, value, slope, color, style in curves:
        panels[0].plot(x, value, style, color=color, label=name)
        for side in (below, ~below):
            panels[1].plot(x[side], slope[side], style, color=color)
    panels[0].set(title="value", xlabel="x", ylim=(-1.3, 3.1))
    panels[1].set(title="slope", xlabel="x", ylim=(-0.1, 1.2))
    panels[0].legend(frameon=False, loc="upper left", handlelength=2.6, fontsize=13)
    for panel in panels:
        panel.axhline(0, color=GREY, linewidth=1, zorder=0)
        panel.axvline(0, color=GREY, linewidth=1, zorder=0)
    return figure


def loss() -> Figure:
    """From logits to probabilities to the loss: the example of the text."""
    logits = np.array([2.0, 1.0, -1.0])
    probabilities = np.exp(logits) / np.exp(logits).sum()
    figure, panels = plt.subplots(1, 3, figsize=(11, 4.1), layout="constrained", width_ratios=(1, 1, 1.25))
    for panel, values, title in ((panels[0], logits, "logits"), (panels[1], probabilities, "softmax")):
        bars = panel.bar(range(3), values, color=[LIGHT, PALE_ORANGE, LIGHT], edgecolor=BLACK, linewidth=1.5)
        bars[1].set_hatch("//")
        panel.axhline(0, color=BLACK, linewidth=1.2)
        for index, value in enumerate(values):
            text = f"{value:.3f}" if title == "softmax" else f"{value:g}"
            space = 3 if value >= 0 else -3
            panel.annotate(
                text.replace("-", "−"), (index, value), (0, space), textcoords="offset points",
                ha="center", va="bottom" if value >= 0 else "top",
            )  # fmt: skip
        panel.set(
            title=title, xticks=range(3), xticklabels=["class 0", "class 1\n(target)", "class 2"], yticks=[]
        )
        panel.spines[["left", "bottom"]].set_visible(False)
        panel.tick_params(bottom=False)
        panel.margins(y=0.15)
    p = np.linspace(0.01, 1, 400)
    panels[2].plot(p, -np.log(p), color=BLUE)
    right = probabilities[1]
    panels[2].plot([right], [-np.log(right)], "o", color=ORANGE, markersize=11)
    panels[2].annotate(
        f"−log {right:.3f} = {-np.log(right):.3f}", (right, -np.log(right)), (right + 0.1, 2.4),
        arrowprops={"arrowstyle": "->", "color": BLACK}, va="center",
    )  # fmt: skip
    panels[2].set(
        title="loss of one sample", xlabel="probability of the target", ylim=(0, 4.7), xlim=(0, 1.02)
    )
    return figure


def lenet() -> Figure:
    """The layers of LeNet-5 and the shapes between them, for one channel of 28 x 28."""
    figure, axes = canvas(13.7, 4.9)
    maps = [  # left edge, channels, shape, drawn side, in inches
        (0.35, 1, "1 × 28 × 28", 1.55),
        (2.95, 6, "6 × 24 × 24", 1.35),
        (5.65, 6, "6 × 12 × 12", 0.8),
        (7.75, 16, "16 × 8 × 8", 0.6),
        (9.65, 16, "16 × 4 × 4", 0.38),
    ]
    middle, steps_at = 2.5, 4.0
    edges = []
    for left, channels, shape, side in maps:
        shown = min(channels, 6)
        for index in range(shown):
            shift = 0.07 * (shown - 1 - index)
            color = PALE_BLUE if channels > 1 else LIGHT
            corner = (left + shift, middle - side / 2 + shift)
            axes.add_patch(Rectangle(corner, side, side, facecolor=color, edgecolor=BLACK, linewidth=1.2))
        edges.append((left, left + side + 0.07 * (shown - 1)))
        axes.text(left + side / 2, middle - side / 2 - 0.3, shape, ha="center", va="center")
    for left, size, height in ((11.35, 120, 2.1), (12.25, 84, 1.6), (13.15, 10, 0.8)):
        axes.add_patch(
            Rectangle(
                (left, middle - height / 2),
                0.24,
                height,
                facecolor=PALE_ORANGE,
                edgecolor=BLACK,
                linewidth=1.2,
            )
        )
        axes.text(left + 0.12, middle - height / 2 - 0.3, str(size), ha="center", va="center", fontsize=16)
        edges.append((left, left + 0.24))
    steps = [
        "conv1 5 × 5\nReLU",
        "max pool 2",
        "conv2 5 × 5\nReLU",
        "max pool 2",
        "flatten, fc1\nReLU",
        "fc2\nReLU",
        "fc3",
    ]
    for (_, start), (end, _), step in zip(edges, edges[1:], steps, strict=False):
        arrow(axes, (start + 0.06, middle), (end - 0.06, middle))
        axes.text((start + end) / 2, steps_at, step, ha="center", va="bottom", fontsize=16)
    axes.text(1.12, steps_at, "image", ha="center", va="bottom", fontsize=16)
    axes.text(13.27, 1.5, "logits", ha="center", va="center", fontsize=16)
    axes.text(
        6.85, 0.5,
        "parameters: conv1 156, conv2 2,416, fc1 30,840, fc2 10,164, fc3 850; together 44,426",
        ha="center", va="center",
    )  # fmt: skip
    return figure


def digit() -> np.ndarray:
    """A hand-sized 5 of 28 x 28 pixels, white on black, values 0 to 1."""
    figure = Figure(figsize=(0.28, 0.28), dpi=100, facecolor="black")
    figure.text(0.5, 0.5, "5", color="white", fontsize=18, ha="center", va="center_baseline")
    drawing = FigureCanvasAgg(figure)
    drawing.draw()
    return np.asarray(drawing.buffer_rgba())[..., 0] / 255


def negative() -> Figure:
    """A digit and its negative, and how often each grey value occurs in them."""
    image = digit()
    figure, panels = plt.subplots(2, 2, figsize=(10, 5.6), layout="constrained", width_ratios=(1, 2))
    for row, (values, title, color) in enumerate(((image, "x", BLUE), (1 - image, "1 − x", ORANGE))):
        panels[row, 0].imshow(values, cmap="gray", vmin=0, vmax=1)
        panels[row, 0].set(title=title, xticks=[], yticks=[])
        panels[row, 0].spines[:].set_visible(True)
        panels[row, 1].hist(values.ravel(), bins=20, range=(0, 1), color=color, edgecolor="white")
        panels[row, 1].set(ylabel="pixels", xlim=(-0.02, 1.02), ylim=(0, 784))
        panels[row, 1].axvline(values.mean(), color=BLACK, linestyle="--", linewidth=2)
        side = 1 if row == 0 else -1
        panels[row, 1].text(
            values.mean() + side * 0.03, 600, f"mean {values.mean():.3f}\ndeviation {values.std():.3f}",
            ha="left" if side > 0 else "right", va="center",
        )  # fmt: skip
    panels[1, 1].set_xlabel("grey value: 0 black, 1 white")
    return figure


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, color: str) -> None:
    """A rounded box around its centre, with text in it."""
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height,
            boxstyle="round,pad=0,rounding_size=0.12", facecolor=color, edgecolor=BLACK, linewidth=1.5,
        )
    )  # fmt: skip
    axes.text(x, y, text, ha="center", va="center")


def training() -> Figure:
    """What `train_epoch` does for each batch, and `fit` for each epoch."""
    figure, axes = canvas(12, 6.6)
    axes.add_patch(
        Rectangle(
            (0.25, 2.55), 11.5, 3.85, facecolor="#f7f7f7", edgecolor=GREY, linestyle="--", linewidth=1.5
        )
    )
    axes.text(0.45, 6.1, "train_epoch: for each batch", va="center", weight="bold")
    places = [1.5, 4.15, 6.9, 9.85]
    forward = ["batch", "model", "logits", "cross_entropy"]
    for x, name, width in zip(places, forward, (1.5, 1.7, 1.5, 2.3), strict=True):
        box(axes, x, 4.95, width, 0.75, name, PALE_BLUE)
    halves = (0.75, 0.85, 0.75, 1.15)
    for k in range(3):
        arrow(axes, (places[k] + halves[k], 5.05), (places[k + 1] - halves[k + 1], 5.05), color=BLUE)
    for k in (1, 2):
        arrow(
            axes,
            (places[k + 1] - halves[k + 1], 4.8),
            (places[k] + halves[k], 4.8),
            color=ORANGE,
            linestyle=(0, (4, 2)),
        )
    axes.text(2.7, 5.55, "forward", color=BLUE, ha="center", weight="bold")
    axes.text(8.2, 4.35, "backward", color=ORANGE, ha="center", weight="bold")
    box(axes, 4.15, 3.2, 2.5, 0.75, "gradients", PALE_ORANGE)
    arrow(axes, (4.15, 4.57), (4.15, 3.59), color=ORANGE, linestyle=(0, (4, 2)))
    box(axes, 7.9, 3.2, 2.9, 0.75, "optimizer step", PALE_GREEN)
    arrow(axes, (5.42, 3.2), (6.43, 3.2))
    box(axes, 1.5, 3.2, 1.5, 0.75, "clear to 0", "white")
    arrow(axes, (2.27, 3.2), (2.88, 3.2))
    axes.text(10.55, 3.2, "new weights,\nnext batch", ha="center", va="center")
    arrow(axes, (9.37, 3.2), (9.7, 3.2))
    axes.text(0.45, 2.15, "fit: for each epoch", va="center", weight="bold")
    for x, name, width, color in (
        (1.65, "train_epoch", 2.2, "#f7f7f7"),
        (4.45, "evaluate", 1.9, PALE_BLUE),
        (7.0, "on_epoch", 1.9, "white"),
    ):
        box(axes, x, 1.2, width, 0.75, name, color)
    diamond = [(8.35, 1.2), (9.6, 1.95), (10.85, 1.2), (9.6, 0.45)]
    axes.add_patch(Polygon(diamond, facecolor=PALE_GREEN, edgecolor=BLACK, linewidth=1.5))
    axes.text(9.6, 1.2, "target\nreached?", ha="center", va="center", fontsize=13)
    arrow(axes, (2.77, 1.2), (3.48, 1.2))
    arrow(axes, (5.42, 1.2), (6.03, 1.2))
    arrow(axes, (7.97, 1.2), (8.33, 1.2))
    arrow(axes, (10.87, 1.2), (11.3, 1.2))
    axes.text(11.35, 1.2, "stop", va="center")
    axes.text(11.05, 1.42, "yes", ha="center", fontsize=12)
    axes.plot([9.6, 9.6, 1.65], [0.43, 0.2, 0.2], color=BLACK, linewidth=2, solid_joinstyle="miter")
    arrow(axes, (1.65, 0.19), (1.65, 0.8))
    axes.text(9.75, 0.25, "no", fontsize=12, va="center")
    return figure


FIGURES = {
    "window": window,
    "pooling": pooling,
    "activations": activations,
    "loss": loss,
    "lenet": lenet,
    "negative": negative,
    "training": training,
}


def main(names: Sequence[str] = tuple(FIGURES), suffix: str = "svg", folder: Path = FOLDER) -> None:
    """Draw the named figures."""
    folder.mkdir(exist_ok=True)
    for name in names:
        figure = FIGURES[name]()
        figure.savefig(
            folder / f"{name}.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=80
        )
        plt.close(figure)


if __name__ == "__main__":
    main()
