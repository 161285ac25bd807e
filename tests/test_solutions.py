"""The solutions are the reference of every check, so here they are held against torch's own operations."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from grader.reference import load_solutions

layers = load_solutions()["layers"]
x, w, b = torch.randn(2, 3, 9, 8), torch.randn(4, 3, 3, 2), torch.randn(4)
v, t = 3 * torch.randn(5, 4), torch.tensor([0, 3, 1, 2, 2])

SAME: dict[str, tuple[Callable, Callable, tuple]] = {
    "conv2d": (layers.conv2d, F.conv2d, (x, w, b, 2, 1)),
    "max_pool2d": (layers.max_pool2d, F.max_pool2d, (x, 3, 2)),
    "linear": (layers.linear, F.linear, (v, torch.randn(6, 4), torch.randn(6))),
    "relu": (layers.relu, F.relu, (v,)),
    "leaky_relu": (layers.leaky_relu, F.leaky_relu, (v, 0.2)),
    "elu": (layers.elu, F.elu, (v, 0.7)),
    "softmax": (layers.softmax, F.softmax, (v, 0)),
    "cross_entropy": (layers.cross_entropy, F.cross_entropy, (v, t)),
}


@pytest.mark.parametrize(("ours", "theirs", "arguments"), SAME.values(), ids=SAME.keys())
def test_layers_are_torchs_operations_in_value_and_gradient(
    ours: Callable, theirs: Callable, arguments: tuple
) -> None:
    def run(function: Callable) -> tuple:
        leaves = [
            a.clone().requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else a
            for a in arguments
        ]
        y = function(*leaves)
        (y * torch.arange(y.numel()).reshape(y.shape).cos()).sum().backward()
        return y.detach(), *(
            leaf.grad for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad
        )

    for mine, wanted in zip(run(ours), run(theirs), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("options", "count"), [((1, 28), 44_426), ((3, 32), 62_006)])
def test_lenet5_has_the_known_number_of_parameters(options: tuple[int, int], count: int) -> None:
    assert sum(p.numel() for p in load_solutions()["lenet"].LeNet5(*options).parameters()) == count


def test_mean_and_std_are_those_of_float64() -> None:
    images = torch.randint(0, 256, (50, 3, 6, 5), dtype=torch.uint8)
    mean, std = load_solutions()["transforms"].mean_and_std(images)
    pixels = images.double() / 255
    torch.testing.assert_close(mean, pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(std, pixels.std((0, 2, 3), correction=0).float())
