"""The teaching way to train a run: the package's own `LeNet5` and `fit`, with a DataLoader.

`fit` owns its loop and its optimiser. What a run needs to go on after a stop is seen from outside: the epoch
in the callback `on_epoch`, Adam's averages through torch's hooks on every optimizer's step.
"""

import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, Sampler, TensorDataset

from grader.outcomes import KitError
from grader.reproduce.checkpoint import EpochResult, RunState
from grader.reproduce.images import RunImages, batch_order
from grader.reproduce.package import Package, logits_of


class Stop(Exception):
    """Raised through `fit` when the run is over; not an error."""


OnShare = Callable[[float], None]
_TOLD = 100  # times an epoch


class SeededOrder(Sampler[int]):
    """A new order of the samples in each epoch, by seed and epoch: `batch_order`. epochs: those already done.

    on_share: gets the share of the samples that were asked for, some hundred times an epoch. This is where
    progress within an epoch is seen: the loop over the batches is the package's own.
    """

    def __init__(self, samples: Sized, seed: int, epochs: int = 0, on_share: OnShare | None = None):
        self._count, self._seed, self._epoch, self._on_share = len(samples), seed, epochs, on_share

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        order = batch_order(self._seed, self._epoch, self._count).tolist()
        return iter(order) if self._on_share is None else _told(order, self._on_share)

    def __len__(self) -> int:
        return self._count


def _told(order: Sequence[int], on_share: OnShare) -> Iterator[int]:
    step = max(1, len(order) // _TOLD)
    for begin in range(0, len(order), step):
        on_share(begin / len(order))
        yield from order[begin : begin + step]


def train(
    state: RunState,
    images: RunImages,
    package: Package,
    device: torch.device,
    on_epoch: Callable[[RunState], None],
    on_share: OnShare | None = None,
) -> RunState:
    """Train a run from its state until it is finished; `on_epoch` gets its state after each epoch.

    on_share: gets, within each epoch, the share of it that is done.

    Raises `KitError` where the package's code raises.
    """
    run = state.run
    _, channels, size, _ = images.train.split.images.shape
    model = package.model(run.seed, channels, size)
    model.load_state_dict(dict(state.model))
    train_images, *test_images = (one.normalised() for one in (images.train, *images.tests))
    train_set = TensorDataset(train_images, images.train.split.labels)
    order = SeededOrder(train_set, run.seed, len(state.history), on_share)
    train_loader = DataLoader(train_set, run.batch_size, sampler=order)
    test_loader = DataLoader(TensorDataset(test_images[0], images.tests[0].split.labels), 500)
    began = time.perf_counter()

    def after_epoch(_epoch: int, history: Any) -> None:
        nonlocal state, began
        loss, accuracy = history.train_loss[-1], history.train_accuracy[-1]
        tests = [
            _loss_and_accuracy(logits_of(model, pixels, device), test.split.labels)
            for pixels, test in zip(test_images, images.tests, strict=True)
        ]
        now = time.perf_counter()
        result = EpochResult(
            float(loss),
            float(accuracy),
            tuple(test_loss for test_loss, _ in tests),
            tuple(test_accuracy for _, test_accuracy in tests),
            now - began,
        )
        began = now
        exp_avg, exp_avg_sq, steps = optimizer.averages(model)
        weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        state = replace(
            state,
            model=weights,
            history=(*state.history, result),
            steps=steps,
            exp_avg=exp_avg,
            exp_avg_sq=exp_avg_sq,
        )
        on_epoch(state)
        if state.finished:
            raise Stop

    with _watched(state, model) as optimizer:
        try:
            package.fit(
                model,
                train_loader,
                test_loader,
                lr=run.setting.lr,
                weight_decay=run.setting.weight_decay,
                max_epochs=run.max_epochs - len(state.history),
                # the target is not handed over: the curve goes on after it, and `Stop` ends the run
                target_accuracy=None,
                device=device,
                on_epoch=after_epoch,
            )
        except Stop:
            return state
        except (torch.OutOfMemoryError, KitError):
            raise
        except Exception as error:
            kind = type(error).__name__
            raise KitError(
                f"training {run.key} raised {kind}: {error}. Check your work first: grade check fit"
            ) from error
    if not state.finished:
        raise KitError(
            f"fit came back after {len(state.history)} epochs of {run.max_epochs} without calling on_epoch for "
            "the rest. Check your work first: grade check fit"
        )
    return state


def _loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    return float(F.cross_entropy(logits, labels)), float((logits.argmax(dim=1) == labels).double().mean())


class _Watched:
    """The last of torch's optimizers that took a step on the model's parameters."""

    def __init__(self) -> None:
        self.optimizer: Optimizer | None = None

    def averages(self, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
        """`exp_avg` and `exp_avg_sq` by parameters' names, and the number of steps; empty, 0 where unknown."""
        states = self.optimizer.state if self.optimizer is not None else {}
        own = {name: states.get(parameter, {}) for name, parameter in model.named_parameters()}
        if not all({"step", "exp_avg", "exp_avg_sq"} <= state.keys() for state in own.values()):
            return {}, {}, 0
        first, second = (
            {name: state[kind].detach().cpu().clone() for name, state in own.items()}
            for kind in ("exp_avg", "exp_avg_sq")
        )
        return first, second, max((int(state["step"]) for state in own.values()), default=0)


@contextmanager
def _watched(state: RunState, model: nn.Module) -> Iterator[_Watched]:
    """Within the block, see which optimizer trains the model, and give it the state's averages to begin with."""
    watched = _Watched()
    parameters = dict(model.named_parameters())

    def before(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if watched.optimizer is optimizer or not own & {id(p) for p in parameters.values()}:
            return
        watched.optimizer = optimizer
        if not state.steps:
            return
        for name, parameter in parameters.items():
            optimizer.state[parameter] = {
                "step": torch.tensor(float(state.steps)),
                "exp_avg": state.exp_avg[name].to(parameter).clone(),
                "exp_avg_sq": state.exp_avg_sq[name].to(parameter).clone(),
            }

    pre = register_optimizer_step_pre_hook(before)
    try:
        yield watched
    finally:
        pre.remove()
