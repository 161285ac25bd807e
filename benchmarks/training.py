"""Seconds of one epoch of training and testing LeNet-5 on the processor, in unlike ways.

    python benchmarks/training.py WAY [--part I] [--workers N]

WAY is `ordinary` (torchvision's data set, PIL, ToTensor, Normalize and a DataLoader; torch.nn and Adam), `plain`
(the set as one normalised tensor, batches by index, fused Adam), `stack` (three of six networks the fast way,
on one thread: run part 0 and 1 at once) or `sgemm` (this processor's rate in matrix products, GFLOP/s).

Prints one number. The network, its weights, the batch size and the images are the same in all: drawn digits in
MNIST's own files, padded to 32 x 32. Importing and loading are not counted.
"""

import argparse
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import datasets

TRAIN, TEST, BATCH = 12_000, 2_000, 64
FLOP_AN_IMAGE = 6 * 416_520
"""Trained: two for each multiply-add, forward, and twice as many backward."""


def write_mnist(folder: Path) -> None:
    """Drawn digits as the four uncompressed files that torchvision's MNIST reads."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    digits = datasets.drawn_digits(TRAIN, TEST)
    for name, split in (("train", digits.train), ("t10k", digits.test)):
        count = len(split)
        images = struct.pack(">4i", 2051, count, 28, 28) + split.images.numpy().tobytes()
        labels = struct.pack(">2i", 2049, count) + split.labels.to(torch.uint8).numpy().tobytes()
        (raw / f"{name}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(labels)


class Network(nn.Sequential):
    """LeNet-5 from torch's own layers."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        )


def epoch(
    train: Callable[[], Iterator[tuple[Tensor, Tensor]]],
    test: Callable[[], Iterator[tuple[Tensor, Tensor]]],
    fused: bool,
) -> float:
    """Seconds to train a new network for one epoch, and test it."""
    torch.manual_seed(0)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    F.cross_entropy(model(torch.zeros(2, 1, 32, 32)), torch.zeros(2, dtype=torch.int64)).backward()
    optimizer.zero_grad()
    began = time.perf_counter()
    for images, labels in train():
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test())
    seconds = time.perf_counter() - began
    if right < 0.5 * TEST:
        raise SystemExit(f"only {right} of {TEST} test images are right: this is no training")
    return seconds


def ordinary(folder: Path, workers: int) -> float:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    change = transforms.Compose([transforms.Pad(2), transforms.ToTensor(), transforms.Normalize(0.13, 0.22)])
    sets = [MNIST(folder, train=train, transform=change) for train in (True, False)]
    train, test = (
        DataLoader(one, BATCH, shuffle=shuffle, num_workers=workers)
        for one, shuffle in zip(sets, (True, False), strict=True)
    )
    return epoch(lambda: iter(train), lambda: iter(test), fused=False)


def plain() -> float:
    digits = datasets.pad(datasets.drawn_digits(TRAIN, TEST))
    digits = datasets.normalise(digits, torch.tensor([0.13]), torch.tensor([0.22]))

    def batches(split: datasets.Split, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return ((split.images[at], split.labels[at]) for at in order.split(BATCH))

    return epoch(
        lambda: batches(digits.train, torch.randperm(TRAIN)),
        lambda: batches(digits.test, torch.arange(TEST)),
        fused=True,
    )


def stack(part: int) -> float:
    """Seconds of an epoch of half of MNIST's six settings, in one stack on one thread."""
    from grader.instructor.fast.training import StackImages, StackTrainer
    from grader.reference import SOLUTIONS
    from grader.reproduce.checkpoint import begin
    from grader.reproduce.experiments import runs_of
    from grader.reproduce.images import ImageSet, RunImages, statistics
    from grader.reproduce.package import load_package

    torch.set_num_threads(1)
    digits = datasets.drawn_digits(TRAIN, TEST)
    padded, own = datasets.pad(digits), statistics(digits.train.images)
    images = RunImages(ImageSet(padded.train, own), (ImageSet(padded.test, own),), digits.classes)
    runs = runs_of("mnist", [0], drawn=True)[part::2]
    solutions = load_package(SOLUTIONS)
    states = [begin(run, None, solutions, images, {}) for run in runs]
    trainer = StackTrainer(states, StackImages.of(images, torch.device("cpu")))
    trainer.train_epoch()  # the first allocates
    began = time.perf_counter()
    after = trainer.train_epoch()
    seconds = time.perf_counter() - began
    if max(state.test_accuracy[-1] for state in after) < 0.5:
        raise SystemExit("this is no training")
    return seconds


def sgemm() -> float:
    torch.set_num_threads(1)
    one, other = torch.randn(2, 1024, 1024)
    out = one @ other
    began = time.perf_counter()
    repeats = 40
    for _ in range(repeats):
        torch.mm(one, other, out=out)
    return repeats * 2 * 1024**3 / (time.perf_counter() - began) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=("ordinary", "plain", "stack", "sgemm"))
    parser.add_argument("--folder", type=Path, help="with MNIST's files, for `ordinary`")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--part", type=int, default=0)
    options = parser.parse_args()
    if options.way == "ordinary":
        print(ordinary(options.folder, options.workers))
    elif options.way == "plain":
        print(plain())
    else:
        print(stack(options.part) if options.way == "stack" else sgemm())


if __name__ == "__main__":
    main()
