"""Pictures of `lenet.py` and `training.py`: feature maps and logits, learnt weights, curves, confusion."""

import math
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from grader.show import panels
from grader.show.examples import CLASSES, EPOCHS, RATE, TARGET
from grader.show.layers import _bars
from grader.show.look import Seen
from grader.show.panels import BLUE, GREY, ORANGE, absent, empty, title, word


def lenet5(seen: Seen, figure: Figure) -> None:
    """A digit's six feature maps after conv1, and its logits, with the same weights in both networks."""
    panels.frame(figure, seen, (11, 6.4))
    top, bottom = panels.parts(figure, 2, 1, height_ratios=(1.25, 1))
    grid = top.subplots(2, 7)
    panels.image(grid[0, 0], seen.inputs["x"][0, 0])
    title(grid[0, 0], "x")
    grid[1, 0].set_axis_off()
    maps = seen.wanted["conv1"][0]
    high = float(maps.abs().max())
    for k in range(6):
        panels.image(grid[0, k + 1], maps[k], -high, high)
        if "conv1" in seen.got:
            panels.image(grid[1, k + 1], seen.got["conv1"][0, k], -high, high)
        elif k:
            grid[1, k + 1].set_axis_off()
    title(grid[0, 1], "wanted conv1(x)", BLUE)
    if "conv1" in seen.got:
        title(grid[1, 1], "yours", ORANGE)
    elif absent(seen, "conv1"):
        empty(grid[1, 1], absent(seen, "conv1"))
    left, right = bottom.subplots(1, 2, width_ratios=(1.3, 1))
    got = seen.got.get("logits")
    _bars(left, seen.wanted["logits"][0], got[0] if got is not None else None)
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set(xticks=range(CLASSES))
    title(left, "logits (weights are given, not learnt)")
    left.legend(frameon=False, loc="best")
    if got is None and absent(seen, "logits"):
        left.set_xlabel(panels._clipped(f"yours: {absent(seen, 'logits')}", 2, 60), parse_math=False)
    _shapes(right, seen)


def _shapes(axes: Axes, seen: Seen) -> None:
    """The table of parameters: wanted, and yours where it differs."""
    axes.set_axis_off()
    title(axes, "parameters")
    wanted, got = seen.wanted["shapes"], seen.raw.get("shapes")
    lines = []
    for name, shape in wanted.items():
        line = f"{name:<13}{_shape(shape):<16}"
        if isinstance(got, dict):
            line += "✓" if got.get(name) == shape else f"✗ {_shape(got[name]) if name in got else 'missing'}"
        lines.append(line)
    total = sum(torch.Size(shape).numel() for shape in wanted.values())
    lines.append(f"{'together':<13}{total:,}")
    axes.text(
        0.0, 1.0, "\n".join(lines), va="top", size=9.5, family="DejaVu Sans Mono", transform=axes.transAxes,
        parse_math=False,
    )  # fmt: skip


def _shape(shape: Any) -> str:
    return "×".join(str(size) for size in shape)[:14] if isinstance(shape, list) else "?"


def train_epoch(seen: Seen, figure: Figure) -> None:
    """What a matrix has learnt of the digits in one epoch, class by class."""
    panels.frame(figure, seen, (11, 4.9))
    grid = figure.subplots(3, CLASSES)
    wanted = seen.wanted["weights"]["weight"].unflatten(1, (14, 14))
    high = float(wanted.abs().max())
    got = seen.got["weights"]["weight"].unflatten(1, (14, 14)) if "weights" in seen.got else None
    for label in range(CLASSES):
        title(grid[0, label], str(label))
        panels.image(grid[0, label], wanted[label], -high, high)
        if got is not None:
            panels.image(grid[1, label], got[label], -high, high)
            error = got[label] - wanted[label]
            same = bool((error.abs() <= 2e-4).all())
            panels.image(grid[2, label], torch.zeros_like(error) if same else error, -high, high)
            grid[2, label].set_xlabel("none" if same else f"{float(error.abs().max()):.2g}", size=10)
        else:
            grid[1, label].set_axis_off()
            grid[2, label].set_axis_off()
    grid[0, 0].set_ylabel("wanted", color=BLUE, size=11)
    if got is not None:
        grid[1, 0].set_ylabel("yours", color=ORANGE, size=11)
        grid[2, 0].set_ylabel("difference", size=11)
    elif absent(seen, "weights"):
        figure.text(
            0.5, 0.42, panels._clipped(absent(seen, "weights"), 5, 70), ha="center", va="center",
            color=ORANGE, parse_math=False,
        )  # fmt: skip
    loss, accuracy = seen.wanted["(loss, accuracy)"]
    sizes = seen.inputs["sizes"]
    words = f"weights of each digit after one epoch: {len(sizes)} batches of {sizes[0]}, the last one of {sizes[-1]}\n"
    words += f"wanted: loss {loss:.4f}, accuracy {accuracy:.4f}"
    if "(loss, accuracy)" in seen.got:
        words += "     yours: loss {}, accuracy {}".format(*map(word, seen.got["(loss, accuracy)"]))
    _beneath(figure, words)


def _beneath(figure: Figure, words: str) -> None:
    """`words` above what is already said below the picture."""
    said = figure.get_supxlabel()
    figure.supxlabel(f"{words}\n{said}" if said else words, x=0.01, ha="left", size=11, parse_math=False)


def evaluate(seen: Seen, figure: Figure) -> None:
    """The confusion matrix of a given network, and its accuracy over uneven batches."""
    panels.frame(figure, seen, (10.5, 5.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    predicted, labels = seen.inputs["predicted"], seen.inputs["labels"]
    confusion(left, predicted, labels)
    title(left, f"a given network: {int((predicted == labels).sum())} of {len(labels)} right")
    start = 0.0
    for size, share in zip(seen.inputs["sizes"], seen.inputs["shares"], strict=True):
        right.bar(start, share, size, align="edge", color="#d3e7f3", edgecolor=GREY)
        right.text(start + size / 2, 0.02, f"{size}\nimages", ha="center", va="bottom", size=10)
        start += size
    wanted = seen.wanted["accuracy"]
    right.axhline(wanted, **{**panels.WANTED, "label": f"wanted {word(wanted)}"})
    got = seen.got.get("accuracy")
    if got is not None and math.isfinite(got):
        right.axhline(got, **{**panels.YOURS, "label": f"yours {word(got)}"})
        if not 0 <= got <= 1:
            right.axhline(1.0, alpha=0, label="(beyond the picture)")
    elif absent(seen, "accuracy"):
        right.set_xlabel(panels._clipped(f"yours: {absent(seen, 'accuracy')}", 4, 44), parse_math=False)
    right.set(ylim=(0, 1), xlim=(0, start), xticks=[], ylabel="accuracy")
    title(right, "share of right answers by batch, and over all")
    right.legend(frameon=True, loc="upper right")


def confusion(axes: Axes, predicted: Tensor, labels: Tensor) -> None:
    """How often each label was taken for each class, with the counts."""
    counts = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    counts.index_put_((labels, predicted.clamp(0, CLASSES - 1)), torch.tensor(1), accumulate=True)
    top = max(1, int(counts.max())) * 1.25
    axes.imshow(counts.numpy(), cmap="Blues", vmin=0, vmax=top)
    for i, j in counts.nonzero().tolist():
        axes.text(
            j, i, str(int(counts[i, j])), ha="center", va="center", size=9.5,
            weight="bold" if i == j else "normal", color="white" if counts[i, j] > 0.55 * top else "#222222",
        )  # fmt: skip
    axes.set(xticks=range(CLASSES), yticks=range(CLASSES), xlabel="predicted", ylabel="label")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.8)


def fit(seen: Seen, figure: Figure) -> None:
    """The curves of a short training run with its target, and the confusion of the network it made."""
    panels.frame(figure, seen, (11, 5.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    wanted = seen.wanted["test_accuracy"]
    left.axhline(TARGET, color="#222222", linestyle=":", linewidth=1.6)
    left.text(EPOCHS + 0.4, TARGET + 0.012, f"target_accuracy={TARGET:g}", size=10, ha="right", va="bottom")
    left.plot(range(1, len(wanted) + 1), wanted, marker="o", **panels.WANTED)
    got = _accuracies(seen.raw.get("test_accuracy"))
    if got:
        left.plot(range(1, len(got) + 1), got, marker="s", **panels.YOURS)
    elif absent(seen, "test_accuracy"):
        left.set_xlabel(panels._clipped(f"yours: {absent(seen, 'test_accuracy')}", 4, 60), parse_math=False)
    left.set(ylim=(0, 1.02), xlim=(0.5, EPOCHS + 0.5), ylabel="test accuracy", xticks=range(1, EPOCHS + 1, 2))
    left.set_xlabel(left.get_xlabel() or "epoch")
    title(left, f"fit(..., lr={RATE:g}, max_epochs={EPOCHS})")
    left.legend(frameon=False, loc="lower right", handlelength=3)
    labels = seen.inputs["labels"]
    mine = seen.got.get("predicted")
    shown = mine if mine is not None else seen.wanted["predicted"]
    confusion(right, shown, labels)
    count = int((shown == labels).sum())
    whose, color = ("yours", ORANGE) if mine is not None else ("wanted", BLUE)
    title(right, f"{whose}: the trained network has {count} of {len(labels)} right", color)


def _accuracies(value: Any) -> list[float]:
    """The list as numbers to plot, [] where it is none."""
    if not isinstance(value, list) or len(value) > 100:
        return []
    if not all(isinstance(item, float) and math.isfinite(item) for item in value):
        return []
    return value
