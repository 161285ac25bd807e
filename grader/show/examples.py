"""The example of each task: its inputs, and the experiment whose results are drawn.

An experiment is one as in the checks (`grader.checking`): it runs on the student's code through the wall, and
on the reference. What it returns is a dict of named parts, each drawn in panels of its own. The digits are
recorded with the rest in a student's kit: another release of matplotlib draws them a little differently.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader import compare
from grader.checking import Draw
from grader.checks.experiments import LEARNT, in_order, lenet_weights
from grader.reference import Experiment, Reference

FIRST = 7  # the test digit that the pictures of single images show
CLASSES = 10
TARGET, RATE, EPOCHS = 0.66, 0.02, 15  # of the short `fit`: no rounding error decides when it stops
_DIGITS = {"train": 400, "test": 120}
_SHOWN = 6  # images of `with_negatives`


@dataclass(frozen=True, slots=True)
class Example:
    """inputs: what the pictures need to know of the question. atol: what counts as equal.

    unjudged: parts that are drawn, and in which right implementations may differ.
    """

    inputs: dict[str, Any]
    experiment: Experiment
    atol: float = compare.ATOL
    unjudged: tuple[str, ...] = ()


def has_example(task: str) -> bool:
    """Is there a picture of the task? One that an author adds has none at first."""
    return task in _EXAMPLES


def example_of(task: str, reference: Reference) -> Example:
    """The example of `task`; its digits are asked of the reference."""
    return _EXAMPLES[task](reference.wanted("show/digits/inputs", _drawn))


def key_of(task: str) -> str:
    """How the reference knows the task's example."""
    return f"show/{task}/example"


Digits = dict[str, tuple[Tensor, Tensor]]  # "train", "test": images uint8 (N, 1, 28, 28), labels


def _drawn(_: Any) -> Digits:
    from datasets import drawn_digits

    made = drawn_digits(**_DIGITS)
    return {"train": (made.train.images, made.train.labels), "test": (made.test.images, made.test.labels)}


def _digit(digits: Digits) -> Tensor:
    """One digit, float `(1, 1, 28, 28)`."""
    return digits["test"][0][FIRST : FIRST + 1] / 255


def _small(images: Tensor) -> Tensor:
    """Digits at half their size, float `(N, 1, 14, 14)`: enough for a matrix to learn from."""
    return (images / 255).unflatten(2, (14, 2)).unflatten(4, (14, 2)).mean((3, 5))


def _batches(images: Tensor, labels: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(_small(images).split(size), labels.split(size), strict=True))


def _conv2d(digits: Digits) -> Example:
    x = _digit(digits)
    # not like Sobel's: that one, flipped, is its own negative, and a flip would look like a wrong sign
    edges = torch.tensor([[[[-1.0, 1.0, 0.0], [-2.0, 2.0, 0.0], [-1.0, 1.0, 0.0]]]])
    bell = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    blur = (bell[:, None] * bell)[None, None]
    return Example(
        {"x": x, "kernels": {"edges": edges, "blur": blur}},
        lambda s: {"edges": s.conv2d(x, edges), "blur": s.conv2d(x, blur, padding=2)},
    )


def _max_pool2d(digits: Digits) -> Example:
    x = _digit(digits)
    return Example({"x": x}, lambda s: {"bright": s.max_pool2d(x, 4), "negative": s.max_pool2d(x - 1, 3)})


def _linear(digits: Digits) -> Example:
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0], [2.0, 0.5]])
    weight = torch.tensor([[1.0, 0.0], [3.0, -1.0], [0.0, 2.0], [-2.0, 1.0]])
    bias = torch.tensor([0.0, 1.0, 1.0, -0.5])
    return Example(
        {"x": x, "weight": weight, "bias": bias},
        lambda s: {"without bias": s.linear(x, weight), "with bias": s.linear(x, weight, bias)},
    )


def _curves(name: str, *options: dict[str, float]) -> Callable[[Digits], Example]:
    """Value and slope of an activation on both sides of 0 (not at the kink itself), for each of the options."""
    x = torch.linspace(-4, 4, 160)
    far = torch.tensor([100.0])

    def ask(function: Any, x: Tensor, given: dict[str, float]) -> tuple[Any, Any]:
        x = x.clone().requires_grad_()
        y = function(x, **given)
        if not isinstance(y, Tensor) or not y.requires_grad:
            return y, None
        return y, torch.autograd.grad(y.sum(), x, allow_unused=True)[0]

    def experiment(s: Any) -> dict[str, Any]:
        function = getattr(s, name)
        found: dict[str, Any] = {}
        for given in options:
            call = ", ".join(["x", *(f"{key}={value:g}" for key, value in given.items())])
            value, slope = ask(function, x, given)
            found |= {f"{name}({call})": value, f"slope of {name}({call})": slope}
        value, slope = ask(function, far, {})
        return found | {f"{name}(100)": value, f"slope of {name}(100)": slope}

    return lambda digits: Example({"x": x}, experiment)


def _softmax(digits: Digits) -> Example:
    logits, factors = torch.tensor([2.0, 1.0, 0.0, -1.0]), torch.tensor([0.0, 1.0, 3.0, 100.0, 5000.0])
    x = factors[:, None] * logits + 0.0  # no -0
    return Example({"x": x}, lambda s: {"probabilities": s.softmax(x)}, atol=1e-3)


def _cross_entropy(digits: Digits) -> Example:
    z = torch.linspace(-10, 10, 41)
    rows = torch.stack([z, torch.full_like(z, 1.0), torch.full_like(z, -1.0)], dim=1)
    right = torch.tensor([0])
    logits = torch.tensor([[2.0, 1.0, -1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [-3.0, 1.0, 4.0, 2.0]])
    target = torch.tensor([1, 0, 2])

    def experiment(s: Any) -> dict[str, Any]:
        losses = [s.cross_entropy(row[None], right) for row in rows]
        leaf = logits.clone().requires_grad_()
        loss = s.cross_entropy(leaf, target)
        gradient = None
        if isinstance(loss, Tensor) and loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss.sum(), leaf, allow_unused=True)
        return {"losses": losses, "gradient": gradient, "huge": s.cross_entropy(1000 * logits, target)}

    return Example({"z": z, "logits": logits, "target": target}, experiment, atol=1e-3)


def _lenet5(digits: Digits) -> Example:
    x = _digit(digits)
    weights = lenet_weights(Draw(5))
    weights["conv1.weight"] = _six_filters()
    weights["conv1.bias"] = torch.zeros(6)

    def experiment(s: Any) -> dict[str, Any]:
        net = s.LeNet5(1, 28, 10)
        shapes = s.probes.shapes(net)
        net.load_state_dict(weights)
        return {"shapes": shapes, "conv1": net.conv1(x), "logits": net(x)}

    return Example({"x": x}, experiment, atol=1e-4)


def _six_filters() -> Tensor:
    """Kernels `(6, 1, 5, 5)` that one can recognise by their maps: four edges, a blur and a spot."""
    line = torch.arange(-2.0, 3.0)
    down, across = torch.meshgrid(line, line, indexing="ij")
    bell = torch.exp(-(down**2 + across**2) / 3)
    kernels = [across, down, across + down, across - down]
    edges = [kernel * bell / (kernel * bell).abs().sum() for kernel in kernels]
    spot = torch.exp(-(down**2 + across**2)) / torch.exp(-(down**2 + across**2)).sum() - bell / bell.sum()
    return torch.stack([*edges, bell / bell.sum(), 2 * spot])[:, None]


def _train_epoch(digits: Digits) -> Example:
    batches = _batches(*digits["train"], 48)
    weights = {"weight": torch.zeros(CLASSES, 14 * 14)}
    parts = ("(loss, accuracy)", "weights")

    def experiment(s: Any) -> dict[str, Any]:
        run = s.probes.run_train_epoch(s.train_epoch, "LinearNet", weights, batches, 0.2)
        return {part: run[part] for part in parts}

    return Example({"sizes": [len(labels) for _, labels in batches]}, experiment, atol=LEARNT)


def _evaluate(digits: Digits) -> Example:
    images, labels = digits["test"]
    batches = list(zip(_small(images).split((50, 50, 20)), labels.split((50, 50, 20)), strict=True))
    weight = _regression(digits)
    predicted = torch.cat([(x.flatten(1) @ weight.T).argmax(1) for x, _ in batches])
    shares = [
        float((found == true).float().mean())
        for found, true in zip(predicted.split((50, 50, 20)), labels.split((50, 50, 20)), strict=True)
    ]

    def experiment(s: Any) -> dict[str, Any]:
        run = s.probes.run_evaluate(s.evaluate, "LinearNet", {"weight": weight}, batches, True)
        return {"accuracy": run["accuracy"], "mode": run["model.training"]}

    inputs = {"predicted": predicted, "labels": labels, "sizes": (50, 50, 20), "shares": shares}
    return Example(inputs, experiment)


def _regression(digits: Digits) -> Tensor:
    """A classifier that needs no training, `(10, 196)`: ridge regression on the labels, in closed form."""
    x = _small(digits["train"][0]).flatten(1).double()
    y = torch.nn.functional.one_hot(digits["train"][1], CLASSES).double() - 1 / CLASSES
    return torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], dtype=x.dtype), x.T @ y).T.float()


def _fit(digits: Digits) -> Example:
    train, test = _batches(*digits["train"], 32), _batches(*digits["test"], 40)
    images, labels = _small(digits["test"][0]).flatten(1), digits["test"][1]
    weights = {"weight": torch.zeros(CLASSES, 14 * 14)}

    def experiment(s: Any) -> dict[str, Any]:
        run = s.probes.run_fit(
            s.fit, weights, train, test, True, lr=RATE, max_epochs=EPOCHS, target_accuracy=TARGET
        )
        trained = run["weights"]["weight"]
        calls = [call[0] for call in run["(epoch, lengths of the history's lists) of each on_epoch call"]]
        return {
            "train_loss": run["history.train_loss"],
            "train_accuracy": run["history.train_accuracy"],
            "test_accuracy": run["history.test_accuracy"],
            "on_epoch": calls,
            # measured here, not told: what the trained network says of each test digit
            "predicted": (images @ trained.T).argmax(1),
        }

    # a rounding error can turn a prediction that hangs in the balance
    return Example({"labels": labels}, experiment, atol=0.02, unjudged=("predicted",))


def _invert(digits: Digits) -> Example:
    x = _digit(digits)[0]

    def experiment(s: Any) -> dict[str, Any]:
        negative, (after,) = s.probes.with_inputs(s.Invert(), x)
        return {"negative": negative, "the input afterwards": after}

    return Example({"x": x}, experiment)


def _mean_and_std(digits: Digits) -> Example:
    tint = torch.tensor([1.0, 0.7, 0.4])[:, None, None]
    images = (digits["test"][0][:60] * tint).to(torch.uint8)

    def experiment(s: Any) -> dict[str, Any]:
        return {"(mean, std)": s.mean_and_std(images)}

    return Example({"images": images}, experiment)


def _with_negatives(digits: Digits) -> Example:
    images, labels = digits["test"][0][:_SHOWN] / 255, digits["test"][1][:_SHOWN]
    images.flatten(1)[:, 0] = (2 * torch.arange(_SHOWN) + 1) / (4 * _SHOWN)  # to tell them apart

    def experiment(s: Any) -> dict[str, Any]:
        # seeded, too, for whoever does not use the generator
        result = s.probes.seeded(3, s.with_negatives, images, labels, s.probes.generator(3))
        return {"the pairs": in_order(result), "result": result}

    return Example({"images": images, "labels": labels}, experiment, unjudged=("result",))


_EXAMPLES: dict[str, Callable[[Digits], Example]] = {
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "linear": _linear,
    "relu": _curves("relu", {}),
    "leaky_relu": _curves("leaky_relu", {}, {"negative_slope": 0.3}),
    "elu": _curves("elu", {}, {"alpha": 2.0}),
    "softmax": _softmax,
    "cross_entropy": _cross_entropy,
    "LeNet5": _lenet5,
    "train_epoch": _train_epoch,
    "evaluate": _evaluate,
    "fit": _fit,
    "Invert": _invert,
    "mean_and_std": _mean_and_std,
    "with_negatives": _with_negatives,
}
