"""Training and evaluating a classifier.

A loader is any iterable of batches `(images, labels)` that has a `len`, the number of its batches: a
`DataLoader`, or a list. Images are float32 `(B, C, H, W)`, labels int64 `(B,)`; the last batch may
be smaller. An accuracy is a share of samples, 0 to 1.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass
class History:
    """What `fit` saw after each epoch: three lists of equal length. (Given.)"""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)


def train_epoch(
    model: nn.Module, loader: Batches, optimizer: torch.optim.Optimizer, device: str | torch.device = "cpu"
) -> tuple[float, float]:
    """Train `model` for one pass over `loader`, in training mode, with one optimizer step a batch.

    Gradients are cleared for each batch, those that lie in the parameters on entry included.
    Returns `(loss, accuracy)` as Python floats: the mean cross-entropy and the share of right
    predictions over all *samples* (not the mean over batches), both from the one forward pass that
    each batch gets.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def evaluate(model: nn.Module, loader: Batches, device: str | torch.device = "cpu") -> float:
    """The share of samples of `loader` whose largest logit is at their label, as a Python float.

    Runs in evaluation mode and without gradients, and leaves the model in the mode (training or
    evaluation) in which it found it. A last smaller batch counts by its size.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def fit(
    model: nn.Module,
    train_loader: Batches,
    test_loader: Batches,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    max_epochs: int = 20,
    target_accuracy: float | None = None,
    device: str | torch.device = "cpu",
    on_epoch: Callable[[int, History], object] | None = None,
) -> History:
    """Train `model` with Adam until its test accuracy reaches a target, or for `max_epochs` epochs.

    After each epoch: evaluates on `test_loader`, appends to the history and calls
    `on_epoch(epoch, history)`, epochs counted from 1. Stops right after the first epoch whose test
    accuracy is at least `target_accuracy`; None never stops early. The model ends with the weights
    of the last epoch that ran.

    lr: Adam's learning rate; weight_decay: Adam's L2 penalty (`torch.optim.Adam`, not AdamW).
    """
    # YOUR CODE HERE
    raise NotImplementedError()
