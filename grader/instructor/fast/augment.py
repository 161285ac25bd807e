"""Random crops, flips and rotations of batches, and dropout's masks.

Numbers are drawn on the CPU before an epoch begins, from a generator seeded with the run's seed and the epoch,
and moved to the device whole: the same on every device, the same for a run that was stopped and goes on, and
nothing random within a CUDA graph.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from grader.reproduce.experiments import Remedy

PADDING = 4  # pixels
DEGREES = 15.0
DROPOUT = 0.5
IMAGE_REMEDIES = (Remedy.CROP_AND_FLIP, Remedy.ROTATION)


def draws(seed: int, epoch: int, count: int) -> Tensor:
    """Three random numbers from 0 to 1 for each of `count` images: float32 `(count, 3)`."""
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(2_000_003 * seed + epoch))


def dropout_scales(seed: int, epoch: int, count: int, values: int) -> Tensor:
    """What each of `values` is multiplied with for each image: 0, or 1 / (1 - p): float32 `(count, values)`."""
    generator = torch.Generator().manual_seed(3_000_017 * seed + epoch)
    return (torch.rand(count, values, generator=generator) >= DROPOUT).float() / (1 - DROPOUT)


def augmented(remedy: Remedy, images: Tensor, numbers: Tensor) -> Tensor:
    """Images `(n, C, H, W)` uint8, changed as the numbers `(n, 3)` say; new images."""
    if remedy == Remedy.CROP_AND_FLIP:
        return _cropped(images, numbers)
    return _rotated(images, (2 * numbers[:, 0] - 1) * math.radians(DEGREES))


def _cropped(images: Tensor, numbers: Tensor) -> Tensor:
    """Windows of the images padded with black; half of them mirrored."""
    _, channels, height, width = images.shape
    top, left = ((numbers[:, i] * (2 * PADDING + 1)).long() for i in (0, 1))
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    columns = torch.where(numbers[:, 2, None] < 0.5, columns, width - 1 - columns)
    at = (top[:, None] + rows)[:, :, None] * (width + 2 * PADDING) + (left[:, None] + columns)[:, None, :]
    padded = F.pad(images, (PADDING,) * 4).flatten(2)
    return padded.gather(2, at.flatten(1)[:, None].expand(-1, channels, -1)).view(images.shape)


def _rotated(images: Tensor, angle: Tensor) -> Tensor:
    """The images turned about their middle; black where nothing was."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, align_corners=False).round().to(torch.uint8)
