"""Known mistakes: wrong versions of the graded names, each with the hint that a student needs.

After a disagreement the check's experiment is run again with each known mistake of the task in the
solution's place. The first that gives the student's result is the diagnosis, so within a task the
likelier mistake comes first. Before all others come those with right values and wrong gradients: no
experiment on values takes them for another, and one on gradients must not name a wrong value. After
all others come those that change their inputs, since the experiment's own tensors are changed by them.

A mistake takes the arguments that the table gives its task, draws no random numbers and passes
gradients on where a student's would. It may use finished operations: it is never graded. A hint
speaks to the student: what seems to have happened, and where to look.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong version of `task`; `function` is called in the place of the task's function or class."""

    task: str
    name: str
    hint: str
    function: Callable[..., Any]


MISTAKES: dict[str, tuple[Mistake, ...]] = {}  # by task, the likeliest first

Wrong = TypeVar("Wrong", bound=Callable[..., Any])


def mistake(task: str, hint: str) -> Callable[[Wrong], Wrong]:
    """Register a function or class as the next known mistake of `task`, under its own name."""

    def register(function: Wrong) -> Wrong:
        known = MISTAKES.get(task, ())
        MISTAKES[task] = (*known, Mistake(task, function.__name__, hint, function))
        return function

    return register


# -- conv2d -----------------------------------------------------------------------------------------


@mistake(
    "conv2d",
    "No gradient comes out: the result is cut off from its inputs. Look for .data, .detach(), .item(), "
    "numpy, torch.no_grad() or torch.tensor(...) of a result.",
)
def conv2d_detached(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, padding).detach()


@mistake(
    "conv2d",
    "No gradient reaches the weight. Use it as it is: no .data, no .detach(), no copy into numpy.",
)
def conv2d_weight_detached(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight.detach(), bias, stride, padding)


@mistake(
    "conv2d",
    "No gradient reaches x. It must flow through the windows and the padding to the image: no .data, no "
    ".detach(), no copy into numpy.",
)
def conv2d_x_detached(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x.detach(), weight, bias, stride, padding)


@mistake("conv2d", "No gradient reaches the bias. Add it as it is: no .data, no .detach(), no .item().")
def conv2d_bias_detached(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, None if bias is None else bias.detach(), stride, padding)


@mistake(
    "conv2d",
    "This is a true convolution: the kernel is flipped. Cross-correlation slides the kernel as it is, so "
    "multiply each window with the weights in the order in which they come.",
)
def conv2d_flipped(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight.flip(-1, -2), bias, stride, padding)


@mistake(
    "conv2d",
    "Your result is right but for the bias, which is never added. Add bias[o] to output channel o.",
)
def conv2d_no_bias(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, None, stride, padding)


@mistake(
    "conv2d",
    "Your kernel moves one pixel at a time, whatever the stride. Window (i, j) begins at row i * stride and "
    "column j * stride.",
)
def conv2d_stride_ignored(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, 1, padding)


@mistake(
    "conv2d",
    "You do not pad. Put `padding` rows and columns of zeros on each of the four sides of the image first; "
    "the output grows with them.",
)
def conv2d_padding_ignored(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride)


@mistake(
    "conv2d",
    "The output has the right size for the stride, but its windows do not move by it: window (i, j) is read "
    "at row i and column j. Read it at row i * stride and column j * stride.",
)
def conv2d_windows_not_strided(x, weight, bias=None, stride=1, padding=0):
    rows, columns = F.conv2d(x, weight, None, stride, padding).shape[-2:]
    return F.conv2d(x, weight, bias, 1, padding)[..., :rows, :columns]


@mistake(
    "conv2d",
    "Your output lacks its last row and column. The number of windows along an axis is (size - kernel) // "
    "stride + 1: the + 1 counts the first window.",
)
def conv2d_one_short(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, padding)[..., :-1, :-1]


@mistake(
    "conv2d",
    "You pad the image, but your output has the size that belongs to the unpadded one, so windows on the "
    "right and at the bottom are lost. The formula is (H + 2 * padding - kH) // stride + 1.",
)
def conv2d_size_without_padding(x, weight, bias=None, stride=1, padding=0):
    rows, columns = F.conv2d(x, weight, None, stride).shape[-2:]
    return F.conv2d(x, weight, bias, stride, padding)[..., :rows, :columns]


@mistake(
    "conv2d",
    "You pad only on the left and at the top. Padding goes on all four sides: F.pad takes (left, right, top,"
    " bottom).",
)
def conv2d_padding_left_top(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(F.pad(x, (padding, 0, padding, 0)), weight, bias, stride)


@mistake(
    "conv2d",
    "You pad only on the right and at the bottom. Padding goes on all four sides: F.pad takes (left, right, "
    "top, bottom).",
)
def conv2d_padding_right_bottom(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(F.pad(x, (0, padding, 0, padding)), weight, bias, stride)


@mistake(
    "conv2d",
    "You pad the width but not the height. F.pad begins with the last axis: two numbers pad only columns, "
    "four pad (left, right, top, bottom).",
)
def conv2d_padding_columns_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, (0, padding))


@mistake("conv2d", "You pad the height but not the width. Zeros go on the left and on the right, too.")
def conv2d_padding_rows_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, (padding, 0))


@mistake(
    "conv2d",
    "You pad twice as much as asked. `padding` is the number of rows and columns on each side, not on both "
    "together: look for a place that pads a second time.",
)
def conv2d_padding_doubled(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, 2 * padding)


@mistake("conv2d", "Your padding repeats the pixels of the border. Pad with zeros.")
def conv2d_padding_replicates(x, weight, bias=None, stride=1, padding=0):
    padded = F.pad(x, (padding,) * 4, mode="replicate") if padding else x
    return F.conv2d(padded, weight, bias, stride)


@mistake("conv2d", "Your padding mirrors the image at its border. Pad with zeros.")
def conv2d_padding_reflects(x, weight, bias=None, stride=1, padding=0):
    padded = F.pad(x, (padding,) * 4, mode="reflect") if padding else x
    return F.conv2d(padded, weight, bias, stride)


@mistake("conv2d", "Your padding is made of ones. Pad with zeros: they add nothing to the sum.")
def conv2d_padding_ones(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(F.pad(x, (padding,) * 4, value=1.0), weight, bias, stride)


@mistake(
    "conv2d",
    "The stride counts only for rows; columns still move one pixel at a time. Use it along the width, too.",
)
def conv2d_stride_rows_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, (stride, 1), padding)


@mistake(
    "conv2d",
    "The stride counts only for columns; rows still move one pixel at a time. Use it along the height, too.",
)
def conv2d_stride_columns_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, (1, stride), padding)


@mistake(
    "conv2d",
    "Only the first input channel is used. An output channel sums over every input channel c, each with its "
    "own kernel weight[o, c].",
)
def conv2d_first_channel_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x[:, :1], weight[:, :1], bias, stride, padding)


@mistake(
    "conv2d",
    "Only the last input channel counts: it looks as if a loop over the channels overwrites its result. Add "
    "to it (+=) instead.",
)
def conv2d_last_channel_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x[:, -1:], weight[:, -1:], bias, stride, padding)


@mistake("conv2d", "You average over the input channels. The sum over c, u and v is a plain sum.")
def conv2d_channels_averaged(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight / weight.shape[1], bias, stride, padding)


@mistake(
    "conv2d",
    "You average over the window: the products are divided by their number. They are only summed.",
)
def conv2d_window_averaged(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight / weight[0].numel(), bias, stride, padding)


@mistake(
    "conv2d",
    "Every input channel meets the kernel of the first one. Channel c has its own kernel, weight[o, c].",
)
def conv2d_one_kernel_for_all_channels(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight[:, :1].expand_as(weight), bias, stride, padding)


@mistake(
    "conv2d",
    "Rows and columns of the kernel are swapped. Flatten the windows and the kernel in the same order: "
    "weight[o, c, u, v] belongs to row u and column v of the window.",
)
def conv2d_kernel_transposed(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight.transpose(-1, -2), bias, stride, padding)


@mistake("conv2d", "Rows and columns of your output are swapped: it is the right image on its side.")
def conv2d_output_transposed(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, stride, padding).transpose(-1, -2)


@mistake(
    "conv2d",
    "The bias is added once for each input channel: it stands inside the loop over them. Add it once, after "
    "the sum.",
)
def conv2d_bias_for_each_channel(x, weight, bias=None, stride=1, padding=0):
    scaled = None if bias is None else bias * weight.shape[1]
    return F.conv2d(x, weight, scaled, stride, padding)


@mistake("conv2d", "The bias is added once for each product. Add it once, after the sum over the window.")
def conv2d_bias_for_each_product(x, weight, bias=None, stride=1, padding=0):
    scaled = None if bias is None else bias * weight[0].numel()
    return F.conv2d(x, weight, scaled, stride, padding)


@mistake(
    "conv2d",
    "The bias runs along the width instead of the channels. A plain `y + bias` lines up with the last axis: "
    "give it the shape (C_out, 1, 1).",
)
def conv2d_bias_along_width(x, weight, bias=None, stride=1, padding=0):
    y = F.conv2d(x, weight, None, stride, padding)
    return y if bias is None else y + bias


@mistake(
    "conv2d",
    "The bias runs along the height instead of the channels. Give it the shape (C_out, 1, 1): bias[:, None, "
    "None].",
)
def conv2d_bias_along_height(x, weight, bias=None, stride=1, padding=0):
    y = F.conv2d(x, weight, None, stride, padding)
    return y if bias is None else y + bias[:, None]


@mistake("conv2d", "Every output channel gets the first bias. Channel o has its own, bias[o].")
def conv2d_first_bias_only(x, weight, bias=None, stride=1, padding=0):
    y = F.conv2d(x, weight, None, stride, padding)
    return y if bias is None else y + bias[0]


@mistake(
    "conv2d",
    "Every image of the batch gets the result of the first one. Keep the index n of the image.",
)
def conv2d_first_image_for_all(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x[:1].expand_as(x), weight, bias, stride, padding)


@mistake("conv2d", "Only the first image of the batch comes out. Do the same for all N of them.")
def conv2d_first_image_only(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x[:1], weight, bias, stride, padding)


@mistake(
    "conv2d",
    "Your images are added up: each result is the sum over the whole batch. The index n is not summed over.",
)
def conv2d_batch_summed(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x.sum(dim=0, keepdim=True).expand_as(x), weight, bias, stride, padding)


@mistake(
    "conv2d",
    "A last window that does not fit whole is kept and filled up with zeros. It is dropped: the number of "
    "windows is rounded down.",
)
def conv2d_rounded_up(x, weight, bias=None, stride=1, padding=0):
    padded = F.pad(x, (padding,) * 4)
    kernel_height, kernel_width = weight.shape[-2:]
    below = -(padded.shape[-2] - kernel_height) % stride
    right = -(padded.shape[-1] - kernel_width) % stride
    return F.conv2d(F.pad(padded, (0, right, 0, below)), weight, bias, stride)


@mistake(
    "conv2d",
    "Your stride spreads the kernel out instead of moving it: the pixels inside a window are neighbours, and"
    " the stride is the step from one window to the next.",
)
def conv2d_stride_as_dilation(x, weight, bias=None, stride=1, padding=0):
    return F.conv2d(x, weight, bias, 1, padding, dilation=stride)


# -- max_pool2d -------------------------------------------------------------------------------------


def _windows(size: int, kernel_size: int, stride: int | None) -> int:
    """How many whole windows fit."""
    return (size - kernel_size) // (stride or kernel_size) + 1


@mistake(
    "max_pool2d",
    "No gradient comes out: the result is cut off from x. Look for .data, .detach(), .item(), numpy, "
    "torch.no_grad() or a result that is copied into a new tensor by value.",
)
def max_pool2d_detached(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride).detach()


@mistake(
    "max_pool2d",
    "Each pixel of a window gets a share of the gradient. The whole gradient goes to the largest pixel, and "
    "none to the others.",
)
def max_pool2d_gradient_shared(x, kernel_size, stride=None):
    mean = F.avg_pool2d(x, kernel_size, stride)
    return mean + (F.max_pool2d(x, kernel_size, stride) - mean).detach()


@mistake("max_pool2d", "This is average pooling. Take the largest value of each window, not its mean.")
def max_pool2d_average(x, kernel_size, stride=None):
    return F.avg_pool2d(x, kernel_size, stride)


@mistake(
    "max_pool2d",
    "Where a window holds only negative values you return 0. It looks as if the largest value starts at 0, "
    "or zeros are padded: start with the window's own values, or with -inf.",
)
def max_pool2d_starts_at_zero(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride).clamp(min=0)


@mistake(
    "max_pool2d",
    "Without a stride your windows move one pixel at a time. `stride=None` stands for the kernel size, so "
    "that windows lie side by side.",
)
def max_pool2d_default_stride_one(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, 1 if stride is None else stride)


@mistake(
    "max_pool2d",
    "The stride is ignored: your windows always lie side by side. With a stride given, window (i, j) begins "
    "at row i * stride and column j * stride, and windows may overlap.",
)
def max_pool2d_stride_ignored(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size)


@mistake(
    "max_pool2d",
    "A last window that does not fit whole is kept. Drop it: there are (H - kernel_size) // stride + 1 "
    "windows along the height.",
)
def max_pool2d_partial_kept(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride, ceil_mode=True)


@mistake(
    "max_pool2d",
    "You fill the image up with zeros so that the last window fits. Drop such a window instead: there are (H"
    " - kernel_size) // stride + 1 windows along the height.",
)
def max_pool2d_partial_padded(x, kernel_size, stride=None):
    step = kernel_size if stride is None else stride
    below, right = (-(size - kernel_size) % step for size in x.shape[-2:])
    return F.max_pool2d(F.pad(x, (0, right, 0, below)), kernel_size, step)


@mistake(
    "max_pool2d",
    "The output has the right size, but its windows do not move by the stride: window (i, j) is read at row "
    "i and column j. Read it at row i * stride and column j * stride.",
)
def max_pool2d_windows_not_strided(x, kernel_size, stride=None):
    rows, columns = F.max_pool2d(x, kernel_size, stride).shape[-2:]
    return F.max_pool2d(x, kernel_size, 1)[..., :rows, :columns]


@mistake(
    "max_pool2d",
    "Your output lacks its last row and column. There are (size - kernel_size) // stride + 1 windows along "
    "an axis: the + 1 counts the first one.",
)
def max_pool2d_one_short(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride)[..., :-1, :-1]


@mistake("max_pool2d", "Your windows are 2 by 2, whatever is asked for. Use kernel_size.")
def max_pool2d_two_hard_coded(x, kernel_size, stride=None):
    return F.max_pool2d(x, 2, kernel_size if stride is None else stride)


@mistake("max_pool2d", "You always pool 2 by 2 in steps of 2. Use kernel_size and stride.")
def max_pool2d_two_by_two(x, kernel_size, stride=None):
    return F.max_pool2d(x, 2)


@mistake("max_pool2d", "This takes the smallest value of each window. Take the largest.")
def max_pool2d_minimum(x, kernel_size, stride=None):
    return -F.max_pool2d(-x, kernel_size, stride)


@mistake(
    "max_pool2d",
    "You take the largest magnitude, without its sign. -3 is smaller than 1: leave out the absolute value.",
)
def max_pool2d_magnitude(x, kernel_size, stride=None):
    return F.max_pool2d(x.abs(), kernel_size, stride)


@mistake("max_pool2d", "This adds up each window. Take its largest value.")
def max_pool2d_sum(x, kernel_size, stride=None):
    return F.avg_pool2d(x, kernel_size, stride, divisor_override=1)


@mistake(
    "max_pool2d",
    "Only the first pixel of each window comes out. Look at all kernel_size * kernel_size of them.",
)
def max_pool2d_first_pixel(x, kernel_size, stride=None):
    step = stride or kernel_size
    rows, columns = (_windows(size, kernel_size, stride) for size in x.shape[-2:])
    return x[..., ::step, ::step][..., :rows, :columns]


@mistake(
    "max_pool2d",
    "The largest value is taken down each window's first column only. Go over rows and columns of the "
    "window.",
)
def max_pool2d_rows_only(x, kernel_size, stride=None):
    step = stride or kernel_size
    columns = _windows(x.shape[-1], kernel_size, stride)
    return F.max_pool2d(x, (kernel_size, 1), step)[..., :columns]


@mistake(
    "max_pool2d",
    "The largest value is taken along each window's first row only. Go over rows and columns of the window.",
)
def max_pool2d_columns_only(x, kernel_size, stride=None):
    step = stride or kernel_size
    rows = _windows(x.shape[-2], kernel_size, stride)
    return F.max_pool2d(x, (1, kernel_size), step)[..., :rows, :]


@mistake(
    "max_pool2d",
    "The largest value is taken over all channels at once. Pool each channel by itself: keep the axis C.",
)
def max_pool2d_over_channels(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride).amax(dim=1, keepdim=True).expand(-1, x.shape[1], -1, -1)


@mistake("max_pool2d", "The channels are gone: the largest value is taken over all of them. Keep the axis C.")
def max_pool2d_channels_gone(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride).amax(dim=1, keepdim=True)


@mistake(
    "max_pool2d",
    "Window and step are swapped: the window has kernel_size pixels a side and moves by stride.",
)
def max_pool2d_arguments_swapped(x, kernel_size, stride=None):
    return F.max_pool2d(x, stride or kernel_size, kernel_size)


@mistake(
    "max_pool2d",
    "You return two tensors: `max` along a dimension gives (values, indices). Return its values, or use "
    "amax.",
)
def max_pool2d_with_indices(x, kernel_size, stride=None):
    windows = x.unfold(2, kernel_size, stride or kernel_size).unfold(3, kernel_size, stride or kernel_size)
    values, indices = windows.flatten(start_dim=-2).max(dim=-1)
    return values, indices


@mistake(
    "max_pool2d",
    "You return where the largest value is, not the value. `argmax` gives places, `amax` values.",
)
def max_pool2d_places(x, kernel_size, stride=None):
    windows = x.unfold(2, kernel_size, stride or kernel_size).unfold(3, kernel_size, stride or kernel_size)
    return windows.flatten(start_dim=-2).argmax(dim=-1).to(x.dtype)


@mistake("max_pool2d", "Rows and columns of your output are swapped: it is the right image on its side.")
def max_pool2d_output_transposed(x, kernel_size, stride=None):
    return F.max_pool2d(x, kernel_size, stride).transpose(-1, -2)


# -- linear -----------------------------------------------------------------------------------------


@mistake(
    "linear",
    "No gradient comes out: the result is cut off from its inputs. Look for .data, .detach(), numpy or "
    "torch.no_grad().",
)
def linear_detached(x, weight, bias=None):
    return F.linear(x, weight, bias).detach()


@mistake("linear", "No gradient reaches the weight. Use it as it is: no .data and no .detach().")
def linear_weight_detached(x, weight, bias=None):
    return F.linear(x, weight.detach(), bias)


@mistake("linear", "No gradient reaches the bias. Add it as it is: no .data and no .detach().")
def linear_bias_detached(x, weight, bias=None):
    return F.linear(x, weight, None if bias is None else bias.detach())


@mistake("linear", "No gradient reaches x. Use it as it is: no .data and no .detach().")
def linear_x_detached(x, weight, bias=None):
    return F.linear(x.detach(), weight, bias)


@mistake("linear", "The bias is never added.")
def linear_no_bias(x, weight, bias=None):
    return x @ weight.T


@mistake(
    "linear",
    "Negative results are cut off at 0. A linear layer has no activation: leave the ReLU to the net.",
)
def linear_with_relu(x, weight, bias=None):
    return F.relu(F.linear(x, weight, bias))


@mistake("linear", "Your output stands on its side, (out, N). Compute x @ weight.T, not weight @ x.T.")
def linear_output_transposed(x, weight, bias=None):
    return F.linear(x, weight, bias).transpose(0, -1)


@mistake(
    "linear",
    "The leading dimensions are melted into one. x is (..., in) and the result (..., out): `@` keeps them by"
    " itself, or reshape back at the end.",
)
def linear_leading_flattened(x, weight, bias=None):
    return F.linear(x.reshape(-1, x.shape[-1]), weight, bias)


@mistake("linear", "Dimensions of size 1 are gone. Look for a squeeze(): a batch may hold one sample.")
def linear_squeezed(x, weight, bias=None):
    return F.linear(x, weight, bias).squeeze()


@mistake("linear", "You average over the inputs. A linear layer sums the products.")
def linear_averaged(x, weight, bias=None):
    return F.linear(x, weight / weight.shape[-1], bias)


@mistake("linear", "The bias is subtracted. Add it.")
def linear_bias_subtracted(x, weight, bias=None):
    return F.linear(x, weight, None if bias is None else -bias)


@mistake("linear", "Every output gets the first bias. Output o has its own, bias[o].")
def linear_first_bias_only(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias[0]


@mistake("linear", "The bias is added once for each input. Add it once, after the sum.")
def linear_bias_for_each_input(x, weight, bias=None):
    return F.linear(x, weight, None if bias is None else bias * weight.shape[-1])


# -- relu -------------------------------------------------------------------------------------------


@mistake(
    "relu",
    "No gradient comes out: the result is cut off from x. Look for .data, .detach(), numpy, or a change of x"
    " in place under torch.no_grad().",
)
def relu_detached(x):
    return F.relu(x).detach()


@mistake("relu", "Negative numbers get a gradient, too. Where x < 0 ReLU is flat: its gradient there is 0.")
def relu_straight_through(x):
    return x + (F.relu(x) - x).detach()


@mistake("relu", "This is the absolute value: negative numbers change their sign. They become 0.")
def relu_absolute(x):
    return x.abs()


@mistake("relu", "This keeps the negative side. max(0, x) keeps the positive numbers and makes the others 0.")
def relu_wrong_side(x):
    return x.clamp(max=0)


@mistake("relu", "Your result stops at 1. ReLU has no upper end: clamp from below only.")
def relu_capped_at_one(x):
    return x.clamp(0, 1)


@mistake("relu", "Your result stops at 6: this is ReLU6. ReLU has no upper end.")
def relu_capped_at_six(x):
    return x.clamp(0, 6)


@mistake("relu", "This is a leaky ReLU: a hundredth of negative numbers is left. In ReLU they become 0.")
def relu_leaky(x):
    return F.leaky_relu(x)


@mistake("relu", "You return x as it is. Negative numbers become 0.")
def relu_identity(x):
    return x * 1


@mistake(
    "relu",
    "This is a step: 1 for positive numbers. That is the derivative of ReLU; multiply it with x, or clamp x.",
)
def relu_step(x):
    return (x > 0).to(x.dtype)


@mistake("relu", "This is the sigmoid. ReLU is max(0, x).")
def relu_sigmoid(x):
    return torch.sigmoid(x)


@mistake("relu", "This is tanh. ReLU is max(0, x).")
def relu_tanh(x):
    return torch.tanh(x)


@mistake("relu", "This is softplus, a smooth relative. ReLU is max(0, x) itself.")
def relu_softplus(x):
    return F.softplus(x)


@mistake("relu", "Only the positive numbers come out. Keep x's shape: the others become 0.")
def relu_selected(x):
    return x[x > 0]


# -- leaky_relu -------------------------------------------------------------------------------------


@mistake(
    "leaky_relu",
    "No gradient comes out: the result is cut off from x. Look for .data, .detach(), numpy or "
    "torch.no_grad().",
)
def leaky_relu_detached(x, negative_slope=0.01):
    return F.leaky_relu(x, negative_slope).detach()


@mistake("leaky_relu", "The gradient is 1 on both sides. Where x is negative it is negative_slope.")
def leaky_relu_straight_through(x, negative_slope=0.01):
    return x + (F.leaky_relu(x, negative_slope) - x).detach()


@mistake("leaky_relu", "The slope is always 0.01. Use negative_slope.")
def leaky_relu_slope_hard_coded(x, negative_slope=0.01):
    return F.leaky_relu(x, 0.01)


@mistake(
    "leaky_relu",
    "You take the larger of x and negative_slope * x. For a slope above 1 that picks the wrong side: decide "
    "by the sign of x.",
)
def leaky_relu_maximum(x, negative_slope=0.01):
    return torch.maximum(x, negative_slope * x)


@mistake("leaky_relu", "The sides are swapped: the slope is for negative x, positive x stays as it is.")
def leaky_relu_wrong_side(x, negative_slope=0.01):
    return torch.where(x > 0, negative_slope * x, x)


@mistake("leaky_relu", "This is plain ReLU: negative numbers become 0. They become negative_slope * x.")
def leaky_relu_plain(x, negative_slope=0.01):
    return F.relu(x)


@mistake("leaky_relu", "Negative numbers come out positive. negative_slope * x keeps the sign of x.")
def leaky_relu_sign(x, negative_slope=0.01):
    return torch.where(x > 0, x, -negative_slope * x)


@mistake("leaky_relu", "Every negative number becomes negative_slope itself. Multiply it with x.")
def leaky_relu_constant(x, negative_slope=0.01):
    return torch.where(x > 0, x, torch.full_like(x, negative_slope))


@mistake("leaky_relu", "Positive numbers are scaled, too. Only where x is negative does the slope count.")
def leaky_relu_everywhere(x, negative_slope=0.01):
    return negative_slope * x


@mistake("leaky_relu", "You return x as it is. Where x is negative it becomes negative_slope * x.")
def leaky_relu_identity(x, negative_slope=0.01):
    return x * 1


@mistake("leaky_relu", "You divide by the slope. Multiply.")
def leaky_relu_divided(x, negative_slope=0.01):
    return torch.where(x > 0, x, x / negative_slope)


@mistake("leaky_relu", "negative_slope is subtracted from negative numbers. Multiply it with x.")
def leaky_relu_shifted(x, negative_slope=0.01):
    return torch.where(x > 0, x, x - negative_slope)


# -- elu --------------------------------------------------------------------------------------------


@mistake(
    "elu",
    "exp overflows for large x. `where` hides the infinity in the result, but not in the gradient: it sends "
    "0 into the branch it did not take, and 0 * inf is NaN. Clamp x to at most 0 before exp.",
)
def elu_overflow(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * (torch.exp(x) - 1))


@mistake(
    "elu",
    "No gradient comes out: the result is cut off from x. Look for .data, .detach(), numpy or "
    "torch.no_grad().",
)
def elu_detached(x, alpha=1.0):
    return F.elu(x, alpha).detach()


@mistake(
    "elu",
    "No gradient reaches negative x. There the derivative is alpha * exp(x): look for a .detach().",
)
def elu_negative_detached(x, alpha=1.0):
    return torch.where(x > 0, x, F.elu(x, alpha).detach())


@mistake("elu", "alpha is ignored. Below 0 the result is alpha * (exp(x) - 1).")
def elu_alpha_ignored(x, alpha=1.0):
    return F.elu(x)


@mistake("elu", "The - 1 is missing: below 0 the result is alpha * (exp(x) - 1), which meets x at 0.")
def elu_without_minus_one(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.exp(x.clamp(max=0)))


@mistake(
    "elu",
    "The parentheses are missing: alpha * exp(x) - 1 is not alpha * (exp(x) - 1). The difference shows when "
    "alpha is not 1.",
)
def elu_parentheses(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.exp(x.clamp(max=0)) - 1)


@mistake(
    "elu",
    "exp overflows for large x, and multiplying infinity with a mask of 0 gives NaN. Choose with "
    "torch.where, and clamp x to at most 0 before exp.",
)
def elu_overflow_masked(x, alpha=1.0):
    return (x > 0) * x + (x <= 0) * alpha * (torch.exp(x) - 1)


@mistake(
    "elu",
    "Above 0 you return alpha * (exp(x) - 1), which is larger than x there. If you take the larger of both, "
    "decide by the sign of x instead.",
)
def elu_maximum(x, alpha=1.0):
    return torch.maximum(x, alpha * torch.expm1(x))


@mistake("elu", "The sides are swapped: above 0 the result is x, below 0 it is alpha * (exp(x) - 1).")
def elu_wrong_side(x, alpha=1.0):
    return torch.where(x > 0, alpha * torch.expm1(x), x)


@mistake("elu", "alpha scales positive numbers, too. Above 0 the result is x itself.")
def elu_alpha_everywhere(x, alpha=1.0):
    return alpha * F.elu(x)


@mistake("elu", "alpha stands inside the exponential. It is alpha * (exp(x) - 1), not exp(alpha * x) - 1.")
def elu_alpha_in_exponent(x, alpha=1.0):
    return torch.where(x > 0, x, torch.expm1(alpha * x.clamp(max=0)))


@mistake("elu", "You subtract alpha where 1 is subtracted: alpha * (exp(x) - 1), not exp(x) - alpha.")
def elu_alpha_subtracted(x, alpha=1.0):
    return torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - alpha)


@mistake("elu", "The sign is wrong below 0: the result is alpha * (exp(x) - 1), a negative number.")
def elu_sign(x, alpha=1.0):
    return torch.where(x > 0, x, -alpha * torch.expm1(x.clamp(max=0)))


@mistake("elu", "The exponent has the wrong sign. It is exp(x), which is below 1 for negative x.")
def elu_exponent_sign(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(-x.clamp(max=0)))


@mistake("elu", "This is plain ReLU: negative numbers become 0. They become alpha * (exp(x) - 1).")
def elu_relu(x, alpha=1.0):
    return F.relu(x)


@mistake("elu", "This is a leaky ReLU with slope alpha. Below 0 the result is alpha * (exp(x) - 1).")
def elu_leaky(x, alpha=1.0):
    return F.leaky_relu(x, alpha)


@mistake("elu", "This is SELU, a scaled relative. ELU has no scale but alpha.")
def elu_selu(x, alpha=1.0):
    return F.selu(x)


# -- softmax ----------------------------------------------------------------------------------------


@mistake(
    "softmax",
    "No gradient comes out: the result is cut off from x. Look for .data, .detach(), numpy or "
    "torch.no_grad().",
)
def softmax_detached(x, dim=-1):
    return x.softmax(dim=dim).detach()


@mistake("softmax", "The gradient ignores that the sum depends on x, too. Do not detach the sum.")
def softmax_sum_detached(x, dim=-1):
    exponentials = torch.exp(x - x.amax(dim=dim, keepdim=True).detach())
    return exponentials / exponentials.sum(dim=dim, keepdim=True).detach()


@mistake(
    "softmax",
    "exp overflows for large logits, and inf / inf is NaN. Subtract the largest logit along `dim` first: the"
    " result does not change.",
)
def softmax_unstable(x, dim=-1):
    exponentials = torch.exp(x)
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@mistake("softmax", "`dim` is ignored: your probabilities always add up to 1 along the last dimension.")
def softmax_always_last(x, dim=-1):
    return x.softmax(dim=-1)


@mistake("softmax", "`dim` is ignored: your probabilities always add up to 1 along dimension 0.")
def softmax_always_zero(x, dim=-1):
    return x.softmax(dim=0)


@mistake(
    "softmax",
    "Your probabilities add up to 1 over the whole tensor. Sum along `dim` only, with keepdim=True.",
)
def softmax_over_all(x, dim=-1):
    return x.flatten().softmax(dim=0).reshape(x.shape)


@mistake(
    "softmax",
    "You subtract the largest logit of the whole tensor. A row far below it has only zeros left, and 0 / 0 "
    "is NaN: subtract the largest along `dim`.",
)
def softmax_global_maximum(x, dim=-1):
    exponentials = torch.exp(x - x.max())
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@mistake(
    "softmax",
    "You subtract the mean, and exp still overflows for a logit far above it. Subtract the largest along "
    "`dim`.",
)
def softmax_mean_subtracted(x, dim=-1):
    exponentials = torch.exp(x - x.mean(dim=dim, keepdim=True))
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@mistake("softmax", "These are log-probabilities. Softmax gives the probabilities themselves: no log.")
def softmax_log(x, dim=-1):
    return x.log_softmax(dim=dim)


@mistake("softmax", "The exponentials are not divided by their sum along `dim`: they do not add up to 1.")
def softmax_not_normalised(x, dim=-1):
    return torch.exp(x - x.amax(dim=dim, keepdim=True))


@mistake("softmax", "The exponentials are not divided by their sum along `dim`: they do not add up to 1.")
def softmax_only_exponentials(x, dim=-1):
    return torch.exp(x)


@mistake("softmax", "The logits are divided by their sum without an exponential. Take exp of them first.")
def softmax_without_exponential(x, dim=-1):
    return x / x.sum(dim=dim, keepdim=True)


@mistake(
    "softmax",
    "This is the sigmoid of each number by itself. Softmax divides exp(x) by the sum along `dim`.",
)
def softmax_sigmoid(x, dim=-1):
    return torch.sigmoid(x)


@mistake(
    "softmax",
    "The sign is wrong: the smallest logit gets the largest probability. Use exp(x), not exp(-x).",
)
def softmax_of_negative(x, dim=-1):
    return (-x).softmax(dim=dim)


@mistake("softmax", "The base is 2. Softmax uses e: torch.exp.")
def softmax_base_two(x, dim=-1):
    powers = torch.exp2(x - x.amax(dim=dim, keepdim=True))
    return powers / powers.sum(dim=dim, keepdim=True)


@mistake("softmax", "The softmax is applied twice.")
def softmax_twice(x, dim=-1):
    return x.softmax(dim=dim).softmax(dim=dim)


@mistake("softmax", "The largest logit gets all: this is the place of the maximum, not probabilities.")
def softmax_one_hot(x, dim=-1):
    return (x == x.amax(dim=dim, keepdim=True)).to(x.dtype)


@mistake("softmax", "Your logits are divided by the largest, which changes the result. Subtract it.")
def softmax_divided_by_maximum(x, dim=-1):
    return (x / x.amax(dim=dim, keepdim=True)).softmax(dim=dim)


# -- cross_entropy ----------------------------------------------------------------------------------


@mistake(
    "cross_entropy",
    "No gradient comes out: the loss is cut off from the logits. Look for .item(), .data, .detach(), numpy, "
    "or torch.tensor(...) of a result.",
)
def cross_entropy_detached(logits, target):
    return F.cross_entropy(logits, target).detach()


@mistake(
    "cross_entropy",
    "The loss is right, but its gradient lacks the softmax: logsumexp is cut off from the logits. Do not "
    "detach it.",
)
def cross_entropy_normaliser_detached(logits, target):
    right = logits[torch.arange(len(target)), target]
    return (logits.logsumexp(dim=1).detach() - right).mean()


@mistake("cross_entropy", "This is the sum over the batch. Return the mean: divide by N.")
def cross_entropy_sum(logits, target):
    return F.cross_entropy(logits, target, reduction="sum")


@mistake(
    "cross_entropy",
    "log(softmax) breaks down: a probability that rounds to 0 has the log -inf, or exp overflows. Compute "
    "logsumexp(logits) - logits[target] instead.",
)
def cross_entropy_unstable(logits, target):
    probabilities = logits.softmax(dim=1)
    return -probabilities.log()[torch.arange(len(target)), target].mean()


@mistake(
    "cross_entropy",
    "exp overflows for large logits. Subtract the largest logit of each row first, or use logsumexp.",
)
def cross_entropy_overflow(logits, target):
    exponentials = logits.exp()
    probabilities = exponentials / exponentials.sum(dim=1, keepdim=True)
    return -probabilities.log()[torch.arange(len(target)), target].mean()


@mistake(
    "cross_entropy",
    "exp overflows for large logits. Subtract the largest logit of each row first, or use logsumexp.",
)
def cross_entropy_log_of_sum(logits, target):
    return (logits.exp().sum(dim=1).log() - logits[torch.arange(len(target)), target]).mean()


@mistake(
    "cross_entropy",
    "A small number is added to the probability before the log, so that the loss of a confident wrong answer"
    " stops growing. Compute logsumexp(logits) - logits[target]: it needs no such number.",
)
def cross_entropy_epsilon(logits, target):
    probabilities = logits.softmax(dim=1)[torch.arange(len(target)), target]
    return -(probabilities + 1e-8).log().mean()


@mistake(
    "cross_entropy",
    "The probability is kept above a small number before the log, so that the loss of a confident wrong "
    "answer stops growing, and its gradient is 0. Compute logsumexp(logits) - logits[target].",
)
def cross_entropy_clamped(logits, target):
    probabilities = logits.softmax(dim=1)[torch.arange(len(target)), target]
    return -probabilities.clamp(min=1e-12).log().mean()


@mistake(
    "cross_entropy",
    "The softmax is applied twice: the loss is taken of probabilities. cross_entropy receives logits and "
    "does the one softmax itself.",
)
def cross_entropy_softmax_twice(logits, target):
    return F.cross_entropy(logits.softmax(dim=1), target)


@mistake("cross_entropy", "The sign is wrong: the loss is -log(p), which is never negative.")
def cross_entropy_sign(logits, target):
    return -F.cross_entropy(logits, target)


@mistake(
    "cross_entropy",
    "The mean goes over all N * C numbers. Divide by the batch size N, not by the number of classes, too.",
)
def cross_entropy_mean_over_classes(logits, target):
    return F.cross_entropy(logits, target) / logits.shape[1]


@mistake(
    "cross_entropy",
    "Every row is asked for every target: [:, target] picks whole columns. Row n wants only target[n]: use "
    "[torch.arange(N), target] or gather.",
)
def cross_entropy_all_pairs(logits, target):
    return -logits.log_softmax(dim=1)[:, target].mean()


@mistake("cross_entropy", "Each sample's loss comes out. Return their mean, a tensor without dimensions.")
def cross_entropy_not_reduced(logits, target):
    return F.cross_entropy(logits, target, reduction="none")


@mistake("cross_entropy", "The softmax runs over the batch. Classes are dimension 1 of the logits.")
def cross_entropy_over_batch(logits, target):
    return F.nll_loss(logits.log_softmax(dim=0), target)


@mistake("cross_entropy", "The logarithm has base 2. Use the natural one, torch.log.")
def cross_entropy_base_two(logits, target):
    return F.cross_entropy(logits, target) / torch.tensor(2.0).log()


@mistake("cross_entropy", "The logarithm has base 10. Use the natural one, torch.log.")
def cross_entropy_base_ten(logits, target):
    return F.cross_entropy(logits, target) / torch.tensor(10.0).log()


@mistake(
    "cross_entropy",
    "The logits are taken as they are, as if they were log-probabilities. Subtract logsumexp(logits) first.",
)
def cross_entropy_logits_as_log_probabilities(logits, target):
    return F.nll_loss(logits, target)


@mistake("cross_entropy", "The log is missing: this is the mean of -p. The loss is -log(p).")
def cross_entropy_without_log(logits, target):
    return F.nll_loss(logits.softmax(dim=1), target)


@mistake("cross_entropy", "The log is missing: this is the mean of 1 - p. The loss is -log(p).")
def cross_entropy_one_minus_probability(logits, target):
    return 1 + F.nll_loss(logits.softmax(dim=1), target)


@mistake(
    "cross_entropy",
    "All classes count: -log(p) of the wrong ones is in the mean, too. Pick the probability of the target.",
)
def cross_entropy_every_class(logits, target):
    return -logits.log_softmax(dim=1).mean()


@mistake("cross_entropy", "-log(p) is summed over all classes. Pick the probability of the target.")
def cross_entropy_every_class_summed(logits, target):
    return -logits.log_softmax(dim=1).sum(dim=1).mean()


@mistake(
    "cross_entropy",
    "This is the squared error against the one-hot target. The loss is -log(p) of the target.",
)
def cross_entropy_squared_error(logits, target):
    return F.mse_loss(logits.softmax(dim=1), F.one_hot(target, logits.shape[1]).to(logits.dtype))


@mistake(
    "cross_entropy",
    "This is binary cross-entropy with each class by itself. Softmax couples the classes: -log(p) of the "
    "target.",
)
def cross_entropy_binary(logits, target):
    return F.binary_cross_entropy_with_logits(logits, F.one_hot(target, logits.shape[1]).to(logits.dtype))


@mistake("cross_entropy", "The target is taken as if it counted from 1. Classes count from 0.")
def cross_entropy_off_by_one(logits, target):
    return F.cross_entropy(logits, (target - 1) % logits.shape[1])


@mistake(
    "cross_entropy",
    "The loss of the predicted class comes out: target is not used. Pick p[n, target[n]].",
)
def cross_entropy_of_prediction(logits, target):
    return F.cross_entropy(logits, logits.argmax(dim=1))


@mistake("cross_entropy", "Only the first sample counts. Take the mean over the batch.")
def cross_entropy_first_sample(logits, target):
    return F.cross_entropy(logits[:1], target[:1])


@mistake(
    "cross_entropy",
    "The loss is a Python number, from which no gradient can flow. Return the tensor: no .item(), no "
    "float().",
)
def cross_entropy_number(logits, target):
    return F.cross_entropy(logits, target).item()


# -- LeNet5 -----------------------------------------------------------------------------------------


class _LeNet5(nn.Module):
    """The right net in parts that a mistake replaces."""

    padding = 0
    bias = True
    convolutions = (6, 16)

    def __init__(self, in_channels=1, image_size=28, num_classes=10):
        super().__init__()
        first, second = self.convolutions
        self.conv1 = nn.Conv2d(in_channels, first, 5, padding=self.padding, bias=self.bias)
        self.conv2 = nn.Conv2d(first, second, 5, bias=self.bias)
        self.fc1 = nn.Linear(self.flat_features(image_size), 120, bias=self.bias)
        self.fc2 = nn.Linear(120, 84, bias=self.bias)
        self.fc3 = nn.Linear(84, num_classes, bias=self.bias)

    def flat_features(self, image_size: int) -> int:
        side = ((image_size + 2 * self.padding - 4) // 2 - 4) // 2
        return self.convolutions[1] * side * side

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)

    def flatten(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool(self.activate(self.conv1(x)))
        return self.flatten(self.pool(self.activate(self.conv2(x))))

    def classify(self, x: Tensor) -> Tensor:
        return self.fc3(self.activate(self.fc2(self.activate(self.fc1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


@mistake(
    "LeNet5",
    "The net ends with a softmax. Return the logits of fc3: cross_entropy does the softmax itself.",
)
class LeNet5Softmax(_LeNet5):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


@mistake("LeNet5", "There is a ReLU after fc3. The last layer's output is the logits, which may be negative.")
class LeNet5ReluAtTheEnd(_LeNet5):
    def forward(self, x):
        return F.relu(super().forward(x))


@mistake("LeNet5", "There is no activation between the fully connected layers: ReLU follows fc1 and fc2.")
class LeNet5NoReluInClassifier(_LeNet5):
    def classify(self, x):
        return self.fc3(self.fc2(self.fc1(x)))


@mistake("LeNet5", "There is no activation after the convolutions: ReLU follows conv1 and conv2.")
class LeNet5NoReluInFeatures(_LeNet5):
    def features(self, x):
        return self.flatten(self.pool(self.conv2(self.pool(self.conv1(x)))))


@mistake("LeNet5", "ReLU is missing after fc2.")
class LeNet5NoReluAfterFc2(_LeNet5):
    def classify(self, x):
        return self.fc3(self.fc2(F.relu(self.fc1(x))))


@mistake("LeNet5", "ReLU is missing after fc1.")
class LeNet5NoReluAfterFc1(_LeNet5):
    def classify(self, x):
        return self.fc3(F.relu(self.fc2(self.fc1(x))))


@mistake("LeNet5", "ReLU is missing after conv1.")
class LeNet5NoReluAfterConv1(_LeNet5):
    def features(self, x):
        return self.flatten(self.pool(F.relu(self.conv2(self.pool(self.conv1(x))))))


@mistake("LeNet5", "ReLU is missing after conv2.")
class LeNet5NoReluAfterConv2(_LeNet5):
    def features(self, x):
        return self.flatten(self.pool(self.conv2(self.pool(F.relu(self.conv1(x))))))


@mistake("LeNet5", "There is no activation at all: ReLU follows conv1, conv2, fc1 and fc2.")
class LeNet5NoRelu(_LeNet5):
    def activate(self, x):
        return x


@mistake("LeNet5", "The net pools by averages, as the paper of 1998 did. This one takes the largest value.")
class LeNet5AveragePooling(_LeNet5):
    def pool(self, x):
        return F.avg_pool2d(x, 2)


@mistake("LeNet5", "The activation is tanh, as in the paper of 1998. This net uses ReLU.")
class LeNet5Tanh(_LeNet5):
    def activate(self, x):
        return torch.tanh(x)


@mistake("LeNet5", "The activation is the sigmoid. This net uses ReLU.")
class LeNet5Sigmoid(_LeNet5):
    def activate(self, x):
        return torch.sigmoid(x)


@mistake("LeNet5", "The activation is a leaky ReLU. This net uses plain ReLU.")
class LeNet5LeakyRelu(_LeNet5):
    def activate(self, x):
        return F.leaky_relu(x)


@mistake("LeNet5", "The activation is ELU. This net uses plain ReLU.")
class LeNet5Elu(_LeNet5):
    def activate(self, x):
        return F.elu(x)


_TOO_LARGE = (  # at 28 pixels both of the next two have 400 inputs in fc1
    "fc1 is made for larger images: either conv1 pads by 2, or 400 inputs are fixed, as for images of 32 "
    "pixels. Nothing is padded, and fc1's inputs follow from image_size: each convolution takes 4 pixels "
    "away, and each pooling halves."
)


@mistake("LeNet5", _TOO_LARGE)
class LeNet5Only32(_LeNet5):
    def flat_features(self, image_size):
        return 400


@mistake("LeNet5", _TOO_LARGE)
class LeNet5Padded(_LeNet5):
    padding = 2


@mistake(
    "LeNet5",
    "fc1 always takes 256 numbers, as for images of 28 pixels. Work its inputs out from image_size: each "
    "convolution takes 4 pixels away, and each pooling halves.",
)
class LeNet5Only28(_LeNet5):
    def flat_features(self, image_size):
        return 256


@mistake("LeNet5", "in_channels is ignored: conv1 always takes one channel.")
class LeNet5OneChannel(_LeNet5):
    def __init__(self, in_channels=1, image_size=28, num_classes=10):
        super().__init__(1, image_size, num_classes)


@mistake("LeNet5", "in_channels is ignored: conv1 always takes three channels.")
class LeNet5ThreeChannels(_LeNet5):
    def __init__(self, in_channels=1, image_size=28, num_classes=10):
        super().__init__(3, image_size, num_classes)


@mistake("LeNet5", "num_classes is ignored: fc3 always gives ten logits.")
class LeNet5TenClasses(_LeNet5):
    def __init__(self, in_channels=1, image_size=28, num_classes=10):
        super().__init__(in_channels, image_size, 10)


@mistake("LeNet5", "The channels are swapped: conv1 gives 6 and conv2 gives 16.")
class LeNet5ChannelsSwapped(_LeNet5):
    convolutions = (16, 6)


@mistake("LeNet5", "Your layers have no bias. Every convolution and every fully connected layer has one.")
class LeNet5NoBias(_LeNet5):
    bias = False


@mistake("LeNet5", "The net ends with a log-softmax. Return the logits of fc3.")
class LeNet5LogSoftmax(_LeNet5):
    def forward(self, x):
        return super().forward(x).log_softmax(dim=1)


@mistake("LeNet5", "The net ends with a sigmoid. Return the logits of fc3.")
class LeNet5SigmoidAtTheEnd(_LeNet5):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


@mistake(
    "LeNet5",
    "The features are flattened in another order. Flatten (N, C, H, W) as it is, channels first, without a "
    "permute or transpose.",
)
class LeNet5ChannelsLast(_LeNet5):
    def flatten(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


@mistake("LeNet5", "Rows and columns of the features are swapped before they are flattened.")
class LeNet5FeaturesTransposed(_LeNet5):
    def flatten(self, x):
        return x.transpose(-1, -2).flatten(1)


@mistake("LeNet5", "A batch of one loses its batch axis. Flatten with start_dim=1, and do not squeeze.")
class LeNet5Squeezed(_LeNet5):
    def forward(self, x):
        return super().forward(x).squeeze()


@mistake("LeNet5", "There is no pooling after conv2. Pool after both convolutions.")
class LeNet5PoolsOnce(_LeNet5):
    def flat_features(self, image_size):
        return 16 * ((image_size - 4) // 2 - 4) ** 2

    def features(self, x):
        return self.flatten(F.relu(self.conv2(self.pool(F.relu(self.conv1(x))))))


@mistake("LeNet5", "Your pooling moves one pixel at a time. Pool 2 moves by 2.")
class LeNet5PoolStrideOne(_LeNet5):
    def flat_features(self, image_size):
        return 16 * (image_size - 10) ** 2

    def pool(self, x):
        return F.max_pool2d(x, 2, 1)


# -- train_epoch ------------------------------------------------------------------------------------


def _train(
    model, loader, optimizer, device, *, clear="before", mode: bool | None = True, step=True, loss_of=None
):
    """One pass of training; one (loss, right answers, size) a batch.

    clear: when gradients are cleared: "before" the backward pass, "late" (after the step) or "never".
    mode: of the model, None to leave it.
    """
    if mode is not None:
        model.train(mode)
    seen = []
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        if clear == "before":
            optimizer.zero_grad()
        logits = model(images)
        loss = (loss_of or F.cross_entropy)(logits, labels)
        loss.backward()
        if step:
            optimizer.step()
        if clear == "late":
            optimizer.zero_grad()
        seen.append((loss.item(), int((logits.argmax(dim=1) == labels).sum()), len(labels)))
    return seen


def _loss(seen):
    """The mean over samples of the batches' mean losses."""
    return sum(loss * size for loss, _, size in seen) / sum(size for *_, size in seen)


def _accuracy(seen):
    return sum(right for _, right, _ in seen) / sum(size for *_, size in seen)


@mistake(
    "train_epoch",
    "Gradients of earlier batches add up: optimizer.zero_grad() is missing, or called only once, before the "
    "loop. Call it for each batch, before backward().",
)
def train_epoch_never_cleared(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device, clear="never")
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "Loss and accuracy are means over batches, so that a small last batch weighs as much as a full one. "
    "Weigh each batch by its size, and divide by the number of samples.",
)
def train_epoch_means_over_batches(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    loss = sum(loss for loss, *_ in seen) / len(seen)
    return loss, sum(right / size for _, right, size in seen) / len(seen)


@mistake(
    "train_epoch",
    "The loss is a mean over batches, so that a small last batch weighs as much as a full one. Multiply each"
    " batch's loss with its size, and divide by the number of samples.",
)
def train_epoch_loss_over_batches(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return sum(loss for loss, *_ in seen) / len(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "The accuracy is a mean over batches, so that a small last batch weighs as much as a full one. Count "
    "right answers and samples.",
)
def train_epoch_accuracy_over_batches(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen), sum(right / size for _, right, size in seen) / len(seen)


@mistake(
    "train_epoch",
    "Gradients are cleared only after each step, so that what lies in them on entry counts in the first "
    "batch. Clear them before backward().",
)
def train_epoch_cleared_late(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device, clear="late")
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "The weights never change. Either optimizer.step() is missing, or gradients are cleared between "
    "backward() and step(): the order is zero_grad, backward, step.",
)
def train_epoch_no_step(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device, step=False)
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "The model is not put into training mode. Call model.train() at the start: an evaluation may have come "
    "before.",
)
def train_epoch_mode_kept(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device, mode=None)
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "The losses are only summed. Divide by the number of samples, each batch weighed by its size.",
)
def train_epoch_loss_summed(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return sum(loss for loss, *_ in seen), _accuracy(seen)


@mistake("train_epoch", "The loss is the sum over samples. Divide it by their number.")
def train_epoch_loss_summed_over_samples(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return sum(loss * size for loss, _, size in seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "The sum of the batches' mean losses is divided by the number of samples. Multiply each batch's loss "
    "with its size first.",
)
def train_epoch_loss_not_weighed(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return sum(loss for loss, *_ in seen) / sum(size for *_, size in seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "Loss and accuracy are those of the last batch. Add up over the batches, and divide at the end.",
)
def train_epoch_last_batch(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen[-1:]), _accuracy(seen[-1:])


@mistake("train_epoch", "The accuracy is in percent. Return a share, 0 to 1.")
def train_epoch_percent(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen), 100 * _accuracy(seen)


@mistake("train_epoch", "You return (accuracy, loss). The order is (loss, accuracy).")
def train_epoch_swapped(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _accuracy(seen), _loss(seen)


@mistake(
    "train_epoch",
    "The accuracy is measured on a second forward pass, after the step. Use the logits that the loss was "
    "computed from: one forward pass for each batch.",
)
def train_epoch_second_pass(model, loader, optimizer, device="cpu"):
    model.train()
    losses, right, samples = 0.0, 0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses += loss.item() * len(labels)
        right += int((model(images).argmax(dim=1) == labels).sum())
        samples += len(labels)
    return losses / samples, right / samples


@mistake(
    "train_epoch",
    "Loss and accuracy are measured after the epoch, on another pass. Take them from the forward pass of "
    "each batch as you train.",
)
def train_epoch_measured_afterwards(model, loader, optimizer, device="cpu"):
    _train(model, loader, optimizer, device)
    losses, right, samples = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images.to(device))
            losses += F.cross_entropy(logits, labels.to(device), reduction="sum").item()
            right += int((logits.argmax(dim=1) == labels.to(device)).sum())
            samples += len(labels)
    return losses / samples, right / samples


@mistake(
    "train_epoch",
    "cross_entropy gets probabilities: there is a softmax before it. Give it the model's logits.",
)
def train_epoch_softmax_first(model, loader, optimizer, device="cpu"):
    seen = _train(
        model,
        loader,
        optimizer,
        device,
        loss_of=lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels),
    )
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "Training uses the sum of a batch's losses, so that steps grow with its size. Use the mean.",
)
def train_epoch_trained_on_sums(model, loader, optimizer, device="cpu"):
    seen = _train(
        model,
        loader,
        optimizer,
        device,
        loss_of=lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum"),
    )
    samples = sum(size for *_, size in seen)
    return sum(loss for loss, *_ in seen) / samples, _accuracy(seen)


@mistake(
    "train_epoch",
    "Right answers are divided by the number of batches. Divide by the number of samples.",
)
def train_epoch_count_over_batches(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen), sum(right for _, right, _ in seen) / len(seen)


@mistake("train_epoch", "The accuracy is a number of right answers. Divide by the number of samples.")
def train_epoch_count(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen), float(sum(right for _, right, _ in seen))


@mistake("train_epoch", "The share of wrong answers comes out. The accuracy is 1 minus that.")
def train_epoch_error_rate(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    return _loss(seen), 1 - _accuracy(seen)


@mistake("train_epoch", "Samples are counted as if every batch were full. Use len(labels) of each batch.")
def train_epoch_full_batches(model, loader, optimizer, device="cpu"):
    seen = _train(model, loader, optimizer, device)
    samples = len(seen) * seen[0][2]
    return sum(loss * size for loss, _, size in seen) / samples, sum(right for _, right, _ in seen) / samples


@mistake(
    "train_epoch",
    "Only the first batch is used: there is a return inside the loop. Move it after the loop.",
)
def train_epoch_first_batch(model, loader, optimizer, device="cpu"):
    seen = _train(model, list(loader)[:1], optimizer, device)
    return _loss(seen), _accuracy(seen)


@mistake("train_epoch", "The last batch is left out. A smaller batch is trained on like the others.")
def train_epoch_last_batch_dropped(model, loader, optimizer, device="cpu"):
    seen = _train(model, list(loader)[:-1], optimizer, device)
    return _loss(seen), _accuracy(seen)


@mistake("train_epoch", "There is one step for the whole epoch. Step once for each batch.")
def train_epoch_one_step(model, loader, optimizer, device="cpu"):
    optimizer.zero_grad()
    seen = _train(model, loader, optimizer, device, clear="never", step=False)
    optimizer.step()
    return _loss(seen), _accuracy(seen)


@mistake(
    "train_epoch",
    "Predictions are the largest over the batch (dim 0). Classes are dimension 1 of the logits.",
)
def train_epoch_argmax_over_batch(model, loader, optimizer, device="cpu"):
    model.train()
    losses, right, samples = 0.0, 0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        losses += loss.item() * len(labels)
        classes = logits.argmax(dim=0)
        right += int((classes[: len(labels)] == labels[: len(classes)]).sum())
        samples += len(labels)
    return losses / samples, right / samples


# -- evaluate ---------------------------------------------------------------------------------------


def _right(model, loader, device):
    """(right answers, size) of each batch."""
    with torch.no_grad():
        return [
            (int((model(images.to(device)).argmax(dim=1) == labels.to(device)).sum()), len(labels))
            for images, labels in loader
        ]


def _right_in_evaluation_mode(model, loader, device):
    was_training = model.training
    model.eval()
    seen = _right(model, loader, device)
    model.train(was_training)
    return seen


def _share(seen):
    return sum(right for right, _ in seen) / sum(size for _, size in seen)


@mistake(
    "evaluate",
    "The model is not put into evaluation mode. Call model.eval() first: dropout and its like must be off.",
)
def evaluate_mode_kept(model, loader, device="cpu"):
    return _share(_right(model, loader, device))


@mistake(
    "evaluate",
    "The model is left in evaluation mode. Remember model.training at the start and put it back with "
    "model.train(was_training).",
)
def evaluate_left_in_evaluation(model, loader, device="cpu"):
    model.eval()
    return _share(_right(model, loader, device))


@mistake(
    "evaluate",
    "The model always ends in training mode. Remember model.training at the start and put that back.",
)
def evaluate_left_in_training(model, loader, device="cpu"):
    model.eval()
    seen = _right(model, loader, device)
    model.train()
    return _share(seen)


@mistake(
    "evaluate",
    "The accuracy is a mean over batches, so that a small last batch weighs as much as a full one. Count "
    "right answers and samples.",
)
def evaluate_mean_over_batches(model, loader, device="cpu"):
    seen = _right_in_evaluation_mode(model, loader, device)
    return sum(right / size for right, size in seen) / len(seen)


@mistake("evaluate", "The accuracy is in percent. Return a share, 0 to 1.")
def evaluate_percent(model, loader, device="cpu"):
    return 100 * _share(_right_in_evaluation_mode(model, loader, device))


@mistake("evaluate", "The share of wrong answers comes out. The accuracy is 1 minus that.")
def evaluate_error_rate(model, loader, device="cpu"):
    return 1 - _share(_right_in_evaluation_mode(model, loader, device))


@mistake("evaluate", "Only the last batch counts. Add up over the batches, and divide at the end.")
def evaluate_last_batch(model, loader, device="cpu"):
    return _share(_right_in_evaluation_mode(model, loader, device)[-1:])


@mistake(
    "evaluate",
    "Only the first batch counts: there is a return inside the loop. Move it after the loop.",
)
def evaluate_first_batch(model, loader, device="cpu"):
    return _share(_right_in_evaluation_mode(model, loader, device)[:1])


@mistake("evaluate", "The last batch is left out. A smaller batch counts by its size.")
def evaluate_last_batch_dropped(model, loader, device="cpu"):
    return _share(_right_in_evaluation_mode(model, loader, device)[:-1])


@mistake("evaluate", "Samples are counted as if every batch were full. Use len(labels) of each batch.")
def evaluate_full_batches(model, loader, device="cpu"):
    seen = _right_in_evaluation_mode(model, loader, device)
    return sum(right for right, _ in seen) / (len(seen) * seen[0][1])


@mistake("evaluate", "Right answers are divided by the number of batches. Divide by the number of samples.")
def evaluate_count_over_batches(model, loader, device="cpu"):
    seen = _right_in_evaluation_mode(model, loader, device)
    return sum(right for right, _ in seen) / len(seen)


@mistake("evaluate", "This is a number of right answers. Divide by the number of samples.")
def evaluate_count(model, loader, device="cpu"):
    return float(sum(right for right, _ in _right_in_evaluation_mode(model, loader, device)))


@mistake(
    "evaluate",
    "Predictions are the largest over the batch (dim 0). Classes are dimension 1 of the logits.",
)
def evaluate_argmax_over_batch(model, loader, device="cpu"):
    was_training = model.training
    model.eval()
    right, samples = 0, 0
    with torch.no_grad():
        for images, labels in loader:
            classes = model(images.to(device)).argmax(dim=0)
            right += int((classes[: len(labels)] == labels.to(device)[: len(classes)]).sum())
            samples += len(labels)
    model.train(was_training)
    return right / samples


@mistake("evaluate", "This is the loss. Return the share of right answers.")
def evaluate_loss(model, loader, device="cpu"):
    was_training = model.training
    model.eval()
    total, samples = 0.0, 0
    with torch.no_grad():
        for images, labels in loader:
            total += F.cross_entropy(model(images.to(device)), labels.to(device), reduction="sum").item()
            samples += len(labels)
    model.train(was_training)
    return total / samples


@mistake(
    "evaluate",
    "Gradients are recorded. Put the loop under torch.no_grad(): it saves memory and half of the time.",
)
def evaluate_with_gradients(model, loader, device="cpu"):
    was_training = model.training
    model.eval()
    right, samples = 0, 0
    for images, labels in loader:
        right += int((model(images.to(device)).argmax(dim=1) == labels.to(device)).sum())
        samples += len(labels)
    model.train(was_training)
    return right / samples


# -- fit --------------------------------------------------------------------------------------------


@dataclass
class _History:
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)


def _fit(
    model,
    train_loader,
    test_loader,
    *,
    lr=1e-3,
    weight_decay=0.0,
    max_epochs=20,
    target_accuracy: float | None = None,
    device="cpu",
    on_epoch: Callable[[int, Any], object] | None = None,
    make: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    make_each_epoch=False,
    judge: Callable[[_History], float] = lambda history: history.test_accuracy[-1],
    evaluate: Callable[..., float] = lambda *args: _share(_right_in_evaluation_mode(*args)),
):
    """The right `fit`, in parts that a mistake replaces."""
    optimizer = make(model.parameters(), lr=lr, weight_decay=weight_decay)
    history = _History()
    for epoch in range(1, max_epochs + 1):
        if make_each_epoch:
            optimizer = make(model.parameters(), lr=lr, weight_decay=weight_decay)
        seen = _train(model, train_loader, optimizer, device)
        history.train_loss.append(_loss(seen))
        history.train_accuracy.append(_accuracy(seen))
        history.test_accuracy.append(evaluate(model, test_loader, device))
        if on_epoch is not None:
            on_epoch(epoch, history)
        if target_accuracy is not None and judge(history) >= target_accuracy:
            break
    return history


@mistake(
    "fit",
    "weight_decay is ignored. Hand it to the optimizer: torch.optim.Adam(..., weight_decay=weight_decay).",
)
def fit_weight_decay_ignored(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "weight_decay": 0.0})


@mistake("fit", "lr is ignored: Adam runs at its default rate of 1e-3. Hand it to the optimizer.")
def fit_lr_ignored(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "lr": 1e-3})


@mistake("fit", "The optimizer is plain SGD. Use torch.optim.Adam.")
def fit_sgd(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **options, make=torch.optim.SGD)


@mistake("fit", "The optimizer is SGD with momentum. Use torch.optim.Adam.")
def fit_momentum(model, train_loader, test_loader, **options):
    def make(parameters, lr, weight_decay):
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=0.9)

    return _fit(model, train_loader, test_loader, **options, make=make)


@mistake("fit", "The optimizer is AdamW, which applies weight decay in another way. Use torch.optim.Adam.")
def fit_adamw(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **options, make=torch.optim.AdamW)


@mistake("fit", "The optimizer is RMSprop. Use torch.optim.Adam.")
def fit_rmsprop(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **options, make=torch.optim.RMSprop)


@mistake(
    "fit",
    "The optimizer is made anew in each epoch, and loses what Adam remembers of earlier gradients. Make it "
    "once, before the loop.",
)
def fit_optimizer_each_epoch(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **options, make_each_epoch=True)


@mistake(
    "fit",
    "A target of 0.0 is taken for none: `if target_accuracy` is false for it. Ask `target_accuracy is not "
    "None`.",
)
def fit_zero_target_ignored(model, train_loader, test_loader, **options):
    return _fit(
        model,
        train_loader,
        test_loader,
        **{**options, "target_accuracy": options.get("target_accuracy") or None},
    )


@mistake(
    "fit",
    "target_accuracy is ignored. Stop after the first epoch whose test accuracy is at least that.",
)
def fit_target_ignored(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "target_accuracy": None})


@mistake(
    "fit",
    "Training stops on the accuracy on the training set. Compare the test accuracy with the target.",
)
def fit_stops_on_train_accuracy(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **options, judge=lambda history: history.train_accuracy[-1])


@mistake(
    "fit",
    "Training goes on for one epoch after the target is reached. Compare with the accuracy of the epoch that"
    " has just ended, after appending it.",
)
def fit_stops_late(model, train_loader, test_loader, **options):
    def judge(history):
        return history.test_accuracy[-2] if len(history.test_accuracy) > 1 else -1.0

    return _fit(model, train_loader, test_loader, **options, judge=judge)


@mistake("fit", "on_epoch is not called for the last epoch: you stop before it. Call it, then stop.")
def fit_stops_before_on_epoch(model, train_loader, test_loader, **options):
    target, wanted = options.get("target_accuracy"), options.get("on_epoch")

    def on_epoch(epoch, history):
        if wanted is not None and (target is None or history.test_accuracy[-1] < target):
            wanted(epoch, history)

    return _fit(model, train_loader, test_loader, **{**options, "on_epoch": on_epoch})


@mistake(
    "fit",
    "The epoch that reaches the target is missing in the history, and on_epoch is not called for it: you "
    "stop first. Record, call on_epoch, then stop.",
)
def fit_stops_before_recording(model, train_loader, test_loader, **options):
    history = fit_stops_before_on_epoch(model, train_loader, test_loader, **options)
    target = options.get("target_accuracy")
    if target is not None and history.test_accuracy[-1] >= target:
        for values in (history.train_loss, history.train_accuracy, history.test_accuracy):
            values.pop()
    return history


@mistake("fit", "on_epoch counts from 0. Epochs count from 1.")
def fit_counts_from_zero(model, train_loader, test_loader, **options):
    wanted = options.get("on_epoch")

    def on_epoch(epoch, history):
        if wanted is not None:
            wanted(epoch - 1, history)

    return _fit(model, train_loader, test_loader, **{**options, "on_epoch": on_epoch})


@mistake("fit", "on_epoch is never called. Call on_epoch(epoch, history) after each epoch.")
def fit_never_calls(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "on_epoch": None})


@mistake("fit", "on_epoch is called only once, at the end. Call it after each epoch, for a progress display.")
def fit_calls_at_the_end(model, train_loader, test_loader, **options):
    history = _fit(model, train_loader, test_loader, **{**options, "on_epoch": None})
    if options.get("on_epoch") is not None:
        options["on_epoch"](len(history.train_loss), history)
    return history


@mistake(
    "fit",
    "on_epoch sees the history without the epoch that has just ended. Append to all three lists before you "
    "call it.",
)
def fit_calls_before_recording(model, train_loader, test_loader, **options):
    wanted = options.get("on_epoch")

    def on_epoch(epoch, history):
        if wanted is not None:
            wanted(
                epoch,
                _History(history.train_loss[:-1], history.train_accuracy[:-1], history.test_accuracy[:-1]),
            )

    return _fit(model, train_loader, test_loader, **{**options, "on_epoch": on_epoch})


@mistake(
    "fit",
    "on_epoch is called before the test accuracy is appended. Evaluate and append first, then call it.",
)
def fit_calls_before_evaluating(model, train_loader, test_loader, **options):
    wanted = options.get("on_epoch")

    def on_epoch(epoch, history):
        if wanted is not None:
            wanted(epoch, _History(history.train_loss, history.train_accuracy, history.test_accuracy[:-1]))

    return _fit(model, train_loader, test_loader, **{**options, "on_epoch": on_epoch})


@mistake(
    "fit",
    "One epoch too few runs. range(max_epochs) has max_epochs turns; range(1, max_epochs) has one less.",
)
def fit_one_epoch_less(model, train_loader, test_loader, **options):
    return _fit(
        model, train_loader, test_loader, **{**options, "max_epochs": options.get("max_epochs", 20) - 1}
    )


@mistake("fit", "One epoch too many runs. Let exactly max_epochs run.")
def fit_one_epoch_more(model, train_loader, test_loader, **options):
    return _fit(
        model, train_loader, test_loader, **{**options, "max_epochs": options.get("max_epochs", 20) + 1}
    )


@mistake("fit", "The test accuracy is measured on the training set. Evaluate on test_loader.")
def fit_evaluates_on_train(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, train_loader, **options)


@mistake(
    "fit",
    "The net is trained on the test set. Train on train_loader; test_loader is only for evaluating.",
)
def fit_trains_on_test(model, train_loader, test_loader, **options):
    return _fit(model, test_loader, test_loader, **options)


@mistake("fit", "The two loaders are swapped: train on train_loader, evaluate on test_loader.")
def fit_loaders_swapped(model, train_loader, test_loader, **options):
    return _fit(model, test_loader, train_loader, **options)


@mistake("fit", "Each epoch is evaluated before its training. Train first, then evaluate.")
def fit_evaluates_first(model, train_loader, test_loader, **options):
    before = [_share(_right_in_evaluation_mode(model, test_loader, options.get("device", "cpu")))]

    def evaluate(*args):
        before.append(_share(_right_in_evaluation_mode(*args)))
        return before[-2]

    return _fit(model, train_loader, test_loader, **options, evaluate=evaluate)


@mistake("fit", "train_loss and train_accuracy are swapped. train_epoch returns (loss, accuracy).")
def fit_loss_and_accuracy_swapped(model, train_loader, test_loader, **options):
    history = _fit(model, train_loader, test_loader, **options)
    return _History(history.train_accuracy, history.train_loss, history.test_accuracy)


@mistake("fit", "train_accuracy and test_accuracy are swapped in the history.")
def fit_accuracies_swapped(model, train_loader, test_loader, **options):
    history = _fit(model, train_loader, test_loader, **options)
    return _History(history.train_loss, history.test_accuracy, history.train_accuracy)


@mistake("fit", "train_accuracy stays empty. Append to all three lists after each epoch.")
def fit_no_train_accuracy(model, train_loader, test_loader, **options):
    history = _fit(model, train_loader, test_loader, **options)
    return _History(history.train_loss, [], history.test_accuracy)


@mistake("fit", "test_accuracy holds only the last epoch. Evaluate after every epoch and append.")
def fit_evaluates_once(model, train_loader, test_loader, **options):
    history = _fit(model, train_loader, test_loader, **options)
    return _History(history.train_loss, history.train_accuracy, history.test_accuracy[-1:])


@mistake(
    "fit",
    "The net ends with the weights of its best epoch. It must end with those of the last epoch that ran.",
)
def fit_restores_best(model, train_loader, test_loader, **options):
    best = (-1.0, model.state_dict())

    def evaluate(*args):
        nonlocal best
        accuracy = _share(_right_in_evaluation_mode(*args))
        if accuracy > best[0]:
            best = (accuracy, copy.deepcopy(model.state_dict()))
        return accuracy

    history = _fit(model, train_loader, test_loader, **options, evaluate=evaluate)
    model.load_state_dict(best[1])
    return history


@mistake(
    "fit",
    "The weights of the net that was handed over do not change: you train a copy. Train the net itself.",
)
def fit_trains_a_copy(model, train_loader, test_loader, **options):
    return _fit(copy.deepcopy(model), train_loader, test_loader, **options)


@mistake(
    "fit",
    "Only the first epoch runs. Either there is a return inside the loop, or a target of None is taken for "
    "one that is reached: `target_accuracy=None` never stops early.",
)
def fit_only_one_epoch(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "max_epochs": 1})


@mistake("fit", "max_epochs is ignored: 20 epochs run.")
def fit_always_twenty(model, train_loader, test_loader, **options):
    return _fit(model, train_loader, test_loader, **{**options, "max_epochs": 20})


# -- Invert -----------------------------------------------------------------------------------------


class _Transform:
    def __repr__(self) -> str:
        return "Invert()"


@mistake("Invert", "This is -x, with values below 0. The negative of an image in 0..1 is 1 - x.")
class InvertMinus(_Transform):
    def __call__(self, image):
        return -image


@mistake("Invert", "This is 255 - x. The image holds values 0 to 1: its negative is 1 - x.")
class Invert255(_Transform):
    def __call__(self, image):
        return 255 - image


@mistake("Invert", "The image comes back as it was. Return 1 - x.")
class InvertUnchanged(_Transform):
    def __call__(self, image):
        return image.clone()


@mistake(
    "Invert",
    "This subtracts from the image's own largest value. White is 1 in every image: return 1 - x.",
)
class InvertFromMaximum(_Transform):
    def __call__(self, image):
        return image.max() - image


@mistake(
    "Invert",
    "This mirrors the range of the image's own values. Black is 0 and white is 1: return 1 - x.",
)
class InvertWithinRange(_Transform):
    def __call__(self, image):
        return image.max() + image.min() - image


@mistake("Invert", "The result is uint8. It has the dtype of the image, with values 0 to 1.")
class InvertUint8(_Transform):
    def __call__(self, image):
        return (255 * (1 - image)).to(torch.uint8)


@mistake("Invert", "The result is 255 times too large: keep to values 0 to 1.")
class InvertScaled(_Transform):
    def __call__(self, image):
        return 255 - 255 * image


@mistake("Invert", "The result holds only 0 and 1. Greys have negatives, too: return 1 - x.")
class InvertBinary(_Transform):
    def __call__(self, image):
        return (image < 0.5).to(image.dtype)


@mistake("Invert", "This is x - 1, with values below 0. The negative is 1 - x.")
class InvertBackwards(_Transform):
    def __call__(self, image):
        return image - 1


@mistake(
    "Invert",
    "This mirrors the image left to right. The negative changes brightness, not places: 1 - x.",
)
class InvertMirrored(_Transform):
    def __call__(self, image):
        return image.flip(-1)


@mistake("Invert", "This turns the image upside down. The negative changes brightness, not places: 1 - x.")
class InvertUpsideDown(_Transform):
    def __call__(self, image):
        return image.flip(-2)


@mistake("Invert", "The result is normalised to -1..1. Return 1 - x, in 0..1.")
class InvertNormalised(_Transform):
    def __call__(self, image):
        return 1 - 2 * image


@mistake("Invert", "Pixels of 0 stay 0. Black becomes white: return 1 - x everywhere.")
class InvertKeepsBlack(_Transform):
    def __call__(self, image):
        return torch.where(image > 0, 1 - image, image)


@mistake(
    "Invert",
    "The image that was handed over is changed. Compute 1 - x into a new tensor: no operations that end in "
    "_, no image[...] = ...",
)
class InvertInPlace(_Transform):
    def __call__(self, image):
        return image.neg_().add_(1)


# -- mean_and_std -----------------------------------------------------------------------------------


def _scaled(images: Tensor) -> Tensor:
    """float32 images, uint8 scaled to 0..1; torch's own mean and std do not drift."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


@mistake(
    "mean_and_std",
    "uint8 images are not scaled: the numbers are 255 times too large. Divide uint8 by 255 first.",
)
def mean_and_std_not_scaled(images):
    x = images.float()
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3), correction=0)


@mistake("mean_and_std", "Float images are divided by 255, too. They hold values 0 to 1: scale only uint8.")
def mean_and_std_always_scaled(images):
    x = images.float() / 255
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3), correction=0)


@mistake(
    "mean_and_std",
    "The sum of squares is divided by M - 1, torch's default. Population standard deviation divides by M: "
    "std(..., correction=0).",
)
def mean_and_std_sample(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))


@mistake(
    "mean_and_std",
    "The deviation is the mean of each image's own. It leaves out how images differ from each other: take "
    "all pixels of a channel together.",
)
def mean_and_std_mean_of_stds(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.std(dim=(2, 3), correction=0).mean(dim=0)


@mistake(
    "mean_and_std",
    "The deviation is the mean of each image's own, and each divides by one less than its pixels. Take all "
    "pixels of a channel together, with correction=0.",
)
def mean_and_std_mean_of_sample_stds(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.std(dim=(2, 3)).mean(dim=0)


@mistake("mean_and_std", "This is the variance. Take its square root.")
def mean_and_std_variance(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)


@mistake(
    "mean_and_std",
    "All channels are taken together. Return one number a channel: leave dimension 1 out.",
)
def mean_and_std_over_everything(images):
    x = _scaled(images)
    return x.mean(), x.std(correction=0)


@mistake("mean_and_std", "Every channel gets the numbers of all channels together. Leave dimension 1 out.")
def mean_and_std_same_for_all(images):
    x = _scaled(images)
    channels = images.shape[1]
    return x.mean().expand(channels), x.std(correction=0).expand(channels)


@mistake("mean_and_std", "There is one number an image. Take all images together: dimension 0, too.")
def mean_and_std_each_image(images):
    x = _scaled(images)
    return x.mean(dim=(1, 2, 3)), x.std(dim=(1, 2, 3), correction=0)


@mistake(
    "mean_and_std",
    "There is one number for each image and channel. Take all images together: dimension 0, too.",
)
def mean_and_std_each_image_and_channel(images):
    x = _scaled(images)
    return x.mean(dim=(2, 3)), x.std(dim=(2, 3), correction=0)


@mistake(
    "mean_and_std",
    "There is one number for each pixel. Go over height and width, too: dimensions 2 and 3.",
)
def mean_and_std_each_pixel(images):
    x = _scaled(images)
    return x.mean(dim=0), x.std(dim=0, correction=0)


@mistake("mean_and_std", "The last dimension is taken for the channels. Images are (N, C, H, W).")
def mean_and_std_channels_last(images):
    x = _scaled(images)
    return x.mean(dim=(0, 1, 2)), x.std(dim=(0, 1, 2), correction=0)


@mistake("mean_and_std", "You return (std, mean). The order is (mean, std).")
def mean_and_std_swapped(images):
    x = _scaled(images)
    return x.std(dim=(0, 2, 3), correction=0), x.mean(dim=(0, 2, 3))


@mistake(
    "mean_and_std",
    "The mean is scaled to 0..1, the deviation is not. Scale the pixels first, once for both.",
)
def mean_and_std_only_mean_scaled(images):
    x = images.float()
    scale = 255 if images.dtype == torch.uint8 else 1
    return x.mean(dim=(0, 2, 3)) / scale, x.std(dim=(0, 2, 3), correction=0)


@mistake("mean_and_std", "The images are divided by 256. uint8 goes from 0 to 255: divide by 255.")
def mean_and_std_256(images):
    x = images.float() / (256 if images.dtype == torch.uint8 else 1)
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3), correction=0)


@mistake("mean_and_std", "This is the root of the mean square. Subtract the mean before you square.")
def mean_and_std_root_mean_square(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.square().mean(dim=(0, 2, 3)).sqrt()


@mistake(
    "mean_and_std",
    "This is the mean distance from the mean. The deviation squares, averages, takes the root.",
)
def mean_and_std_absolute_deviation(images):
    x = _scaled(images)
    mean = x.mean(dim=(0, 2, 3))
    return mean, (x - mean[:, None, None]).abs().mean(dim=(0, 2, 3))


@mistake("mean_and_std", "The deviation is that of the images' means. Take all pixels of a channel together.")
def mean_and_std_std_of_means(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)), x.mean(dim=(2, 3)).std(dim=0, correction=0)


@mistake("mean_and_std", "Only the first image counts. Take all of them.")
def mean_and_std_first_image(images):
    x = _scaled(images[:1])
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3), correction=0)


@mistake("mean_and_std", "The result is float64. Compute in float64, and return float32: .float().")
def mean_and_std_float64(images):
    x = _scaled(images)
    return x.mean(dim=(0, 2, 3)).double(), x.std(dim=(0, 2, 3), correction=0).double()


@mistake(
    "mean_and_std",
    "A float32 sum over the images drifts: it is too large for the next addend to count in full. Add up in "
    "float64.",
)
def mean_and_std_drifts(images):
    scale = 255 if images.dtype == torch.uint8 else 1
    total = torch.zeros(images.shape[1])
    squares = torch.zeros(images.shape[1])
    for chunk in images.split(1024):
        x = chunk.float() / scale
        for image_sum, square_sum in zip(x.sum(dim=(2, 3)), x.square().sum(dim=(2, 3)), strict=True):
            total, squares = total + image_sum, squares + square_sum
    pixels = images.numel() / images.shape[1]
    mean = total / pixels
    return mean, (squares / pixels - mean.square()).clamp(min=0).sqrt()


# -- with_negatives ---------------------------------------------------------------------------------


def _both(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The images and their negatives, in this order."""
    return torch.cat([images, 1 - images]), torch.cat([labels, labels])


def _order(count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(count, generator=generator)


@mistake(
    "with_negatives",
    "Images and labels are shuffled by two different permutations, so that labels no longer match. Draw one,"
    " and index both with it.",
)
def with_negatives_two_permutations(images, labels, generator=None):
    both, twice = _both(images, labels)
    first, second = _order(len(both), generator), _order(len(both), generator)
    return both[first], twice[second]


@mistake(
    "with_negatives",
    "The images are shuffled, but not their labels. Index both with the same permutation.",
)
def with_negatives_labels_in_order(images, labels, generator=None):
    both, twice = _both(images, labels)
    return both[_order(len(both), generator)], twice


@mistake(
    "with_negatives",
    "The labels are shuffled, but not their images. Index both with the same permutation.",
)
def with_negatives_images_in_order(images, labels, generator=None):
    both, twice = _both(images, labels)
    return both, twice[_order(len(both), generator)]


@mistake(
    "with_negatives",
    "Nothing is shuffled: the order is the same whatever the generator. Permute all 2N together.",
)
def with_negatives_not_shuffled(images, labels, generator=None):
    return _both(images, labels)


@mistake("with_negatives", "The negatives are -x. The negative of an image in 0..1 is 1 - x.")
def with_negatives_minus(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, -images])[order], torch.cat([labels, labels])[order]


@mistake("with_negatives", "The negatives are 255 - x. The images hold values 0 to 1: 1 - x.")
def with_negatives_255(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, 255 - images])[order], torch.cat([labels, labels])[order]


@mistake("with_negatives", "The negatives are missing: every image comes twice. Add 1 - x.")
def with_negatives_images_twice(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, images])[order], torch.cat([labels, labels])[order]


@mistake("with_negatives", "Only the negatives come out. Keep the positives, too: 2N images.")
def with_negatives_only_negatives(images, labels, generator=None):
    order = _order(len(images), generator)
    return (1 - images)[order], labels[order]


@mistake("with_negatives", "Only N images come out. Keep all positives and all negatives: 2N images.")
def with_negatives_half(images, labels, generator=None):
    both, twice = _both(images, labels)
    order = _order(len(both), generator)[: len(images)]
    return both[order], twice[order]


@mistake(
    "with_negatives",
    "The generator is ignored. Hand it on: torch.randperm(count, generator=generator).",
)
def with_negatives_generator_ignored(images, labels, generator=None):
    both, twice = _both(images, labels)
    order = _order(len(both), None)
    return both[order], twice[order]


@mistake(
    "with_negatives",
    "The labels are repeated one by one, the images as a whole. Use torch.cat for both.",
)
def with_negatives_labels_interleaved(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, 1 - images])[order], labels.repeat_interleave(2)[order]


@mistake(
    "with_negatives",
    "Negatives have labels of their own, 10 more. A negative 3 is still a 3: keep the label.",
)
def with_negatives_labels_shifted(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, 1 - images])[order], torch.cat([labels, labels + 10])[order]


@mistake(
    "with_negatives",
    "Negatives have labels counted backwards. A negative 3 is still a 3: keep the label.",
)
def with_negatives_labels_inverted(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    return torch.cat([images, 1 - images])[order], torch.cat([labels, 9 - labels])[order]


@mistake("with_negatives", "Labels say positive or negative, 0 or 1. Keep the class of each image.")
def with_negatives_kind_as_label(images, labels, generator=None):
    order = _order(2 * len(images), generator)
    kinds = torch.cat([torch.zeros_like(labels), torch.ones_like(labels)])
    return torch.cat([images, 1 - images])[order], kinds[order]


@mistake("with_negatives", "The labels lack half of their number: repeat them for the negatives.")
def with_negatives_labels_once(images, labels, generator=None):
    return torch.cat([images, 1 - images])[_order(2 * len(images), generator)], labels.clone()


@mistake(
    "with_negatives",
    "Images are drawn with repeats: some come twice, others never. Use torch.randperm, not torch.randint.",
)
def with_negatives_with_repeats(images, labels, generator=None):
    both, twice = _both(images, labels)
    order = torch.randint(len(both), (len(both),), generator=generator)
    return both[order], twice[order]


@mistake(
    "with_negatives",
    "The images that were handed over are changed. Make new tensors: no operations that end in _.",
)
def with_negatives_in_place(images, labels, generator=None):
    positives = images.clone()
    negatives = images.neg_().add_(1)
    order = _order(2 * len(images), generator)
    return torch.cat([positives, negatives])[order], torch.cat([labels, labels])[order]
