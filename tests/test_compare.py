"""Explanations: what differs, in the order in which a person would look."""

import pytest
import torch

from grader.compare import difference, excess
from grader.remote import OddTensor

y = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
image = torch.ones(2, 3, 4, 5)

CASES = {
    "missing value": (None, y, "type", "Is there a `return`?"),
    "another type": ("x", y, "type", "got a str; wanted a torch.Tensor"),
    "odd tensor": (OddTensor("torch.Tensor", "on device meta"), y, "type", "on device meta"),
    "axis by name": (torch.ones(2, 3, 4, 4), image, "shape", "width is 4 instead of 5"),
    "two axes": (torch.ones(2, 1, 9, 5), image, "shape", "channels is 1 instead of 3, height is 9 instead of 4"),
    "dimensions": (torch.ones(3), y, "shape", "1 dimensions instead of 2"),
    "dtype": (y.double(), y, "dtype", "the dtype is torch.float64; wanted torch.float32"),
    "NaN in a number": (torch.tensor(float("nan")), torch.tensor(2.5), "nan", "the value is nan; wanted 2.5"),
    "NaN": (torch.tensor([[1.0, 2.0, float("nan")], [4.0, 5.0, 6.0]]), y, "nan", "1 of 6 values are NaN or infinite; the first at [0, 2]"),
    "infinite": (y / 0, y, "nan", "6 of 6"),
    "scale": (2 * y, y, "scale", "every value is 2 times the wanted one"),
    "sign": (-y, y, "scale", "every value is -1 times"),
    "one value": (y + torch.tensor([[0, 0, 0], [0, 1.0, 0]]), y, "values", "1 of 6 values (17 %) differ (first at [1, 1]: got 6, wanted 5)"),
    "every value": (y + torch.tensor([1.0, -2.0, 1.0]), y, "values", "every value differs"),
    "a number": (0.5, 0.25, "values", "got 0.5; wanted 0.25"),
    "an int for a float": (1, 1.0, "type", "got a int; wanted a Python float"),
    "a tensor for a float": (torch.tensor(1.0), 1.0, "type", "got a torch.Tensor of shape (); wanted a Python float"),
    "NaN number": (float("nan"), 0.5, "nan", "got nan"),
    "list for tuple": ([y, y], (y, y), "type", "got a list of 2; wanted a tuple of 2"),
    "too short": ((y,), (y, y), "length", "got 1 values; wanted 2"),
    "where in a tuple": ((y, 2 * y), (y, y), "scale", "[1]: every value"),
    "keys": ({"a": y}, {"a": y, "b": y}, "keys", "b missing"),
    "where in a dict": ({"a": y, "b": None}, {"a": y, "b": y}, "none", "b: no value arrives"),
    "labels": (torch.tensor([1, 2]), torch.tensor([1, 3]), "values", "1 of 2 values (50 %)"),
}  # fmt: skip


@pytest.mark.parametrize(("got", "wanted", "kind", "text"), CASES.values(), ids=CASES.keys())
def test_differences_are_explained(got, wanted, kind: str, text: str) -> None:
    found = difference(got, wanted)
    assert found is not None
    assert found.kind == kind
    assert text in found.text


@pytest.mark.parametrize(
    "value", [y, 0.5, True, None, (y, 1.0), {"a": [y]}, torch.tensor([1]), torch.empty(0), y / 0]
)
def test_equal_trees_do_not_differ(value) -> None:
    assert difference(value, value) is None


@pytest.mark.parametrize(
    ("got", "wanted"), [(1.0, float("inf")), (float("inf"), float("nan")), (float("-inf"), float("inf"))]
)
def test_what_is_not_finite_is_wanted_to_be_just_that(got: float, wanted: float) -> None:
    assert difference(got, wanted) is not None
    assert difference(torch.tensor([got]), torch.tensor([wanted])) is not None
    assert difference(torch.tensor([wanted]), torch.tensor([wanted])) is None


def test_the_tolerance_is_absolute_and_relative() -> None:
    assert difference(y * (1 + 5e-5), y) is None
    assert difference(y * (1 + 5e-4), y) is not None
    assert difference(y + 5e-4, y, atol=1e-3) is None


def test_excess_is_the_error_in_units_of_the_tolerance() -> None:
    assert excess(torch.tensor([1.001]), torch.tensor([1.0]), rtol=0, atol=1e-3) == pytest.approx(1, rel=1e-3)
    assert excess(y[0], y) == float("inf")
