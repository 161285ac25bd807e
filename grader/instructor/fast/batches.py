"""Batches from a set of images that lies on the device as uint8: gathered, changed and normalised there."""

from collections.abc import Sequence

import torch
from torch import Tensor

from grader.instructor.fast.augment import augmented, draws
from grader.instructor.fast.stack import Workspace
from grader.reproduce.experiments import Remedy
from grader.reproduce.images import ImageSet, batch_order


class DeviceImages:
    """An `ImageSet` on a device; shared by all stacks that are trained on it or tested with it."""

    def __init__(self, images: ImageSet, device: torch.device, dtype: torch.dtype):
        self.pixels = images.split.images.to(device)
        self.labels = images.split.labels.to(device)
        # (x / 255 - mean) / std as `datasets.normalise` computes it, for images `(groups, C, H, W, count)`
        self.shift, self.scale = (
            (255 * numbers.to(device))[:, None, None, None].to(dtype)
            for numbers in (images.statistics.mean, images.statistics.std)
        )

    def __len__(self) -> int:
        return len(self.labels)


class Batches:
    """The batches of an epoch, one after the other, in one order for each of `groups`.

    `next_into` fills a workspace's images and returns the labels. `position`, where the next batch begins,
    lies on the device, so that a step can be replayed. remedy: what is done to the images, if anything.
    """

    def __init__(self, images: DeviceImages, groups: int = 1, remedy: Remedy | None = None):
        count, device = len(images), images.labels.device
        self.images, self.groups = images, groups
        self.position = torch.zeros((), dtype=torch.int64, device=device)
        self._order = torch.arange(count, device=device).repeat(groups, 1)
        self._remedy = remedy
        self._draws = torch.empty(groups, count, 3, device=device) if remedy else None

    def shuffle(self, seeds: Sequence[int], epoch: int) -> None:
        """Put the images into the order that each group's seed gives for this epoch."""
        for order, seed in zip(self._order, seeds, strict=True):
            order.copy_(batch_order(seed, epoch, len(self.images)))
        if self._draws is not None:
            for numbers, seed in zip(self._draws, seeds, strict=True):
                numbers.copy_(draws(seed, epoch, len(self.images)))

    def rewind(self) -> None:
        """Begin again with the first batch."""
        self.position.zero_()

    def positions(self, count: int) -> Tensor:
        """Where the next `count` images lie in the epoch's order: int64 `(count,)`."""
        return torch.arange(count, device=self.position.device) + self.position

    def next_into(self, work: Workspace) -> Tensor:
        """Fill `work.images` with the next `work.count` images; their labels, int64 `(groups, count)`."""
        at = self.positions(work.count)
        chosen = self._order.index_select(1, at)
        pixels = self.images.pixels.index_select(0, chosen.flatten())
        if self._remedy is not None and self._draws is not None:
            pixels = augmented(self._remedy, pixels, self._draws.index_select(1, at).flatten(0, 1))
        images = work.images.copy_(pixels.unflatten(0, chosen.shape).permute(0, 2, 3, 4, 1))
        images.sub_(self.images.shift).div_(self.images.scale)
        self.position += work.count
        return self.images.labels.index_select(0, chosen.flatten()).view(chosen.shape)
