"""Right submissions in unlike styles: each is the solutions with something written another way.

They must all get full points. They stand for what students really hand in: loops, tricks, own
autograd functions, helper files, other encodings, chatty modules, finished parts where they are allowed.
"""

import textwrap
from dataclasses import dataclass

from mutants import SOURCES, solution_of


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A submission's files by path; `name` says what is unusual about it."""

    name: str
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Body:
    """Another body for a function of a module."""

    module: str
    function: str
    lines: str


@dataclass(frozen=True, slots=True)
class Change:
    """A text that occurs once in a module, and what takes its place."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class After:
    """Lines that follow the module's last line."""

    module: str
    lines: str


def _indented(lines: str, indent: str) -> str:
    return textwrap.indent(textwrap.dedent(lines).strip("\n") + "\n", indent)


def equivalent(name: str, *changes: Body | Change | After, **files: str) -> Equivalent:
    """The solutions with these changes; `files` are further modules by name, `__` for a folder."""
    sources = dict(SOURCES)
    for change in changes:
        match change:
            case Body(module, function, lines):
                old = solution_of(module, function)
                new = _indented(lines, " " * (len(old) - len(old.lstrip(" "))))
            case Change(module, old, new):
                pass
            case After(module, lines):
                sources[module] += "\n\n" + _indented(lines, "")
                continue
        if sources[module].count(old) != 1:
            raise ValueError(f"{name}: {old!r} occurs {sources[module].count(old)} times in {module}")
        sources[module] = sources[module].replace(old, new)
    texts = {f"{module}.py": text for module, text in sources.items()}
    texts |= {f"{path.replace('__', '/')}.py": _indented(text, "") for path, text in files.items()}
    return Equivalent(name, {path: text.encode() for path, text in texts.items()})


def encoded(name: str, encode) -> Equivalent:
    """The solutions with each file's text turned into bytes in another way."""
    return Equivalent(name, {f"{module}.py": encode(text) for module, text in SOURCES.items()})


LOOPS = equivalent(
    "plain loops",
    Body(
        "layers",
        "conv2d",
        """
        out_channels, _, kernel_height, kernel_width = weight.shape
        height, width = x.shape[2] + 2 * padding, x.shape[3] + 2 * padding
        padded = x.new_zeros(x.shape[0], x.shape[1], height, width)
        padded[:, :, padding : height - padding, padding : width - padding] = x
        rows = []
        for i in range(0, height - kernel_height + 1, stride):
            row = []
            for j in range(0, width - kernel_width + 1, stride):
                window = padded[:, None, :, i : i + kernel_height, j : j + kernel_width]
                pixel = (window * weight).sum(dim=(2, 3, 4))
                if bias is not None:
                    pixel = pixel + bias
                row.append(pixel)
            rows.append(torch.stack(row, dim=-1))
        return torch.stack(rows, dim=-2)
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        """
        if stride is None:
            stride = kernel_size
        rows = []
        for i in range(0, x.shape[2] - kernel_size + 1, stride):
            row = []
            for j in range(0, x.shape[3] - kernel_size + 1, stride):
                row.append(x[:, :, i : i + kernel_size, j : j + kernel_size].amax(dim=(2, 3)))
            rows.append(torch.stack(row, dim=2))
        return torch.stack(rows, dim=2)
        """,
    ),
    Body(
        "layers",
        "linear",
        """
        columns = []
        for o in range(weight.shape[0]):
            column = (x * weight[o]).sum(dim=-1)
            if bias is not None:
                column = column + bias[o]
            columns.append(column)
        return torch.stack(columns, dim=-1)
        """,
    ),
    Body(
        "layers",
        "cross_entropy",
        """
        loss = 0
        for row, right in zip(logits, target):
            shifted = row - row.max()
            loss = loss + shifted.exp().sum().log() - shifted[right]
        return loss / len(target)
        """,
    ),
)

IM2COL = equivalent(
    "im2col with F.unfold",
    Body(
        "layers",
        "conv2d",
        """
        out_channels, _, kernel_height, kernel_width = weight.shape
        columns = F.unfold(x, (kernel_height, kernel_width), padding=padding, stride=stride)
        y = weight.reshape(out_channels, -1) @ columns
        if bias is not None:
            y = y + bias.view(1, -1, 1)
        height = (x.shape[2] + 2 * padding - kernel_height) // stride + 1
        return y.reshape(x.shape[0], out_channels, height, -1)
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        """
        step = stride or kernel_size
        batch, channels, height, width = x.shape
        columns = F.unfold(x, kernel_size, stride=step).view(batch, channels, kernel_size**2, -1)
        return torch.amax(columns, 2).view(batch, channels, (height - kernel_size) // step + 1, -1)
        """,
    ),
)

STRIDED = equivalent(
    "as_strided",
    Body(
        "layers",
        "conv2d",
        """
        kernel_height, kernel_width = weight.shape[2:]
        x = F.pad(x, [padding] * 4).contiguous()
        batch, channels, height, width = x.shape
        n, c, h, w = x.stride()
        size = ((height - kernel_height) // stride + 1, (width - kernel_width) // stride + 1)
        windows = x.as_strided(
            (batch, channels, *size, kernel_height, kernel_width), (n, c, h * stride, w * stride, h, w)
        )
        y = torch.tensordot(windows, weight, dims=([1, 4, 5], [1, 2, 3])).permute(0, 3, 1, 2)
        return y + (0 if bias is None else bias[None, :, None, None])
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        """
        stride = stride or kernel_size
        x = x.contiguous()
        batch, channels, height, width = x.shape
        n, c, h, w = x.stride()
        size = ((height - kernel_size) // stride + 1, (width - kernel_size) // stride + 1)
        return x.as_strided(
            (batch, channels, *size, kernel_size, kernel_size), (n, c, h * stride, w * stride, h, w)
        ).amax((-1, -2))
        """,
    ),
)

SHIFTED = equivalent(
    "sums over kernel positions",
    Body(
        "layers",
        "conv2d",
        """
        kernel_height, kernel_width = weight.shape[2:]
        x = F.pad(x, (padding, padding, padding, padding))
        height = (x.shape[2] - kernel_height) // stride + 1
        width = (x.shape[3] - kernel_width) // stride + 1
        y = torch.zeros(x.shape[0], weight.shape[0], height, width)
        for u in range(kernel_height):
            for v in range(kernel_width):
                shifted = x[:, :, u : u + stride * height : stride, v : v + stride * width : stride]
                y += torch.einsum("nchw,oc->nohw", shifted[..., :height, :width], weight[:, :, u, v])
        if bias is not None:
            y += bias.reshape(-1, 1, 1)
        return y
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        """
        from functools import reduce

        stride = stride or kernel_size
        height = (x.shape[2] - kernel_size) // stride + 1
        width = (x.shape[3] - kernel_size) // stride + 1
        return reduce(
            torch.maximum,
            [
                x[:, :, u::stride, v::stride][:, :, :height, :width]
                for u in range(kernel_size)
                for v in range(kernel_size)
            ],
        )
        """,
    ),
)

INDEXED = equivalent(
    "windows by index arrays",
    Body(
        "layers",
        "conv2d",
        """
        out_channels, _, kernel_height, kernel_width = weight.shape
        x = F.pad(x, (padding,) * 4)
        height = (x.shape[2] - kernel_height) // stride + 1
        width = (x.shape[3] - kernel_width) // stride + 1
        rows = torch.arange(height)[:, None] * stride + torch.arange(kernel_height)
        columns = torch.arange(width)[:, None] * stride + torch.arange(kernel_width)
        windows = x[:, :, rows[:, None, :, None], columns[None, :, None, :]]
        flat = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, weight[0].numel())
        y = flat @ weight.reshape(out_channels, -1).t()
        if bias is not None:
            y = torch.add(y, bias)
        return y.reshape(x.shape[0], height, width, out_channels).movedim(-1, 1)
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        """
        stride = stride or kernel_size
        starts = [torch.arange(0, size - kernel_size + 1, stride) for size in x.shape[2:]]
        rows, columns = (start[:, None] + torch.arange(kernel_size) for start in starts)
        windows = x[:, :, rows[:, None, :, None], columns[None, :, None, :]]
        return windows.flatten(4).sort(dim=-1, descending=True).values[..., 0]
        """,
    ),
)

FOURIER = equivalent(
    "convolution by Fourier transforms",
    Body(
        "layers",
        "conv2d",
        """
        kernel_height, kernel_width = weight.shape[2:]
        x = F.pad(x, (padding, padding, padding, padding))
        height, width = x.shape[2:]
        images = torch.fft.rfft2(x.double())
        kernels = torch.fft.rfft2(weight.double(), s=(height, width))
        products = torch.einsum("nchw,ochw->nohw", images, kernels.conj())
        y = torch.fft.irfft2(products, s=(height, width)).to(x.dtype)
        y = y[..., : height - kernel_height + 1, : width - kernel_width + 1][..., ::stride, ::stride]
        return y if bias is None else y + bias[:, None, None]
        """,
    ),
)

DOUBLE = equivalent(
    "float64 inside",
    Body(
        "layers",
        "conv2d",
        """
        kernel_height, kernel_width = weight.shape[-2:]
        x64 = F.pad(x, (padding,) * 4).double()
        windows = x64.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)
        y = torch.einsum("nchwuv,ocuv->nohw", windows, weight.double())
        if bias is not None:
            y = y + bias.double()[:, None, None]
        return y.to(x.dtype)
        """,
    ),
    Body(
        "layers",
        "linear",
        """
        y = x.double() @ weight.double().T
        return (y if bias is None else y + bias.double()).float()
        """,
    ),
    Body(
        "layers",
        "elu",
        "return torch.where(x > 0, x.double(), alpha * torch.expm1(x.double().clamp(max=0))).float()",
    ),
    Body(
        "layers",
        "softmax",
        """
        shifted = x.double() - x.double().max(dim=dim, keepdim=True).values
        return (shifted.exp() / shifted.exp().sum(dim=dim, keepdim=True)).float()
        """,
    ),
    Body(
        "layers",
        "cross_entropy",
        """
        logits = logits.double()
        losses = logits.logsumexp(dim=1) - logits[torch.arange(len(target)), target]
        return losses.mean().float()
        """,
    ),
    Body(
        "transforms",
        "mean_and_std",
        """
        pixels = images.double()
        if images.dtype == torch.uint8:
            pixels /= 255.0
        pixels = pixels.transpose(0, 1).reshape(images.shape[1], -1)
        return pixels.mean(1).float(), pixels.std(1, unbiased=False).float()
        """,
    ),
)

IN_PLACE = equivalent(
    "in place on its own tensors",
    Body(
        "layers",
        "conv2d",
        """
        kernel_height, kernel_width = weight.shape[-2:]
        x = F.pad(x, (padding, padding, padding, padding))
        windows = x.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)
        y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)
        if bias is not None:
            y += bias[:, None, None]
        return y
        """,
    ),
    Body("layers", "relu", "y = x.clone()\ny[y < 0] = 0\nreturn y"),
    Body("layers", "leaky_relu", "y = x.clone()\ny[x <= 0] *= negative_slope\nreturn y"),
    Body(
        "layers",
        "elu",
        """
        y = x.clone()
        negative = x <= 0
        y[negative] = alpha * (torch.exp(x[negative]) - 1)
        return y
        """,
    ),
    Body(
        "layers",
        "softmax",
        """
        shifted = x.clone()
        shifted -= x.amax(dim, keepdim=True)
        return shifted.exp_().div(shifted.sum(dim, keepdim=True))
        """,
    ),
    Body(
        "transforms", "__call__", "negative = image.clone()\nnegative *= -1\nnegative += 1\nreturn negative"
    ),
)

AUTOGRAD = equivalent(
    "own autograd functions",
    Body("layers", "conv2d", "return _Convolution.apply(x, weight, bias, stride, padding)"),
    Body("layers", "max_pool2d", "return _Pooling.apply(x, kernel_size, stride or kernel_size)"),
    Body("layers", "relu", "return _Rectifier.apply(x)"),
    Body("layers", "cross_entropy", "return _Loss.apply(logits, target)"),
    After(
        "layers",
        """
        class _Convolution(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, weight, bias, stride, padding):
                kernel = tuple(weight.shape[2:])
                columns = F.unfold(x, kernel, padding=padding, stride=stride)
                y = weight.flatten(1) @ columns
                if bias is not None:
                    y += bias[:, None]
                ctx.save_for_backward(columns, weight)
                ctx.image, ctx.kernel, ctx.stride, ctx.padding = tuple(x.shape[2:]), kernel, stride, padding
                rows = (x.shape[2] + 2 * padding - kernel[0]) // stride + 1
                return y.unflatten(2, (rows, -1))

            @staticmethod
            def backward(ctx, gradient):
                columns, weight = ctx.saved_tensors
                flat = gradient.flatten(2)
                for_weight = (flat @ columns.transpose(1, 2)).sum(0).reshape(weight.shape)
                for_bias = flat.sum((0, 2)) if ctx.needs_input_grad[2] else None
                for_x = F.fold(
                    weight.flatten(1).T @ flat, ctx.image, ctx.kernel, padding=ctx.padding, stride=ctx.stride
                )
                return for_x, for_weight, for_bias, None, None


        class _Pooling(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, kernel_size, stride):
                batch, channels, height, width = x.shape
                columns = F.unfold(x.reshape(-1, 1, height, width), kernel_size, stride=stride)
                values, places = columns.max(dim=1, keepdim=True)
                ctx.save_for_backward(places)
                ctx.shape, ctx.columns = x.shape, columns.shape
                ctx.kernel_size, ctx.stride = kernel_size, stride
                return values.reshape(batch, channels, (height - kernel_size) // stride + 1, -1)

            @staticmethod
            def backward(ctx, gradient):
                (places,) = ctx.saved_tensors
                flat = gradient.reshape(places.shape)
                columns = torch.zeros(ctx.columns).scatter_(1, places, flat)
                images = F.fold(columns, tuple(ctx.shape[2:]), ctx.kernel_size, stride=ctx.stride)
                return images.reshape(ctx.shape), None, None


        class _Rectifier(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * (x > 0)

            @staticmethod
            def backward(ctx, gradient):
                (x,) = ctx.saved_tensors
                return gradient * (x > 0)


        class _Loss(torch.autograd.Function):
            @staticmethod
            def forward(ctx, logits, target):
                shifted = logits - logits.max(dim=1, keepdim=True)[0]
                log_sums = shifted.exp().sum(dim=1).log()
                ctx.save_for_backward((shifted - log_sums[:, None]).exp(), target)
                return (log_sums - shifted[range(len(target)), target]).mean()

            @staticmethod
            def backward(ctx, gradient):
                probabilities, target = ctx.saved_tensors
                wanted = torch.eye(probabilities.shape[1])[target]
                return gradient * (probabilities - wanted) / len(target), None
        """,
    ),
)

ACTIVATIONS_BY_MAXIMUM = equivalent(
    "activations by maximum and minimum",
    Body("layers", "relu", "return torch.maximum(x, torch.zeros_like(x))"),
    Body("layers", "leaky_relu", "return x.clamp(min=0) + negative_slope * x.clamp(max=0)"),
    Body(
        "layers",
        "elu",
        (
            "zero = x.new_zeros(())\n"
            "return torch.maximum(x, zero) + alpha * (torch.exp(torch.minimum(x, zero)) - 1)"
        ),
    ),
    Body("layers", "softmax", "return torch.exp(x - torch.logsumexp(x, dim, keepdim=True))"),
    Body(
        "layers",
        "cross_entropy",
        """
        log_probabilities = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
        onehot = torch.zeros_like(logits)
        onehot[torch.arange(target.numel()), target] = 1.0
        return -(onehot * log_probabilities).sum() / target.numel()
        """,
    ),
    Body(
        "layers",
        "linear",
        'y = torch.einsum("...i,oi->...o", x, weight)\nreturn y + bias if bias is not None else y',
    ),
)

ACTIVATIONS_BY_MASKS = equivalent(
    "activations by masks",
    Body("layers", "relu", "return (x + x.abs()) / 2"),
    Body(
        "layers",
        "leaky_relu",
        "positive = (x > 0).to(x.dtype)\nreturn x * (positive + negative_slope * (1 - positive))",
    ),
    Body(
        "layers",
        "elu",
        (
            "mask = x > 0\n"
            "safe = torch.where(mask, torch.zeros_like(x), x)\n"
            "return mask * x + ~mask * alpha * (safe.exp() - 1)"
        ),
    ),
    Body(
        "layers",
        "softmax",
        """
        with torch.no_grad():
            largest, _ = torch.max(x, dim, keepdim=True)
        e = math.e ** (x - largest)
        return e / torch.sum(e, dim, keepdim=True)
        """,
    ),
    Body(
        "layers",
        "cross_entropy",
        """
        largest = logits.max(1, keepdim=True)[0].detach()
        log_sums = torch.log(torch.exp(logits - largest).sum(1)) + largest[:, 0]
        return (log_sums - logits[range(len(target)), target]).sum().div(len(target))
        """,
    ),
    Body(
        "layers",
        "linear",
        """
        if bias is None:
            return torch.matmul(x, weight.transpose(0, 1))
        flat = x.reshape(-1, x.size(-1))
        return torch.addmm(bias, flat, weight.t()).reshape(*x.shape[:-1], weight.size(0))
        """,
    ),
)

_BLOCKS = """
    import torch
    from torch.nn import functional as F


    def windows_of(x, height, width, stride, padding=0):
        x = F.pad(x, (padding,) * 4)
        return x.unfold(2, height, stride).unfold(3, width, stride)
"""
_CALLS_BLOCKS = (
    Body(
        "layers",
        "conv2d",
        """
        windows = windows_of(x, *weight.shape[-2:], stride, padding)
        y = torch.einsum("nchwuv,ocuv->nohw", windows, weight)
        return y if bias is None else y + bias[:, None, None]
        """,
    ),
    Body(
        "layers",
        "max_pool2d",
        "return windows_of(x, kernel_size, kernel_size, stride or kernel_size).amax(dim=(4, 5))",
    ),
)
_IMPORT_MATH = "import math\n"

HELPER_PACKAGE = equivalent(
    "a sub-package of helpers, imported relatively",
    Change("layers", _IMPORT_MATH, "import math\n\nfrom .helpers.blocks import windows_of\n"),
    *_CALLS_BLOCKS,
    helpers____init__="",
    helpers__blocks=_BLOCKS,
)
HELPER_ABSOLUTE = equivalent(
    "a helper module, imported from student",
    Change("layers", _IMPORT_MATH, "import math\n\nfrom student.blocks import windows_of\n"),
    *_CALLS_BLOCKS,
    blocks=_BLOCKS,
)
HELPER_TOP_LEVEL = equivalent(
    "modules of the folder imported by their bare names",
    Change("layers", _IMPORT_MATH, "import math\n\nfrom my_blocks.windows import windows_of\n"),
    *_CALLS_BLOCKS,
    Change("lenet", "from .layers import", "from layers import"),
    Change("training", "from .layers import", "from layers import"),
    my_blocks__windows=_BLOCKS,  # a package without an __init__.py
)
STARS = equivalent(
    "star imports, and a package that imports its modules",
    Change("lenet", "from .layers import Conv2d, Linear, MaxPool2d, ReLU", "from student.layers import *"),
    Change("training", "from .layers import cross_entropy", "from . import layers"),
    Change("training", "loss = cross_entropy(logits, labels)", "loss = layers.cross_entropy(logits, labels)"),
    Change(
        "__init__",
        SOURCES["__init__"],
        "from .layers import *\nfrom .lenet import LeNet5\nfrom . import training, transforms\n",
    ),
)

CRLF = encoded("lines that end in CR LF", lambda text: text.replace("\n", "\r\n").encode())
MARKED = encoded("a byte order mark", lambda text: text.encode("utf-8-sig"))
TABS = encoded(
    "tabs and trailing spaces",
    lambda text: "\n".join(
        "\t" * ((len(line) - len(line.lstrip(" "))) // 4)
        + " " * ((len(line) - len(line.lstrip(" "))) % 4)
        + line.lstrip(" ")
        + "  "
        for line in text.split("\n")
    ).encode(),
)
NO_LAST_NEWLINE = encoded("no newline at the end", lambda text: text.rstrip("\n").encode())

UNICODE = equivalent(
    "names, comments and texts in other scripts",
    Change(
        "layers",
        _IMPORT_MATH,
        "# 畳み込みニューラルネットワーク – Übung 1, λ → σ(λ)\nimport math\n\nΠΕΡΙΓΡΑΦΗ = 'слои сети 🧠'\n",
    ),
    Body(
        "layers",
        "conv2d",
        """
        höhe, breite = weight.shape[-2:]
        изображение = F.pad(x, (padding,) * 4)  # добавляем нули по краям
        窓 = изображение.unfold(2, höhe, stride).unfold(3, breite, stride)
        σύνολο = torch.einsum("nchwuv,ocuv->nohw", 窓, weight)
        return σύνολο if bias is None else σύνολο + bias[:, None, None]
        """,
    ),
    Body(
        "layers",
        "softmax",
        """
        \"\"\"σ(x)ᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)\"\"\"
        ε = torch.exp(x - x.amax(dim=dim, keepdim=True))
        print("sømme:", "Σ =", float(ε.sum()), "✓")
        return ε / ε.sum(dim=dim, keepdim=True)
        """,
    ),
)

CHATTY = equivalent(
    "prints at import and in every call",
    Change("layers", "import torch\n", "import torch\n\nprint('layers:', torch.__version__)\n"),
    Body("layers", "relu", "print('relu of', x)\nreturn x.clamp(min=0)"),
    Body(
        "layers",
        "linear",
        (
            "print('linear', x.shape, weight.shape, flush=True)\n"
            "y = x @ weight.T\n"
            "return y if bias is None else y + bias"
        ),
    ),
    Change(
        "lenet",
        "        x = x.flatten(start_dim=1)\n",
        "        print(f'{x.shape = }', end='')\n        x = x.flatten(start_dim=1)\n",
    ),
    Change(
        "training",
        "        optimizer.step()\n",
        "        optimizer.step()\n        print('\\rloss %.4f' % loss.item(), end='')\n",
    ),
    Change("transforms", "import torch\n", "import torch\n\nprint('=' * 5000)\n"),
)
WARNINGS = equivalent(
    "warnings, logging and stderr",
    Change(
        "layers",
        _IMPORT_MATH,
        (
            "import logging\n"
            "import math\n"
            "import sys\n"
            "import warnings\n\n"
            "warnings.warn('layers are imported')\n"
            "logging.basicConfig(level=logging.DEBUG)\n"
        ),
    ),
    Body(
        "layers",
        "relu",
        """
        warnings.warn("relu is deprecated", DeprecationWarning)
        logging.getLogger(__name__).error("relu %s", x.shape)
        sys.stderr.write("relu\\n")
        return x.clamp(min=0)
        """,
    ),
    Change("training", "import torch\n", "import sys\n\nimport torch\n"),
    Change("training", "    model.train()\n", "    model.train()\n    print('epoch', file=sys.stderr)\n"),
)

TORCH_NN = equivalent(
    "LeNet5 from torch.nn",
    Change(
        "lenet",
        "from .layers import Conv2d, Linear, MaxPool2d, ReLU\n",
        "from torch.nn import Conv2d, Linear, MaxPool2d, ReLU\n",
    ),
)
FUNCTIONAL = equivalent(
    "LeNet5 by functions, pooled before ReLU",
    Change(
        "lenet", "from .layers import Conv2d, Linear, MaxPool2d, ReLU\n", "import torch.nn.functional as F\n"
    ),
    Body(
        "lenet",
        "__init__",
        """
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.side = image_size // 4 - 3
        self.fc1 = nn.Linear(16 * self.side**2, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        """,
    ),
    Body(
        "lenet",
        "forward",
        """
        x = F.relu(F.max_pool2d(self.conv1(x), (2, 2)))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = x.view(-1, 16 * self.side**2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        """,
    ),
)
SEQUENTIAL = equivalent(
    "LeNet5 is an nn.Sequential of named parts",
    Change(
        "lenet",
        "from torch import Tensor, nn\n",
        "from collections import OrderedDict\n\nimport torch\nfrom torch import Tensor, nn\n",
    ),
    Change("lenet", "class LeNet5(nn.Module):", "class LeNet5(nn.Sequential):"),
    Change("lenet", "        super().__init__()\n", ""),
    Body(
        "lenet",
        "__init__",
        """
        features = [
            ("conv1", Conv2d(in_channels, 6, 5)),
            ("relu1", ReLU()),
            ("pool1", MaxPool2d(2)),
            ("conv2", Conv2d(6, 16, 5)),
            ("relu2", ReLU()),
            ("pool2", MaxPool2d(2)),
            ("flatten", nn.Flatten()),
        ]
        with torch.no_grad():
            image = torch.zeros(1, in_channels, image_size, image_size)
            size = nn.Sequential(OrderedDict(features))(image).shape[1]
        super().__init__(
            OrderedDict(
                features,
                fc1=Linear(size, 120),
                relu3=ReLU(),
                fc2=Linear(120, 84),
                relu4=ReLU(),
                fc3=Linear(84, num_classes),
            )
        )
        """,
    ),
    Change(
        "lenet",
        "    def forward(self, x: Tensor) -> Tensor:\n",
        "    def describe(self, x: Tensor) -> Tensor:\n",
    ),
)
PARTS = equivalent(
    "LeNet5 built in its forward from nn.Sequential",
    Body(
        "lenet",
        "forward",
        """
        relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        features = nn.Sequential(self.conv1, relu, pool, self.conv2, relu, pool)
        classifier = nn.Sequential(self.fc1, nn.ReLU(), self.fc2, nn.ReLU(), self.fc3)
        return classifier(torch_flatten(features(x)))
        """,
    ),
    After("lenet", "def torch_flatten(x):\n    return x.reshape(x.shape[0], -1)\n"),
)

CALLABLES = equivalent(
    "objects with __call__ for functions",
    Change("layers", "def conv2d(", "def _conv2d("),
    Change("layers", "def max_pool2d(", "def _max_pool2d("),
    Change("layers", "def softmax(", "def _softmax("),
    Change(
        "layers",
        "# Given: modules",
        '''class Function:
    """Calls its function and counts."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


conv2d, max_pool2d, softmax = Function(_conv2d), Function(_max_pool2d), Function(_softmax)

# Given: modules''',
    ),
)
DECORATED = equivalent(
    "decorated and partial functions",
    Change(
        "layers",
        "def conv2d(",
        """def checked(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        assert torch.isfinite(result).all()
        return result

    return wrapper


@checked
def conv2d(""",
    ),
    Change("layers", _IMPORT_MATH, "import functools\nimport math\n"),
    Change(
        "layers",
        "def leaky_relu(x: Tensor, negative_slope: float = 0.01)",
        "def _slope(x: Tensor, negative_slope: float, name: str)",
    ),
    Change(
        "layers",
        "# Given: modules",
        'leaky_relu = functools.partial(_slope, negative_slope=0.01, name="leaky")\n\n# Given: modules',
    ),
    # a partial with a keyword bound takes a later argument by position only behind x: give it a plain face
    After(
        "layers",
        (
            "_leaky = leaky_relu\n\n\n"
            "def leaky_relu(x, negative_slope=0.01):\n"
            "    return _leaky(x, negative_slope=negative_slope)\n"
        ),
    ),
    Change("training", "def evaluate(", "@torch.no_grad()\ndef evaluate("),
    Change("training", "    with torch.no_grad():\n", "    if True:\n"),
)
LAMBDAS = equivalent(
    "lambdas",
    After(
        "layers",
        """
        relu = lambda x: x * (x > 0).type(x.type())
        leaky_relu = lambda x, negative_slope=0.01: torch.where(x < 0, x * negative_slope, x)
        elu = lambda x, alpha=1.0: torch.where(x < 0, alpha * (torch.exp(-relu(-x)) - 1), x)
        linear = lambda x, weight, bias=None: x.matmul(weight.t()) + (0.0 if bias is None else bias)
        softmax = lambda x, dim=-1: (lambda e: e / e.sum(dim, keepdim=True))((x - x.max(dim, True)[0]).exp())
        """,
    ),
)
ANNOTATED = equivalent(
    "future annotations, typed helpers, keyword-only extras",
    Change(
        "layers",
        _IMPORT_MATH,
        (
            "from __future__ import annotations\n\n"
            "import math\n"
            "from dataclasses import dataclass\n"
            "from typing import NamedTuple\n"
        ),
    ),
    Change(
        "layers",
        "def conv2d(",
        '''@dataclass(frozen=True)
class Window:
    """How a kernel moves."""

    height: int
    width: int
    stride: int = 1

    def positions(self, x: Tensor) -> Positions:
        return Positions(
            (x.shape[-2] - self.height) // self.stride + 1, (x.shape[-1] - self.width) // self.stride + 1
        )

    def over(self, x: Tensor) -> Tensor:
        windows = x.unfold(2, self.height, self.stride).unfold(3, self.width, self.stride)
        assert windows.shape[2:4] == self.positions(x)
        return windows


class Positions(NamedTuple):
    rows: int
    columns: int


def conv2d(''',
    ),
    Change(
        "layers",
        "windows = x.unfold(2, kernel_height, stride).unfold(3, kernel_width, stride)",
        "windows = Window(kernel_height, kernel_width, stride).over(x)",
    ),
    Change(
        "layers",
        "windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)",
        "windows: Tensor = Window(kernel_size, kernel_size, stride).over(x)",
    ),
)
EXTRAS = equivalent(
    "further parameters with defaults",
    Change(
        "layers",
        "stride: int = 1, padding: int = 0\n) -> Tensor:",
        "stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1\n) -> Tensor:",
    )
    if "padding: int = 0\n) -> Tensor:" in SOURCES["layers"]
    else Change(
        "layers",
        "padding: int = 0) -> Tensor:",
        "padding: int = 0, dilation: int = 1, groups: int = 1) -> Tensor:",
    ),
    Change(
        "layers",
        "def max_pool2d(x: Tensor, kernel_size: int, stride: int | None = None) -> Tensor:",
        "def max_pool2d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> Tensor:",
    ),
    Change("layers", "def relu(x: Tensor)", "def relu(x: Tensor, inplace: bool = False)"),
    Change(
        "layers", "def softmax(x: Tensor, dim: int = -1)", "def softmax(x: Tensor, dim: int = -1, **kwargs)"
    ),
    Change("lenet", "num_classes: int = 10)", "num_classes: int = 10, *, dropout: float = 0.0)"),
    Change(
        "training",
        "    on_epoch: Callable[[int, History], object] | None = None,\n",
        (
            "    on_epoch: Callable[[int, History], object] | None = None,\n"
            "    verbose: bool = False,\n"
            "    **options,\n"
        ),
    ),
    Change(
        "transforms",
        "class Invert:\n",
        "class Invert:\n    def __init__(self, p: float = 1.0):\n        self.p = p\n\n",
    ),
    Body("transforms", "__repr__", 'return f"{self.__class__.__name__}(p={self.p})"'),
)

SELF_TESTED = equivalent(
    "compares itself with PyTorch at import",
    After(
        "layers",
        """
        def _test():
            x, weight = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
            assert torch.allclose(conv2d(x, weight, stride=2), F.conv2d(x, weight, stride=2), atol=1e-4)
            assert torch.equal(max_pool2d(x, 2), F.max_pool2d(x, 2))
            assert torch.allclose(softmax(x), F.softmax(x, dim=-1), atol=1e-6)
            logits, target = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
            assert torch.allclose(cross_entropy(logits, target), F.cross_entropy(logits, target), atol=1e-6)
            assert torch.equal(relu(x), nn.ReLU()(x))


        torch.manual_seed(42)
        _test()

        if __name__ == "__main__":
            print(F.relu(torch.randn(3)))
        """,
    ),
)
THREADS = equivalent(
    "one thread for each image",
    Body(
        "layers",
        "conv2d",
        """
        from concurrent.futures import ThreadPoolExecutor

        def one(image):
            image = F.pad(image, (padding,) * 4)
            windows = image.unfold(1, weight.shape[2], stride).unfold(2, weight.shape[3], stride)
            y = torch.einsum("chwuv,ocuv->ohw", windows, weight)
            return y if bias is None else y + bias[:, None, None]

        with ThreadPoolExecutor(2) as pool:
            return torch.stack(list(pool.map(one, x)))
        """,
    ),
)
VMAP = equivalent(
    "vmap over images and channels",
    Body(
        "layers",
        "conv2d",
        """
        def pixel_rows(image, kernel):
            windows = image.unfold(1, kernel.shape[1], stride).unfold(2, kernel.shape[2], stride)
            return (windows * kernel[:, None, None]).sum(dim=(0, 3, 4))

        over_kernels = torch.vmap(pixel_rows, in_dims=(None, 0))
        y = torch.vmap(over_kernels, in_dims=(0, None))(F.pad(x, (padding,) * 4), weight)
        return y if bias is None else y + bias[:, None, None]
        """,
    ),
)
RECURSIVE = equivalent(
    "pooling in two passes, over rows and then over columns",
    Body(
        "layers",
        "max_pool2d",
        """
        stride = stride or kernel_size
        rows = x.unfold(2, kernel_size, stride).max(dim=-1)[0]
        return torch.max(rows.unfold(3, kernel_size, stride), -1)[0]
        """,
    ),
)

COPIES = equivalent(
    "evaluates a copy",
    Body(
        "training",
        "evaluate",
        """
        import copy

        twin = copy.deepcopy(model).eval().to(device)
        right, count = 0, 0
        for images, labels in loader:
            with torch.inference_mode():
                predicted = twin(images.to(device)).max(1).indices
            right += predicted.eq(labels.to(device)).sum().item()
            count += labels.size(0)
        return right / count
        """,
    ),
)
TENSORS = equivalent(
    "adds up tensors and converts at the end",
    Body(
        "training",
        "train_epoch",
        """
        model.train()
        losses, hits = [], []
        for batch in loader:
            images, labels = (part.to(device) for part in batch)
            logits = model(images)
            per_sample = logits.logsumexp(1) - logits[torch.arange(len(labels)), labels]
            optimizer.zero_grad(set_to_none=False)
            per_sample.mean().backward()
            optimizer.step()
            losses.append(per_sample.detach())
            hits.append(logits.argmax(1) == labels)
        return torch.cat(losses).double().mean().item(), torch.cat(hits).double().mean().item()
        """,
    ),
    Body(
        "training",
        "evaluate",
        """
        training = model.training
        try:
            model.eval()
            with torch.set_grad_enabled(False):
                hits = [model(x.to(device)).argmax(-1) == y.to(device) for x, y in loader]
        finally:
            model.train(training)
        return float(torch.cat(hits).double().mean())
        """,
    ),
)
SUMMED = equivalent(
    "nn.CrossEntropyLoss with sums, gradients set by hand",
    Body(
        "training",
        "train_epoch",
        """
        criterion = nn.CrossEntropyLoss(reduction="sum")
        model.train(True)
        running_loss = correct = total = 0
        for i, (inputs, labels) in enumerate(loader):
            inputs, labels = inputs.to(device), labels.to(device)
            model.zero_grad()
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            (loss / labels.size(0)).backward()
            optimizer.step()
            running_loss += loss.item()
            _, predicted = torch.max(outputs.data, 1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
        return (running_loss / total, correct / total)
        """,
    ),
)
OWN_ADAM = equivalent(
    "an Adam of its own",
    Body(
        "training",
        "fit",
        """
        optimizer = _Adam(list(model.parameters()), lr, weight_decay)
        history = History()
        epoch = 0
        while epoch < max_epochs:
            epoch += 1
            loss, accuracy = train_epoch(model, train_loader, optimizer, device)
            reached = evaluate(model, test_loader, device=device)
            history.train_loss += [loss]
            history.train_accuracy += [accuracy]
            history.test_accuracy += [reached]
            if on_epoch:
                on_epoch(epoch, history)
            if target_accuracy is None:
                continue
            if not reached < target_accuracy:
                return history
        return history
        """,
    ),
    After(
        "training",
        """
        class _Adam:
            def __init__(self, parameters, lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8):
                self.parameters, self.lr, self.weight_decay = parameters, lr, weight_decay
                self.beta1, self.beta2, self.eps, self.t = beta1, beta2, eps, 0
                self.m = [torch.zeros_like(p) for p in parameters]
                self.v = [torch.zeros_like(p) for p in parameters]

            def zero_grad(self):
                for p in self.parameters:
                    p.grad = None

            @torch.no_grad()
            def step(self):
                self.t += 1
                for p, m, v in zip(self.parameters, self.m, self.v):
                    g = p.grad + self.weight_decay * p
                    m.copy_(self.beta1 * m + (1 - self.beta1) * g)
                    v.copy_(self.beta2 * v + (1 - self.beta2) * g * g)
                    m_hat = m / (1 - self.beta1**self.t)
                    v_hat = v / (1 - self.beta2**self.t)
                    p -= self.lr * m_hat / (v_hat.sqrt() + self.eps)
        """,
    ),
)
OWN_LOOP = equivalent(
    "fit trains in a loop of its own, into a History of its own",
    Body(
        "training",
        "fit",
        """
        class Progress:
            def __init__(self):
                self.train_loss, self.train_accuracy, self.test_accuracy = [], [], []

        history = Progress()
        optimizer = torch.optim.Adam(model.parameters(), lr, (0.9, 0.999), 1e-8, weight_decay, foreach=False)
        target = float("inf") if target_accuracy is None else target_accuracy
        for epoch in range(max_epochs):
            model.train()
            total, hits, seen = 0.0, 0, 0
            for x, y in train_loader:
                optimizer.zero_grad()
                out = model(x.to(device))
                loss = nn.functional.cross_entropy(out, y.to(device))
                loss.backward()
                optimizer.step()
                total += float(loss) * len(y)
                hits += int((out.argmax(1) == y).sum())
                seen += len(y)
            history.train_loss.append(total / seen)
            history.train_accuracy.append(hits / seen)
            history.test_accuracy.append(evaluate(model, test_loader))
            (on_epoch or (lambda *_: None))(epoch + 1, history)
            if history.test_accuracy[-1] >= target:
                break
        return history
        """,
    ),
)

MODULE_TRANSFORM = equivalent(
    "Invert is an nn.Module",
    Change("transforms", "from torch import Tensor\n", "from torch import Tensor, nn\n"),
    Change("transforms", "class Invert:", "class Invert(nn.Module):"),
    Change("transforms", "    def __call__(self, image", "    def forward(self, image"),
    Body("transforms", "__repr__", 'return "Invert()"'),
)
DATACLASS_TRANSFORM = equivalent(
    "Invert is a dataclass",
    Change(
        "transforms",
        "from torch import Tensor\n",
        "from dataclasses import dataclass\n\nfrom torch import Tensor\n",
    ),
    Change("transforms", "class Invert:", "@dataclass\nclass Invert:"),
    Change("transforms", "    def __repr__(self)", "    def describe(self)"),
    Body("transforms", "__call__", "return torch.ones_like(image).sub(image)"),
)
WELFORD = equivalent(
    "statistics by Welford's updates of chunks",
    Body(
        "transforms",
        "mean_and_std",
        """
        count, mean, squares = 0, torch.zeros(images.shape[1]).double(), torch.zeros(images.shape[1]).double()
        for start in range(0, len(images), 1000):
            chunk = images[start : start + 1000]
            x = (chunk.float() / 255 if chunk.dtype == torch.uint8 else chunk).double()
            x = x.permute(1, 0, 2, 3).flatten(1)
            size, own_mean = x.shape[1], x.mean(dim=1)
            own_squares = ((x - own_mean[:, None]) ** 2).sum(dim=1)
            delta = own_mean - mean
            squares += own_squares + delta**2 * count * size / (count + size)
            mean += delta * size / (count + size)
            count += size
        return mean.to(torch.float32), torch.sqrt(squares / count).to(torch.float32)
        """,
    ),
)
MOMENTS = equivalent(
    "statistics by sums of integers and of squares",
    Body(
        "transforms",
        "mean_and_std",
        """
        scale = 1.0
        if not images.is_floating_point():
            scale = 255.0
        n = images[:, 0].numel()
        means, stds = [], []
        for c in range(images.size(1)):
            channel = images[:, c].to(torch.float64)
            m = channel.sum().item() / n
            v = (channel * channel).sum().item() / n - m * m
            means.append(m / scale)
            stds.append(max(v, 0.0) ** 0.5 / scale)
        return torch.tensor(means), torch.tensor(stds)
        """,
    ),
)
FLOAT32 = equivalent(
    "statistics in float32 by torch's own reductions",
    Body(
        "transforms",
        "mean_and_std",
        """
        x = images.float()
        if images.dtype == torch.uint8:
            x = x / 255
        std, mean = torch.std_mean(x, dim=(0, 2, 3), correction=0)
        return mean, std
        """,
    ),
)
INDICES = equivalent(
    "negatives by index arithmetic",
    Body(
        "transforms",
        "with_negatives",
        """
        n = images.size(0)
        order = torch.randperm(2 * n, generator=generator)
        source, negative = order % n, order >= n
        chosen = images[source]
        chosen[negative] = 1 - chosen[negative]
        return chosen, labels[source]
        """,
    ),
)
NEGATIVES_FIRST = equivalent(
    "negatives first, by Invert and a list of samples",
    Body(
        "transforms",
        "with_negatives",
        """
        invert = Invert()
        samples = [(invert(x), y) for x, y in zip(images, labels)] + list(zip(images, labels))
        order = torch.randperm(len(samples), generator=generator).tolist()
        return torch.stack([samples[i][0] for i in order]), torch.stack([samples[i][1] for i in order])
        """,
    ),
)

EQUIVALENTS: tuple[Equivalent, ...] = (
    equivalent("the solutions"),
    LOOPS,
    IM2COL,
    STRIDED,
    SHIFTED,
    INDEXED,
    FOURIER,
    DOUBLE,
    IN_PLACE,
    AUTOGRAD,
    ACTIVATIONS_BY_MAXIMUM,
    ACTIVATIONS_BY_MASKS,
    HELPER_PACKAGE,
    HELPER_ABSOLUTE,
    HELPER_TOP_LEVEL,
    STARS,
    CRLF,
    MARKED,
    TABS,
    NO_LAST_NEWLINE,
    UNICODE,
    CHATTY,
    WARNINGS,
    TORCH_NN,
    FUNCTIONAL,
    SEQUENTIAL,
    PARTS,
    CALLABLES,
    DECORATED,
    LAMBDAS,
    ANNOTATED,
    EXTRAS,
    SELF_TESTED,
    THREADS,
    VMAP,
    RECURSIVE,
    COPIES,
    TENSORS,
    SUMMED,
    OWN_ADAM,
    OWN_LOOP,
    MODULE_TRANSFORM,
    DATACLASS_TRANSFORM,
    WELFORD,
    MOMENTS,
    FLOAT32,
    INDICES,
    NEGATIVES_FIRST,
)
