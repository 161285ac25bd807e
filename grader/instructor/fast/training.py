"""Train a stack of runs, an epoch at a time.

Nothing waits for the device within an epoch: losses and right answers are summed on it and read once at the
end. Runs of one stack have in common what they are trained and tested on, the batch size and what is done to
the images. Those of one seed get the same batches, and a stack of one seed shares the first layer's patches.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from grader.instructor.fast.adam import Adam
from grader.instructor.fast.augment import IMAGE_REMEDIES, dropout_scales
from grader.instructor.fast.batches import Batches, DeviceImages
from grader.instructor.fast.graphs import replayed
from grader.instructor.fast.stack import Shape, Stack, Workspace, flatten, state_dict
from grader.reproduce.checkpoint import EpochResult, RunState
from grader.reproduce.experiments import L1_PENALTY, Remedy
from grader.reproduce.images import RunImages

_EVALUATED = {"cpu": 64, "cuda": 1000}
"""Images in a forward pass of evaluation: few for a processor's cache, many for a GPU."""


@dataclass(frozen=True, eq=False)
class StackImages:
    """A stack's images on its device."""

    train: DeviceImages
    tests: tuple[DeviceImages, ...]
    shape: Shape

    @classmethod
    def of(cls, images: RunImages, device: torch.device, dtype: torch.dtype = torch.float32) -> "StackImages":
        """Move the images to the device as they are. dtype: of parameters and batches."""
        _, channels, size, _ = images.train.split.images.shape
        return cls(
            DeviceImages(images.train, device, dtype),
            tuple(DeviceImages(test, device, dtype) for test in images.tests),
            Shape(channels, size, len(images.classes)),
        )


class StackTrainer:
    """Runs in training, from the states that they begin with: all after the same number of epochs."""

    def __init__(self, states: Sequence[RunState], images: StackImages):
        self._images = images
        self._device = images.train.labels.device
        # autograd's bookkeeping costs the CPU some hundredths of a step; a GPU replays graphs, without it
        self._without_autograd = partial(torch.inference_mode, self._device.type == "cpu")
        with self._without_autograd():
            self._build(states)

    def train_epoch(self) -> list[RunState]:
        """Train and test every network once; the new states of those that were not finished before.

        Raises `torch.OutOfMemoryError` where the device has too little; the states then are as before.
        """
        began = time.perf_counter()
        epoch = len(self._states[0].history) + 1
        with self._without_autograd():
            trained, tested = self._pass_over_all(epoch)
        seconds = (time.perf_counter() - began) / sum(not state.finished for state in self._states)
        # to the CPU in whole: a copy for each network would be waited for
        averages = self._adam.exp_avg, self._adam.exp_avg_sq
        model, exp_avg, exp_avg_sq = (rows.detach().cpu() for rows in (self._stack.parameters, *averages))
        advanced = []
        for net, (loss, accuracy) in enumerate(trained.T.tolist()):
            state = self._states[net]
            if not state.finished:
                test_loss, test_accuracy = (tuple(numbers[net] for numbers in each) for each in tested)
                result = EpochResult(loss, accuracy, test_loss, test_accuracy, seconds)
                self._states[net] = replace(
                    state,
                    history=(*state.history, result),
                    steps=state.steps + self._steps,
                    model=state_dict(self._shape, model[net]),
                    exp_avg=state_dict(self._shape, exp_avg[net]),
                    exp_avg_sq=state_dict(self._shape, exp_avg_sq[net]),
                )
                advanced.append(self._states[net])
        with self._without_autograd():
            self._leave_finished()
        return advanced

    def _pass_over_all(self, epoch: int) -> tuple[Tensor, list[list[list[float]]]]:
        """Train and test once: mean loss and accuracy `(2, K)`, and those by test set as `[2][tests][K]`."""
        self._batches.shuffle(self._seeds, epoch)
        for scales, net in zip(self._scales, self._dropping, strict=True):
            scales.copy_(dropout_scales(self._states[net].run.seed, epoch, *scales.shape))
        trained = self._means(self._train_pass, len(self._images.train))
        tested = torch.stack(
            [
                self._means(test_pass, len(test))
                for test_pass, test in zip(self._test_passes, self._images.tests, strict=True)
            ],
            dim=1,
        ).tolist()
        return trained, tested

    def _leave_finished(self) -> None:
        """Go on without the finished networks: at once where it costs nothing, else when half are done."""
        going_on = [state for state in self._states if not state.finished]
        finished = len(self._states) - len(going_on)
        if going_on and finished and (self._device.type == "cpu" or finished >= len(going_on)):
            self._build(going_on)
        else:
            for net, state in enumerate(self._states):
                if state.finished:
                    self._adam.freeze(net)

    def _build(self, states: Sequence[RunState]) -> None:
        """Stack the states' networks, and make the steps that train and test them."""
        self._states, self._shape = list(states), self._images.shape
        runs = [state.run for state in states]
        like = self._images.train.scale
        self._stack = Stack(self._shape, self._rows("model").to(like))
        self._adam = Adam(
            self._stack.parameters,
            lr=[run.setting.lr for run in runs],
            weight_decay=[run.setting.weight_decay for run in runs],
            l1=[L1_PENALTY if run.remedy == Remedy.L1 else 0.0 for run in runs],
        )
        if states[0].steps:
            self._adam.exp_avg.copy_(self._rows("exp_avg"))
            self._adam.exp_avg_sq.copy_(self._rows("exp_avg_sq"))
            self._adam.steps.fill_(states[0].steps)
        self._seeds = [run.seed for run in runs]
        if len(set(self._seeds)) == 1:
            self._seeds = self._seeds[:1]
        remedy = runs[0].remedy if runs[0].remedy in IMAGE_REMEDIES else None
        self._batches = Batches(self._images.train, len(self._seeds), remedy)
        self._dropping = [net for net, run in enumerate(runs) if run.remedy == Remedy.DROPOUT]
        hidden = sum(width for width, _ in (self._shape.layers[layer] for layer in ("fc1", "fc2")))
        self._scales = like.new_ones(len(self._dropping), len(self._images.train), hidden)
        # of each network, the sum of losses and the number of right answers: whole numbers stay exact
        self._sums = torch.zeros(2, len(runs), dtype=torch.float64, device=self._device)
        self._train_pass = self._pass(self._batches, runs[0].batch_size, training=True)
        chunk = _EVALUATED[self._device.type]
        self._test_passes = [self._pass(Batches(test), chunk, training=False) for test in self._images.tests]

    def _rows(self, name: str) -> Tensor:
        return torch.stack([flatten(self._shape, getattr(state, name)) for state in self._states])

    def _pass(self, batches: Batches, size: int, *, training: bool) -> Callable[[], None]:
        """A function that takes a step with each batch of an epoch, the last and smaller one included."""
        changed = [self._sums, batches.position]
        if training:
            changed += [self._stack.parameters, self._adam.exp_avg, self._adam.exp_avg_sq, self._adam.steps]
        full, rest = divmod(len(batches.images), size)
        if training:
            self._steps = full + (rest > 0)
        steps = []
        for count, repeats in ((size, full), (rest, 1)):
            if count and repeats:
                dropout = training and bool(self._dropping)
                work = self._stack.workspace(count, batches.groups, training, dropout)
                step = partial(self._train_step if training else self._test_step, batches, work)
                steps.append((replayed(step, changed, self._device), repeats))

        def whole() -> None:
            batches.rewind()
            for one, repeats in steps:
                for _ in range(repeats):
                    one()

        return whole

    def _means(self, whole_pass: Callable[[], None], count: int) -> Tensor:
        """Mean loss and accuracy of each network over a pass: float64 `(2, K)`."""
        self._sums.zero_()
        whole_pass()
        return self._sums.cpu() / count  # here the device is waited for

    def _train_step(self, batches: Batches, work: Workspace) -> None:
        if work.dropout is not None:
            at = batches.positions(work.count)
            for scales, net in zip(self._scales, self._dropping, strict=True):
                work.dropout[net] = scales.index_select(0, at).T
        powers, total, at = self._predict(batches, work)
        # the gradient of the mean cross-entropy: (softmax - onehot) / count
        d_logits = powers.div_(total * work.count)
        d_logits.scatter_add_(1, at, torch.full_like(total, -1 / work.count))
        self._stack.backward(work, d_logits)
        self._adam.step(self._stack.gradients)

    def _test_step(self, batches: Batches, work: Workspace) -> None:
        self._predict(batches, work)

    def _predict(self, batches: Batches, work: Workspace) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the next batch, counted in the sums; softmax's numerator and denominator, and the labels."""
        labels = batches.next_into(work)
        logits = self._stack.forward(work)
        largest, predicted = logits.max(dim=1, keepdim=True)
        at = labels[:, None].expand(len(logits), 1, -1)
        losses = largest - logits.gather(1, at)
        self._sums[1] += (predicted[:, 0] == labels).sum(dim=1)
        powers = logits.sub_(largest).exp_()
        total = powers.sum(dim=1, keepdim=True)
        self._sums[0] += losses.add_(total.log()).sum(dim=(1, 2), dtype=torch.float64)
        return powers, total, at
