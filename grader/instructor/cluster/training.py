"""Experiments on a Dask cluster: `grade reproduce --scheduler ADDRESS`.

A task trains a stack of runs for some epochs, from states to states, so any worker can take the next one: a
worker that is killed costs those epochs, and what came back lies in the folder of results. The images are
sent once, and need not be on the workers' disks.
"""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from grader.instructor.cluster.scheduler import Cluster, Say
from grader.instructor.cluster.trainer import Request, pack
from grader.instructor.fast.jobs import OnEpoch, stacks_of
from grader.outcomes import KitError
from grader.reproduce.checkpoint import RunFolder, RunState, decode, encode
from grader.reproduce.experiments import Run
from grader.reproduce.images import source

SECONDS = 30.0
"""A task begins no epoch after so many seconds: seldom enough to cost little, often enough to lose little.

A run's first task has a tenth, so that something is seen soon.
"""

_RETRIES = 3  # of a task whose program ended


@dataclass(frozen=True)
class Asked:
    """Where results and data lie on this machine, and what to train with. device: auto, cpu or cuda."""

    folder: RunFolder
    data_dir: str | None
    device: str
    made: Mapping[str, str]


def train_all(
    address: str,
    runs: Sequence[Run],
    known: Mapping[str, RunState],
    asked: Asked,
    on_epoch: OnEpoch,
    say: Say,
) -> None:
    """Train every run on the cluster until it is finished; the folder holds what came back.

    on_epoch gets the new states of a stack's runs. Raises `KitError`, `datasets.DatasetError`, OSError.
    """
    states = dict(known)
    device = torch.device("cuda" if asked.device == "cuda" else "cpu")
    with Cluster[list[Run]](address, say) as cluster:
        while not cluster.slots:
            cluster.next_done()
        epochs = {key: len(state.history) for key, state in states.items()}
        waiting = stacks_of(runs, epochs, device, cluster.slots)[::-1]
        say(
            f"{len(runs)} runs in {len(waiting)} stacks, on {cluster.slots} threads of {cluster.workers} workers."
        )
        images = _Images(cluster, asked.data_dir)
        while waiting or cluster.in_flight:
            while waiting and cluster.room:
                stack = waiting.pop()
                request = Request(
                    tuple(stack),
                    encode([states[run.key] for run in stack if run.key in states]),
                    images.digest(stack[0].dataset),
                    asked.device,
                    asked.made,
                    SECONDS if stack[0].key in states else SECONDS / 10,
                )
                data = images.sent(stack[0].dataset)
                cluster.submit(stack, "train", data, pickle.dumps(request), retries=_RETRIES)
            done = cluster.next_done()
            if done is None:
                continue
            stack, found = done
            if isinstance(found, Exception):
                raise KitError(f"{found}. What was done before is kept: run the same command again.")
            answer = pickle.loads(found)
            if isinstance(answer, str):
                raise KitError(f"a worker says: {answer}")
            further = decode(answer)
            asked.folder.keep(further, stack)
            on_epoch(further)
            states |= {state.run.key: state for state in further}
            waiting += _left(stack, states)


def _left(stack: Sequence[Run], states: Mapping[str, RunState]) -> list[list[Run]]:
    """What is left of a stack, those together that are as far as each other."""
    groups: dict[int, list[Run]] = {}
    for run in stack:
        if run.key not in states or not states[run.key].finished:
            groups.setdefault(len(states[run.key].history) if run.key in states else 0, []).append(run)
    return list(groups.values())


class _Images:
    """Data sets, each sent to the cluster at its first use."""

    def __init__(self, cluster: Cluster[list[Run]], data_dir: str | None):
        self._cluster, self._data_dir = cluster, data_dir
        self._sent: dict[str, tuple[str, object]] = {}

    def digest(self, dataset: str) -> str:
        return self._of(dataset)[0]

    def sent(self, dataset: str) -> object:
        return self._of(dataset)[1]

    def _of(self, dataset: str) -> tuple[str, object]:
        if dataset not in self._sent:
            data = pack(source(dataset, self._data_dir))
            self._sent[dataset] = hashlib.sha256(data).hexdigest(), self._cluster.keep(data)
        return self._sent[dataset]
