"""Where a run stands, in memory and as files in the folder of results.

A run's state is the same for both ways to train, and either goes on from it. A file holds the states of one
or more runs as `torch.save` writes plain values and tensors; it is written whole or not at all, and read with
`weights_only`: reading one cannot run code.
"""

import hashlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from grader.outcomes import KitError
from grader.reproduce.experiments import Run
from grader.reproduce.images import RunImages
from grader.reproduce.package import Package

_FORMAT = "lenet5-kit runs 1"
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: mean loss and accuracy while training, and after it on each set it is tested on.

    seconds: the wall time of the epoch, shared out among the networks that were trained together.
    """

    train_loss: float
    train_accuracy: float
    test_loss: tuple[float, ...]
    test_accuracy: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class RunState:
    """A run after as many epochs as `history` is long: parameters, and Adam's averages and number of steps.

    Tensors go by the names of LeNet-5's state dict. Adam's are empty before the first step, and where an
    optimiser of a student's own hides them: such a run begins again. made: versions, device and way.
    """

    run: Run
    model: Tensors
    history: tuple[EpochResult, ...] = ()
    steps: int = 0
    exp_avg: Tensors = field(default_factory=dict)
    exp_avg_sq: Tensors = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)

    @property
    def test_accuracy(self) -> list[float]:
        """The accuracy on the first set that the run is tested on, after each epoch."""
        return [epoch.test_accuracy[0] for epoch in self.history]

    @property
    def diverged(self) -> bool:
        """Whether the loss is no number any more."""
        return bool(self.history) and not math.isfinite(self.history[-1].train_loss)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or self.run.finished(self.test_accuracy)


def begin(
    run: Run, known: RunState | None, package: Package, images: RunImages, made: Mapping[str, str]
) -> RunState:
    """Where a run begins: at its known state, or at the initial weights that its seed gives.

    A state that says nothing of Adam (an optimiser of a student's own) cannot be gone on from.
    """
    if known is not None and known.steps:
        return replace(known, run=run)
    _, channels, size, _ = images.train.split.images.shape
    model = package.model(run.seed, channels, size)
    return RunState(run, {name: tensor.clone() for name, tensor in model.state_dict().items()}, made=made)


class RunFolder:
    """The states in a folder of results: `runs/` with a file for each finished run, `unfinished/` for others."""

    def __init__(self, out: Path):
        self.finished, self.unfinished = out / "runs", out / "unfinished"

    def create(self) -> None:
        """Make the folders. Raises OSError."""
        for folder in (self.finished, self.unfinished):
            folder.mkdir(parents=True, exist_ok=True)

    def states(self) -> dict[str, RunState]:
        """All states by their runs' keys, the furthest of each. Raises `KitError` for a foreign file."""
        found: dict[str, RunState] = {}
        for folder in (self.unfinished, self.finished):
            for path in sorted(folder.glob("*.pt")):
                for state in load(path):
                    known = found.get(state.run.key)
                    if known is None or len(known.history) <= len(state.history):
                        found[state.run.key] = state
        return found

    def keep(self, together: Sequence[RunState], stack: Sequence[Run]) -> None:
        """Save runs of a stack after an epoch: what is finished in files of its own, what is not in the stack's.

        stack: all that the stack began with. Other stacks of the same runs have other files.
        """
        for state in together:
            if state.finished:
                save(self.finished / f"{state.run.key}.pt", [state])
        going_on = [state for state in together if not state.finished]
        if going_on:
            save(self._of_stack(stack), going_on)
        else:
            self._of_stack(stack).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what is left of other stacks, where all of it went further in files of its own."""
        done = {
            state.run.key: len(state.history) for path in self.finished.glob("*.pt") for state in load(path)
        }
        for path in self.unfinished.glob("*.pt"):
            if all(done.get(state.run.key, 0) >= len(state.history) for state in load(path)):
                path.unlink(missing_ok=True)

    def _of_stack(self, stack: Sequence[Run]) -> Path:
        digest = hashlib.sha256("\n".join(run.key for run in stack).encode()).hexdigest()
        return self.unfinished / f"{stack[0].key}-{len(stack)}-{digest[:8]}.pt"


def save(path: Path, states: Sequence[RunState]) -> None:
    """Write the states to `path`, which then holds them or what it held before. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            torch.save(_whole(states), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> list[RunState]:
    """The states in a file that `save` wrote.

    Raises `KitError`, which names the file and the mend, for anything else.
    """
    try:
        return _read(path)
    except Exception as error:  # a damaged file makes torch, pickle and zipfile raise a dozen kinds
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise KitError(
            f"{path} is not a checkpoint of this kit: {reason}. Delete the file, and its runs begin again; "
            "or choose another folder with --out."
        ) from error


def encode(states: Sequence[RunState]) -> bytes:
    """The states as bytes, as they are in a file."""
    file = io.BytesIO()
    torch.save(_whole(states), file)
    return file.getvalue()


def decode(data: bytes) -> list[RunState]:
    """The states that `encode` made the bytes from."""
    return _read(io.BytesIO(data))


_TENSORS = ("model", "exp_avg", "exp_avg_sq")


def _whole(states: Sequence[RunState]) -> dict[str, object]:
    return {"format": _FORMAT, "states": [_plain(state) for state in states]}


def _read(file: Path | io.BytesIO) -> list[RunState]:
    whole = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(whole, dict) or whole.get("format") != _FORMAT:
        raise ValueError("it does not say that this kit wrote it")
    return [_state(plain) for plain in whole["states"]]


def _plain(state: RunState) -> dict[str, object]:
    """A state as values that `weights_only` reads."""
    return {
        "run": msgspec.to_builtins(state.run),
        "history": [msgspec.to_builtins(epoch) for epoch in map(asdict, state.history)],
        "steps": state.steps,
        "made": dict(state.made),
        **{name: dict(getattr(state, name)) for name in _TENSORS},
    }


def _state(plain: dict) -> RunState:
    tensors = {name: plain[name] for name in _TENSORS}
    for found in tensors.values():
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise ValueError("its tensors are missing")
    return RunState(
        run=msgspec.convert(plain["run"], Run),
        history=msgspec.convert(plain["history"], tuple[EpochResult, ...]),
        steps=msgspec.convert(plain["steps"], int),
        made=msgspec.convert(plain["made"], dict[str, str]),
        **tensors,
    )
