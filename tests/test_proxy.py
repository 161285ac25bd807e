"""The proxy: remote calls read like local ones, gradients and modules among them."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from conftest import solution_files

from grader.assignment import BY_NAME
from grader.examination import Examination
from grader.examine import prepare
from grader.limits import Limits
from grader.proxy import Student, describe_call
from grader.remote import MissingError, StudentError
from grader.submission import Submission


@pytest.fixture
def open_student() -> Iterator:
    examination = Examination(
        Submission("s", solution_files()), Limits(), partial(prepare().open_worker, frozenset())
    )
    yield lambda task: Student(lambda: examination.worker(BY_NAME[task]))
    examination.close()


def test_a_call_gives_a_plain_tensor(open_student) -> None:
    x, weight = torch.rand(2, 3, 6, 5), torch.rand(4, 3, 3, 2)
    y = open_student("conv2d").conv2d(x, weight, stride=2)
    assert type(y) is torch.Tensor
    torch.testing.assert_close(y, torch.nn.functional.conv2d(x, weight, stride=2))


def test_backward_fills_the_gradients_of_the_inputs(open_student) -> None:
    x, weight = torch.rand(3, 4, requires_grad=True), torch.rand(2, 4, requires_grad=True)
    open_student("linear").linear(x, weight).sum().backward()
    torch.testing.assert_close(x.grad, weight.detach().sum(0).expand(3, 4))
    torch.testing.assert_close(weight.grad, x.detach().sum(0).expand(2, 4))


def test_gradcheck_goes_through_the_wall(open_student) -> None:
    student = open_student("conv2d")
    x = torch.rand(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(student.conv2d, (x, weight))


def test_a_module_is_used_through_its_methods(open_student) -> None:
    net = open_student("LeNet5").LeNet5(in_channels=3, image_size=32)
    weights = {name: torch.zeros_like(value) for name, value in net.state_dict().items()}
    net.load_state_dict(weights)
    assert net(torch.rand(2, 3, 32, 32)).eq(0).all()
    assert net.training is True
    assert net.eval().training is False


def test_a_probe_is_built_beside_the_students_code(open_student) -> None:
    student = open_student("evaluate")
    loader = student.probes.Batches([(torch.rand(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64))])
    weights = {
        "w1": torch.zeros(2, 1),
        "b1": torch.zeros(2),
        "w2": torch.zeros(2, 2),
        "b2": torch.tensor([1.0, 0.0]),
    }
    assert student.evaluate(student.probes.SmallNet(weights), loader) == 1.0
    assert loader.passes == 1


def test_what_is_not_there_is_missing(open_student) -> None:
    with pytest.raises(MissingError, match="has no fold"):
        open_student("relu").fold(torch.ones(1))


def test_an_exception_comes_with_the_students_lines(open_student) -> None:
    with pytest.raises(StudentError, match="RuntimeError") as caught:
        open_student("linear").linear(torch.ones(2, 3), torch.ones(2, 2))
    assert caught.value.frames[-1].file == "student/layers.py"
    assert "@" in caught.value.frames[-1].text


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((torch.ones(2, 3),), {}, "conv2d(x (2, 3))"),
        ((torch.ones(2, 3).T,), {"stride": 2}, "conv2d(x (3, 2), not contiguous, stride=2)"),
        (
            (torch.ones(1).double(), None, None, 2),
            {},
            "conv2d(x float64 (1,), weight=None, bias=None, stride=2)",
        ),
    ],
)
def test_a_call_is_described_with_names_and_shapes(args, kwargs, text: str) -> None:
    assert describe_call("conv2d", args, kwargs) == text


def test_a_call_by_a_probe_is_described_with_the_options_that_matter() -> None:
    assert describe_call("fit", (), {"lr": 0.1}) == "fit(model, train_loader, test_loader, lr=0.1)"
    assert describe_call("LeNet5", (), {"image_size": 32}) == "LeNet5(image_size=32)"
