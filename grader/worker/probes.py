"""Nets, loaders and loggers that a check has built beside the student's code, and whole experiments.

They are no secret: a check describes what it wants (weights, batches), the worker builds it, and the
check asks for data afterwards. The reference solution is run with the very same objects.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


class Batches:
    """A loader: iterable over `(images, labels)` batches, with a `len` and nothing else. Counts its passes."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]):
        self._batches = batches
        self.passes = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        for images, labels in self._batches:
            yield images.clone(), labels.clone()


class _Watched(nn.Module):
    """Remembers of each forward pass whether it was in training mode and whether gradients were recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[bool] = []
        self.recorded: list[bool] = []

    def _watch(self) -> None:
        self.trained.append(self.training)
        self.recorded.append(torch.is_grad_enabled())


class SmallNet(_Watched):
    """Flatten, linear, tanh, linear: enough to learn from, quick to train, smooth everywhere.

    `weights`: `w1 (hidden, in)`, `b1`, `w2 (classes, hidden)`, `b2`.
    """

    w1: nn.Parameter
    b1: nn.Parameter
    w2: nn.Parameter
    b2: nn.Parameter

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        for name, value in weights.items():
            setattr(self, name, nn.Parameter(value.clone()))

    def forward(self, x: Tensor) -> Tensor:
        self._watch()
        hidden = torch.tanh(x.flatten(1) @ self.w1.T + self.b1)
        return hidden @ self.w2.T + self.b2


class ModeNet(SmallNet):
    """A net that answers differently in training mode: its logits are rolled by one class.

    Stands for dropout and batch normalisation, without their chance.
    """

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits.roll(1, dims=1) if self.training else logits


class LinearNet(_Watched):
    """Flatten and one matrix, `weight (classes, in)`: for training runs of many steps, since each parameter
    costs Adam as much time as the rest of a step."""

    weight: nn.Parameter

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        self.weight = nn.Parameter(weights["weight"].clone())

    def forward(self, x: Tensor) -> Tensor:
        self._watch()
        return x.flatten(1) @ self.weight.T


class EpochLog:
    """An `on_epoch` that keeps what it was called with: the epoch and the lengths of the history's lists."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[int]]] = []

    def __call__(self, epoch: int, history: Any) -> None:
        lists = (history.train_loss, history.train_accuracy, history.test_accuracy)
        self.calls.append((int(epoch), [len(values) for values in lists]))


# -- whole experiments: one request each, where building and asking piece by piece would be ten


def run_train_epoch(
    train_epoch: Callable[..., Any],
    net: str,
    weights: dict[str, Tensor],
    batches: list[tuple[Tensor, Tensor]],
    lr: float,
    stale: float = 0.0,
    *device: str,
) -> dict[str, Any]:
    """One `train_epoch` with plain gradient descent on a net that is in evaluation mode.

    net: name of a class above. stale: a gradient that lies in every parameter, as from another loss.
    device: handed on by position where it is given.
    Returns loss and accuracy, the weights, and how the net and the loader were used.
    """
    model = globals()[net](weights).eval()
    if stale:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, stale)
    loader = Batches(batches)
    result = train_epoch(model, loader, torch.optim.SGD(model.parameters(), lr=lr), *device)
    return {
        "(loss, accuracy)": result,
        "weights": state(model),
        "passes over the loader": loader.passes,
        "training mode in each forward pass": model.trained,
    }


def run_evaluate(
    evaluate: Callable[..., Any],
    net: str,
    weights: dict[str, Tensor],
    batches: list[tuple[Tensor, Tensor]],
    training: bool,
    *device: str,
) -> dict[str, Any]:
    """One `evaluate` on a net in the given mode: accuracy, the mode and the weights afterwards."""
    model = globals()[net](weights).train(training)
    return {
        "accuracy": evaluate(model, Batches(batches), *device),
        "model.training": model.training,
        "weights": state(model),
        "gradients recorded in a forward pass": any(model.recorded),
    }


def run_fit(
    fit: Callable[..., Any],
    weights: dict[str, Tensor],
    train: list[tuple[Tensor, Tensor]],
    test: list[tuple[Tensor, Tensor]],
    logged: bool,
    **options: Any,
) -> dict[str, Any]:
    """One `fit(..., **options)` of a `LinearNet`: the history, the weights, and, where logged, the calls of
    `on_epoch`."""
    model, log = LinearNet(weights), EpochLog()
    if logged:
        options["on_epoch"] = log
    history = fit(model, Batches(train), Batches(test), **options)
    lists = ("train_loss", "train_accuracy", "test_accuracy")
    return {
        # None where the result is no history: the check says which list is not there
        **{f"history.{name}": getattr(history, name, None) for name in lists},
        "weights": state(model),
        "(epoch, lengths of the history's lists) of each on_epoch call": log.calls,
    }


def run_network(
    network: Callable[..., nn.Module],
    weights: dict[str, Tensor],
    runs: dict[str, tuple[Tensor, bool]],
    **options: int,
) -> dict[str, Any]:
    """What `network(**options)` with these weights makes of some inputs, each in training mode or not."""
    net = network(**options)
    net.load_state_dict(weights)
    results = {}
    for name, (x, training) in runs.items():
        net.train(training)
        results[name] = net(x)
    return results


def network_gradients(
    network: Callable[..., nn.Module], weights: dict[str, Tensor], x: Tensor, gradient: Tensor
) -> dict[str, Any]:
    """The gradient of each parameter of `network()` in training mode, for a gradient of its output."""
    net = network()
    net.load_state_dict(weights)
    net.train()
    (net(x) * gradient).sum().backward()
    found = dict(net.named_parameters())
    return {f"gradient of {name}": found[name].grad for name in sorted(found)}


# -- small helpers


def gradients(function: Callable[..., Any], **arguments: Any) -> Any:
    """Gradients of the function's result with respect to every float tensor among its arguments.

    The result's gradient is a fixed pattern, so that a transposed or summed gradient shows. Returns
    `{name: gradient}`, None where none arrives; or the result itself where it is not a tensor.
    """
    leaves = {
        name: value.detach().clone().requires_grad_()
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    result = function(**{**arguments, **leaves})
    if not isinstance(result, Tensor):
        return result
    if not result.requires_grad:
        return {f"gradient of {name}": None for name in leaves}
    pattern = torch.cos(torch.arange(result.numel(), dtype=torch.float64) + 1).reshape(result.shape)
    # a sum, not `grad_outputs`: torch imports sympy, half a second, to compare the shapes of those
    scalar = (result * pattern.to(result.dtype)).sum()
    found = torch.autograd.grad(scalar, list(leaves.values()), allow_unused=True)
    return {f"gradient of {name}": gradient for name, gradient in zip(leaves, found, strict=True)}


def generator(seed: int) -> torch.Generator:
    """A generator in the state that `seed` gives."""
    return torch.Generator().manual_seed(seed)


def seeded(seed: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` returns when torch's own generator starts at `seed`."""
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` walks the stack for CUDA's sake: 1 ms
    return function(*args, **kwargs)


def with_inputs(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
    """What `function` returns, and its positional arguments (copies of those given) as they are afterwards."""
    copies = [value.clone() if isinstance(value, Tensor) else value for value in args]
    return function(*copies, **kwargs), copies


def shapes(net: nn.Module) -> dict[str, list[int]]:
    """The shape of each of the net's parameters, by name."""
    return {name: list(parameter.shape) for name, parameter in net.named_parameters()}


def state(net: nn.Module) -> dict[str, Tensor]:
    """The net's parameters and buffers by name."""
    return dict(net.state_dict())


def text_of(value: Any) -> str:
    """`repr(value)`."""
    return repr(value)


def compose(*transforms: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What `torchvision.transforms.Compose` does: one transform after the other."""

    def apply(image: Any) -> Any:
        for transform in transforms:
            image = transform(image)
        return image

    return apply
