"""The images of a run: whole sets as uint8, with the mean and deviation that normalise them.

As the assignment says: MNIST and Fashion-MNIST padded with black to 32 x 32, as LeCun did; each set
normalised with its own training images' statistics, taken before padding; a negative is the inverse of the
padded image. A network that is trained on positives and negatives together gets all images normalised with
the statistics of both together.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

import datasets
from datasets import Dataset, Split
from grader.reproduce.experiments import Images

SIZE = 32


@dataclass(frozen=True, eq=False)
class Statistics:
    """Per-channel mean and population standard deviation of images of 0 to 1: float32 `(C,)`."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images `(N, C, 32, 32)` uint8 with labels `(N,)`, and the statistics to normalise them with."""

    split: Split
    statistics: Statistics

    def normalised(self) -> Tensor:
        """The images as a network gets them: float32 `(N, C, 32, 32)`."""
        both = Dataset("", (), self.split, self.split)
        return datasets.normalise(both, self.statistics.mean, self.statistics.std).test.images


@dataclass(frozen=True, eq=False)
class RunImages:
    """What a run is trained on, and what it is tested on after each epoch, in the run's order."""

    train: ImageSet
    tests: tuple[ImageSet, ...]
    classes: tuple[str, ...]


@lru_cache(maxsize=2)
def source(name: str, data_dir: str | None, drawn_train: int = 3000, drawn_test: int = 1000) -> Dataset:
    """The data set as it comes, unpadded. Raises `datasets.DatasetError`."""
    if name == "drawn_digits":
        return datasets.drawn_digits(drawn_train, drawn_test)
    return datasets.load(name, data_dir)


def of_kind(dataset: Dataset, images: Images) -> Dataset:
    """The data set itself, its negatives, or both."""
    if images == Images.NEGATIVE:
        return datasets.negatives(dataset)
    return datasets.combined(dataset) if images == Images.COMBINED else dataset


def statistics(images: Tensor) -> Statistics:
    """Mean and population deviation of each channel of uint8 images `(N, C, H, W)`, exact to float32."""
    channels = images.shape[1]
    # a histogram of the 256 values holds all that is needed, in whole numbers
    counts = torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in range(channels)])
    values = torch.arange(256, dtype=torch.float64) / 255
    total = counts.sum(dim=1)
    mean = (counts * values).sum(dim=1) / total
    variance = (counts * (values - mean[:, None]).square()).sum(dim=1) / total
    return Statistics(mean.float(), variance.sqrt().float())


def images_for(
    dataset: str, trained_on: Images, tested_on: tuple[Images, ...], data_dir: str | None
) -> RunImages:
    """What a run on `dataset` is trained and tested on. Raises `datasets.DatasetError`."""
    return images_of(source(dataset, data_dir), trained_on, tested_on)


def images_of(unpadded: Dataset, trained_on: Images, tested_on: tuple[Images, ...]) -> RunImages:
    """What a run is trained and tested on, from the data set as it comes."""
    padded = datasets.pad(unpadded, SIZE)
    own = statistics(of_kind(unpadded, trained_on).train.images)

    def test(images: Images) -> ImageSet:
        # a network trained on one kind meets another as that kind is normalised; one trained on both
        # knows one normalisation
        apart = trained_on != Images.COMBINED and images != trained_on
        norm = statistics(of_kind(unpadded, images).train.images) if apart else own
        return ImageSet(of_kind(padded, images).test, norm)

    return RunImages(
        ImageSet(of_kind(padded, trained_on).train, own), tuple(map(test, tested_on)), unpadded.classes
    )


def batch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order in which the training images come in an epoch, counted from 1: int64 `(count,)`.

    A function of its arguments, so that a run that was stopped goes on as if it had not been.
    """
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    return torch.randperm(count, generator=generator)
