"""TensorBoard logs of runs, by torch's own writer: `tensorboard --logdir OUT/tensorboard`.

A run's logs are written from its state: those of an earlier command are made anew, so that a run that was
stopped and goes on has each epoch once.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from grader.outcomes import KitError
from grader.reproduce.checkpoint import RunState


class Logs:
    """A context with a writer for each run, in folders named by the runs' keys."""

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise KitError(
                '--tensorboard needs the package tensorboard: pip install tensorboard (or: pip install "lenet5-kit[tensorboard]")'
            ) from error
        self._folder = folder
        self._new_writer: Any = SummaryWriter
        self._writers: dict[str, Any] = {}
        self._written: dict[str, int] = {}

    def __enter__(self) -> "Logs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, states: Sequence[RunState]) -> None:
        """Write what is new in these states."""
        for state in states:
            key, run = state.run.key, state.run
            if key not in self._writers:
                shutil.rmtree(self._folder / key, ignore_errors=True)
                self._writers[key] = self._new_writer(str(self._folder / key))
                self._written[key] = 0
            writer = self._writers[key]
            for number, epoch in enumerate(state.history[self._written[key] :], self._written[key] + 1):
                writer.add_scalar("loss/train", epoch.train_loss, number)
                writer.add_scalar("accuracy/train", epoch.train_accuracy, number)
                tests = zip(run.tested_on, epoch.test_loss, epoch.test_accuracy, strict=True)
                for images, loss, accuracy in tests:
                    name = "test" if len(run.tested_on) == 1 else f"test on {images}"
                    writer.add_scalar(f"loss/{name}", loss, number)
                    writer.add_scalar(f"accuracy/{name}", accuracy, number)
            self._written[key] = len(state.history)
            if state.finished:
                settings = {
                    "experiment": run.experiment,
                    "dataset": run.dataset,
                    "lr": run.setting.lr,
                    "weight_decay": run.setting.weight_decay,
                    "batch_size": run.batch_size,
                    "seed": run.seed,
                    "trained_on": str(run.trained_on),
                    "remedy": str(run.remedy or "none"),
                }
                best = {"hparam/best test accuracy": max(state.test_accuracy)}
                writer.add_hparams(settings, best, run_name=".", global_step=len(state.history))
                writer.close()
