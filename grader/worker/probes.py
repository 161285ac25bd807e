"""Nets, loaders, optimizers and loggers that a check has built beside the student's code.

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


class SmallNet(nn.Module):
    """Flatten, linear, tanh, linear: enough to learn from, quick to train, smooth everywhere.

    `weights`: `w1 (hidden, in)`, `b1`, `w2 (classes, hidden)`, `b2`. Counts its forward passes, and
    remembers for each whether it was in training mode and whether gradients were recorded.
    """

    w1: nn.Parameter
    b1: nn.Parameter
    w2: nn.Parameter
    b2: nn.Parameter

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        for name, value in weights.items():
            setattr(self, name, nn.Parameter(value.clone()))
        self.trained: list[bool] = []
        self.recorded: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.trained.append(self.training)
        self.recorded.append(torch.is_grad_enabled())
        hidden = torch.tanh(x.flatten(1) @ self.w1.T + self.b1)
        return hidden @ self.w2.T + self.b2


class ModeNet(SmallNet):
    """A net that answers differently in training mode: its logits are rolled by one class.

    Stands for dropout and batch normalisation, without their chance.
    """

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits.roll(1, dims=1) if self.training else logits


class EpochLog:
    """An `on_epoch` that keeps what it was called with: the epoch and the lengths of the history's lists."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[int]]] = []

    def __call__(self, epoch: int, history: Any) -> None:
        lists = (history.train_loss, history.train_accuracy, history.test_accuracy)
        self.calls.append((int(epoch), [len(values) for values in lists]))


def sgd(net: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Plain gradient descent on the net's parameters."""
    return torch.optim.SGD(net.parameters(), lr=lr)


def generator(seed: int) -> torch.Generator:
    """A generator in the state that `seed` gives."""
    return torch.Generator().manual_seed(seed)


def seeded(seed: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` returns when torch's own generator starts at `seed`."""
    torch.manual_seed(seed)
    return function(*args, **kwargs)


def with_inputs(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
    """What `function` returns, and its positional arguments (copies of those given) as they are afterwards."""
    copies = [value.clone() if isinstance(value, Tensor) else value for value in args]
    return function(*copies, **kwargs), copies


def in_mode(net: nn.Module, training: bool) -> nn.Module:
    """The net, put in training or evaluation mode."""
    return net.train(training)


def stale_gradients(net: nn.Module, value: float) -> nn.Module:
    """The net with gradients lying in its parameters, as another loss would have left them."""
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, value)
    return net


def with_parameters(net: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """The net with the given values in the parameters of these names; raises as `load_state_dict` does."""
    net.load_state_dict(weights)
    return net


def shapes(net: nn.Module) -> dict[str, list[int]]:
    """The shape of each of the net's parameters, by name."""
    return {name: list(parameter.shape) for name, parameter in net.named_parameters()}


def parameter_gradients(net: nn.Module, x: Tensor, gradient: Tensor) -> dict[str, Tensor | None]:
    """The gradient of each parameter by name, for the given gradient of the net's output."""
    net.zero_grad()
    (net(x) * gradient).sum().backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}


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
