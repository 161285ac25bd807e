"""Many LeNet-5s at once: forward, backward and Adam over stacked parameters, in matrix products.

A *stack* is K networks of one shape whose parameters are the rows of one tensor `(K, P)`. They differ in
weights, learning rate and decay; each step gives every network a batch, the same one to all or one to each.
The same code runs on the CPU, where cache and arithmetic count, and in a CUDA graph, where the number of
kernels counts.

What makes it fast, and what the layouts below are for:

- The batch is the innermost dimension, so that every patch of an image is a contiguous run to copy.
- A 5 x 5 convolution and the 2 x 2 max pooling after it are one 6 x 6 convolution of stride 2 with four times
  the channels, one for each place in the pooling window, and then the largest of four slabs. ReLU comes after
  pooling, on a quarter of the values: the same function.
- The first layer's patches do not depend on the weights: networks that share a batch share them.
- A bias is one more column of its weights, against a row of ones among the patches.

The gradient is the one that autograd computes through `solutions/lenet.py`: at ties in pooling it goes to the
first of the largest values in the order of the window's rows, and ReLU's at 0 is 0. A test compares both, step
by step.

Never here: what a run is, when it stops, where it is kept.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_KERNEL = 5
_HIDDEN1, _HIDDEN2 = slice(0, 120), slice(120, 204)
"""Where the values after fc1 and after fc2 lie among those that dropout may scale."""


@dataclass(frozen=True)
class Shape:
    """A LeNet-5's shape, with the arguments of `solutions.lenet.LeNet5`. image_size: a multiple of 4."""

    in_channels: int = 1
    image_size: int = 32
    num_classes: int = 10

    @property
    def pooled(self) -> tuple[int, int]:
        """The side of the image after the first and after the second pooling, in pixels."""
        first = (self.image_size - _KERNEL + 1) // 2
        return first, (first - _KERNEL + 1) // 2

    @property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """The shape of each layer's weight, by the layer's name, in the order of the state dict."""
        return {
            "conv1": (6, self.in_channels, _KERNEL, _KERNEL),
            "conv2": (16, 6, _KERNEL, _KERNEL),
            "fc1": (120, 16 * self.pooled[1] ** 2),
            "fc2": (84, 120),
            "fc3": (self.num_classes, 84),
        }


def slices(shape: Shape) -> dict[str, tuple[slice, tuple[int, ...]]]:
    """Where each entry of the state dict lies in a row of parameters, and its shape."""
    found: dict[str, tuple[slice, tuple[int, ...]]] = {}
    start = 0
    for layer, weight in shape.layers.items():
        for name, size in ((f"{layer}.weight", weight), (f"{layer}.bias", weight[:1])):
            found[name] = (slice(start, start + math.prod(size)), size)
            start += math.prod(size)
    return found


def flatten(shape: Shape, state: dict[str, Tensor]) -> Tensor:
    """The row `(P,)` of parameters that holds a state dict of LeNet-5."""
    return torch.cat([state[name].detach().reshape(-1) for name in slices(shape)])


def state_dict(shape: Shape, row: Tensor) -> dict[str, Tensor]:
    """The state dict of LeNet-5 in a row `(P,)` of parameters, copied once."""
    row = row.clone()
    return {name: row[where].view(size) for name, (where, size) in slices(shape).items()}


class Workspace:
    """The buffers of one step for batches of `count` images, allocated once.

    groups: 1 where all networks get the same batch, `nets` where each gets its own.
    """

    def __init__(
        self, shape: Shape, nets: int, groups: int, count: int, like: Tensor, backward: bool, dropout: bool
    ):
        def empty(*size: int) -> Tensor:
            return like.new_empty(size)

        first, second = shape.pooled
        half = first // 2
        channels = shape.in_channels
        self.count = count
        self.images = empty(groups, channels, shape.image_size, shape.image_size, count)
        # rows: channel, 6 x 6 pixels, and a one; columns: pooled pixel by its parity, then image
        self.patches1 = empty(groups, channels * 36 + 1, 4 * half * half * count)
        self.slabs1 = empty(nets, 4, 6, 4 * half * half * count)
        self.top1, self.bottom1 = (empty(nets, 6, 4 * half * half * count) for _ in range(2))
        self.pooled1 = empty(nets, 24, half, half, count)
        self.patches2 = empty(nets, 24 * 9 + 1, second * second * count)
        self.slabs2 = empty(nets, 4, 16, second * second * count)
        self.top2, self.bottom2 = (empty(nets, 16, second * second * count) for _ in range(2))
        self.features = empty(nets, 16 * second * second + 1, count)
        self.hidden1, self.hidden2 = empty(nets, 121, count), empty(nets, 85, count)
        self.logits = empty(nets, shape.num_classes, count)
        for ones in (self.patches1, self.patches2, self.features, self.hidden1, self.hidden2):
            ones[:, -1] = 1
        # factors of the values after fc1 and fc2
        self.dropout = like.new_ones(nets, _HIDDEN2.stop, count) if dropout else None
        if backward:
            self.d_patches2 = empty(nets, 24 * 9, second * second * count)
            self.d_pooled1 = torch.empty_like(self.pooled1)
            self.d_slabs1, self.d_slabs2 = torch.empty_like(self.slabs1), torch.empty_like(self.slabs2)


class Stack:
    """K networks: `parameters` `(K, P)`, their gradients, and what a step needs of them."""

    def __init__(self, shape: Shape, parameters: Tensor):
        if shape.image_size % 4:
            raise ValueError(f"image_size is a multiple of 4, not {shape.image_size}")
        self.shape = shape
        self.parameters = parameters
        self.gradients = torch.zeros_like(parameters)
        nets = len(parameters)
        views = {
            name: (parameters[:, at].view(nets, *size), self.gradients[:, at].view(nets, *size))
            for name, (at, size) in slices(shape).items()
        }
        self._weights = {name: view for name, (view, _) in views.items()}
        self._gradients = {name: view for name, (_, view) in views.items()}
        # the convolutions' weights spread over the 6 x 6 windows, zeros elsewhere; the bias comes last
        self._spread: dict[str, tuple[Tensor, Tensor]] = {}
        self._dense: dict[str, tuple[Tensor, Tensor]] = {}
        for layer, size in shape.layers.items():
            if len(size) == 4:
                spread = parameters.new_zeros(nets, 4, size[0], size[1] * 36 + 1)
                self._spread[layer] = spread, torch.zeros_like(spread)
            else:
                dense = parameters.new_empty(nets, size[0], size[1] + 1)
                self._dense[layer] = dense, torch.empty_like(dense)

    def __len__(self) -> int:
        return len(self.parameters)

    def workspace(
        self, count: int, groups: int = 1, backward: bool = True, dropout: bool = False
    ) -> Workspace:
        """Buffers for batches of `count` images, one for all networks or one for each of `groups`."""
        return Workspace(self.shape, len(self), groups, count, self.parameters, backward, dropout)

    def forward(self, work: Workspace) -> Tensor:
        """Logits `(K, classes, count)` of `work.images`, `(groups, C, H, W, count)`; they lie in `work`."""
        self._gather_weights()
        nets, count = len(self), work.count
        first, second = self.shape.pooled
        half, size, channels = first // 2, self.shape.image_size, self.shape.in_channels
        groups = len(work.images)
        (spread1, _), (spread2, _) = self._spread.values()
        # patch of pooled pixel (2r + a, 2c + b): rows 4r + 2a + i, columns 4c + 2b + j of the image
        image, row = size * size * count, size * count
        view = work.images.as_strided(
            (groups, channels, 6, 6, 2, 2, half, half, count),
            (channels * image, image, row, count, 2 * row, 2 * count, 4 * row, 4 * count, 1),
        )
        work.patches1[:, :-1].view(view.shape).copy_(view)
        torch.matmul(
            spread1.view(groups, -1, spread1.shape[-1]),
            work.patches1,
            out=work.slabs1.view(groups, -1, work.patches1.shape[-1]),
        )
        _largest(work.slabs1, work.top1, work.bottom1, work.pooled1.view(nets, 6, -1))
        # patch of pooled pixel (r, c): pixels (2(r + i) + a, 2(c + j) + b), which lie at [a, b, r + i, c + j]
        plane = half * half * count
        view = work.pooled1.as_strided(
            (nets, 6, 3, 2, 3, 2, second, second * count),
            (24 * plane, 4 * plane, half * count, 2 * plane, count, plane, half * count, 1),
        )
        work.patches2[:, :-1].view(view.shape).copy_(view)
        torch.bmm(spread2.flatten(1, 2), work.patches2, out=work.slabs2.flatten(1, 2))
        _largest(work.slabs2, work.top2, work.bottom2, work.features[:, :-1].view(nets, 16, -1))
        for layer, inputs, outputs, scales in (
            ("fc1", work.features, work.hidden1[:, :-1], _HIDDEN1),
            ("fc2", work.hidden1, work.hidden2[:, :-1], _HIDDEN2),
        ):
            torch.bmm(self._dense[layer][0], inputs, out=outputs)
            outputs.clamp_(min=0)
            if work.dropout is not None:
                outputs.mul_(work.dropout[:, scales])
        return torch.bmm(self._dense["fc3"][0], work.hidden2, out=work.logits)

    def backward(self, work: Workspace, d_logits: Tensor) -> None:
        """Write `gradients` for `d_logits`, the loss's gradient, after a `forward` on the same buffers."""
        nets = len(self)
        first, second = self.shape.pooled
        half = first // 2
        (_, d_spread1), (spread2, d_spread2) = self._spread.values()
        above = d_logits
        for layer, inputs, scales in (
            ("fc3", work.hidden2, _HIDDEN2),
            ("fc2", work.hidden1, _HIDDEN1),
            ("fc1", work.features, None),
        ):
            dense, d_dense = self._dense[layer]
            torch.bmm(above, inputs.transpose(1, 2), out=d_dense)
            below = inputs[:, :-1]
            above = torch.bmm(dense[..., :-1].transpose(1, 2), above)
            above = _where_positive(above, below, out=above)
            if work.dropout is not None and scales is not None:
                above.mul_(work.dropout[:, scales])
        _to_largest(above.view(nets, 16, -1), work.slabs2, work.top2, work.bottom2, work.d_slabs2)
        d_slabs = work.d_slabs2.flatten(1, 2)
        torch.bmm(d_slabs, work.patches2.transpose(1, 2), out=d_spread2.flatten(1, 2))
        torch.bmm(spread2.flatten(1, 2)[..., :-1].transpose(1, 2), d_slabs, out=work.d_patches2)
        d_patches = work.d_patches2.view(nets, 6, 3, 2, 3, 2, second, second, work.count)
        d_pooled = work.d_pooled1.zero_().view(nets, 6, 2, 2, half, half, work.count)
        for i in range(3):
            for j in range(3):
                d_pooled[..., i : i + second, j : j + second, :] += d_patches[:, :, i, :, j]
        d_pooled = _where_positive(work.d_pooled1, work.pooled1, out=work.d_pooled1)
        _to_largest(d_pooled.view(nets, 6, -1), work.slabs1, work.top1, work.bottom1, work.d_slabs1)
        groups = len(work.patches1)
        d_slabs = work.d_slabs1.view(groups, -1, work.patches1.shape[-1])
        # this way round the product is a quarter faster on the CPU: few rows, and very long sums
        d_spread = torch.bmm(work.patches1, d_slabs.transpose(1, 2)).transpose(1, 2)
        d_spread1.view(d_spread.shape).copy_(d_spread)
        self._scatter_gradients()

    def _gather_weights(self) -> None:
        """Lay the parameters out as the products need them."""
        for layer, (spread, _) in self._spread.items():
            spread[..., -1] = self._weights[f"{layer}.bias"][:, None]
            for window in self._windows(spread):
                window.copy_(self._weights[f"{layer}.weight"])
        for layer, (dense, _) in self._dense.items():
            dense[..., :-1] = self._weights[f"{layer}.weight"]
            dense[..., -1] = self._weights[f"{layer}.bias"]

    def _scatter_gradients(self) -> None:
        """The reverse of `_gather_weights`: what was spread is summed."""
        for layer, (_, d_spread) in self._spread.items():
            torch.sum(d_spread[..., -1], dim=1, out=self._gradients[f"{layer}.bias"])
            first, *others = self._windows(d_spread)
            gradient = self._gradients[f"{layer}.weight"].copy_(first)
            for window in others:
                gradient += window
        for layer, (_, d_dense) in self._dense.items():
            self._gradients[f"{layer}.weight"].copy_(d_dense[..., :-1])
            self._gradients[f"{layer}.bias"].copy_(d_dense[..., -1])

    @staticmethod
    def _windows(spread: Tensor) -> list[Tensor]:
        """Where the 5 x 5 weights lie among the 6 x 6, for each place of the pooling window."""
        nets, _, out_channels, columns = spread.shape
        grid = spread[..., :-1].view(nets, 4, out_channels, columns // 36, 6, 6)
        return [grid[:, 2 * a + b, ..., a : a + _KERNEL, b : b + _KERNEL] for a in range(2) for b in range(2)]


def _largest(slabs: Tensor, top: Tensor, bottom: Tensor, out: Tensor) -> None:
    """ReLU of the largest of four slabs `(K, 4, C, M)`; also the larger of the first and of the last two."""
    torch.maximum(slabs[:, 0], slabs[:, 1], out=top)
    torch.maximum(slabs[:, 2], slabs[:, 3], out=bottom)
    torch.maximum(top, bottom, out=out)
    out.clamp_(min=0)


def _to_largest(d_out: Tensor, slabs: Tensor, top: Tensor, bottom: Tensor, d_slabs: Tensor) -> None:
    """Send a gradient `(K, C, M)` back to the first of the largest slabs; `top` and `bottom` are used up."""
    d_bottom = _where_positive(d_out, bottom.sub_(top), out=bottom)
    d_top = torch.sub(d_out, d_bottom, out=top)
    for pair, d_pair in ((0, d_top), (2, d_bottom)):
        first, second = d_slabs[:, pair], d_slabs[:, pair + 1]
        _where_positive(d_pair, torch.sub(slabs[:, pair + 1], slabs[:, pair], out=second), out=second)
        torch.sub(d_pair, second, out=first)


def _where_positive(gradient: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """The gradient where x > 0, else 0: ReLU's backward, several times as fast as `where` on the CPU."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=out)
