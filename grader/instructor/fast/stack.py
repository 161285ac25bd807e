"""Many LeNet-5s at once: forward, backward and Adam over stacked parameters, in matrix products.

A *stack* is K networks of one shape whose parameters are the rows of one tensor `(K, P)`. They differ in
weights, learning rate and decay; each step gives every network a batch, the same one to all or one to each.
The same code runs on the CPU, where cache and arithmetic count, and in a CUDA graph, where the number of
kernels counts.

What makes it fast, and what the layouts below are for:

- The batch is the innermost dimension, so that every patch of an image is a contiguous run to copy.
- A 5 x 5 convolution and the 2 x 2 max pooling after it are one convolution of 6 x 6 windows, stride 2, with four
  times the channels, one for each place in the pooling window, and then the largest of four slabs. ReLU comes
  after pooling, on a quarter of the values: the same function.
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
_CONVOLUTIONS = "conv1", "conv2"
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


def blocks(shape: Shape, rows: Tensor) -> dict[str, Tensor]:
    """Each layer's part of rows of parameters `(..., P)`: views `(..., outputs, inputs + 1)`, the bias last."""
    sizes = [(weight[0], math.prod(weight[1:]) + 1) for weight in shape.layers.values()]
    parts = rows.split([math.prod(size) for size in sizes], dim=-1)
    return {
        layer: part.unflatten(-1, size) for layer, part, size in zip(shape.layers, parts, sizes, strict=True)
    }


def flatten(shape: Shape, state: dict[str, Tensor]) -> Tensor:
    """The row `(P,)` of parameters that holds a state dict of LeNet-5."""
    parts = []
    for layer in shape.layers:
        weight, bias = (state[f"{layer}.{name}"].detach() for name in ("weight", "bias"))
        parts.append(torch.cat([weight.flatten(1), bias[:, None]], dim=1).flatten())
    return torch.cat(parts)


def state_dict(shape: Shape, row: Tensor) -> dict[str, Tensor]:
    """The state dict of LeNet-5 in a row `(P,)` of parameters, as copies."""
    state = {}
    for layer, block in blocks(shape, row).items():
        state[f"{layer}.weight"] = block[:, :-1].reshape(shape.layers[layer]).clone()
        state[f"{layer}.bias"] = block[:, -1].clone()
    return state


class Convolved:
    """The buffers of one convolution and the pooling after it, `outputs` channels of `columns` pooled values.

    Rows of `patches`: a one, the 6 x 6 window by its row, channel and column, and a one. The upper two places
    of a pooling window see all but the last row of a window, the lower two all but the first: two products
    of 5/6 of the rows, each with one of the ones for the bias.
    """

    def __init__(
        self, inputs: int, outputs: int, columns: int, nets: int, groups: int, like: Tensor, backward: bool
    ):
        self.row = inputs * 6
        rows = 5 * self.row + 1
        self.patches = like.new_empty(groups, 6 * self.row + 2, columns)
        self.patches[:, 0] = self.patches[:, -1] = 1
        self.windows = self.patches[:, 1:-1]
        self.seen = self.patches[:, :rows], self.patches[:, -rows:]
        # upper and lower, network, left and right, channel, pooled value
        slabs = like.new_empty(2, nets, 2, outputs, columns)
        self.products = slabs.view(2, groups, -1, columns).unbind()
        self.slabs = [slabs[a, :, b] for a in range(2) for b in range(2)]
        self.top, self.bottom = (like.new_empty(nets, outputs, columns) for _ in range(2))
        if backward:
            d_slabs = torch.empty_like(slabs)
            self.d_products = d_slabs.view(2, groups, -1, columns).unbind()
            self.d_slabs = [d_slabs[a, :, b] for a in range(2) for b in range(2)]
            # this way round the products are faster on the CPU: few columns, and very long sums
            d_weights = like.new_empty(2, groups, rows, nets // groups * 2 * outputs)
            self.d_weights = d_weights.unbind()
            by_net = d_weights.view(2, groups, rows, -1, 2, outputs).permute(0, 1, 3, 4, 5, 2).flatten(1, 2)
            self.d_kernels, self.d_biases = _kernels_and_biases(by_net)

    def forward(self, spread: Tensor, out: Tensor) -> None:
        """ReLU of the largest of each window's four places, `(nets, outputs, columns)`, from the patches."""
        groups = len(self.patches)
        for weights, seen, product in zip(spread, self.seen, self.products, strict=True):
            torch.bmm(weights.view(groups, -1, weights.shape[-1]), seen, out=product)
        torch.maximum(self.slabs[0], self.slabs[1], out=self.top)
        torch.maximum(self.slabs[2], self.slabs[3], out=self.bottom)
        torch.maximum(self.top, self.bottom, out=out)
        out.clamp_(min=0)

    def backward(self, d_out: Tensor) -> None:
        """The gradient of the weights, from that of the pooled values before ReLU; `top` and `bottom` are used up.

        It goes to the first of the largest places.
        """
        top, bottom = self.top, self.bottom
        d_bottom = _where_positive(d_out, bottom.sub_(top), out=bottom)
        d_top = torch.sub(d_out, d_bottom, out=top)
        for d_pair, pair in ((d_top, 0), (d_bottom, 2)):
            first, second = self.d_slabs[pair : pair + 2]
            _where_positive(d_pair, torch.sub(self.slabs[pair + 1], self.slabs[pair], out=second), out=second)
            torch.sub(d_pair, second, out=first)
        for d_weights, seen, d_product in zip(self.d_weights, self.seen, self.d_products, strict=True):
            torch.bmm(seen, d_product.transpose(1, 2), out=d_weights)

    def backward_to_windows(self, spread: Tensor, d_windows: Tensor) -> None:
        """The gradient of the windows, after `backward`; every network has patches of its own."""
        upper, lower = spread.flatten(2, 3)
        torch.bmm(upper[..., 1:].transpose(1, 2), self.d_products[0], out=d_windows[:, : -self.row])
        d_windows[:, -self.row :].zero_()
        d_windows[:, self.row :].baddbmm_(lower[..., :-1].transpose(1, 2), self.d_products[1])


def _kernel_and_bias(block: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel `(..., outputs, inputs, 5, 5)` and the bias `(..., outputs)` in a convolution's block."""
    return block[..., :-1].unflatten(-1, (-1, _KERNEL, _KERNEL)), block[..., -1]


def _kernels_and_biases(spread: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Where the 5 x 5 kernels and the biases lie in `(2, nets, 2, outputs, rows)`, for each place of pooling."""
    kernels, biases = [], []
    for body, bias in ((spread[0, ..., 1:], spread[0, ..., 0]), (spread[1, ..., :-1], spread[1, ..., -1])):
        grid = body.unflatten(-1, (_KERNEL, -1, 6)).movedim(-2, -3)
        for b in range(2):
            kernels.append(grid[:, b, ..., b : b + _KERNEL])
            biases.append(bias[:, b])
    return kernels, biases


class Workspace:
    """The buffers of one step for batches of `count` images, allocated once, and the views that a step needs.

    groups: 1 where all networks get the same batch, `nets` where each gets its own.
    """

    def __init__(
        self, shape: Shape, nets: int, groups: int, count: int, like: Tensor, backward: bool, dropout: bool
    ):
        def empty(*size: int) -> Tensor:
            return like.new_empty(size)

        first, second = shape.pooled
        half, size, channels = first // 2, shape.image_size, shape.in_channels
        self.count = count
        self.images = empty(groups, channels, size, size, count)
        # columns: pooled pixel by its parity, then image
        self.conv1 = Convolved(channels, 6, 4 * half * half * count, nets, groups, like, backward)
        # patch of pooled pixel (2r + a, 2c + b): rows 4r + 2a + i, columns 4c + 2b + j of the image
        image, row = size * size * count, size * count
        self.windows1 = self.images.as_strided(
            (groups, 6, channels, 6, 2, 2, half, half, count),
            (channels * image, row, image, count, 2 * row, 2 * count, 4 * row, 4 * count, 1),
        )
        self.pooled1 = empty(nets, 24, half, half, count)
        self.conv2 = Convolved(6, 16, second * second * count, nets, nets, like, backward)
        # patch of pooled pixel (r, c): pixels (2(r + i) + a, 2(c + j) + b), which lie at [a, b, r + i, c + j]
        plane = half * half * count
        self.windows2 = self.pooled1.as_strided(
            (nets, 3, 2, 6, 3, 2, second, second * count),
            (24 * plane, half * count, 2 * plane, 4 * plane, count, plane, half * count, 1),
        )
        self.features = empty(nets, 16 * second * second + 1, count)
        self.hidden1, self.hidden2 = empty(nets, 121, count), empty(nets, 85, count)
        self.logits = empty(nets, shape.num_classes, count)
        for ones in (self.features, self.hidden1, self.hidden2):
            ones[:, -1] = 1
        # factors of the values after fc1 and fc2
        self.dropout = like.new_ones(nets, _HIDDEN2.stop, count) if dropout else None
        if backward:
            self.d_features, self.d_hidden1, self.d_hidden2 = (
                empty(nets, inputs.shape[1] - 1, count)
                for inputs in (self.features, self.hidden1, self.hidden2)
            )
            self.d_windows2 = empty(nets, 24 * 9, second * second * count)
            self.d_pooled1 = torch.empty_like(self.pooled1)
            # the reverse of `windows2`: what each place of the windows adds to which pixels
            pixels = self.d_pooled1.view(nets, 6, 2, 2, half, half, count)
            windows = self.d_windows2.view(nets, 3, 2, 6, 3, 2, second, second, count)
            self.d_places = [
                (pixels[..., i : i + second, j : j + second, :], windows[:, i, :, :, j].transpose(1, 2))
                for i in range(3)
                for j in range(3)
            ]


class Stack:
    """K networks: `parameters` `(K, P)`, their gradients, and what a step needs of them."""

    def __init__(self, shape: Shape, parameters: Tensor):
        if shape.image_size % 4:
            raise ValueError(f"image_size is a multiple of 4, not {shape.image_size}")
        self.shape = shape
        self.parameters = parameters
        self.gradients = torch.zeros_like(parameters)
        self._blocks, self._d_blocks = blocks(shape, parameters), blocks(shape, self.gradients)
        # the convolutions' weights spread over the 6 x 6 windows, zeros elsewhere; what is copied there from where
        self._spread: dict[str, Tensor] = {}
        self._layout: list[tuple[Tensor, Tensor]] = []
        for layer in _CONVOLUTIONS:
            outputs, inputs = shape.layers[layer][:2]
            spread = parameters.new_zeros(2, len(parameters), 2, outputs, 5 * inputs * 6 + 1)
            self._spread[layer] = spread
            kernel, bias = _kernel_and_bias(self._blocks[layer])
            kernels, biases = _kernels_and_biases(spread)
            self._layout += [(place, kernel) for place in kernels] + [(place, bias) for place in biases]

    def __len__(self) -> int:
        return len(self.parameters)

    def workspace(
        self, count: int, groups: int = 1, backward: bool = True, dropout: bool = False
    ) -> Workspace:
        """Buffers for batches of `count` images, one for all networks or one for each of `groups`."""
        return Workspace(self.shape, len(self), groups, count, self.parameters, backward, dropout)

    def forward(self, work: Workspace) -> Tensor:
        """Logits `(K, classes, count)` of `work.images`, `(groups, C, H, W, count)`; they lie in `work`."""
        for place, parameter in self._layout:
            place.copy_(parameter)
        nets = len(self)
        for layer, convolved, windows, out in (
            ("conv1", work.conv1, work.windows1, work.pooled1.view(nets, 6, -1)),
            ("conv2", work.conv2, work.windows2, work.features[:, :-1].view(nets, 16, -1)),
        ):
            convolved.windows.view(windows.shape).copy_(windows)
            convolved.forward(self._spread[layer], out)
        for layer, inputs, outputs, scales in (
            ("fc1", work.features, work.hidden1[:, :-1], _HIDDEN1),
            ("fc2", work.hidden1, work.hidden2[:, :-1], _HIDDEN2),
        ):
            torch.bmm(self._blocks[layer], inputs, out=outputs)
            outputs.clamp_(min=0)
            if work.dropout is not None:
                outputs.mul_(work.dropout[:, scales])
        return torch.bmm(self._blocks["fc3"], work.hidden2, out=work.logits)

    def backward(self, work: Workspace, d_logits: Tensor) -> None:
        """Write `gradients` for `d_logits`, the loss's gradient, after a `forward` on the same buffers."""
        nets = len(self)
        above = d_logits
        for layer, inputs, d_inputs, scales in (
            ("fc3", work.hidden2, work.d_hidden2, _HIDDEN2),
            ("fc2", work.hidden1, work.d_hidden1, _HIDDEN1),
            ("fc1", work.features, work.d_features, None),
        ):
            torch.bmm(above, inputs.transpose(1, 2), out=self._d_blocks[layer])
            torch.bmm(self._blocks[layer][..., :-1].transpose(1, 2), above, out=d_inputs)
            above = _where_positive(d_inputs, inputs[:, :-1], out=d_inputs)
            if work.dropout is not None and scales is not None:
                above.mul_(work.dropout[:, scales])
        work.conv2.backward(above.view(nets, 16, -1))
        work.conv2.backward_to_windows(self._spread["conv2"], work.d_windows2)
        work.d_pooled1.zero_()
        for pixels, place in work.d_places:
            pixels += place
        d_pooled = _where_positive(work.d_pooled1, work.pooled1, out=work.d_pooled1)
        work.conv1.backward(d_pooled.view(nets, 6, -1))
        self._gather_gradients(work)

    def _gather_gradients(self, work: Workspace) -> None:
        """From the convolutions' products to the parameters' gradients: what was spread is summed."""
        for layer, convolved in zip(_CONVOLUTIONS, (work.conv1, work.conv2), strict=True):
            gradients = _kernel_and_bias(self._d_blocks[layer])
            for gradient, places in zip(gradients, (convolved.d_kernels, convolved.d_biases), strict=True):
                torch.add(places[0], places[1], out=gradient)
                for place in places[2:]:
                    gradient += place


def _where_positive(gradient: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """The gradient where x > 0, else 0: ReLU's backward, several times as fast as `where` on the CPU."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=out)
