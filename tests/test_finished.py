"""The ban on finished operations: any spelling is caught, ordinary operations are not."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.nn import functional as F

from grader.worker.finished import Ban

x, w, v = torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3), torch.ones(4, 5)
t = torch.zeros(4, dtype=torch.int64)
grad = lambda tensor: tensor.clone().requires_grad_()  # noqa: E731
conv_arguments = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)


@contextmanager
def ban(group: str) -> Iterator[Ban]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Ban(group, lambda: None)
        try:
            yield found
        finally:
            found.lift()


FORBIDDEN: dict[str, list[Callable[[], object]]] = {
    "convolution": [
        lambda: F.conv2d(x, w),
        lambda: torch.conv2d(grad(x), w),
        lambda: F.conv2d(x, grad(w)),
        lambda: torch.nn.Conv2d(3, 4, 3)(x),
        lambda: torch.ops.aten.convolution(x, w, *conv_arguments),
        lambda: torch.ops.aten.convolution.out(x, w, *conv_arguments, out=torch.empty(2, 4, 6, 6)),
        lambda: getattr(torch, "con" + "v2d")(x, w),
        lambda: torch._C._nn.thnn_conv2d(x, w, [3, 3]),
        lambda: torch.mkldnn_convolution(x, w, None, [0, 0], [1, 1], [1, 1], 1),
        lambda: F.conv2d(x.to_mkldnn(), w.to_mkldnn()),
        lambda: torch.func.vmap(lambda y: F.conv2d(y, w))(x[None]),
        lambda: F.conv_transpose2d(x, w.transpose(0, 1)),
        lambda: F.conv1d(x[0], w[0]),
        lambda: F.conv3d(x[None], w[None].transpose(1, 2)),
        lambda: F.conv2d(x.double(), w.double()),
        lambda: F.conv2d(x.bfloat16(), w.bfloat16()),
        lambda: torch.inference_mode()(lambda: F.conv2d(x.clone(), w.clone()))(),
        lambda: torch.jit.trace(lambda a, b: torch.matmul(a, b), (v, v.T)) and F.conv2d(x, w),
    ],
    "pooling": [
        lambda: F.max_pool2d(x, 2),
        lambda: F.max_pool2d(grad(x), 2),
        lambda: F.max_pool1d(grad(x[0]), 2),
        lambda: F.max_pool1d(x[0], 2),
        lambda: F.max_pool3d(x[None], (1, 2, 2)),
        lambda: F.adaptive_max_pool2d(x, 4),
        lambda: torch.nn.AdaptiveAvgPool2d(3)(x),
        lambda: F.fractional_max_pool2d(x, 2, output_size=4),
        lambda: torch.nn.MaxPool2d(2)(x),
    ],
    "linear": [
        lambda: F.linear(v, v),
        lambda: F.linear(grad(v), v),
        lambda: torch.nn.Linear(5, 2)(v),
        lambda: torch.nn.LSTM(5, 2)(v[None]),
        lambda: torch.ops.aten.linear(v, v),
    ],
    "activation": [
        *(
            lambda name=name: getattr(F, name)(v)
            for name in "relu relu6 leaky_relu elu celu selu gelu silu hardtanh mish hardswish".split()
        ),
        lambda: F.relu_(v.clone()),
        lambda: grad(v).relu(),
        lambda: v.clone().relu_(),
        lambda: torch.nn.ReLU()(v),
        lambda: F.prelu(grad(v), torch.ones(1)),
        lambda: F.rrelu(v),
        lambda: F.threshold(v, 0, 0),
        lambda: F.leaky_relu_(v.clone()),
        lambda: F.elu_(v.clone()),
    ],
    "softmax": [
        lambda: F.softmax(v, 1),
        lambda: grad(v).softmax(1),
        lambda: F.log_softmax(v, 1).exp(),
        lambda: F.softmin(-v, 1),
        lambda: F.cross_entropy(v, t),
        lambda: F.scaled_dot_product_attention(v[None], v[None], v[None]),
        lambda: torch.special.softmax(v, 1),
        lambda: torch._softmax(v, 1, False),
        lambda: F.gumbel_softmax(v),
    ],
    "cross_entropy": [
        lambda: F.cross_entropy(v, t),
        lambda: torch.nn.CrossEntropyLoss()(grad(v), t),
        lambda: F.nll_loss(v, t),
        lambda: F.log_softmax(grad(v), 1),
        lambda: v.softmax(1),
    ],
}

ALLOWED: dict[str, list[Callable[[], object]]] = {
    "convolution": [lambda: F.unfold(x, 3), lambda: F.pad(x, (1, 1)), lambda: torch.fft.fft2(x)],
    "pooling": [lambda: x.amax((2, 3)), lambda: x.unfold(2, 2, 2).max(-1), lambda: F.avg_pool2d(x, 2)],
    "linear": [
        lambda: v @ v.T,
        lambda: torch.addmm(torch.zeros(4), v, v.T),
        lambda: torch.einsum("ni,oi->no", v, v),
    ],
    "activation": [
        lambda: grad(v).clamp(min=0).sum().backward(),
        lambda: torch.maximum(v, v * 0),
        lambda: torch.where(v > 0, v, torch.expm1(v)),
        lambda: v.exp(),
    ],
    "softmax": [lambda: torch.logsumexp(grad(v), 1).sum().backward(), lambda: v.sigmoid()],
    "cross_entropy": [
        lambda: torch.logsumexp(grad(v), 1).sum().backward(),
        lambda: F.binary_cross_entropy_with_logits(v, v.sigmoid()),
    ],
}


@pytest.mark.parametrize(("group", "call"), [(g, c) for g, calls in FORBIDDEN.items() for c in calls])
def test_every_spelling_is_caught(group: str, call: Callable[[], object]) -> None:
    with ban(group) as found:
        try:
            call()
        except Exception:  # torch may wrap ours; what counts is that it was noticed
            pass
        assert found.used


@pytest.mark.parametrize(("group", "call"), [(g, c) for g, calls in ALLOWED.items() for c in calls])
def test_ordinary_operations_are_not(group: str, call: Callable[[], object]) -> None:
    with ban(group) as found:
        call()
        assert found.used == []


@pytest.mark.parametrize("group", FORBIDDEN)
def test_a_lifted_ban_brings_the_operations_back(group: str) -> None:
    with ban(group):
        pass
    FORBIDDEN[group][0]()


def test_another_thread_is_caught() -> None:
    import threading

    with ban("convolution") as found:
        thread = threading.Thread(target=lambda: F.conv2d(x, w))
        hook, threading.excepthook = threading.excepthook, lambda args: None
        thread.start()
        thread.join()
        threading.excepthook = hook
        assert found.used


@pytest.mark.parametrize(
    "name", ["functional.invert", "functional.solarize", "v2.functional.invert", "RandomInvert"]
)
def test_inversions_of_torchvision_are_caught(name: str) -> None:
    from torchvision import transforms
    from torchvision.transforms import v2  # noqa: F401

    image = torch.rand(3, 4, 4)
    arguments = {"functional.solarize": (image, 0.0)}.get(name, (image,))
    function = transforms
    for part in name.split("."):
        function = getattr(function, part)
    if name == "RandomInvert":
        function, arguments = function(p=1.0), (image,)
    codes = _codes()
    try:
        with ban("inversion") as found:
            try:
                function(*arguments)
            except Exception:
                pass
            assert found.used
    finally:
        for trapped, code, defaults in codes:
            trapped.__code__, trapped.__kwdefaults__ = code, defaults


def _codes() -> list:
    """The functions that the ban changes for good, to put them back for other tests."""
    import importlib
    from types import FunctionType

    from grader.worker.finished import INVERSIONS

    found = []
    for module, names in INVERSIONS.items():
        for name in names:
            function = getattr(importlib.import_module(module), name, None)
            if isinstance(function, FunctionType):
                found.append((function, function.__code__, function.__kwdefaults__))
    return found
