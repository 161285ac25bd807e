"""Experiments that public and hidden checks share: data that can be learnt, nets, training runs.

Each takes an implementation `s` (the student's code, the solutions, or one with a known mistake in
it) and returns plain data.
"""

from typing import Any

import torch
from torch import Tensor

from grader.checking import Draw
from grader.worker.probes import LinearNet, SmallNet

Weights = dict[str, Tensor]
Batches = list[tuple[Tensor, Tensor]]

LENET_SHAPES = {
    "conv1": (6, 1, 5, 5),
    "conv2": (16, 6, 5, 5),
    "fc1": (120, 256),
    "fc2": (84, 120),
    "fc3": (10, 84),
}
LEARNT = 2e-4  # absolute tolerance of weights and losses after training steps (docs/tolerances.md)


def labelled_batches(draw: Draw, sizes: tuple[int, ...], classes: int = 4, side: int = 3) -> Batches:
    """Batches of the given sizes: noisy images `(B, 1, side, side)`, one bright pixel a class."""
    batches = []
    for size in sizes:
        labels = draw.integers(0, classes, size)
        images = 0.6 * draw.images(size, 1, side, side)
        images.flatten(1)[torch.arange(size), labels] += 0.8
        batches.append((images, labels))
    return batches


def predicted_batches(draw: Draw, weights: Weights, sizes: tuple[int, ...]) -> Batches:
    """Batches whose labels are what a net of these weights predicts, but for the first of each."""
    net = LinearNet(weights) if "weight" in weights else SmallNet(weights)
    batches = []
    for images, labels in labelled_batches(draw, sizes):
        predicted = net(images).detach().argmax(1)
        labels[1:] = predicted[1:]
        batches.append((images, labels))
    return batches


def small_weights(draw: Draw, classes: int = 4, side: int = 3, hidden: int = 8) -> Weights:
    """Weights of a `SmallNet` for such images."""
    return {
        "w1": draw(hidden, side * side),
        "b1": 0.5 * draw(hidden),
        "w2": draw(classes, hidden),
        "b2": 0.5 * draw(classes),
    }


def linear_weights(draw: Draw, classes: int = 4, side: int = 3) -> Weights:
    """Weights of a `LinearNet` for such images."""
    return {"weight": 0.2 * draw(classes, side * side)}


def lenet_weights(draw: Draw, in_channels: int = 1, image_size: int = 28, num_classes: int = 10) -> Weights:
    """A state dict of LeNet-5 whose values keep logits near 1 in size."""
    side = ((image_size - 4) // 2 - 4) // 2
    shapes = {
        **LENET_SHAPES,
        "conv1": (6, in_channels, 5, 5),
        "fc1": (120, 16 * side * side),
        "fc3": (num_classes, 84),
    }
    weights = {}
    for name, shape in shapes.items():
        fan_in = torch.Size(shape[1:]).numel()
        weights[f"{name}.weight"] = draw(*shape) * (3 / fan_in) ** 0.5
        weights[f"{name}.bias"] = 0.2 * draw(shape[0])
    return weights


def lenet_logits(weights: Weights, *runs: tuple[Tensor, bool], **options: int) -> Any:
    """The experiment: logits of a `LeNet5(**options)` with these weights for images, in training mode or not.

    One net for all runs: its weights are 200 KB, and a net costs as much as what it does.
    """

    def name(x: Tensor, training: bool) -> str:
        images = f"{len(x)} images" if len(x) > 1 else "one image"
        return f"logits of {images} in {'training' if training else 'evaluation'} mode"

    named = {name(*run): run for run in runs}
    return lambda s: s.probes.run_network(s.LeNet5, weights, named, **options)


def one_epoch(
    weights: Weights, batches: Batches, lr: float = 0.5, net: str = "SmallNet", stale: float = 0.0
) -> Any:
    """The experiment: loss, accuracy and weights after `train_epoch` with plain gradient descent."""
    return lambda s: _only(
        s.probes.run_train_epoch(s.train_epoch, net, weights, batches, lr, stale),
        "(loss, accuracy)",
        "weights",
    )


def accuracy(weights: Weights, batches: Batches, net: str = "SmallNet", training: bool = True) -> Any:
    """The experiment: what `evaluate` returns, and the model's mode and weights afterwards."""
    return lambda s: _only(
        s.probes.run_evaluate(s.evaluate, net, weights, batches, training),
        "accuracy",
        "model.training",
        "weights",
    )


def fitted(weights: Weights, train: Batches, test: Batches, **options: Any) -> Any:
    """The experiment: history and weights after `fit(..., **options)`.

    Give batches of equal size: then a `train_epoch` or `evaluate` that takes means over batches costs its
    own points, not those of `fit`, too.
    """
    parts = ("history.train_loss", "history.train_accuracy", "history.test_accuracy", "weights")
    return lambda s: _only(s.probes.run_fit(s.fit, weights, train, test, False, **options), *parts)


def epoch_calls(weights: Weights, train: Batches, test: Batches, **options: Any) -> Any:
    """The experiment: how `fit` called its `on_epoch`: epochs, and the lengths of the history's lists."""
    part = "(epoch, lengths of the history's lists) of each on_epoch call"
    return lambda s: _only(s.probes.run_fit(s.fit, weights, train, test, True, **options), part)


def _only(result: dict[str, Any], *parts: str) -> dict[str, Any]:
    """Some parts of a result: what the check is about."""
    return {part: result[part] for part in parts}


def paired(images: Tensor, labels: Tensor, seed: int) -> Any:
    """The experiment: `with_negatives`, its samples brought into the order of their first pixels."""

    def experiment(s: Any) -> Any:
        return in_order(s.with_negatives(images, labels, s.probes.generator(seed)))

    return experiment


def in_order(result: Any) -> Any:
    """The samples sorted by their first pixels, where the result is of the wanted form."""
    if not is_pair(result):
        return result
    images, labels = result
    order = images.flatten(1)[:, 0].argsort()
    return images[order], labels[order]


def is_pair(result: Any) -> bool:
    """Is it a tuple of images `(N, C, H, W)` and labels `(N,)`?"""
    return (
        isinstance(result, tuple)
        and len(result) == 2
        and all(isinstance(item, Tensor) for item in result)
        and result[0].dim() == 4
        and result[0].numel() > 0
        and result[1].shape == result[0].shape[:1]
    )


def numbered_images(draw: Draw, count: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Images `(count, *shape)` of which no two, nor their negatives, share a first pixel; labels 0 to 9."""
    images = draw.images(count, *shape)
    # first pixels odd multiples of 1 / 4 count below 1/2: their negatives lie above
    first = (2 * torch.arange(count) + 1) / (4 * count)
    images.flatten(1)[:, 0] = first[draw.integers(0, 2**31, count).argsort()]
    return images, draw.integers(0, 10, count)
