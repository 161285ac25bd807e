"""`grade reproduce`: train what is not trained yet, then make everything that is read from the states."""

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from datasets import DatasetError
from grader.kit import versions
from grader.outcomes import KitError
from grader.reproduce import outputs, teaching, tensorboard
from grader.reproduce.checkpoint import RunFolder, RunState, begin
from grader.reproduce.experiments import BATCH_SIZE, Run, Setting, runs_of
from grader.reproduce.images import images_for, source
from grader.reproduce.package import Package, load_package
from grader.reproduce.progress import Board
from grader.text import counted

_BYTES_A_RUN = 1_000_000  # parameters and Adam's averages
_SPARE_BYTES = 200_000_000  # for figures, report and unfinished runs


@dataclass(frozen=True)
class Options:
    """What was asked for, as the command line says it."""

    experiments: tuple[str, ...]
    out: Path
    device: str = "auto"
    seeds: int | None = None
    settings: tuple[Setting, ...] = ()
    max_epochs: int | None = None
    batch_size: int = BATCH_SIZE
    data_dir: str | None = None
    drawn: bool = False
    tensorboard: bool = False
    package: Path | None = None  # None: the fast way
    scheduler: str | None = None  # of Dask, whose workers train in this machine's place


def reproduce(options: Options, words: Sequence[str]) -> list[Path]:
    """Run the experiments and write the results; the files to look at first.

    words: the command, kept with the runs that it makes. Raises `KitError`, `DatasetError`.
    """
    if options.scheduler is not None:  # its workers know whether they have a GPU
        device = torch.device("cuda" if options.device == "cuda" else "cpu")
    else:
        device = choose_device(options.device)
    runs = planned(options, device)
    for dataset in dict.fromkeys(run.dataset for run in runs):
        _load(dataset, options.data_dir)
    folder = _open(options.out, len(runs))
    package = load_package(options.package) if options.package is not None else None
    made = {
        "way": f"{package.name}'s fit" if package else "fast",
        "device": device_name(device) if options.scheduler is None else "",  # there: the worker's
        "command": shlex.join(words),
        **{name: versions()[name] for name in ("kit", "python", "torch")},
    }
    known = folder.states()
    for state in known.values():
        if state.made.get("way") != made["way"]:
            raise KitError(
                f"{options.out} holds runs that were trained another way ({state.made.get('way')}, now: "
                f"{made['way']}). Choose another folder with --out."
            )
    to_train = [run for run in runs if not _finished(run, known)]
    with ExitStack() as stack:
        board = stack.enter_context(Board(to_train))
        logs = (
            stack.enter_context(tensorboard.Logs(options.out / "tensorboard"))
            if options.tensorboard
            else None
        )
        board.say(announced(runs, one_by_one=package is not None))
        if len(to_train) < len(runs):
            board.say(f"{len(runs) - len(to_train)} of {len(runs)} runs are finished already.")

        def on_epoch(together: Sequence[RunState]) -> None:
            board.show(together)
            if logs is not None:
                logs.write(together)

        if logs is not None:
            logs.write([state for key, state in known.items() if key in {run.key for run in runs}])
        if package is not None:
            share = board.show_within
            _teach(to_train, known, package, folder, options.data_dir, device, made, on_epoch, share)
        elif to_train and options.scheduler is not None:
            from grader.instructor.cluster import training

            training.train_all(
                options.scheduler,
                to_train,
                known,
                training.Asked(folder, options.data_dir, options.device, made),
                on_epoch,
                board.say,
            )
        elif to_train:
            from grader.instructor.fast import jobs

            place = jobs.Place(folder, options.data_dir, device, made)
            jobs.train_all(to_train, known, place, on_epoch, board.say)
        folder.tidy()
        board.say("Drawing the figures and writing the report ...")
        return outputs.write(folder.states().values(), options.out, options.data_dir, package)


def planned(options: Options, device: torch.device) -> list[Run]:
    """The runs that were asked for."""
    seeds = options.seeds or (5 if device.type == "cuda" else 1)
    return [
        run
        for name in options.experiments
        for run in runs_of(
            name,
            range(seeds),
            options.settings,
            max_epochs=options.max_epochs,
            batch_size=options.batch_size,
            drawn=options.drawn,
        )
    ]


def announced(runs: Sequence[Run], *, one_by_one: bool) -> str:
    """What is about to be done, in a sentence; how to do less of it, where it is done one run at a time."""
    names = list(dict.fromkeys(run.experiment for run in runs))
    most = max(run.max_epochs for run in runs)
    text = f"{counted(len(runs), 'run')} of {counted(len(names), 'experiment')}"
    text += f", {'one after the other, ' if one_by_one else ''}at most {counted(most, 'epoch')} each."
    if one_by_one and len(names) > 1:
        of_first = sum(run.experiment == names[0] for run in runs)
        text += f" To do less, name an experiment: {names[0]} is {counted(of_first, 'run')}."
    return text


def choose_device(wanted: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` stands for. Raises `KitError` for a GPU that is not there."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise KitError(
            "--device cuda: torch sees no CUDA GPU here (nvidia-smi shows whether the machine has one). "
            "Use --device cpu, or leave it out."
        )
    return torch.device("cuda" if wanted == "cuda" or (wanted == "auto" and there) else "cpu")


def device_name(device: torch.device) -> str:
    """How results call the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _load(dataset: str, data_dir: str | None) -> None:
    """Have the data set at hand before anything is trained."""
    try:
        source(dataset, data_dir)
    except DatasetError as error:
        raise KitError(
            f"{error} On the command line that is --data-dir FOLDER; --drawn runs the same experiments on drawn "
            "digits."
        ) from error


def _open(out: Path, runs: int) -> RunFolder:
    """The folder of results, with room for so many runs."""
    folder = RunFolder(out)
    try:
        folder.create()
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise KitError(
            f"cannot write into {out}: {error.strerror}. Choose another folder with --out."
        ) from error
    needed = _SPARE_BYTES + _BYTES_A_RUN * runs
    if free < needed:
        raise KitError(
            f"{out} has {free / 1e6:.0f} MB left; {runs} runs with their figures need some {needed / 1e6:.0f} "
            "MB. Make room, or choose another folder with --out."
        )
    return folder


def _finished(run: Run, known: Mapping[str, RunState]) -> bool:
    """Whether the run's known state is what this run asks for, or goes further."""
    return run.key in known and replace(known[run.key], run=run).finished


def _teach(
    runs: Sequence[Run],
    known: Mapping[str, RunState],
    package: Package,
    folder: RunFolder,
    data_dir: str | None,
    device: torch.device,
    made: Mapping[str, str],
    on_epoch: Callable[[Sequence[RunState]], None],
    on_share: Callable[[Run, float], None],
) -> None:
    """Train the runs one after the other with the package's `fit`."""
    for run in runs:
        images = images_for(run.dataset, run.trained_on, run.tested_on, data_dir)

        def after_epoch(state: RunState, run: Run = run) -> None:
            folder.keep([state], [run])
            on_epoch([state])

        state = begin(run, known.get(run.key), package, images, made)
        on_epoch([state])
        teaching.train(state, images, package, device, after_epoch, partial(on_share, run))
