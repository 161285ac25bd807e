"""The figures of a reproduction, by matplotlib, each as PNG and SVG.

For a projector: large type, thick lines, white ground. For colour-blind readers: the colours of Okabe and Ito
("Color Universal Design", 2008), and a line style or marker of its own for each curve.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import datasets
from datasets import Dataset
from grader.reproduce.checkpoint import EpochResult, RunState
from grader.reproduce.experiments import EXPERIMENTS, Images
from grader.reproduce.images import SIZE, ImageSet, images_for, of_kind, source
from grader.reproduce.images import statistics as image_statistics
from grader.reproduce.package import Package, logits_of
from grader.reproduce.summary import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_NEAR, _MARGIN = 10, 5  # points of accuracy: curves that end so near are enlarged, with so much below them
_STYLE: Any = {
    "font.size": 14,
    "axes.titlesize": 16,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "savefig.bbox": "tight",
    "svg.fonttype": "path",
    "svg.hashsalt": "lenet5-kit",
}


@dataclass(frozen=True)
class Picture:
    """A figure in the folder of results; `caption` says what is to be seen."""

    experiment: str
    name: str
    caption: str


def draw(
    found: Mapping[str, Sequence[Group]], folder: Path, data_dir: str | None, package: Package
) -> list[Picture]:
    """Draw every figure for which there are runs into `folder`, as NAME.png and NAME.svg."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Picture] = []

    def keep(figure: "Figure", experiment: str, name: str, caption: str) -> None:
        figure.savefig(folder / f"{name}.png", dpi=100)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        pictures.append(Picture(experiment, name, caption))

    with plt.rc_context(_STYLE):
        for name in ("mnist", "fashion-mnist", "cifar10"):
            if name in found:
                _data_set(name, found[name], data_dir, package, keep)
        if "negatives" in found:
            _negatives(found["negatives"], data_dir, package, keep)
        if "remedies" in found:
            _remedies(found["remedies"], keep)
    return pictures


Keep = Callable[["Figure", str, str, str], None]


# -- curves -----------------------------------------------------------------------------------------------


def _data_set(name: str, groups: Sequence[Group], data_dir: str | None, package: Package, keep: Keep) -> None:
    title = EXPERIMENTS[name].title
    if groups[0].run.dataset == "drawn_digits":
        title = f"{title}'s settings on drawn digits"
    target = groups[0].run.target
    for split, word in (("train", "training"), ("test", "test")):
        figure, axes = _axes()
        for index, group in enumerate(groups):
            _curve(axes, group, index, partial(_accuracy, split=split))
        shown = [_accuracy(epoch, split) for epoch in _epochs(groups)]
        if target is not None and split == "test":
            # named in the key: a label beside the line would lie on the curves that end there
            axes.axhline(100 * target, color="#555555", linewidth=1.5, label=f"target {100 * target:g} %")
            shown.append(100 * target)
        ends = [_accuracy(state.history[-1], split) for group in groups for state in group.states]
        bottom, top = span(shown, ends, 50 if name == "cifar10" else 90)
        axes.set_ylim(bottom, top)
        below = min(shown) < bottom
        if below:
            axes.set_ylabel(f"accuracy (%), from {bottom:g} up")
        axes.set_title(f"{title}: {word} accuracy")
        _key(axes)
        of = "median of the seeds, all seeds within the band" if _many(groups) else "one seed"
        caption = f"{title}: {word} accuracy after each epoch ({of})."
        if below:
            caption += f" Epochs below {bottom:g} % are not shown."
        keep(figure, name, f"{name}-{split}", caption)
    best = min(groups, key=lambda group: (group.median, -group.best))
    state = best.states[0]
    run = best.run
    images = images_for(run.dataset, run.trained_on, run.tested_on, data_dir)
    logits = predict(package, state, images.tests[0])
    confusion = torch.zeros(len(images.classes), len(images.classes), dtype=torch.int64)
    labels = images.tests[0].split.labels
    confusion.index_put_((labels, logits.argmax(1)), torch.ones_like(labels), accumulate=True)
    keep(
        _confusion(confusion, images.classes, f"{title}: {run.setting}"),
        name,
        f"{name}-confusion",
        f"{title}: what the network of {run.setting}, seed {run.seed}, takes each class for, in test images.",
    )
    keep(
        _filters(state.model["conv1.weight"], f"{title}: first-layer filters"),
        name,
        f"{name}-filters",
        f"{title}: the six 5 x 5 filters of the first convolution ({run.setting}, seed {run.seed}); "
        + ("grey is 0." if run.dataset != "cifar10" else "each scaled to its own range of colours."),
    )


def _accuracy(epoch: EpochResult, split: str, at: int = 0) -> float:
    return 100 * (epoch.train_accuracy if split == "train" else epoch.test_accuracy[at])


def _axes(width: float = 9.6, height: float = 5.4) -> tuple["Figure", "Axes"]:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, axes = plt.subplots(figsize=(width, height))
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _curve(
    axes: "Axes", group: Group, index: int, value: Callable[[EpochResult], float], label: str | None = None
) -> None:
    """The median over the seeds, up to where the first of them ended, within a band of all."""
    rows = [[value(epoch) for epoch in state.history] for state in group.states]
    length = max(map(len, rows)) if len(rows) == 1 else sorted(map(len, rows))[len(rows) // 2]
    columns = [sorted(row[at] for row in rows if at < len(row)) for at in range(length)]
    epochs = range(1, length + 1)
    colour, style = COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)]
    axes.plot(
        epochs,
        [column[len(column) // 2] for column in columns],
        color=colour,
        linestyle=style,
        marker=MARKERS[index % len(MARKERS)],
        markevery=max(1, length // 8),
        markersize=7,
        label=label or group.run.label,
    )
    if len(rows) > 1:
        axes.fill_between(
            epochs,
            [column[0] for column in columns],
            [column[-1] for column in columns],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )


def span(shown: Sequence[float], ends: Sequence[float], enlarged: int) -> tuple[float, float]:
    """The lowest and the highest accuracy of the axis, in percent: all that is `shown`, with a margin.

    Where all curves end near `enlarged` or above, the axis begins there, or at a whole number below the last
    end: how they differ is seen at their ends, and the first epochs would take most of the room.
    """
    top = min(100.0, max(shown) + 1)
    if min(ends) >= enlarged - _NEAR:
        low = min(enlarged, math.floor(min(ends)) - _MARGIN)
        if min(shown) < low:
            return low, top
    return max(0.0, math.floor(min(shown)) - 1), top


def _epochs(groups: Sequence[Group]) -> list[EpochResult]:
    return [epoch for group in groups for state in group.states for epoch in state.history]


def _key(axes: "Axes") -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _many(groups: Sequence[Group]) -> bool:
    return any(len(group.states) > 1 for group in groups)


# -- what a network has learnt ----------------------------------------------------------------------------


def predict(package: Package, state: RunState, images: ImageSet) -> Tensor:
    """Logits `(N, classes)` of images, by the package's network with the state's parameters."""
    _, channels, size, _ = images.split.images.shape
    model = package.model(state.run.seed, channels, size)
    model.load_state_dict(dict(state.model))
    return logits_of(model, images.normalised(), torch.device("cpu"))


def _confusion(counts: Tensor, classes: Sequence[str], title: str) -> "Figure":
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.4, 7.2))
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            count = int(counts[row, column])
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=11)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(f"{title}: {100 * float(counts.trace() / counts.sum()):.2f} % right")
    axes.grid(False)
    return figure


def _filters(weight: Tensor, title: str) -> "Figure":
    import matplotlib.pyplot as plt

    figure, row = plt.subplots(1, len(weight), figsize=(2 * len(weight), 2.6))
    limit = float(weight.abs().max())
    for axes, kernel in zip(row, weight, strict=True):
        if len(kernel) == 3:
            low, high = kernel.amin(), kernel.amax()
            axes.imshow(((kernel - low) / (high - low)).permute(1, 2, 0))
        else:
            axes.imshow(kernel[0], cmap="gray", vmin=-limit, vmax=limit)
        _bare(axes)
    figure.suptitle(title, y=1.02)
    return figure


def _bare(axes: "Axes") -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


# -- negative images --------------------------------------------------------------------------------------


def _negatives(groups: Sequence[Group], data_dir: str | None, package: Package, keep: Keep) -> None:
    run = groups[0].run
    unpadded = source(run.dataset, data_dir)
    keep(
        _sample(unpadded),
        "negatives",
        "negatives-sample",
        "The first training image and its negative, with the histograms of both sets' pixels; mean and deviation "
        "are those of all training images before padding.",
    )
    figure, (upper, lower) = _negatives_axes()
    index = 0
    for group in groups:
        for at, images in enumerate(group.run.tested_on):
            label = f"{group.run.label}:\n{images} test images"
            for axes in (upper, lower):
                _curve(axes, group, index, partial(_accuracy, split="test", at=at), label)
            index += 1
    ends = [_accuracy(state.history[-1], "test") for group in groups for state in group.states]
    highest = max(100 * accuracy for epoch in _epochs(groups) for accuracy in epoch.test_accuracy)
    upper.set_ylim(min(ends) - 2, min(100.0, highest + 0.5))
    lower.set_ylim(0, 101)
    upper.set_title("Accuracy on positive, negative and combined test images")
    _key(upper)
    keep(figure, "negatives", "negatives-curves", "Test accuracy after each epoch on each kind of image.")
    states = {group.run.trained_on: group.states[0] for group in groups}
    if Images.POSITIVE in states:
        figure = _predictions(states, data_dir, package)
        keep(
            figure,
            "negatives",
            "negatives-predictions",
            "Ten negative test images, one a class, with what each network takes them for and how sure it is "
            "(wrong ones in brackets).",
        )


def _negatives_axes() -> tuple["Figure", Sequence["Axes"]]:
    """Two views of the same curves: near the top, and from 0 on."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, both = plt.subplots(2, 1, figsize=(9.6, 8), sharex=True)
    both[0].set_ylabel("accuracy (%), enlarged")
    both[1].set_ylabel("accuracy (%)")
    both[1].set_xlabel("epoch")
    both[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, both


def _sample(unpadded: Dataset) -> "Figure":
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(2, 2, figsize=(9.6, 6.4), width_ratios=(1, 2))
    for row, images in zip(grid, (Images.POSITIVE, Images.NEGATIVE), strict=True):
        pixels = of_kind(unpadded, images).train.images
        numbers = image_statistics(pixels)
        padded = of_kind(datasets.pad(unpadded, SIZE), images)
        row[0].imshow(padded.train.images[0, 0], cmap="gray", vmin=0, vmax=255)
        _bare(row[0])
        row[0].set_ylabel(images)
        counts = torch.bincount(pixels.flatten(), minlength=256).view(32, 8).sum(dim=1) / pixels.numel()
        row[1].bar(
            [8 * i / 255 for i in range(32)], 100 * counts, width=8 / 255, align="edge", color=COLOURS[0]
        )
        row[1].set_yscale("log")
        row[1].set_ylabel("pixels (%)")
        row[1].set_title(
            f"mean {float(numbers.mean[0]):.4f}, deviation {float(numbers.std[0]):.4f}", fontsize=14
        )
    grid[1][1].set_xlabel("value, 0 black to 1 white")
    figure.tight_layout()
    return figure


def _predictions(states: Mapping[Images, RunState], data_dir: str | None, package: Package) -> "Figure":
    import matplotlib.pyplot as plt

    run = states[Images.POSITIVE].run
    images = images_for(run.dataset, Images.NEGATIVE, (Images.NEGATIVE,), data_dir).tests[0]
    labels = images.split.labels
    chosen = torch.stack([(labels == digit).nonzero()[0, 0] for digit in range(10)])
    figure, grid = plt.subplots(2, 5, figsize=(12, 6.2))
    answers = []
    for trained_on, word in ((Images.POSITIVE, "positives"), (Images.COMBINED, "both")):
        if trained_on in states:
            test = images_for(run.dataset, trained_on, (Images.NEGATIVE,), data_dir).tests[0]
            few = ImageSet(datasets.Split(test.split.images[chosen], labels[chosen]), test.statistics)
            answers.append((word, predict(package, states[trained_on], few).softmax(1).max(1)))
    for at, axes in enumerate(grid.flat):
        axes.imshow(images.split.images[chosen[at], 0], cmap="gray", vmin=0, vmax=255)
        _bare(axes)
        lines = []
        for word, (sure, digit) in answers:
            answer = f"{int(digit[at])}, {100 * float(sure[at]):.0f} %"
            lines.append(f"{word}: " + (answer if int(digit[at]) == at else f"({answer})"))
        axes.set_title("\n".join(lines), fontsize=13)
    figure.suptitle("Negatives, as networks trained on positives and on both see them")
    figure.tight_layout()
    return figure


# -- remedies ---------------------------------------------------------------------------------------------


def _remedies(groups: Sequence[Group], keep: Keep) -> None:
    for split, word in (("train", "training"), ("test", "test")):
        figure, axes = _axes()
        for index, group in enumerate(groups):
            _curve(axes, group, index, partial(_accuracy, split=split))
        axes.set_title(f"Remedies against overfitting: {word} accuracy")
        _key(axes)
        keep(
            figure,
            "remedies",
            f"remedies-{split}",
            f"Remedies, each against the plain run: {word} accuracy after each epoch.",
        )
