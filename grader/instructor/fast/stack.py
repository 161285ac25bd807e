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
- On the CPU a block of networks and columns goes through all of a convolution before the next one begins: what
  one kernel writes, the next finds in the processor's cache. On a GPU there is one block.
- The gradient of a pair of places less that of the right one is that of the left one. The products take the
  pair and the right one, and the difference is taken of their results, which are small.
- A bias is one more column of its weights, against a row of ones among the patches.

The gradient is the one that autograd computes through `solutions/lenet.py`: at ties in pooling it goes to the
first of the largest values in the order of the window's rows, and ReLU's at 0 is 0. A test compares both, step
by step.

Never here: what a run is, when it stops, where it is kept.
"""

import math
from collections.abc import Callable, Mapping
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


def _groups_and_parts(device: str, groups: int, second: bool) -> tuple[int, int]:
    """How many groups a block of a convolution holds, and into how many blocks their columns are parted.

    A processor's cache holds one group, and half of the first convolution's columns; a GPU gets all at once.
    """
    return (1, 1 if second else 2) if device == "cpu" else (groups, 1)


@dataclass(frozen=True)
class _Block:
    """Some networks and columns of a convolution, which go through all of it before the next: views of buffers.

    Pairs are of the upper and the lower places of pooling, `slabs` of all four: left, right, left, right.
    """

    source: Tensor  # the windows as they lie in the images, and where they go among the patches
    windows: Tensor
    weights: tuple[Tensor, ...]
    seen: tuple[Tensor, Tensor]
    products: tuple[Tensor, ...]
    slabs: list[Tensor]
    top: Tensor
    bottom: Tensor
    out: Tensor
    back: "_Back | None"


@dataclass(frozen=True)
class _Back:
    """What a block needs for the gradient besides. The gradient's slabs go into the place of the values'."""

    right_over_left: tuple[Tensor, Tensor]  # by how much one is larger than the other
    bottom_over_top: Tensor
    d_out: Tensor
    d_products: tuple[Tensor, ...]  # transposed
    d_weights: tuple[Tensor, ...]
    adds: bool  # to the gradient of the weights, after a first block
    d_windows: Tensor | None  # None where nobody asks for it
    transposed: tuple[Tensor, Tensor]  # the weights by which it is got
    d_places: list[tuple[Tensor, Tensor]]  # what each place of the windows adds to which pixels


class Convolved:
    """The buffers of one convolution and the pooling after it.

    Rows of the patches: a one, the 6 x 6 window by its row, channel and column, and a one. The upper two places
    of a pooling window see all but the last row of a window, the lower two all but the first: two products
    of 5/6 of the rows, each with one of the ones for the bias.

    windows: `(groups, *window, *columns)`, a view of the images, of which dimension `at` is the first of columns.
    spread: the weights. out: `(nets, outputs, columns)`; d_out: its gradient before ReLU, None without a way
    back. places: of the second convolution; for a buffer of the windows' gradient and a slice of groups, what
    adds to which pixels.

    ReLU between the two comes with the copy to the second one's patches: `out` of the first is before it.
    """

    def __init__(
        self,
        windows: Tensor,
        at: int,
        spread: Tensor,
        out: Tensor,
        d_out: Tensor | None,
        places: Callable[[Tensor, slice], list[tuple[Tensor, Tensor]]] | None = None,
    ):
        groups, (nets, outputs, columns) = len(windows), out.shape
        rows, each = spread.shape[-1], nets // groups
        self.row, self._second = rows // 5, places is not None
        patches = out.new_empty(groups, 6 * self.row + 2, columns)
        patches[:, 0] = patches[:, -1] = 1
        inner = patches[:, 1:-1].view(windows.shape)
        together, parts = _groups_and_parts(out.device.type, groups, self._second)
        width, size = columns // parts, windows.shape[at] // parts
        slabs = out.new_empty(2, together * each, 2, outputs, width)
        products = slabs.view(2, together, -1, width).unbind()
        top, bottom = out.new_empty(2, together * each, outputs, width)
        if d_out is not None:
            # this way round the products are faster on the CPU: few columns, and very long sums
            d_weights = out.new_empty(2, groups, rows, each * 2 * outputs)
            by_net = d_weights.view(2, groups, rows, -1, 2, outputs).permute(0, 1, 3, 4, 5, 2).flatten(1, 2)
            self.d_kernels, self.d_biases = _kernels_and_biases(by_net)
            self.d_left, self.d_right = by_net.unbind(2)
            d_windows = out.new_empty(together, 6 * self.row, width) if places else None
        self._spread, self._by_pairs = spread, torch.empty_like(spread)
        self._blocks = []
        for group in range(0, groups, together):
            of_groups, of_nets = (slice(n * group, n * (group + together)) for n in (1, each))
            weights = spread[:, of_nets].view(2, together, -1, rows).unbind()
            upper, lower = self._by_pairs[:, of_nets].view(2, together, -1, rows).unbind()
            for part in range(parts):
                at_columns = slice(part * width, (part + 1) * width)
                seen = patches[of_groups, :, at_columns]
                block_out = out[of_nets, :, at_columns]
                back = None
                if d_out is not None:
                    *right_over_left, bottom_over_top = out.new_empty(3, *block_out.shape)
                    back = _Back(
                        tuple(right_over_left),
                        bottom_over_top,
                        d_out[of_nets, :, at_columns],
                        tuple(product.transpose(1, 2) for product in products),
                        d_weights[:, of_groups].unbind(),
                        part > 0,
                        d_windows,
                        (upper[..., 1:].transpose(1, 2), lower[..., :-1].transpose(1, 2)),
                        places(d_windows, of_groups) if places and d_windows is not None else [],
                    )
                self._blocks.append(
                    _Block(
                        windows[of_groups].narrow(at, part * size, size),
                        inner[of_groups].narrow(at, part * size, size),
                        weights,
                        (seen[:, :rows], seen[:, -rows:]),
                        products,
                        [slabs[a, :, b] for a in range(2) for b in range(2)],
                        top,
                        bottom,
                        block_out,
                        back,
                    )
                )

    def forward(self) -> None:
        """The largest of each window's four places, to `out`."""
        for block in self._blocks:
            if self._second:
                torch.clamp(block.source, min=0, out=block.windows)
            else:
                block.windows.copy_(block.source)
            for weights, seen, product in zip(block.weights, block.seen, block.products, strict=True):
                torch.bmm(weights, seen, out=product)
            left, right = block.slabs[::2], block.slabs[1::2]
            torch.maximum(left[0], right[0], out=block.top)
            torch.maximum(left[1], right[1], out=block.bottom)
            if block.back is not None:
                for one, other, difference in zip(right, left, block.back.right_over_left, strict=True):
                    torch.sub(one, other, out=difference)
                torch.sub(block.bottom, block.top, out=block.back.bottom_over_top)
            torch.maximum(block.top, block.bottom, out=block.out)
            if self._second:
                block.out.clamp_(min=0)

    def backward(self) -> None:
        """The gradient of the weights, and what places of windows add to pixels; it goes to the first of the largest."""
        if self._second:  # what the pair gives to the windows, and what the right place gives besides
            self._by_pairs.copy_(self._spread)
            self._by_pairs[:, :, 1] -= self._by_pairs[:, :, 0]
        for block in self._blocks:
            back = block.back
            assert back is not None
            (d_top, d_bottom), d_right = block.slabs[::2], block.slabs[1::2]  # of pairs, of right places
            _where_positive(back.d_out, back.bottom_over_top, out=d_bottom)
            torch.sub(back.d_out, d_bottom, out=d_top)
            for d_pair, difference, d_slab in zip(
                (d_top, d_bottom), back.right_over_left, d_right, strict=True
            ):
                _where_positive(d_pair, difference, out=d_slab)
            for seen, d_product, d_weights in zip(block.seen, back.d_products, back.d_weights, strict=True):
                if back.adds:
                    d_weights.baddbmm_(seen, d_product)
                else:
                    torch.bmm(seen, d_product, out=d_weights)
            if back.d_windows is not None:
                upper, lower = back.transposed
                torch.bmm(upper, block.products[0], out=back.d_windows[:, : -self.row])
                back.d_windows[:, -self.row :].zero_()
                back.d_windows[:, self.row :].baddbmm_(lower, block.products[1])
            for pixels, place in back.d_places:
                pixels += place
        self.d_left -= self.d_right


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
        self,
        shape: Shape,
        spread: Mapping[str, Tensor],
        groups: int,
        count: int,
        backward: bool,
        dropout: bool,
    ):
        nets, like = spread["conv1"].shape[1], spread["conv1"]

        def empty(*size: int) -> Tensor:
            return like.new_empty(size)

        first, second = shape.pooled
        half, size, channels = first // 2, shape.image_size, shape.in_channels
        self.count = count
        self.images = empty(groups, channels, size, size, count)
        # columns: pooled pixel by its parity, then image
        # patch of pooled pixel (2r + a, 2c + b): rows 4r + 2a + i, columns 4c + 2b + j of the image
        image, row = size * size * count, size * count
        windows1 = self.images.as_strided(
            (groups, 6, channels, 6, 2, 2, half, half, count),
            (channels * image, row, image, count, 2 * row, 2 * count, 4 * row, 4 * count, 1),
        )
        self.pooled1 = empty(nets, 24, half, half, count)
        # patch of pooled pixel (r, c): pixels (2(r + i) + a, 2(c + j) + b), which lie at [a, b, r + i, c + j]
        plane = half * half * count
        windows2 = self.pooled1.as_strided(
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
        d_pooled = d_features = None
        if backward:
            self.d_features, self.d_hidden1, self.d_hidden2 = (
                empty(nets, inputs.shape[1] - 1, count)
                for inputs in (self.features, self.hidden1, self.hidden2)
            )
            self.d_pooled1 = torch.empty_like(self.pooled1)
            d_pooled, d_features = self.d_pooled1.view(nets, 6, -1), self.d_features.view(nets, 16, -1)

        def places(d_windows: Tensor, of_nets: slice) -> list[tuple[Tensor, Tensor]]:
            """The reverse of `windows2`."""
            pixels = self.d_pooled1[of_nets].view(-1, 6, 2, 2, half, half, count)
            windows = d_windows.view(-1, 3, 2, 6, 3, 2, second, second, count)
            return [
                (pixels[..., i : i + second, j : j + second, :], windows[:, i, :, :, j].transpose(1, 2))
                for i in range(3)
                for j in range(3)
            ]

        self.conv1 = Convolved(windows1, 4, spread["conv1"], self.pooled1.view(nets, 6, -1), d_pooled)
        features = self.features[:, :-1].view(nets, 16, -1)
        self.conv2 = Convolved(windows2, 6, spread["conv2"], features, d_features, places)


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
        return Workspace(self.shape, self._spread, groups, count, backward, dropout)

    def forward(self, work: Workspace) -> Tensor:
        """Logits `(K, classes, count)` of `work.images`, `(groups, C, H, W, count)`; they lie in `work`."""
        for place, parameter in self._layout:
            place.copy_(parameter)
        work.conv1.forward()
        work.conv2.forward()
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
        work.d_pooled1.zero_()
        work.conv2.backward()
        _where_positive(work.d_pooled1, work.pooled1, out=work.d_pooled1)
        work.conv1.backward()
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
