"""Negative images: their making, their statistics, and a set of both kinds.

Float images hold values from 0 (black) to 1 (white). The negative of an image x is 1 - x.
"""

import torch
from torch import Tensor


class Invert:
    """A transform that turns an image into its negative: `1 - x`.

    Called with a float tensor of values 0 to 1 and of any shape, returns a new tensor of the same
    shape and dtype and leaves its input as it was. Works in `torchvision.transforms.Compose`, and
    its own `repr` holds its name, so that a printed pipeline can be read.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """The negative of `image`."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def __repr__(self) -> str:
        """`Invert()`."""
        # YOUR CODE HERE
        raise NotImplementedError()


def mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of each channel over all pixels of all images.

        mean[c] = sum of x[:, c] / M        std[c] = sqrt(sum of (x[:, c] - mean[c])^2 / M)

    with M = N * H * W (not M - 1). images: `(N, C, H, W)`, uint8 0 to 255 (scaled to 0 to 1 first)
    or float. Returns two float32 tensors `(C,)`. Accurate on 60,000 images: a float32 sum of that
    many pixels is not, so accumulate in float64 or by chunks.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def with_negatives(
    images: Tensor, labels: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The images and their negatives with their labels, shuffled together.

    images: float `(N, C, H, W)` of values 0 to 1; labels: `(N,)`. One permutation of all 2N samples
    is drawn from `generator` (None: from torch's own), so that the same state gives the same order.
    Returns `(images, labels)` of 2N samples, each label still with its image; the inputs stay as
    they were.
    """
    # YOUR CODE HERE
    raise NotImplementedError()
