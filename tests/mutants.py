"""Wrong submissions: each is the solutions with one change, and says which task must lose points for it.

A mutant proves that the checks see a mistake, that only the task that is wrong pays for it, and, where
it is a known mistake, that the diagnosis names it. Cheats that call the finished operation must end
as *forbidden*.
"""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grader.assignment import BY_NAME, MODULES

SOLUTIONS = Path(__file__).resolve().parent.parent / "solutions"
SOURCES: dict[str, str] = {
    name: (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8") for name in ("__init__", *MODULES)
}

# tasks whose solution calls another task's function: these may lose points with it
DEPENDENTS: dict[str, tuple[str, ...]] = {
    "conv2d": ("LeNet5",),
    "max_pool2d": ("LeNet5",),
    "linear": ("LeNet5",),
    "relu": ("LeNet5",),
    "cross_entropy": ("train_epoch", "fit"),
    "train_epoch": ("fit",),
    "evaluate": ("fit",),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` occurs once in `solutions/<module>.py`, or once in the task's own function; `new` takes its place.

    loses: the task that must lose points; also: tasks that may lose some with it. All others keep full
    points. hint: name of the known mistake that a check of `loses` must diagnose. outcome: how at least
    one check of `loses` must end.
    """

    name: str
    module: str
    old: str
    new: str
    loses: str
    also: tuple[str, ...] = ()
    hint: str = ""
    outcome: str = ""


def apply(mutant: Mutant) -> dict[str, bytes]:
    """The files of the submission that the mutant makes of the solutions."""
    source = SOURCES[mutant.module]
    start, end = 0, len(source)
    if source.count(mutant.old) > 1:
        start, end = _own_lines(source, mutant.loses)
    if source.count(mutant.old, start, end) != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} occurs {source.count(mutant.old, start, end)} times")
    place = source.index(mutant.old, start, end)
    new = source[:place] + mutant.new + source[place + len(mutant.old) :]
    changed = {**SOURCES, mutant.module: new}
    return {f"{name}.py": text.encode() for name, text in changed.items()}


def _own_lines(source: str, task: str) -> tuple[int, int]:
    """Where the task's function or class begins and ends."""
    found = re.search(rf"^(def|class) {task}\b.*?(?=^\S(?<!\))|\Z)", source, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"the solutions have no {task}")
    return found.span()


def solution_of(module: str, function: str) -> str:
    """The lines between BEGIN and END SOLUTION of a function, as they stand in the solutions."""
    begin = SOURCES[module].index(f"    def {function}(" if function == "forward" else f"def {function}(")
    start = SOURCES[module].index("### BEGIN SOLUTION\n", begin) + len("### BEGIN SOLUTION\n")
    end = SOURCES[module].index("### END SOLUTION", start)
    return SOURCES[module][start:end].rstrip(" ")


def line(
    task: str, name: str, old: str, new: str, *, hint: str = "", outcome: str = "", also: Iterable[str] = ()
) -> Mutant:
    """A mutant that changes a line or a part of one."""
    return Mutant(
        f"{task}_{name}",
        BY_NAME[task].module,
        old,
        new,
        task,
        (*DEPENDENTS.get(task, ()), *also),
        hint and f"{task}{'' if task[0].isupper() else '_'}{hint}",
        outcome,
    )


def body(
    task: str,
    name: str,
    new: str,
    *,
    function: str = "",
    hint: str = "",
    outcome: str = "",
    also: Iterable[str] = (),
) -> Mutant:
    """A mutant with another body: that of the task's function, or of the method `function` of its class."""
    old = solution_of(BY_NAME[task].module, function or task)
    indent = " " * (len(old) - len(old.lstrip(" ")))
    new = textwrap.indent(textwrap.dedent(new).strip("\n") + "\n", indent)
    return line(task, name, old, new, hint=hint, outcome=outcome, also=also)


def cheat(task: str, name: str, new: str, *, function: str = "") -> Mutant:
    """A mutant whose body calls the finished operation."""
    return body(task, f"cheat_{name}", new, function=function, outcome="forbidden")


_EINSUM = """y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)"""
_PAD = "x = F.pad(x, (padding, padding, padding, padding))"
_WINDOWS = "windows = x.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)"
_BIAS = "return y if bias is None else y + bias[:, None, None]"

CONV2D = (
    line("conv2d", "flipped", _EINSUM, _EINSUM.replace("weight)", "weight.flip(-1, -2))"), hint="flipped"),
    line("conv2d", "no_bias", _BIAS, "return y", hint="no_bias"),
    line("conv2d", "bias_along_width", "y + bias[:, None, None]", "y + bias", hint="bias_along_width"),
    line("conv2d", "bias_along_height", "y + bias[:, None, None]", "y + bias[:, None]", outcome="failed"),
    line("conv2d", "first_bias_only", "y + bias[:, None, None]", "y + bias[0]", hint="first_bias_only"),
    line(
        "conv2d",
        "bias_for_each_channel",
        "y + bias[:, None, None]",
        "y + x.shape[1] * bias[:, None, None]",
        hint="bias_for_each_channel",
    ),
    line(
        "conv2d",
        "bias_for_each_product",
        "y + bias[:, None, None]",
        "y + weight[0].numel() * bias[:, None, None]",
        hint="bias_for_each_product",
    ),
    line("conv2d", "stride_ignored", _WINDOWS, _WINDOWS.replace("stride", "1"), hint="stride_ignored"),
    line(
        "conv2d",
        "stride_rows_only",
        "unfold(3, kernel_width, stride)",
        "unfold(3, kernel_width, 1)",
        hint="stride_rows_only",
    ),
    line(
        "conv2d",
        "stride_columns_only",
        "unfold(2, kernel_height, stride)",
        "unfold(2, kernel_height, 1)",
        hint="stride_columns_only",
    ),
    body(
        "conv2d",
        "stride_as_dilation",
        """
        kernel_height, kernel_width = weight.shape[-2:]
        x = F.pad(x, (padding, padding, padding, padding))
        height, width = (kernel_height - 1) * stride + 1, (kernel_width - 1) * stride + 1
        windows = x.unfold(2, height, 1).unfold(3, width, 1)
        y = torch.einsum("nchwuv,ocuv->nohw", windows[..., ::stride, ::stride], weight)
        return y if bias is None else y + bias[:, None, None]
        """,
        hint="stride_as_dilation",
    ),
    line("conv2d", "padding_ignored", _PAD, "pass", hint="padding_ignored"),
    line(
        "conv2d", "padding_left_top", _PAD, "x = F.pad(x, (padding, 0, padding, 0))", hint="padding_left_top"
    ),
    line(
        "conv2d",
        "padding_right_bottom",
        _PAD,
        "x = F.pad(x, (0, padding, 0, padding))",
        hint="padding_right_bottom",
    ),
    line(
        "conv2d",
        "padding_columns_only",
        _PAD,
        "x = F.pad(x, (padding, padding))",
        hint="padding_columns_only",
    ),
    line(
        "conv2d",
        "padding_rows_only",
        _PAD,
        "x = F.pad(x, (0, 0, padding, padding))",
        hint="padding_rows_only",
    ),
    line("conv2d", "padding_doubled", _PAD, "x = F.pad(x, (2 * padding,) * 4)", hint="padding_doubled"),
    line("conv2d", "padding_ones", _PAD, "x = F.pad(x, (padding,) * 4, value=1.0)", hint="padding_ones"),
    line(
        "conv2d",
        "padding_replicates",
        _PAD,
        'x = F.pad(x, (padding,) * 4, mode="replicate") if padding else x',
        hint="padding_replicates",
    ),
    line(
        "conv2d",
        "padding_reflects",
        _PAD,
        'x = F.pad(x, (padding,) * 4, mode="reflect") if padding else x',
        hint="padding_reflects",
    ),
    line(
        "conv2d",
        "first_channel_only",
        _EINSUM,
        _EINSUM.replace("windows, weight", "windows[:, :1], weight[:, :1]"),
        hint="first_channel_only",
    ),
    line(
        "conv2d",
        "last_channel_only",
        _EINSUM,
        """
    for c in range(weight.shape[1]):
        y = torch.einsum("nhwuv,ouv->nohw", windows[:, c], weight[:, c])
""".lstrip("\n ").rstrip("\n"),
        hint="last_channel_only",
    ),
    line("conv2d", "channels_averaged", _EINSUM, f"{_EINSUM} / x.shape[1]", hint="channels_averaged"),
    line("conv2d", "window_averaged", _EINSUM, f"{_EINSUM} / weight[0].numel()", hint="window_averaged"),
    line(
        "conv2d",
        "one_kernel_for_all_channels",
        _EINSUM,
        'y = torch.einsum("nchwuv,ouv->nohw", windows, weight[:, 0])',
        hint="one_kernel_for_all_channels",
    ),
    line(
        "conv2d", "kernel_transposed", '"nchwuv,ocuv->nohw"', '"nchwuv,ocvu->nohw"', hint="kernel_transposed"
    ),
    line(
        "conv2d", "output_transposed", '"nchwuv,ocuv->nohw"', '"nchwuv,ocuv->nowh"', hint="output_transposed"
    ),
    line(
        "conv2d",
        "output_reshaped",
        _EINSUM,
        f"{_EINSUM}\n    y = y.transpose(-1, -2).reshape(y.shape)",
        hint="output_transposed",
    ),
    line(
        "conv2d",
        "windows_not_strided",
        _EINSUM,
        """rows, columns = windows.shape[2:4]
    windows = x.unfold(2, kernel_height, 1).unfold(3, kernel_width, 1)[:, :, :rows, :columns]
    y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)""",
        hint="windows_not_strided",
    ),
    line("conv2d", "one_short", _EINSUM, f"{_EINSUM}[..., :-1, :-1]", hint="one_short"),
    line(
        "conv2d",
        "size_without_padding",
        _EINSUM,
        """rows = (x.shape[2] - 2 * padding - kernel_height) // stride + 1
    columns = (x.shape[3] - 2 * padding - kernel_width) // stride + 1
    y = torch.einsum("nchwuv,ocuv->nohw", windows[:, :, :rows, :columns], weight)""",
        hint="size_without_padding",
    ),
    line(
        "conv2d",
        "rounded_up",
        _PAD,
        """right = -(x.shape[3] + 2 * padding - kernel_width) % stride
    below = -(x.shape[2] + 2 * padding - kernel_height) % stride
    x = F.pad(x, (padding, padding + right, padding, padding + below))""",
        hint="rounded_up",
    ),
    line(
        "conv2d",
        "first_image_for_all",
        _PAD,
        f"{_PAD}[:1].expand(x.shape[0], -1, -1, -1)",
        hint="first_image_for_all",
    ),
    line("conv2d", "first_image_only", _PAD, f"{_PAD}[:1]", hint="first_image_only"),
    line(
        "conv2d",
        "batch_summed",
        '"nchwuv,ocuv->nohw", windows',
        '"nchwuv,ocuv->nohw", windows.sum(0, keepdim=True).expand_as(windows)',
        hint="batch_summed",
    ),
    line("conv2d", "detached", _EINSUM, f"{_EINSUM}.detach()", outcome="failed"),
    line(
        "conv2d",
        "all_detached",
        "y + bias[:, None, None]",
        "(y + bias[:, None, None]).detach()",
        hint="detached",
    ),
    line(
        "conv2d", "weight_detached", "windows, weight)", "windows, weight.detach())", hint="weight_detached"
    ),
    line("conv2d", "weight_data", "windows, weight)", "windows, weight.data)", hint="weight_detached"),
    line("conv2d", "x_detached", _PAD, "x = F.pad(x.detach(), (padding,) * 4)", hint="x_detached"),
    line(
        "conv2d",
        "bias_detached",
        "y + bias[:, None, None]",
        "y + bias.detach()[:, None, None]",
        hint="bias_detached",
    ),
    line("conv2d", "gradient_doubled", _EINSUM, f"{_EINSUM}\n    y = 2 * y - y.detach()", outcome="failed"),
    line(
        "conv2d",
        "no_gradient_with_stride",
        _PAD,
        f"{_PAD}\n    x = x if stride == 1 else x.detach()",
        outcome="failed",
    ),
    line(
        "conv2d", "float64", "y + bias[:, None, None]", "(y + bias[:, None, None]).double()", outcome="failed"
    ),
    line(
        "conv2d",
        "numpy",
        _EINSUM,
        f"return ({_EINSUM.removeprefix('y = ')}).detach().numpy()",
        outcome="failed",
    ),
    line("conv2d", "no_return", _BIAS, "y if bias is None else y + bias[:, None, None]", outcome="failed"),
    line("conv2d", "view", _PAD, f"x = x.view(-1).view(x.shape)\n    {_PAD}", outcome="error"),
    line(
        "conv2d",
        "weight_view",
        _PAD,
        f"weight = weight.view(-1).view(weight.shape)\n    {_PAD}",
        outcome="error",
    ),
    line("conv2d", "squeezed", _EINSUM, f"{_EINSUM}.squeeze(0)", outcome="failed"),
    line(
        "conv2d",
        "square_kernels_only",
        "kernel_height, kernel_width = weight.shape[-2:]",
        "kernel_height = kernel_width = weight.shape[-1]",
        outcome="error",
    ),
    line(
        "conv2d", "square_images_only", _PAD, f"{_PAD}\n    assert x.shape[2] == x.shape[3]", outcome="error"
    ),
    line(
        "conv2d",
        "parameter_renamed",
        "weight: Tensor, bias: Tensor | None = None, stride",
        "kernel: Tensor, bias: Tensor | None = None, stride",
        outcome="error",
    ),
    body(
        "conv2d",
        "changes_weight",
        """
        kernel_height, kernel_width = weight.shape[-2:]
        x = F.pad(x, (padding, padding, padding, padding))
        windows = x.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)
        y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)
        with torch.no_grad():
            weight.data.copy_(weight.data.flip(-1, -2))
        return y if bias is None else y + bias[:, None, None]
        """,
        outcome="failed",
    ),
    line(
        "conv2d",
        "changes_x",
        _PAD,
        f"image = x.data\n    {_PAD}.clone()\n    image.zero_()",
        outcome="failed",
    ),
    line("conv2d", "tuples_only", _WINDOWS, _WINDOWS.replace("stride)", "stride[0])"), outcome="error"),
    body("conv2d", "stub", "raise NotImplementedError", outcome="missing"),
    line("conv2d", "gone", "def conv2d(", "def conv_2d(", outcome="missing"),
    body("conv2d", "crash", "import ctypes\nreturn ctypes.string_at(0)", outcome="crashed"),
    body("conv2d", "exit", "import os\nos._exit(0)", outcome="crashed"),
    cheat("conv2d", "functional", "return F.conv2d(x, weight, bias, stride, padding)"),
    cheat("conv2d", "torch", "return torch.conv2d(x, weight, bias, stride, padding)"),
    cheat("conv2d", "getattr", 'return getattr(F, "conv" + "2d")(x, weight, bias, stride, padding)'),
    cheat(
        "conv2d",
        "operator",
        """
        steps, sides = [stride, stride], [padding, padding]
        return torch.ops.aten.convolution.default(x, weight, bias, steps, sides, [1, 1], False, [0, 0], 1)
        """,
    ),
    cheat(
        "conv2d",
        "module",
        """
        out_channels, in_channels, *kernel_size = weight.shape
        module = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias is not None)
        parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return torch.func.functional_call(module, parameters, (x,))
        """,
    ),
    cheat(
        "conv2d",
        "thread",
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(F.conv2d, x, weight, bias, stride, padding).result()
        """,
    ),
    cheat(
        "conv2d",
        "swallowed",
        """
        try:
            y = F.conv2d(x, weight, bias, stride, padding)
        except Exception:
            pass
        kernel_height, kernel_width = weight.shape[-2:]
        x = F.pad(x, (padding, padding, padding, padding))
        windows = x.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)
        y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)
        return y if bias is None else y + bias[:, None, None]
        """,
    ),
    cheat(
        "conv2d",
        "three_dimensions",
        """
        deep, steps, sides = x[:, :, None], (1, stride, stride), (0, padding, padding)
        return F.conv3d(deep, weight[:, :, None], bias, steps, sides)[:, :, 0]
        """,
    ),
    cheat(
        "conv2d",
        "slow",
        "return torch._C._nn.slow_conv3d(x, weight, weight.shape[-2:], bias, stride, padding)",
    ),
    cheat(
        "conv2d",
        "transposed",
        """
        turned = weight.transpose(0, 1).flip(-1, -2)
        return F.conv_transpose2d(x, turned, bias, padding=weight.shape[2] - 1 - padding)
        """,
    ),
)

_POOL = "return windows.flatten(start_dim=-2).max(dim=-1).values"
_POOL_STRIDE = "stride = kernel_size if stride is None else stride"
_POOL_WINDOWS = "windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)"


def _pool(expression: str) -> str:
    return f"return windows.flatten(start_dim=-2).{expression}"


MAX_POOL2D = (
    line("max_pool2d", "average", _POOL, _pool("mean(dim=-1)"), hint="average"),
    line("max_pool2d", "minimum", _POOL, _pool("min(dim=-1).values"), hint="minimum"),
    line("max_pool2d", "sum", _POOL, _pool("sum(dim=-1)"), hint="sum"),
    line(
        "max_pool2d", "starts_at_zero", _POOL, _pool("max(dim=-1).values.clamp(min=0)"), hint="starts_at_zero"
    ),
    line("max_pool2d", "magnitude", _POOL, _pool("abs().max(dim=-1).values"), hint="magnitude"),
    line("max_pool2d", "first_pixel", _POOL, "return windows[..., 0, 0]", hint="first_pixel"),
    line("max_pool2d", "rows_only", _POOL, "return windows[..., :, 0].amax(dim=-1)", hint="rows_only"),
    line("max_pool2d", "columns_only", _POOL, "return windows[..., 0, :].amax(dim=-1)", hint="columns_only"),
    line("max_pool2d", "with_indices", _POOL, _pool("max(dim=-1)"), outcome="failed"),
    line(
        "max_pool2d",
        "values_and_indices",
        _POOL,
        f"return tuple({_pool('max(dim=-1)').removeprefix('return ')})",
        hint="with_indices",
    ),
    line("max_pool2d", "places", _POOL, _pool("argmax(dim=-1).float()"), hint="places"),
    line("max_pool2d", "indices", _POOL, _pool("argmax(dim=-1)"), outcome="failed"),
    line("max_pool2d", "detached", _POOL, _pool("max(dim=-1).values.detach()"), hint="detached"),
    line(
        "max_pool2d",
        "gradient_shared",
        _POOL,
        """windows = windows.flatten(start_dim=-2)
    mean = windows.mean(dim=-1)
    return mean + (windows.amax(dim=-1) - mean).detach()""",
        hint="gradient_shared",
    ),
    line(
        "max_pool2d",
        "output_transposed",
        _POOL,
        _pool("amax(dim=-1).transpose(-1, -2)"),
        hint="output_transposed",
    ),
    line(
        "max_pool2d",
        "over_channels",
        _POOL,
        _pool("amax(dim=(1, -1), keepdim=True)[..., 0].expand(-1, x.shape[1], -1, -1)"),
        hint="over_channels",
    ),
    line(
        "max_pool2d",
        "channels_gone",
        _POOL,
        _pool("amax(dim=(1, -1), keepdim=True)[..., 0]"),
        hint="channels_gone",
    ),
    line("max_pool2d", "one_short", _POOL, _pool("amax(dim=-1)[..., :-1, :-1]"), hint="one_short"),
    line(
        "max_pool2d",
        "default_stride_one",
        _POOL_STRIDE,
        "stride = 1 if stride is None else stride",
        hint="default_stride_one",
    ),
    line("max_pool2d", "stride_ignored", _POOL_STRIDE, "stride = kernel_size", hint="stride_ignored"),
    line(
        "max_pool2d",
        "two_hard_coded",
        _POOL_STRIDE,
        f"{_POOL_STRIDE}\n    kernel_size = 2",
        hint="two_hard_coded",
    ),
    line("max_pool2d", "two_by_two", _POOL_STRIDE, "kernel_size = stride = 2", hint="two_by_two"),
    line(
        "max_pool2d",
        "arguments_swapped",
        _POOL_STRIDE,
        f"{_POOL_STRIDE}\n    kernel_size, stride = stride, kernel_size",
        hint="arguments_swapped",
    ),
    line(
        "max_pool2d",
        "partial_kept",
        _POOL_STRIDE,
        f"""{_POOL_STRIDE}
    below, right = (-(size - kernel_size) % stride for size in x.shape[-2:])
    x = F.pad(x, (0, right, 0, below), value=float("-inf"))""",
        hint="partial_kept",
    ),
    line(
        "max_pool2d",
        "partial_padded",
        _POOL_STRIDE,
        f"""{_POOL_STRIDE}
    below, right = (-(size - kernel_size) % stride for size in x.shape[-2:])
    x = F.pad(x, (0, right, 0, below))""",
        outcome="failed",
    ),
    line(
        "max_pool2d",
        "windows_not_strided",
        _POOL,
        """rows, columns = windows.shape[2:4]
    windows = x.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)[:, :, :rows, :columns]
    return windows.flatten(start_dim=-2).amax(dim=-1)""",
        hint="windows_not_strided",
    ),
    body(
        "max_pool2d",
        "reshaped",
        """
        rows, columns = x.shape[2] // kernel_size, x.shape[3] // kernel_size
        x = x[..., : rows * kernel_size, : columns * kernel_size]
        windows = x.reshape(x.shape[0], x.shape[1], rows, kernel_size, columns, kernel_size)
        return windows.amax(dim=(3, 5))
        """,
        hint="stride_ignored",
    ),
    body(
        "max_pool2d",
        "exact_sizes_only",
        """
        rows, columns = x.shape[2] // kernel_size, x.shape[3] // kernel_size
        windows = x.reshape(x.shape[0], x.shape[1], rows, kernel_size, columns, kernel_size)
        return windows.amax(dim=(3, 5))
        """,
        outcome="error",
    ),
    line(
        "max_pool2d",
        "view",
        _POOL_STRIDE,
        f"x = x.view(-1).view(x.shape)\n    {_POOL_STRIDE}",
        outcome="error",
    ),
    line("max_pool2d", "squeezed", _POOL, _pool("amax(dim=-1).squeeze(0)"), outcome="failed"),
    line(
        "max_pool2d",
        "changes_x",
        _POOL,
        f"{_POOL.replace('return', 'y =')}.clone()\n    x.data.clamp_(min=0)\n    return y",
        outcome="failed",
    ),
    line(
        "max_pool2d",
        "parameter_renamed",
        "def max_pool2d(x: Tensor, kernel_size: int,",
        "def max_pool2d(x: Tensor, size: int,",
        outcome="error",
    ),
    body("max_pool2d", "stub", "raise NotImplementedError()", outcome="missing"),
    cheat("max_pool2d", "functional", "return F.max_pool2d(x, kernel_size, stride)"),
    cheat("max_pool2d", "torch", "return torch.max_pool2d(x, kernel_size, stride or kernel_size)"),
    cheat("max_pool2d", "module", "return nn.MaxPool2d(kernel_size, stride)(x)"),
    cheat(
        "max_pool2d",
        "getattr",
        'return getattr(torch.nn.functional, "max_pool" + "2d")(x, kernel_size, stride)',
    ),
    cheat("max_pool2d", "with_indices", "return F.max_pool2d_with_indices(x, kernel_size, stride)[0]"),
    cheat(
        "max_pool2d",
        "one_dimension",
        """
        rows = F.max_pool1d(x.flatten(0, 2), kernel_size, stride).unflatten(0, x.shape[:3])
        columns = rows.transpose(2, 3)
        pooled = F.max_pool1d(columns.flatten(0, 2), kernel_size, stride)
        return pooled.unflatten(0, columns.shape[:3]).transpose(2, 3)
        """,
    ),
    cheat(
        "max_pool2d",
        "three_dimensions",
        """
        step = stride or kernel_size
        return F.max_pool3d(x[:, :, None], (1, kernel_size, kernel_size), (1, step, step))[:, :, 0]
        """,
    ),
    cheat(
        "max_pool2d",
        "adaptive",
        "return F.adaptive_max_pool2d(x, (x.shape[2] // kernel_size, x.shape[3] // kernel_size))",
    ),
    cheat(
        "max_pool2d",
        "thread",
        """
        import threading

        found = []
        thread = threading.Thread(target=lambda: found.append(F.max_pool2d(x, kernel_size, stride)))
        thread.start()
        thread.join()
        return found[0]
        """,
    ),
)

LINEAR = (
    body("linear", "no_bias", "return x @ weight.T", hint="no_bias"),
    line("linear", "not_transposed", "y = x @ weight.T", "y = x @ weight", outcome="error"),
    body(
        "linear",
        "with_relu",
        "y = x @ weight.T\nreturn (y if bias is None else y + bias).clamp(min=0)",
        hint="with_relu",
    ),
    body(
        "linear",
        "output_transposed",
        "y = x @ weight.T\nreturn (y if bias is None else y + bias).transpose(0, -1)",
        hint="output_transposed",
    ),
    body(
        "linear",
        "leading_flattened",
        "y = x.reshape(-1, x.shape[-1]) @ weight.T\nreturn y if bias is None else y + bias",
        hint="leading_flattened",
    ),
    body(
        "linear",
        "squeezed",
        "y = x @ weight.T\nreturn (y if bias is None else y + bias).squeeze()",
        hint="squeezed",
    ),
    line("linear", "averaged", "y = x @ weight.T", "y = x @ weight.T / x.shape[-1]", hint="averaged"),
    body(
        "linear",
        "bias_subtracted",
        "y = x @ weight.T\nreturn y if bias is None else y - bias",
        hint="bias_subtracted",
    ),
    body(
        "linear",
        "first_bias_only",
        "y = x @ weight.T\nreturn y if bias is None else y + bias[0]",
        hint="first_bias_only",
    ),
    body("linear", "bias_always", "return x @ weight.T + bias", outcome="error"),
    body(
        "linear",
        "detached",
        "y = x @ weight.T\nreturn (y if bias is None else y + bias).detach()",
        hint="detached",
    ),
    line("linear", "weight_detached", "x @ weight.T", "x @ weight.detach().T", hint="weight_detached"),
    line("linear", "x_detached", "x @ weight.T", "x.detach() @ weight.T", hint="x_detached"),
    body(
        "linear",
        "bias_detached",
        "y = x @ weight.T\nreturn y if bias is None else y + bias.data",
        hint="bias_detached",
    ),
    body(
        "linear",
        "two_dimensions_only",
        'y = torch.einsum("ni,oi->no", x, weight)\nreturn y if bias is None else y + bias',
        outcome="error",
    ),
    line("linear", "float64", "y = x @ weight.T", "y = x.double() @ weight.double().T", outcome="failed"),
    cheat("linear", "functional", "return F.linear(x, weight, bias)"),
    cheat("linear", "torch", "return torch._C._nn.linear(x, weight, bias)"),
    cheat("linear", "operator", "return torch.ops.aten.linear(x, weight, bias)"),
    cheat(
        "linear",
        "module",
        """
        module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return torch.func.functional_call(module, parameters, (x,))
        """,
    ),
)

RELU = (
    body("relu", "absolute", "return x.abs()", hint="absolute"),
    body("relu", "wrong_side", "return x.clamp(max=0)", hint="wrong_side"),
    body("relu", "capped_at_one", "return x.clamp(0, 1)", hint="capped_at_one"),
    body("relu", "capped_at_six", "return x.clamp(0, 6)", hint="capped_at_six"),
    body("relu", "leaky", "return torch.where(x > 0, x, 0.01 * x)", hint="leaky"),
    body("relu", "identity", "return x", hint="identity"),
    body("relu", "step", "return (x > 0).float()", hint="step"),
    body("relu", "sigmoid", "return torch.sigmoid(x)", hint="sigmoid"),
    body("relu", "tanh", "return torch.tanh(x)", hint="tanh"),
    body("relu", "selected", "return x[x > 0]", hint="selected"),
    body("relu", "detached", "return x.detach().clamp(min=0)", hint="detached"),
    body("relu", "straight_through", "return x + (x.clamp(min=0) - x).detach()", hint="straight_through"),
    body("relu", "in_place", "x.data[x.data < 0] = 0\nreturn x", outcome="failed"),
    body("relu", "float64", "return x.double().clamp(min=0)", outcome="failed"),
    body("relu", "scalars", "return max(0, x)", outcome="error"),
    cheat("relu", "functional", "return F.relu(x)"),
    cheat("relu", "method", "return x.relu()"),
    cheat("relu", "in_place", "return torch.relu_(x.clone())"),
    cheat("relu", "module", "return nn.ReLU()(x)"),
    cheat("relu", "threshold", "return F.threshold(x, 0.0, 0.0)"),
    cheat("relu", "leaky", "return F.leaky_relu(x, 0.0)"),
    cheat("relu", "prelu", "return F.prelu(x.reshape(1, -1), torch.zeros(1)).reshape(x.shape)"),
    cheat("relu", "hardtanh", 'return F.hardtanh(x, 0.0, float("inf"))'),
)

LEAKY_RELU = (
    body("leaky_relu", "slope_hard_coded", "return torch.where(x > 0, x, 0.01 * x)", hint="slope_hard_coded"),
    body("leaky_relu", "maximum", "return torch.maximum(x, negative_slope * x)", hint="maximum"),
    body("leaky_relu", "wrong_side", "return torch.where(x > 0, negative_slope * x, x)", hint="wrong_side"),
    body("leaky_relu", "plain", "return x.clamp(min=0)", hint="plain"),
    body("leaky_relu", "sign", "return torch.where(x > 0, x, -negative_slope * x)", hint="sign"),
    body("leaky_relu", "constant", "return torch.where(x > 0, x, negative_slope)", hint="constant"),
    body("leaky_relu", "everywhere", "return negative_slope * x", hint="everywhere"),
    body("leaky_relu", "divided", "return torch.where(x > 0, x, x / negative_slope)", hint="divided"),
    body(
        "leaky_relu", "detached", "return torch.where(x > 0, x, negative_slope * x).detach()", hint="detached"
    ),
    line(
        "leaky_relu",
        "other_default",
        "def leaky_relu(x: Tensor, negative_slope: float = 0.01)",
        "def leaky_relu(x: Tensor, negative_slope: float = 0.1)",
        outcome="failed",
    ),
    line(
        "leaky_relu",
        "parameter_renamed",
        "def leaky_relu(x: Tensor, negative_slope: float",
        "def leaky_relu(x: Tensor, slope: float",
        outcome="error",
    ),
    body("leaky_relu", "in_place", "x.data[x.data < 0] *= negative_slope\nreturn x", outcome="failed"),
    cheat("leaky_relu", "functional", "return F.leaky_relu(x, negative_slope)"),
    cheat("leaky_relu", "module", "return nn.LeakyReLU(negative_slope)(x)"),
    cheat("leaky_relu", "two_relus", "return F.relu(x) - negative_slope * F.relu(-x)"),
    cheat("leaky_relu", "rrelu", "return F.rrelu(x, negative_slope, negative_slope)"),
)

_ELU = "return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))"

ELU = (
    body("elu", "alpha_ignored", _ELU.replace("alpha * ", ""), hint="alpha_ignored"),
    body("elu", "without_minus_one", _ELU.replace("expm1", "exp"), hint="without_minus_one"),
    body(
        "elu",
        "parentheses",
        "return torch.where(x > 0, x, alpha * torch.exp(x.clamp(max=0)) - 1)",
        hint="parentheses",
    ),
    body("elu", "overflow", "return torch.where(x > 0, x, alpha * (torch.exp(x) - 1))", hint="overflow"),
    body(
        "elu",
        "overflow_masked",
        "return (x > 0) * x + (x <= 0) * alpha * (torch.exp(x) - 1)",
        hint="overflow_masked",
    ),
    body("elu", "maximum", "return torch.maximum(x, alpha * torch.expm1(x))", hint="maximum"),
    body("elu", "wrong_side", "return torch.where(x < 0, x, alpha * torch.expm1(x))", hint="wrong_side"),
    body(
        "elu",
        "alpha_everywhere",
        "return alpha * torch.where(x > 0, x, torch.expm1(x.clamp(max=0)))",
        hint="alpha_everywhere",
    ),
    body(
        "elu",
        "alpha_in_exponent",
        "return torch.where(x > 0, x, torch.expm1(alpha * x.clamp(max=0)))",
        hint="alpha_in_exponent",
    ),
    body(
        "elu",
        "alpha_subtracted",
        "return torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - alpha)",
        hint="alpha_subtracted",
    ),
    body("elu", "sign", "return torch.where(x > 0, x, -alpha * torch.expm1(x.clamp(max=0)))", hint="sign"),
    body("elu", "relu", "return x.clamp(min=0)", hint="relu"),
    body("elu", "leaky", "return torch.where(x > 0, x, alpha * x)", hint="leaky"),
    body("elu", "detached", f"{_ELU}.detach()", hint="detached"),
    body(
        "elu",
        "negative_detached",
        _ELU.replace("x.clamp(max=0)", "x.detach().clamp(max=0)"),
        hint="negative_detached",
    ),
    body(
        "elu",
        "in_place",
        "negative = x.data < 0\nx.data[negative] = alpha * torch.expm1(x.data[negative])\nreturn x",
        outcome="failed",
    ),
    cheat("elu", "functional", "return F.elu(x, alpha)"),
    cheat("elu", "module", "return nn.ELU(alpha)(x)"),
    cheat("elu", "celu", "return torch.where(x > 0, x, alpha * F.celu(x))"),
    cheat("elu", "selu", "return torch.where(x > 0, x, alpha / 1.7580993408473766 * F.selu(x))"),
    cheat("elu", "relu", "return F.relu(x) + alpha * torch.expm1(-F.relu(-x))"),
)

_SHIFT = "exponentials = torch.exp(x - x.amax(dim=dim, keepdim=True))"

SOFTMAX = (
    line("softmax", "unstable", _SHIFT, "exponentials = torch.exp(x)", hint="unstable"),
    line("softmax", "global_maximum", _SHIFT, "exponentials = torch.exp(x - x.max())", hint="global_maximum"),
    line(
        "softmax",
        "mean_subtracted",
        _SHIFT,
        "exponentials = torch.exp(x - x.mean(dim=dim, keepdim=True))",
        hint="mean_subtracted",
    ),
    line("softmax", "always_last", _SHIFT, f"dim = -1\n    {_SHIFT}", hint="always_last"),
    line("softmax", "always_one", _SHIFT, f"dim = 1\n    {_SHIFT}", outcome="failed"),
    line("softmax", "always_zero", _SHIFT, f"dim = 0\n    {_SHIFT}", hint="always_zero"),
    body(
        "softmax",
        "over_all",
        "exponentials = torch.exp(x - x.max())\nreturn exponentials / exponentials.sum()",
        hint="over_all",
    ),
    line(
        "softmax",
        "without_keepdim",
        "exponentials / exponentials.sum(dim=dim, keepdim=True)",
        "exponentials / exponentials.sum(dim=dim)",
        outcome="error",
    ),
    body("softmax", "log", "return x - torch.logsumexp(x, dim=dim, keepdim=True)", hint="log"),
    line(
        "softmax",
        "not_normalised",
        "exponentials / exponentials.sum(dim=dim, keepdim=True)",
        "exponentials",
        hint="not_normalised",
    ),
    body(
        "softmax",
        "without_exponential",
        "return x / x.sum(dim=dim, keepdim=True)",
        hint="without_exponential",
    ),
    body("softmax", "sigmoid", "return torch.sigmoid(x)", hint="sigmoid"),
    line("softmax", "of_negative", _SHIFT, f"x = -x\n    {_SHIFT}", hint="of_negative"),
    line("softmax", "base_two", _SHIFT, _SHIFT.replace("exp(", "exp2("), hint="base_two"),
    body("softmax", "one_hot", "return (x == x.amax(dim=dim, keepdim=True)).float()", hint="one_hot"),
    line(
        "softmax",
        "detached",
        "exponentials / exponentials.sum(dim=dim, keepdim=True)",
        "(exponentials / exponentials.sum(dim=dim, keepdim=True)).detach()",
        hint="detached",
    ),
    line(
        "softmax",
        "sum_detached",
        "exponentials.sum(dim=dim, keepdim=True)",
        "exponentials.sum(dim=dim, keepdim=True).detach()",
        outcome="failed",
    ),
    line("softmax", "clamped", _SHIFT, "exponentials = torch.exp(x.clamp(-50, 50))", outcome="failed"),
    line(
        "softmax",
        "float64",
        _SHIFT,
        _SHIFT.replace("torch.exp(x ", "torch.exp(x.double() "),
        outcome="failed",
    ),
    line(
        "softmax",
        "other_default",
        "def softmax(x: Tensor, dim: int = -1)",
        "def softmax(x: Tensor, dim: int = 0)",
        outcome="failed",
    ),
    line("softmax", "two_dimensions_only", _SHIFT, f"rows, columns = x.shape\n    {_SHIFT}", outcome="error"),
    line(
        "softmax",
        "in_place",
        _SHIFT,
        f"x.data -= x.data.amax(dim=dim, keepdim=True)\n    {_SHIFT}",
        outcome="failed",
    ),
    cheat("softmax", "functional", "return F.softmax(x, dim)"),
    cheat("softmax", "method", "return x.softmax(dim)"),
    cheat("softmax", "module", "return nn.Softmax(dim)(x)"),
    cheat("softmax", "log", "return F.log_softmax(x, dim).exp()"),
    cheat("softmax", "softmin", "return F.softmin(-x, dim)"),
    cheat("softmax", "operator", "return torch.ops.aten._softmax.default(x, dim, False)"),
)

_RIGHT = "right = logits.gather(1, target[:, None]).squeeze(1)"
_LOSS = "return (torch.logsumexp(logits, dim=1) - right).mean()"
_PROBABILITIES = (
    "exponentials = torch.exp(logits - logits.amax(1, keepdim=True))\n"
    "probabilities = exponentials / exponentials.sum(1, keepdim=True)\n"
)

CROSS_ENTROPY = (
    line("cross_entropy", "sum", _LOSS, _LOSS.replace("mean", "sum"), hint="sum"),
    body(
        "cross_entropy",
        "unstable",
        _PROBABILITIES + "return -probabilities.log()[torch.arange(len(target)), target].mean()",
        hint="unstable",
    ),
    body(
        "cross_entropy",
        "overflow",
        _PROBABILITIES.replace(" - logits.amax(1, keepdim=True)", "")
        + "return -probabilities.log()[torch.arange(len(target)), target].mean()",
        hint="overflow",
    ),
    line(
        "cross_entropy",
        "log_of_sum",
        "torch.logsumexp(logits, dim=1)",
        "torch.log(torch.exp(logits).sum(dim=1))",
        outcome="failed",
    ),
    body(
        "cross_entropy",
        "epsilon",
        _PROBABILITIES + "return -(probabilities[torch.arange(len(target)), target] + 1e-8).log().mean()",
        hint="epsilon",
    ),
    body(
        "cross_entropy",
        "clamped",
        _PROBABILITIES
        + "return -probabilities[torch.arange(len(target)), target].clamp(min=1e-12).log().mean()",
        hint="clamped",
    ),
    body(
        "cross_entropy",
        "softmax_twice",
        _PROBABILITIES
        + (
            "right = probabilities.gather(1, target[:, None]).squeeze(1)\n"
            "return (torch.logsumexp(probabilities, dim=1) - right).mean()"
        ),
        hint="softmax_twice",
    ),
    line("cross_entropy", "sign", _LOSS, _LOSS.replace("return ", "return -"), hint="sign"),
    line("cross_entropy", "mean_over_classes", _LOSS, f"{_LOSS} / logits.shape[1]", hint="mean_over_classes"),
    line("cross_entropy", "all_pairs", _RIGHT, "right = logits[:, target].mean(dim=1)", hint="all_pairs"),
    line("cross_entropy", "not_reduced", _LOSS, _LOSS.replace(".mean()", ""), hint="not_reduced"),
    line(
        "cross_entropy",
        "kept_dimension",
        _LOSS,
        _LOSS.replace("mean()", "mean(dim=0, keepdim=True)"),
        outcome="failed",
    ),
    line(
        "cross_entropy",
        "over_batch",
        "torch.logsumexp(logits, dim=1) - right",
        "torch.logsumexp(logits, dim=0)[target] - right",
        hint="over_batch",
    ),
    line("cross_entropy", "base_two", _LOSS, f"{_LOSS} / math.log(2)", hint="base_two"),
    line("cross_entropy", "base_ten", _LOSS, f"{_LOSS} / math.log(10)", hint="base_ten"),
    line(
        "cross_entropy",
        "logits_as_log_probabilities",
        _LOSS,
        "return -right.mean()",
        hint="logits_as_log_probabilities",
    ),
    body(
        "cross_entropy",
        "without_log",
        _PROBABILITIES + "return -probabilities[torch.arange(len(target)), target].mean()",
        hint="without_log",
    ),
    body(
        "cross_entropy",
        "every_class",
        "return -(logits - torch.logsumexp(logits, dim=1, keepdim=True)).mean()",
        hint="every_class",
    ),
    body(
        "cross_entropy",
        "squared_error",
        _PROBABILITIES + "return (probabilities - F.one_hot(target, logits.shape[1])).square().mean()",
        hint="squared_error",
    ),
    line(
        "cross_entropy",
        "off_by_one",
        "target[:, None]",
        "(target - 1)[:, None] % logits.shape[1]",
        hint="off_by_one",
    ),
    line(
        "cross_entropy",
        "of_prediction",
        "target[:, None]",
        "logits.argmax(dim=1)[:, None]",
        hint="of_prediction",
    ),
    line(
        "cross_entropy", "first_sample", _LOSS, _LOSS.replace("mean()", "reshape(-1)[0]"), hint="first_sample"
    ),
    line("cross_entropy", "detached", _LOSS, f"{_LOSS}.detach()", hint="detached"),
    line("cross_entropy", "number", _LOSS, f"{_LOSS}.item()", hint="number"),
    line(
        "cross_entropy",
        "normaliser_detached",
        "torch.logsumexp(logits, dim=1) -",
        "torch.logsumexp(logits, dim=1).detach() -",
        hint="normaliser_detached",
    ),
    line("cross_entropy", "squeezed", "squeeze(1)", "squeeze()[: len(target)]", outcome="error"),
    line(
        "cross_entropy",
        "view",
        _RIGHT,
        f"logits = logits.view(-1).view(logits.shape)\n    {_RIGHT}",
        outcome="error",
    ),
    line(
        "cross_entropy",
        "parameter_renamed",
        "def cross_entropy(logits: Tensor, target: Tensor)",
        "def cross_entropy(logits: Tensor, labels: Tensor)",
        outcome="error",
    ),
    line(
        "cross_entropy",
        "in_place",
        _RIGHT,
        f"logits.data -= logits.data.amax(dim=1, keepdim=True)\n    {_RIGHT}",
        outcome="failed",
    ),
    cheat("cross_entropy", "functional", "return F.cross_entropy(logits, target)"),
    cheat("cross_entropy", "module", "return nn.CrossEntropyLoss()(logits, target)"),
    cheat(
        "cross_entropy", "log_softmax", "return -F.log_softmax(logits, 1).gather(1, target[:, None]).mean()"
    ),
    cheat("cross_entropy", "softmax", "return -logits.softmax(1).gather(1, target[:, None]).log().mean()"),
    cheat("cross_entropy", "nll", "return F.nll_loss(logits - logits.logsumexp(1, keepdim=True), target)"),
    cheat(
        "cross_entropy",
        "nll_module",
        "return nn.NLLLoss()(logits - logits.logsumexp(1, keepdim=True), target)",
    ),
)


def _forward(old: str, new: str) -> str:
    """The solution's `forward` with a part of it replaced."""
    text = solution_of("lenet", "forward")
    if text.count(old) != 1:
        raise ValueError(f"{old!r} occurs {text.count(old)} times in forward")
    return text.replace(old, new)


LENET5 = (
    body(
        "LeNet5",
        "softmax",
        _forward("self.fc3(x)", "self.fc3(x).softmax(dim=1)"),
        function="forward",
        hint="Softmax",
    ),
    body(
        "LeNet5",
        "log_softmax",
        _forward("self.fc3(x)", "self.fc3(x).log_softmax(dim=1)"),
        function="forward",
        hint="LogSoftmax",
    ),
    body(
        "LeNet5",
        "sigmoid_at_the_end",
        _forward("self.fc3(x)", "self.fc3(x).sigmoid()"),
        function="forward",
        hint="SigmoidAtTheEnd",
    ),
    body(
        "LeNet5",
        "relu_at_the_end",
        _forward("self.fc3(x)", "self.relu(self.fc3(x))"),
        function="forward",
        hint="ReluAtTheEnd",
    ),
    body(
        "LeNet5",
        "no_relu_after_fc1",
        _forward("self.relu(self.fc1(x))", "self.fc1(x)"),
        function="forward",
        hint="NoReluAfterFc1",
    ),
    body(
        "LeNet5",
        "no_relu_after_fc2",
        _forward("self.relu(self.fc2(x))", "self.fc2(x)"),
        function="forward",
        hint="NoReluAfterFc2",
    ),
    body(
        "LeNet5",
        "no_relu_after_conv1",
        _forward("self.relu(self.conv1(x))", "self.conv1(x)"),
        function="forward",
        hint="NoReluAfterConv1",
    ),
    body(
        "LeNet5",
        "no_relu_after_conv2",
        _forward("self.relu(self.conv2(x))", "self.conv2(x)"),
        function="forward",
        hint="NoReluAfterConv2",
    ),
    line("LeNet5", "no_relu", "self.relu = ReLU()", "self.relu = nn.Identity()", hint="NoRelu"),
    line("LeNet5", "tanh", "self.relu = ReLU()", "self.relu = nn.Tanh()", hint="Tanh"),
    line("LeNet5", "sigmoid", "self.relu = ReLU()", "self.relu = nn.Sigmoid()", hint="Sigmoid"),
    line("LeNet5", "leaky_relu", "self.relu = ReLU()", "self.relu = nn.LeakyReLU()", hint="LeakyRelu"),
    line("LeNet5", "elu", "self.relu = ReLU()", "self.relu = nn.ELU()", hint="Elu"),
    line(
        "LeNet5",
        "average_pooling",
        "self.pool = MaxPool2d(2)",
        "self.pool = nn.AvgPool2d(2)",
        hint="AveragePooling",
    ),
    line(
        "LeNet5",
        "padded",
        "size = image_size\n",
        "size = image_size + 4\n        self.conv1.padding = 2\n",
        hint="Padded",
    ),
    line("LeNet5", "only_32", "Linear(16 * size * size, 120)", "Linear(400, 120)", hint="Only32"),
    line("LeNet5", "only_28", "Linear(16 * size * size, 120)", "Linear(256, 120)", hint="Only28"),
    line("LeNet5", "one_channel", "Conv2d(in_channels, 6,", "Conv2d(1, 6,", hint="OneChannel"),
    line("LeNet5", "three_channels", "Conv2d(in_channels, 6,", "Conv2d(3, 6,", hint="ThreeChannels"),
    line("LeNet5", "ten_classes", "Linear(84, num_classes)", "Linear(84, 10)", hint="TenClasses"),
    body(
        "LeNet5",
        "channels_swapped",
        solution_of("lenet", "__init__").replace("16", "six").replace("6,", "16,").replace("six", "6"),
        function="__init__",
        hint="ChannelsSwapped",
    ),
    body(
        "LeNet5",
        "no_bias",
        solution_of("lenet", "__init__")
        + (
            "        for layer in (self.conv1, self.conv2, self.fc1, self.fc2, self.fc3):\n"
            "            layer.bias = None\n"
        ),
        function="__init__",
        hint="NoBias",
    ),
    body(
        "LeNet5",
        "channels_last",
        _forward("x.flatten(start_dim=1)", "x.permute(0, 2, 3, 1).flatten(start_dim=1)"),
        function="forward",
        hint="ChannelsLast",
    ),
    body(
        "LeNet5",
        "features_transposed",
        _forward("x.flatten(start_dim=1)", "x.transpose(2, 3).flatten(start_dim=1)"),
        function="forward",
        hint="FeaturesTransposed",
    ),
    body(
        "LeNet5",
        "squeezed",
        _forward("self.fc3(x)", "self.fc3(x).squeeze()"),
        function="forward",
        hint="Squeezed",
    ),
    body(
        "LeNet5",
        "pools_once",
        _forward("self.pool(self.relu(self.conv2(x)))", "self.relu(self.conv2(x))[..., ::2, ::2]"),
        function="forward",
        outcome="failed",
    ),
    body(
        "LeNet5",
        "flattens_batch",
        _forward("x.flatten(start_dim=1)", "x.flatten()"),
        function="forward",
        outcome="error",
    ),
    body(
        "LeNet5",
        "dropout",
        _forward(
            "self.relu(self.fc1(x))", "nn.functional.dropout(self.relu(self.fc1(x)), 0.5, self.training)"
        ),
        function="forward",
        outcome="failed",
    ),
    line(
        "LeNet5",
        "batch_norm",
        "self.relu = ReLU()",
        "self.relu = ReLU()\n        self.norm = nn.BatchNorm2d(6)",
        outcome="failed",
    ),
    line(
        "LeNet5",
        "renamed",
        "self.relu = ReLU()",
        "self.relu = ReLU()\n        self.fc_3 = self.fc3\n        self.__dict__['_modules'].pop('fc3')",
        outcome="failed",
    ),
    line(
        "LeNet5",
        "hidden_layers_swapped",
        "Linear(84, num_classes)",
        "Linear(84, num_classes + 1)",
        outcome="failed",
    ),
    line(
        "LeNet5",
        "other_default",
        "in_channels: int = 1, image_size: int = 28",
        "in_channels: int = 3, image_size: int = 32",
        outcome="failed",
    ),
    line("LeNet5", "rounds_up", "(size - 5 + 1) // 2", "(size - 5 + 2) // 2", outcome="error"),
    line(
        "LeNet5",
        "frozen",
        "self.relu = ReLU()",
        "self.relu = ReLU()\n        self.conv1.requires_grad_(False)",
        outcome="failed",
    ),
    body(
        "LeNet5",
        "features_detached",
        _forward("x.flatten(start_dim=1)", "x.detach().flatten(start_dim=1)"),
        function="forward",
        outcome="failed",
    ),
    body(
        "LeNet5",
        "returns_a_pair",
        _forward("return self.fc3(x)", "return self.fc3(x), x"),
        function="forward",
        outcome="failed",
    ),
    body(
        "LeNet5",
        "predictions",
        _forward("self.fc3(x)", "self.fc3(x).argmax(dim=1)"),
        function="forward",
        outcome="failed",
    ),
    body("LeNet5", "stub", "pass", function="__init__", outcome="failed"),
    body("LeNet5", "forward_stub", "raise NotImplementedError", function="forward", outcome="missing"),
    line("LeNet5", "gone", "class LeNet5(", "class LeNet(", outcome="missing"),
)

_TRAIN = solution_of("training", "train_epoch")
_EVALUATE = solution_of("training", "evaluate")
_FIT = solution_of("training", "fit")


def _replaced(text: str, *changes: tuple[str, str]) -> str:
    """`text` with parts replaced that each occur once in it."""
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    return text


def _train(name: str, *changes: tuple[str, str], hint: str = "", outcome: str = "") -> Mutant:
    return body("train_epoch", name, _replaced(_TRAIN, *changes), hint=hint, outcome=outcome)


def _evaluate(name: str, *changes: tuple[str, str], hint: str = "", outcome: str = "") -> Mutant:
    return body("evaluate", name, _replaced(_EVALUATE, *changes), hint=hint, outcome=outcome)


def _fit(name: str, *changes: tuple[str, str], hint: str = "", outcome: str = "") -> Mutant:
    return body("fit", name, _replaced(_FIT, *changes), hint=hint, outcome=outcome)


_RETURN = "return total_loss / samples, correct / samples"
_WEIGHED = "total_loss += loss.item() * len(labels)  # the loss is a mean: weigh it by the batch's size"
_CLEAR = "        optimizer.zero_grad()\n"
_COUNT = "correct += int((logits.argmax(dim=1) == labels).sum())"

TRAIN_EPOCH = (
    _train("never_cleared", (_CLEAR, ""), hint="never_cleared"),
    _train(
        "cleared_once",
        (_CLEAR, ""),
        ("model.train()", "model.train()\n    optimizer.zero_grad()"),
        hint="never_cleared",
    ),
    _train(
        "cleared_late",
        (_CLEAR, ""),
        ("optimizer.step()", "optimizer.step()\n        optimizer.zero_grad()"),
        hint="cleared_late",
    ),
    _train(
        "cleared_before_step",
        (_CLEAR, ""),
        ("loss.backward()", "loss.backward()\n        optimizer.zero_grad()"),
        hint="no_step",
    ),
    _train("no_step", ("        optimizer.step()\n", ""), hint="no_step"),
    _train("no_backward", ("        loss.backward()\n", ""), hint="no_step"),
    _train("mode_kept", ("    model.train()\n", ""), hint="mode_kept"),
    _train("in_evaluation_mode", ("model.train()", "model.eval()"), outcome="failed"),
    _train(
        "means_over_batches",
        (_WEIGHED, "total_loss += loss.item()"),
        (_COUNT, "correct += float((logits.argmax(dim=1) == labels).float().mean())"),
        ("samples += len(labels)", "samples += 1"),
        hint="means_over_batches",
    ),
    _train(
        "loss_over_batches",
        (_WEIGHED, "total_loss += loss.item()"),
        ("total_loss / samples", "total_loss / len(loader)"),
        hint="loss_over_batches",
    ),
    _train(
        "accuracy_over_batches",
        (_COUNT, "correct += float((logits.argmax(dim=1) == labels).float().mean())"),
        ("correct / samples", "correct / len(loader)"),
        hint="accuracy_over_batches",
    ),
    _train(
        "loss_summed",
        (_WEIGHED, "total_loss += loss.item()"),
        ("total_loss / samples", "total_loss"),
        hint="loss_summed",
    ),
    _train(
        "loss_summed_over_samples", ("total_loss / samples", "total_loss"), hint="loss_summed_over_samples"
    ),
    _train("loss_not_weighed", (_WEIGHED, "total_loss += loss.item()"), hint="loss_not_weighed"),
    _train(
        "last_batch",
        (_WEIGHED, "total_loss = loss.item() * len(labels)"),
        ("correct += int", "correct = int"),
        ("samples += len", "samples = len"),
        hint="last_batch",
    ),
    _train("percent", ("correct / samples", "100 * correct / samples"), hint="percent"),
    _train("swapped", (_RETURN, "return correct / samples, total_loss / samples"), hint="swapped"),
    _train(
        "second_pass",
        (_COUNT, "correct += int((model(images).argmax(dim=1) == labels).sum())"),
        outcome="failed",
    ),
    _train(
        "softmax_first",
        ("cross_entropy(logits, labels)", "cross_entropy(logits.softmax(dim=1), labels)"),
        hint="softmax_first",
    ),
    _train("trained_on_sums", ("loss.backward()", "(loss * len(labels)).backward()"), hint="trained_on_sums"),
    _train("count_over_batches", ("correct / samples", "correct / len(loader)"), hint="count_over_batches"),
    _train("count", ("correct / samples", "float(correct)"), hint="count"),
    _train("error_rate", ("correct / samples", "1 - correct / samples"), hint="error_rate"),
    _train(
        "full_batches",
        ("samples += len(labels)", "samples = samples or len(labels) * len(loader)"),
        hint="full_batches",
    ),
    _train("first_batch", (f"    {_RETURN}", f"        {_RETURN}"), hint="first_batch"),
    _train("last_batch_dropped", ("in loader:", "in list(loader)[:-1]:"), hint="last_batch_dropped"),
    _train(
        "one_step",
        (_CLEAR, ""),
        ("model.train()", "model.train()\n    optimizer.zero_grad()"),
        ("        optimizer.step()\n", ""),
        (f"    {_RETURN}", f"    optimizer.step()\n    {_RETURN}"),
        hint="one_step",
    ),
    _train(
        "argmax_over_batch",
        (_COUNT, "correct += int((logits.argmax(dim=0)[: len(labels)] == labels[: logits.shape[1]]).sum())"),
        outcome="failed",
    ),
    _train("data_set", ("total_loss / samples", "total_loss / len(loader.dataset)"), outcome="error"),
    _train("loss_tensor", (_WEIGHED, "total_loss += loss * len(labels)"), outcome="failed"),
    _train(
        "accuracy_tensor", (_COUNT, "correct += (logits.argmax(dim=1) == labels).sum()"), outcome="failed"
    ),
    _train("list", (_RETURN, f"return [{_RETURN.removeprefix('return ')}]"), outcome="failed"),
    _train(
        "rounded",
        (_RETURN, "return round(total_loss / samples, 2), round(correct / samples, 2)"),
        outcome="failed",
    ),
    _train(
        "two_passes",
        (
            "for images, labels in loader:",
            "for images, labels in (batch for _ in range(2) for batch in loader):",
        ),
        outcome="failed",
    ),
    _train(
        "counts_first",
        ("model.train()", "model.train()\n    count = sum(1 for _ in loader)"),
        outcome="failed",
    ),
    line(
        "train_epoch",
        "no_device",
        'optimizer: torch.optim.Optimizer, device: str | torch.device = "cpu"\n) -> tuple',
        "optimizer: torch.optim.Optimizer, *, device='cpu'\n) -> tuple",
        outcome="error",
    ),
    body("train_epoch", "stub", "raise NotImplementedError", outcome="missing"),
)

_EVALUATE_RETURN = "return correct / samples"

EVALUATE = (
    _evaluate("mode_kept", ("    model.eval()\n", ""), hint="mode_kept"),
    _evaluate("left_in_evaluation", ("    model.train(was_training)\n", ""), hint="left_in_evaluation"),
    _evaluate("left_in_training", ("model.train(was_training)", "model.train()"), hint="left_in_training"),
    _evaluate(
        "mean_over_batches",
        (
            "correct += int((model(images).argmax(dim=1) == labels).sum())",
            "correct += float((model(images).argmax(dim=1) == labels).float().mean())",
        ),
        (_EVALUATE_RETURN, "return correct / len(loader)"),
        hint="mean_over_batches",
    ),
    _evaluate("percent", (_EVALUATE_RETURN, "return 100 * correct / samples"), hint="percent"),
    _evaluate("error_rate", (_EVALUATE_RETURN, "return 1 - correct / samples"), hint="error_rate"),
    _evaluate(
        "last_batch",
        ("correct += int", "correct = int"),
        ("samples += len", "samples = len"),
        hint="last_batch",
    ),
    _evaluate(
        "first_batch",
        ("samples += len(labels)", "samples += len(labels)\n            break"),
        hint="first_batch",
    ),
    _evaluate("last_batch_dropped", ("in loader:", "in list(loader)[:-1]:"), outcome="failed"),
    _evaluate(
        "full_batches",
        ("samples += len(labels)", "samples = samples or len(labels) * len(loader)"),
        outcome="failed",
    ),
    _evaluate(
        "count_over_batches", (_EVALUATE_RETURN, "return correct / len(loader)"), hint="count_over_batches"
    ),
    _evaluate("count", (_EVALUATE_RETURN, "return float(correct)"), hint="count"),
    _evaluate(
        "argmax_over_batch",
        (
            "correct += int((model(images).argmax(dim=1) == labels).sum())",
            "correct += int((model(images).argmax(dim=0)[: len(labels)] == labels[:4]).sum())",
        ),
        outcome="failed",
    ),
    _evaluate("with_gradients", ("with torch.no_grad():", "if True:"), hint="with_gradients"),
    _evaluate("data_set", (_EVALUATE_RETURN, "return correct / len(loader.dataset)"), outcome="error"),
    _evaluate(
        "tensor",
        (
            "correct += int((model(images).argmax(dim=1) == labels).sum())",
            "correct += (model(images).argmax(dim=1) == labels).sum()",
        ),
        outcome="failed",
    ),
    _evaluate("pair", (_EVALUATE_RETURN, "return 0.0, correct / samples"), outcome="failed"),
    _evaluate(
        "changes_weights",
        (
            _EVALUATE_RETURN,
            (
                "for parameter in model.parameters():\n"
                "        parameter.data.mul_(0.9)\n"
                "    return correct / samples"
            ),
        ),
        outcome="failed",
    ),
    _evaluate(
        "back_after_first_batch",
        ("samples += len(labels)", "samples += len(labels)\n            model.train(was_training)"),
        outcome="failed",
    ),
    body("evaluate", "stub", "raise NotImplementedError", outcome="missing"),
)

_ADAM = "torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)"
_STOP = (
    "        if target_accuracy is not None and history.test_accuracy[-1] >= target_accuracy:\n"
    "            break\n"
)
_CALL = "        if on_epoch is not None:\n            on_epoch(epoch, history)\n"
_TEST = "        history.test_accuracy.append(evaluate(model, test_loader, device))\n"

FIT = (
    _fit(
        "weight_decay_ignored",
        (_ADAM, "torch.optim.Adam(model.parameters(), lr=lr)"),
        hint="weight_decay_ignored",
    ),
    _fit(
        "lr_ignored",
        (_ADAM, "torch.optim.Adam(model.parameters(), weight_decay=weight_decay)"),
        hint="lr_ignored",
    ),
    _fit("settings_ignored", (_ADAM, "torch.optim.Adam(model.parameters())"), outcome="failed"),
    _fit("sgd", ("torch.optim.Adam", "torch.optim.SGD"), hint="sgd"),
    _fit(
        "momentum",
        (_ADAM, "torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, momentum=0.9)"),
        hint="momentum",
    ),
    _fit("adamw", ("torch.optim.Adam", "torch.optim.AdamW"), hint="adamw"),
    _fit("rmsprop", ("torch.optim.Adam", "torch.optim.RMSprop"), hint="rmsprop"),
    _fit("adamax", ("torch.optim.Adam", "torch.optim.Adamax"), outcome="failed"),
    _fit(
        "optimizer_each_epoch",
        (
            "    loss, accuracy = train_epoch",
            f"    optimizer = {_ADAM}\n        loss, accuracy = train_epoch",
        ),
        hint="optimizer_each_epoch",
    ),
    _fit("scheduler", (_CALL, f"        optimizer.param_groups[0]['lr'] *= 0.5\n{_CALL}"), outcome="failed"),
    _fit("target_ignored", (_STOP, ""), hint="target_ignored"),
    _fit(
        "stops_on_train_accuracy",
        ("history.test_accuracy[-1] >=", "history.train_accuracy[-1] >="),
        hint="stops_on_train_accuracy",
    ),
    _fit(
        "stops_late",
        ("history.test_accuracy[-1] >=", "max(history.test_accuracy[:-1], default=-1.0) >="),
        hint="stops_late",
    ),
    _fit(
        "zero_target_ignored",
        ("target_accuracy is not None and", "target_accuracy and"),
        hint="zero_target_ignored",
    ),
    _fit(
        "none_stops_at_once",
        (
            "target_accuracy is not None and history.test_accuracy[-1] >= target_accuracy",
            "history.test_accuracy[-1] >= (target_accuracy or 0.0)",
        ),
        hint="only_one_epoch",
    ),
    _fit("needs_target", ("target_accuracy is not None and ", ""), outcome="error"),
    _fit("target_in_percent", (">= target_accuracy", ">= target_accuracy / 100"), outcome="failed"),
    _fit("stops_before_on_epoch", (_STOP, ""), (_CALL, _STOP + _CALL), hint="stops_before_on_epoch"),
    body(
        "fit",
        "stops_before_recording",
        """
        optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
        history = History()
        for epoch in range(1, max_epochs + 1):
            loss, accuracy = train_epoch(model, train_loader, optimizer, device)
            reached = evaluate(model, test_loader, device)
            if target_accuracy is not None and reached >= target_accuracy:
                break
            history.train_loss.append(loss)
            history.train_accuracy.append(accuracy)
            history.test_accuracy.append(reached)
            if on_epoch is not None:
                on_epoch(epoch, history)
        return history
        """,
        hint="stops_before_recording",
    ),
    _fit(
        "counts_from_zero",
        ("on_epoch(epoch, history)", "on_epoch(epoch - 1, history)"),
        hint="counts_from_zero",
    ),
    _fit("never_calls", (_CALL, ""), hint="never_calls"),
    _fit("always_calls", (_CALL, "        on_epoch(epoch, history)\n"), outcome="error"),
    _fit(
        "calls_at_the_end",
        (_CALL, ""),
        (
            "    return history",
            "    if on_epoch is not None:\n        on_epoch(epoch, history)\n    return history",
        ),
        hint="calls_at_the_end",
    ),
    _fit(
        "calls_before_recording",
        (_CALL, ""),
        ("        history.train_loss.append(loss)\n", f"{_CALL}        history.train_loss.append(loss)\n"),
        hint="calls_before_recording",
    ),
    _fit("calls_before_evaluating", (_CALL, ""), (_TEST, _CALL + _TEST), hint="calls_before_evaluating"),
    _fit("calls_with_history_only", ("on_epoch(epoch, history)", "on_epoch(history)"), outcome="error"),
    _fit("one_epoch_less", ("max_epochs + 1", "max_epochs"), hint="one_epoch_less"),
    _fit("one_epoch_more", ("range(1, max_epochs + 1)", "range(max_epochs + 1)"), hint="one_epoch_more"),
    _fit("only_one_epoch", ("    return history", "        return history"), hint="only_one_epoch"),
    _fit("always_twenty", ("max_epochs + 1", "21"), hint="always_twenty"),
    _fit(
        "evaluates_on_train",
        ("evaluate(model, test_loader, device)", "evaluate(model, train_loader, device)"),
        hint="evaluates_on_train",
    ),
    _fit(
        "trains_on_test",
        ("train_epoch(model, train_loader,", "train_epoch(model, test_loader,"),
        hint="trains_on_test",
    ),
    _fit(
        "loaders_swapped",
        ("    optimizer =", "    train_loader, test_loader = test_loader, train_loader\n    optimizer ="),
        hint="loaders_swapped",
    ),
    _fit(
        "evaluates_first",
        (_TEST, ""),
        ("        loss, accuracy =", f"{_TEST}        loss, accuracy ="),
        hint="evaluates_first",
    ),
    _fit(
        "loss_and_accuracy_swapped",
        ("loss, accuracy = train_epoch", "accuracy, loss = train_epoch"),
        hint="loss_and_accuracy_swapped",
    ),
    _fit(
        "no_train_accuracy",
        ("        history.train_accuracy.append(accuracy)\n", ""),
        hint="no_train_accuracy",
    ),
    _fit(
        "evaluates_once",
        (_TEST, ""),
        ("    return history", _TEST.removeprefix("    ") + "    return history"),
        (_STOP, ""),
        outcome="failed",
    ),
    _fit(
        "trains_a_copy",
        ("    optimizer =", "    import copy\n\n    model = copy.deepcopy(model)\n    optimizer ="),
        hint="trains_a_copy",
    ),
    _fit(
        "restores_best",
        ("    history = History()\n", "    history, best = History(), -1.0\n"),
        (
            _CALL,
            _CALL
            + (
                "        if history.test_accuracy[-1] > best:\n"
                "            best = history.test_accuracy[-1]\n"
                "            state = {name: value.clone() for name, value in model.state_dict().items()}\n"
            ),
        ),
        ("    return history", "    model.load_state_dict(state)\n    return history"),
        outcome="failed",
    ),
    _fit(
        "returns_lists",
        ("return history", "return history.train_loss, history.train_accuracy, history.test_accuracy"),
        outcome="failed",
    ),
    _fit("no_return", ("    return history\n", ""), outcome="failed"),
    line("fit", "other_rate", "lr: float = 1e-3,", "lr: float = 1e-2,", outcome="failed"),
    line("fit", "other_decay", "weight_decay: float = 0.0,", "weight_decay: float = 5e-2,", outcome="failed"),
    line("fit", "other_epochs", "max_epochs: int = 20,", "max_epochs: int = 10,", outcome="failed"),
    line(
        "fit",
        "other_target",
        "target_accuracy: float | None = None,",
        "target_accuracy: float | None = 0.3,",
        outcome="failed",
    ),
    line("fit", "parameter_renamed", "    max_epochs: int = 20,", "    epochs: int = 20,", outcome="error"),
    body("fit", "stub", "raise NotImplementedError", outcome="missing"),
)


def _invert(name: str, new: str, *, hint: str = "", outcome: str = "") -> Mutant:
    return body("Invert", name, new, function="__call__", hint=hint, outcome=outcome)


INVERT = (
    _invert("minus", "return -image", hint="Minus"),
    _invert("255", "return 255 - image", hint="255"),
    _invert("in_place", "image.mul_(-1).add_(1)\nreturn image", hint="InPlace"),
    _invert(
        "in_place_on_a_view", "view = image[:]\nview.neg_()\nview += 1\nreturn view.clone()", outcome="failed"
    ),
    _invert("unchanged", "return image", hint="Unchanged"),
    _invert("from_maximum", "return image.max() - image", hint="FromMaximum"),
    _invert("within_range", "return image.max() + image.min() - image", hint="WithinRange"),
    _invert("uint8", "return ((1 - image) * 255).byte()", hint="Uint8"),
    _invert("scaled", "return 255 * (1 - image)", hint="Scaled"),
    _invert("binary", "return (image < 0.5).float()", hint="Binary"),
    _invert("backwards", "return image - 1", hint="Backwards"),
    _invert("mirrored", "return image.flip(-1)", hint="Mirrored"),
    _invert("upside_down", "return image.flip(-2)", hint="UpsideDown"),
    _invert("normalised", "return 1 - 2 * image", hint="Normalised"),
    _invert("keeps_black", "return torch.where(image > 0, 1 - image, image)", hint="KeepsBlack"),
    _invert("float64", "return 1 - image.double()", outcome="failed"),
    _invert("numpy", "return 1 - image.numpy()", outcome="failed"),
    _invert("guesses_range", "return (255 if image.max() >= 1 else 1) - image", outcome="failed"),
    _invert(
        "three_dimensions_only", "channels, height, width = image.shape\nreturn 1 - image", outcome="error"
    ),
    _invert("view", "return (1 - image.view(-1)).view(image.shape)", outcome="error"),
    _invert("squeezed", "return (1 - image).squeeze(0)", outcome="failed"),
    _invert(
        "every_other_call",
        "self.on = not getattr(self, 'on', False)\nreturn 1 - image if self.on else image.clone()",
        outcome="failed",
    ),
    _invert(
        "result_reused",
        "if getattr(self, 'kept', None) is None:\n    self.kept = 1 - image\nreturn self.kept",
        outcome="failed",
    ),
    line("Invert", "inherited_repr", "def __repr__(", "def describe(", outcome="failed"),
    body(
        "Invert",
        "address_in_repr",
        'return f"<Invert object at {hex(id(self))}>"',
        function="__repr__",
        outcome="failed",
    ),
    body("Invert", "nameless_repr", 'return "a transform"', function="__repr__", outcome="failed"),
    line(
        "Invert",
        "needs_argument",
        "    def __call__(",
        "    def __init__(self, mode):\n        self.mode = mode\n\n    def __call__(",
        outcome="error",
    ),
    _invert("stub", "raise NotImplementedError", outcome="missing"),
    cheat(
        "Invert",
        "functional",
        "from torchvision.transforms import functional\n\nreturn functional.invert(image)",
        function="__call__",
    ),
    cheat(
        "Invert",
        "second_version",
        "from torchvision.transforms.v2 import functional\n\nreturn functional.invert(image)",
        function="__call__",
    ),
    cheat(
        "Invert",
        "random_transform",
        "from torchvision import transforms\n\nreturn transforms.RandomInvert(p=1.0)(image)",
        function="__call__",
    ),
    cheat(
        "Invert",
        "solarize",
        "from torchvision.transforms import functional\n\nreturn functional.solarize(image, 0.0)",
        function="__call__",
    ),
    cheat(
        "Invert",
        "pillow",
        """
        from PIL import Image, ImageOps

        pixels = Image.fromarray((255 * image.reshape(-1, image.shape[-1])).byte().numpy())
        inverted = torch.tensor(list(ImageOps.invert(pixels).getdata())) / 255
        return inverted.reshape(image.shape)
        """,
        function="__call__",
    ),
)

_STATISTICS = solution_of("transforms", "mean_and_std")


def _statistics(name: str, *lines: str, hint: str = "", outcome: str = "") -> Mutant:
    return body("mean_and_std", name, "\n".join(lines), hint=hint, outcome=outcome)


_SCALED = "x = images.double() / (255 if images.dtype == torch.uint8 else 1)"
_BOTH = "return x.mean(dim=(0, 2, 3)).float(), x.std(dim=(0, 2, 3), correction=0).float()"

MEAN_AND_STD = (
    _statistics("not_scaled", "x = images.double()", _BOTH, hint="not_scaled"),
    _statistics("always_scaled", "x = images.double() / 255", _BOTH, hint="always_scaled"),
    _statistics("256", _SCALED.replace("255", "256"), _BOTH, hint="256"),
    _statistics(
        "guesses_scale", "x = images.double()", "x = x / 255 if x.max() > 1 else x", _BOTH, outcome="failed"
    ),
    _statistics("sample", _SCALED, _BOTH.replace(", correction=0", ""), hint="sample"),
    _statistics(
        "mean_of_stds",
        _SCALED,
        _BOTH.replace("x.std(dim=(0, 2, 3), correction=0)", "x.std(dim=(2, 3), correction=0).mean(dim=0)"),
        hint="mean_of_stds",
    ),
    _statistics(
        "mean_of_sample_stds",
        _SCALED,
        _BOTH.replace("x.std(dim=(0, 2, 3), correction=0)", "x.std(dim=(2, 3)).mean(dim=0)"),
        hint="mean_of_sample_stds",
    ),
    _statistics(
        "std_of_means",
        _SCALED,
        _BOTH.replace("x.std(dim=(0, 2, 3), correction=0)", "x.mean(dim=(2, 3)).std(dim=0, correction=0)"),
        hint="std_of_means",
    ),
    _statistics("variance", _SCALED, _BOTH.replace(".std(", ".var("), hint="variance"),
    _statistics(
        "over_everything",
        _SCALED,
        "return x.mean().float(), x.std(correction=0).float()",
        hint="over_everything",
    ),
    _statistics(
        "same_for_all",
        _SCALED,
        "return x.mean().float().repeat(x.shape[1]), x.std(correction=0).float().repeat(x.shape[1])",
        hint="same_for_all",
    ),
    _statistics("each_image", _SCALED, _BOTH.replace("(0, 2, 3)", "(1, 2, 3)"), hint="each_image"),
    _statistics(
        "each_image_and_channel", _SCALED, _BOTH.replace("(0, 2, 3)", "(2, 3)"), hint="each_image_and_channel"
    ),
    _statistics("each_pixel", _SCALED, _BOTH.replace("(0, 2, 3)", "0"), hint="each_pixel"),
    _statistics("channels_last", _SCALED, _BOTH.replace("(0, 2, 3)", "(0, 1, 2)"), hint="channels_last"),
    _statistics(
        "swapped",
        _SCALED,
        "return x.std(dim=(0, 2, 3), correction=0).float(), x.mean(dim=(0, 2, 3)).float()",
        hint="swapped",
    ),
    _statistics(
        "only_mean_scaled", _SCALED, _BOTH.replace("x.std(", "images.double().std("), hint="only_mean_scaled"
    ),
    _statistics(
        "root_mean_square",
        _SCALED,
        _BOTH.replace("x.std(dim=(0, 2, 3), correction=0)", "x.square().mean(dim=(0, 2, 3)).sqrt()"),
        hint="root_mean_square",
    ),
    _statistics(
        "absolute_deviation",
        _SCALED,
        _BOTH.replace(
            "x.std(dim=(0, 2, 3), correction=0)",
            "(x - x.mean(dim=(0, 2, 3))[:, None, None]).abs().mean(dim=(0, 2, 3))",
        ),
        hint="absolute_deviation",
    ),
    _statistics(
        "first_image", _SCALED.replace("images.double()", "images[:1].double()"), _BOTH, hint="first_image"
    ),
    _statistics("float64", _SCALED, _BOTH.replace(".float()", ""), hint="float64"),
    _statistics(
        "four_dimensions", _SCALED, _BOTH.replace("(0, 2, 3)", "(0, 2, 3), keepdim=True"), outcome="failed"
    ),
    _statistics("list", _SCALED, f"return [{_BOTH.removeprefix('return ')}]", outcome="failed"),
    _statistics(
        "stacked", _SCALED, f"return torch.stack(({_BOTH.removeprefix('return ')}))", outcome="failed"
    ),
    _statistics("numbers", _SCALED, "return x.mean().item(), x.std(correction=0).item()", outcome="failed"),
    _statistics("half", _SCALED.replace("double", "half"), _BOTH, outcome="failed"),
    _statistics(
        "drifts",
        "total, squares = torch.zeros(images.shape[1]), torch.zeros(images.shape[1])",
        "for chunk in images.split(1000):",
        "    x = chunk.float() / (255 if images.dtype == torch.uint8 else 1)",
        "    for one, square in zip(x.sum(dim=(2, 3)), x.square().sum(dim=(2, 3))):",
        "        total += one",
        "        squares += square",
        "pixels = images.numel() / images.shape[1]",
        "mean = total / pixels",
        "return mean, (squares / pixels - mean**2).clamp(min=0).sqrt()",
        hint="drifts",
    ),
    _statistics(
        "view",
        _SCALED,
        "x = x.view(images.shape[0], images.shape[1], -1)",
        "return x.mean(dim=(0, 2)).float(), x.std(dim=(0, 2), correction=0).float()",
        outcome="error",
    ),
    _statistics(
        "in_place",
        "if images.dtype == torch.uint8:",
        "    x = images.double() / 255",
        "    images.zero_()",
        "else:",
        "    x = images.double()",
        _BOTH,
        outcome="failed",
    ),
    line(
        "mean_and_std",
        "parameter_renamed",
        "def mean_and_std(images: Tensor)",
        "def mean_and_std(data: Tensor)",
        outcome="error",
    ),
    _statistics("stub", "raise NotImplementedError", outcome="missing"),
)

_CAT = "both = torch.cat([images, 1 - images])"
_ORDER = "order = torch.randperm(len(both), generator=generator)"
_PAIRED = "return both[order], torch.cat([labels, labels])[order]"


def _negatives(name: str, *changes: tuple[str, str], hint: str = "", outcome: str = "") -> Mutant:
    text = _replaced(solution_of("transforms", "with_negatives"), *changes)
    return body("with_negatives", name, text, hint=hint, outcome=outcome)


WITH_NEGATIVES = (
    _negatives(
        "two_permutations",
        (
            _PAIRED,
            "return both[order], torch.cat([labels, labels])[torch.randperm(len(both), generator=generator)]",
        ),
        hint="two_permutations",
    ),
    _negatives(
        "labels_in_order",
        (_PAIRED, "return both[order], torch.cat([labels, labels])"),
        hint="labels_in_order",
    ),
    _negatives(
        "images_in_order",
        (_PAIRED, "return both, torch.cat([labels, labels])[order]"),
        hint="images_in_order",
    ),
    _negatives("not_shuffled", (_ORDER, "order = torch.arange(len(both))"), outcome="failed"),
    _negatives("minus", ("1 - images", "-images"), hint="minus"),
    _negatives("255", ("1 - images", "255 - images"), hint="255"),
    _negatives("images_twice", ("1 - images", "images"), hint="images_twice"),
    _negatives(
        "only_negatives",
        (_CAT, "both = 1 - images"),
        (_PAIRED, "return both[order], labels[order]"),
        hint="only_negatives",
    ),
    _negatives("half", (_ORDER, f"{_ORDER}[: len(images)]"), hint="half"),
    _negatives("generator_ignored", (", generator=generator", ""), hint="generator_ignored"),
    _negatives(
        "generator_not_moved",
        (
            _ORDER,
            (
                "copy = None if generator is None else torch.Generator().set_state(generator.get_state())\n"
                "    order = torch.randperm(len(both), generator=copy)"
            ),
        ),
        outcome="failed",
    ),
    _negatives(
        "own_generator",
        (
            _ORDER,
            (
                "generator = generator or torch.Generator().manual_seed(0)\n"
                "    order = torch.randperm(len(both), generator=generator)"
            ),
        ),
        outcome="failed",
    ),
    _negatives(
        "reseeds",
        (_ORDER, "torch.manual_seed(0)\n    order = torch.randperm(len(both), generator=generator)"),
        outcome="failed",
    ),
    _negatives(
        "python_shuffle",
        (_ORDER, "import random\n\n    order = torch.tensor(random.sample(range(len(both)), len(both)))"),
        outcome="failed",
    ),
    _negatives(
        "needs_generator",
        (_ORDER, "generator.get_state()\n    order = torch.randperm(len(both), generator=generator)"),
        outcome="error",
    ),
    _negatives(
        "shuffled_apart",
        (
            _ORDER,
            "orders = [torch.randperm(len(images), generator=generator) for _ in range(2)]\n"
            "    order = torch.cat([orders[0], orders[1] + len(images)])",
        ),
        outcome="failed",
    ),
    _negatives(
        "positives_in_order",
        (
            _ORDER,
            "order = torch.randperm(len(images), generator=generator)\n"
            "    order = torch.cat([torch.arange(len(images)), order + len(images)])",
        ),
        outcome="failed",
    ),
    _negatives(
        "interleaved",
        (_ORDER, "order = torch.arange(len(both)).reshape(2, -1).T.flatten()"),
        outcome="failed",
    ),
    _negatives(
        "pairs",
        (
            _ORDER,
            (
                "order = torch.randperm(len(images), generator=generator)\n"
                "    order = torch.stack([order, order + len(images)], dim=1).flatten()"
            ),
        ),
        outcome="failed",
    ),
    _negatives(
        "labels_interleaved",
        ("torch.cat([labels, labels])", "labels.repeat_interleave(2)"),
        hint="labels_interleaved",
    ),
    _negatives("labels_shifted", ("[labels, labels]", "[labels, labels + 10]"), hint="labels_shifted"),
    _negatives("labels_inverted", ("[labels, labels]", "[labels, 9 - labels]"), hint="labels_inverted"),
    _negatives(
        "kind_as_label",
        ("[labels, labels]", "[torch.zeros_like(labels), torch.ones_like(labels)]"),
        hint="kind_as_label",
    ),
    _negatives("labels_once", ("torch.cat([labels, labels])[order]", "labels"), outcome="failed"),
    _negatives(
        "in_place",
        (_CAT, "positives = images.clone()\n    both = torch.cat([positives, images.neg_().add_(1)])"),
        hint="in_place",
    ),
    _negatives(
        "labels_in_place",
        (
            _ORDER,
            (
                f"{_ORDER}\n"
                "    labels = labels[:].mul_(1)\n"
                "    result = both[order], torch.cat([labels, labels])[order]\n"
                "    labels.zero_()\n"
                "    return result"
            ),
        ),
        outcome="failed",
    ),
    _negatives(
        "with_repeats",
        (_ORDER, "order = torch.randint(len(both), (len(both),), generator=generator)"),
        outcome="failed",
    ),
    _negatives(
        "list", (_PAIRED, "return [both[order], torch.cat([labels, labels])[order]]"), outcome="failed"
    ),
    _negatives("float_labels", ("[labels, labels]", "[labels.float(), labels.float()]"), outcome="failed"),
    _negatives("float64", (_CAT, f"{_CAT}.double()"), outcome="failed"),
    _negatives(
        "flat_images",
        (_PAIRED, "return both[order].flatten(1), torch.cat([labels, labels])[order]"),
        outcome="failed",
    ),
    _negatives(
        "squeezed",
        (_PAIRED, "return both[order].squeeze(1), torch.cat([labels, labels])[order]"),
        outcome="failed",
    ),
    line(
        "with_negatives",
        "positional_generator",
        "images: Tensor, labels: Tensor, generator: torch.Generator | None = None",
        "images: Tensor, labels: Tensor, rng: torch.Generator | None = None",
        outcome="error",
    ),
    body("with_negatives", "stub", "raise NotImplementedError", outcome="missing"),
)

MUTANTS: tuple[Mutant, ...] = (
    *CONV2D,
    *MAX_POOL2D,
    *LINEAR,
    *RELU,
    *LEAKY_RELU,
    *ELU,
    *SOFTMAX,
    *CROSS_ENTROPY,
    *LENET5,
    *TRAIN_EPOCH,
    *EVALUATE,
    *FIT,
    *INVERT,
    *MEAN_AND_STD,
    *WITH_NEGATIVES,
)
