"""The fast way to train many runs: stacks of them, on a GPU in this process or on the CPU in processes.

On the CPU a process trains with one thread, since two processes of one thread do more than one of two. A
stack there holds runs of one seed, which share the patches of their images; on a GPU it holds what fits.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.queues import Queue

import torch

from datasets import DatasetError
from grader.instructor.fast.augment import IMAGE_REMEDIES
from grader.instructor.fast.training import StackImages, StackTrainer
from grader.outcomes import KitError
from grader.reference import SOLUTIONS
from grader.reproduce.checkpoint import RunFolder, RunState, begin
from grader.reproduce.experiments import Run
from grader.reproduce.images import RunImages, images_for
from grader.reproduce.package import load_package

ON_CPU, ON_GPU = 4, 32
"""Networks in a stack at most: with more, a step's buffers leave the processor's cache; a GPU is full."""

OnEpoch = Callable[[Sequence[RunState]], None]


@dataclass(frozen=True)
class Place:
    """Where training happens and where things lie."""

    folder: RunFolder
    data_dir: str | None
    device: torch.device
    made: Mapping[str, str]


def train_all(
    runs: Sequence[Run],
    known: Mapping[str, RunState],
    place: Place,
    on_epoch: OnEpoch,
    say: Callable[[str], None],
) -> None:
    """Train every run until it is finished, from its known state; the folder holds what is done after each epoch.

    on_epoch gets the new states of a stack's runs, in another process's stead without their tensors.
    Raises `KitError`, `datasets.DatasetError`, OSError.
    """
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    epochs = {key: len(state.history) for key, state in known.items()}
    stacks = stacks_of(runs, epochs, place.device, processes)
    if place.device.type == "cpu" and min(processes, len(stacks)) > 1:
        _in_processes(stacks, place, min(processes, len(stacks)), on_epoch)
        return
    for stack in stacks:
        for together in _epochs(stack, place, say):
            on_epoch(together)


def stacks_of(
    runs: Sequence[Run], epochs: Mapping[str, int], device: torch.device, processes: int
) -> list[list[Run]]:
    """The runs that are trained together. epochs: how many are done, by the runs' keys."""
    together: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        remedy = run.remedy if run.remedy in IMAGE_REMEDIES else None
        seed = None if device.type == "cuda" else run.seed
        images = (run.dataset, run.trained_on, run.tested_on, run.batch_size, remedy)
        together.setdefault((*images, epochs.get(run.key, 0), seed), []).append(run)
    stacks = []
    for group in together.values():
        if device.type == "cuda":
            parts = -(-len(group) // ON_GPU)
        else:
            # in turn, so that the slow settings do not all come to one process
            parts = max(-(-len(group) // ON_CPU), min(processes, len(group) // 2), 1)
        stacks += [group[part::parts] for part in range(parts)]
    return stacks


def _epochs(stack: Sequence[Run], place: Place, say: Callable[[str], None]) -> Iterator[list[RunState]]:
    """The states of a stack's runs, as they begin and saved after each epoch."""
    run = stack[0]
    images = images_for(run.dataset, run.trained_on, run.tested_on, place.data_dir)
    for together, kept in epochs(stack, place.folder.states(), images, place.device, place.made, say):
        if kept:
            place.folder.keep(together, kept)
        yield together


def epochs(
    stack: Sequence[Run],
    known: Mapping[str, RunState],
    images: RunImages,
    device: torch.device,
    made: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[tuple[list[RunState], list[Run]]]:
    """The states of a stack's runs, as they begin and after each epoch; in halves where memory is too little.

    With them the runs that are kept together: none as they begin. Raises `KitError`.
    """
    package = load_package(SOLUTIONS)
    states = {one.key: begin(one, known.get(one.key), package, images, made) for one in stack}
    on_device = None
    size = len(states)
    while left := [state for state in states.values() if not state.finished][:size]:
        try:
            on_device = on_device or StackImages.of(images, device)
            trainer = StackTrainer(left, on_device)
            yield left, []
            while not all(states[state.run.key].finished for state in left):
                together = trainer.train_epoch()
                states |= {state.run.key: state for state in together}
                yield together, [state.run for state in left]
        except torch.OutOfMemoryError as error:
            trainer = None  # give its memory back
            if len(left) == 1:
                raise KitError(
                    f"the GPU has too little free memory for one network ({str(error).splitlines()[0]}). "
                    "Free some, or use --device cpu."
                ) from error
            torch.cuda.empty_cache()
            size = -(-len(left) // 2)
            say(f"The GPU's memory does not hold {len(left)} networks at once: going on with {size}.")


def _in_processes(stacks: Sequence[list[Run]], place: Place, processes: int, on_epoch: OnEpoch) -> None:
    """Train the stacks in processes of one thread each, which end with this one."""
    context = multiprocessing.get_context("spawn")  # a forked torch hangs in its first parallel region
    tasks, events = context.Queue(), context.Queue()
    for stack in [*stacks, *[None] * processes]:
        tasks.put(stack)
    workers = [
        context.Process(target=_work, args=(tasks, events, place), daemon=True) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers) or not events.empty():
            try:
                event = events.get(timeout=0.2)
            except queue.Empty:
                died = [worker.exitcode for worker in workers if worker.exitcode not in (None, 0)]
                if died:
                    raise KitError(
                        f"a training process ended with status {died[0]} (out of memory?). What was done up to "
                        "its last epoch is kept: run the same command again."
                    ) from None
                continue
            if isinstance(event, Exception):
                raise event
            on_epoch(event)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _end_with_parent() -> None:
    """End this process when the first one is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(
    tasks: "Queue[list[Run] | None]", events: "Queue[list[RunState] | Exception]", place: Place
) -> None:
    """A training process: stacks from `tasks` until None comes; their states, or what went wrong, to `events`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the first process ends the others
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while (stack := tasks.get()) is not None:
            for together in _epochs(stack, place, lambda _: None):
                events.put([replace(state, model={}, exp_avg={}, exp_avg_sq={}) for state in together])
    except (KitError, DatasetError, OSError) as error:
        events.put(error)
