"""The layers of LeNet-5 as plain functions on tensors.

Images are float32 tensors `(N, C, H, W)`: N images of C channels, H pixels high and W wide. Every
function returns a new tensor of its input's dtype, lets gradients flow to its inputs and leaves its
inputs as they were. Write each with ordinary tensor operations (`unfold`, `@`, `einsum`, `clamp`,
`where`, `exp`, ...), not with the finished operation that PyTorch has for it.

The classes at the end are given: thin `nn.Module`s with PyTorch's parameter names and initialisation
that call your functions.
"""

import math

import torch
from torch import Tensor, nn


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Two-dimensional cross-correlation: slide each kernel over the image and sum the products.

        y[n, o, i, j] = bias[o] + sum over c, u, v of
                        weight[o, c, u, v] * x_padded[n, c, i * stride + u, j * stride + v]

    The kernel is not flipped: this is what deep learning calls a convolution.

    x: `(N, C_in, H, W)`; weight: `(C_out, C_in, kH, kW)`; bias: `(C_out,)` or None.
    stride: step of the window in pixels; padding: rows and columns of zeros added on each side.
    Returns `(N, C_out, H_out, W_out)` with `H_out = (H + 2 * padding - kH) // stride + 1`, and
    `W_out` likewise.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def max_pool2d(x: Tensor, kernel_size: int, stride: int | None = None) -> Tensor:
    """The largest value in each square window.

        y[n, c, i, j] = max over u, v < kernel_size of x[n, c, i * stride + u, j * stride + v]

    x: `(N, C, H, W)`; kernel_size: side of the window in pixels; stride: step of the window, None
    for `kernel_size`. A last window that does not fit whole is dropped.
    Returns `(N, C, H_out, W_out)` with `H_out = (H - kernel_size) // stride + 1`, and `W_out` likewise.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The fully connected layer: `y = x W^T + b` along the last dimension.

    x: `(..., in)` with any number of leading dimensions; weight: `(out, in)`; bias: `(out,)` or None.
    Returns `(..., out)`.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def relu(x: Tensor) -> Tensor:
    """`max(0, x)` of each element; x of any shape, the result of the same shape."""
    # YOUR CODE HERE
    raise NotImplementedError()


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where x > 0 and `negative_slope * x` elsewhere, for any slope; the result has x's shape."""
    # YOUR CODE HERE
    raise NotImplementedError()


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where x > 0 and `alpha * (exp(x) - 1)` elsewhere; the result has x's shape.

    Value and gradient stay finite for large x, where exp(x) alone overflows.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Probabilities from logits: `exp(x) / sum of exp(x)` along `dim`; the result has x's shape.

    Stable for logits of 1e4 in size: the result does not change when one number is subtracted from
    all logits, so subtract the largest.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of `-log(softmax(logits)[n, target[n]])`.

    logits: `(N, classes)`; target: `(N,)` int64, the right class of each row.
    Returns a 0-dimensional tensor. Stable for logits of 1e4 in size; its gradient with respect to
    the logits is `(softmax(logits) - onehot(target)) / N`.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


# Given: modules that hold parameters and call the functions above. Not graded.


def _uniform_parameter(shape: tuple[int, ...], fan_in: int) -> nn.Parameter:
    """A parameter drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for these layers."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Conv2d(nn.Module):
    """`conv2d` with a square kernel and parameters `weight` and `bias`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ):
        super().__init__()
        fan_in = in_channels * kernel_size**2
        self.stride, self.padding = stride, padding
        self.weight = _uniform_parameter((out_channels, in_channels, kernel_size, kernel_size), fan_in)
        self.bias = _uniform_parameter((out_channels,), fan_in)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)


class MaxPool2d(nn.Module):
    """`max_pool2d` with its window kept."""

    def __init__(self, kernel_size: int, stride: int | None = None):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(x, self.kernel_size, self.stride)


class Linear(nn.Module):
    """`linear` with parameters `weight` and `bias`."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = _uniform_parameter((out_features, in_features), in_features)
        self.bias = _uniform_parameter((out_features,), in_features)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class ReLU(nn.Module):
    """`relu` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x)


class LeakyReLU(nn.Module):
    """`leaky_relu` with its slope kept."""

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)


class ELU(nn.Module):
    """`elu` with its alpha kept."""

    def __init__(self, alpha: float = 1.0):
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)
