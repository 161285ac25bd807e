"""The program beside a Dask worker that trains: some epochs at a time, from states to states.

It keeps the images of the last data set that it was sent, and torch imported. Ends with its connection.
"""

import contextlib
import os
import pickle
import select
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import torch

from datasets import Dataset, Split
from grader.instructor.cluster.on_worker import WITHOUT_IMAGES
from grader.instructor.fast.jobs import epochs
from grader.outcomes import KitError
from grader.reproduce.checkpoint import RunState, decode, encode
from grader.reproduce.command import choose_device, device_name
from grader.reproduce.experiments import Run
from grader.reproduce.images import images_of


@dataclass(frozen=True)
class Request:
    """A stack of runs that are to be trained for at least one epoch, and for no more than begin in `seconds`.

    states: those known of the runs, encoded; images: the digest of the packed data set; device: auto, cpu, cuda.
    """

    stack: tuple[Run, ...]
    states: bytes
    images: str
    device: str
    made: Mapping[str, str]
    seconds: float


def pack(dataset: Dataset) -> bytes:
    """A data set as bytes: pixels and labels as NumPy arrays."""
    splits = [(split.images.numpy(), split.labels.numpy()) for split in (dataset.train, dataset.test)]
    return pickle.dumps((dataset.name, dataset.classes, splits), protocol=5)


def unpack(data: bytes) -> Dataset:
    """The data set that `pack` made the bytes from."""
    name, classes, splits = pickle.loads(data)
    train, test = (Split(torch.from_numpy(images), torch.from_numpy(labels)) for images, labels in splits)
    return Dataset(name, classes, train, test)


def main(connection: Connection) -> None:
    """Answer requests with encoded states, or with what is wrong as text, until the connection closes."""
    threading.Thread(target=_end_with_worker, args=(connection.fileno(),), daemon=True).start()
    torch.set_num_threads(1)  # two processes of one thread do more than one of two
    held, dataset = "", None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request: Request = pickle.loads(connection.recv_bytes())
            if held != request.images:
                connection.send_bytes(WITHOUT_IMAGES)
                held, dataset = request.images, unpack(connection.recv_bytes())
            assert dataset is not None
            try:
                answer: bytes | str = _train(request, dataset)
            except KitError as error:
                answer = str(error)
            connection.send_bytes(pickle.dumps(answer))


def _end_with_worker(connection: int) -> None:
    """End this process when the other end is closed, in the middle of an epoch too."""
    closed = select.poll()
    closed.register(connection, select.POLLRDHUP)
    closed.poll()
    os._exit(0)


def _train(request: Request, dataset: Dataset) -> bytes:
    """The states of the runs that went further."""
    deadline = time.monotonic() + request.seconds
    run = request.stack[0]
    device = choose_device(request.device)
    known = {state.run.key: state for state in decode(request.states)}
    made = {**request.made, "device": device_name(device)}
    images = images_of(dataset, run.trained_on, run.tested_on)
    further: dict[str, RunState] = {}
    for together, kept in epochs(request.stack, known, images, device, made, print):
        if kept:
            further |= {state.run.key: replace(state, made=made) for state in together}
            if time.monotonic() >= deadline:
                break
    return encode(list(further.values()))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
    os._exit(0)
