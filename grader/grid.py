"""A wrong matrix of a result as a small grid of numbers, for whoever reads the message. No part in a verdict."""

from typing import Any

import torch
from torch import Tensor

from grader.compare import Difference, leaves, wrong_values
from grader.report import Grid

LARGEST = 8  # rows and columns
_DECIMALS = range(2, 7)


def wrong_grid(got: Any, wanted: Any, rtol: float, atol: float) -> Grid | None:
    """The first wrong matrix of the first tensor that differs; None where it is larger than `LARGEST` squared.

    got, wanted: trees of results as `compare.difference` takes them. A vector is a matrix of one row; of a tensor
    `(..., rows, columns)` it is the first matrix with a wrong value in it. None, too, where it is not only values
    that differ.
    """
    for path, left, right in leaves(got, wanted):
        if isinstance(right, Difference):
            return None
        if not isinstance(right, Tensor):
            if left != right:
                return None
            continue
        if not isinstance(left, Tensor) or left.shape != right.shape or left.dtype != right.dtype:
            return None
        wrong = wrong_values(left, right, rtol, atol)
        if bool(wrong.any()):
            return _grid(path, left, right, wrong)
    return None


def _grid(path: str, got: Tensor, wanted: Tensor, wrong: Tensor) -> Grid | None:
    if wanted.dim() == 0 or wanted.is_complex():
        return None
    index: tuple[int, ...] = ()
    if wanted.dim() > 2:
        index = tuple(int(i) for i in wrong.flatten(-2).any(-1).nonzero()[0])
        got, wanted, wrong = got[index], wanted[index], wrong[index]
    got, wanted, wrong = (torch.atleast_2d(tensor) for tensor in (got, wanted, wrong))
    if max(wanted.shape) > LARGEST:
        return None
    place = path + (f"[{', '.join(map(str, index))}]" if index else "")
    left, right = _cells(got, wanted, wrong)
    return Grid(place, left, right, tuple(map(tuple, wrong.tolist())))


Cells = tuple[tuple[str, ...], ...]


def _cells(got: Tensor, wanted: Tensor, wrong: Tensor) -> tuple[Cells, Cells]:
    """Both as text, with as many decimals as it takes to see that what is wrong differs."""
    if not wanted.is_floating_point():
        return _texts(got, "d"), _texts(wanted, "d")
    large = float(wanted.abs().nan_to_num(0.0, posinf=0.0, neginf=0.0).max()) >= 1000
    for decimals in _DECIMALS:
        form = f".{decimals + 1}g" if large else f".{decimals}f"
        left, right = _texts(got, form), _texts(wanted, form)
        cells = zip(sum(left, ()), sum(right, ()), wrong.flatten().tolist(), strict=True)
        if all(one != other for one, other, bad in cells if bad):
            break
    return left, right


def _texts(matrix: Tensor, form: str) -> Cells:
    # a wild value in a small matrix is told shortly
    return tuple(
        tuple(f"{value:{form}}" if abs(value) < 1e6 or value != value else f"{value:.3g}" for value in row)
        for row in matrix.tolist()
    )
