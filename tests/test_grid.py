"""A wrong matrix as a grid of numbers: which one, how it is written, and where it is never told."""

from typing import Any

import pytest
import torch
from conftest import changed, checks_of, examine
from rich.console import Console

from grader import terminal
from grader.compare import ATOL, RTOL
from grader.grid import wrong_grid
from grader.report import Grid, decode, encode

nan = float("nan")


def grid_of(got: Any, wanted: Any) -> Grid | None:
    return wrong_grid(got, wanted, RTOL, ATOL)


def changed_at(*index: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    wanted = torch.arange(torch.Size(shape).numel()).reshape(shape).float()
    got = wanted.clone()
    got[index] += 0.5
    return got, wanted


SHOWN = {
    "a matrix": (changed_at(1, 2, shape=(2, 3)), "", (1, 2)),
    "a vector": (changed_at(3, shape=(5,)), "", (0, 3)),
    "the first wrong matrix of four dimensions": (changed_at(1, 2, 0, 3, shape=(2, 3, 2, 4)), "[1, 2]", (0, 3)),
    "in a dict": (tuple({"w": t} for t in changed_at(0, 1, shape=(2, 2))), "w", (0, 1)),
    "after what is right": (tuple((torch.ones(2), t) for t in changed_at(1, 0, shape=(2, 2))), "[1]", (1, 0)),
    "8 x 8": (changed_at(7, 7, shape=(8, 8)), "", (7, 7)),
}  # fmt: skip


@pytest.mark.parametrize(("pair", "place", "wrong"), SHOWN.values(), ids=SHOWN.keys())
def test_the_first_wrong_matrix_is_shown_with_its_wrong_cells(pair: Any, place: str, wrong: Any) -> None:
    grid = grid_of(*pair)
    assert grid is not None
    assert grid.place == place
    marked = [(i, j) for i, row in enumerate(grid.wrong) for j, bad in enumerate(row) if bad]
    assert marked == [wrong]
    assert grid.got[wrong[0]][wrong[1]] != grid.wanted[wrong[0]][wrong[1]]


NOT_SHOWN = {
    "equal": (torch.ones(2, 2), torch.ones(2, 2)),
    "larger than 8": changed_at(0, 0, shape=(9, 2)),
    "a number": (torch.tensor(1.0), torch.tensor(2.0)),
    "another shape": (torch.ones(2, 3), torch.ones(3, 2)),
    "another dtype": (torch.ones(2, 2).long(), torch.zeros(2, 2)),
    "no tensor": ("text", torch.ones(2, 2)),
    "another form": ({"a": torch.ones(2)}, (torch.ones(2),)),
    "a wrong number before it": ((0.5, torch.ones(2)), (0.25, torch.zeros(2))),
}


@pytest.mark.parametrize("pair", NOT_SHOWN.values(), ids=NOT_SHOWN.keys())
def test_what_is_no_small_matrix_is_not_shown(pair: Any) -> None:
    assert grid_of(*pair) is None


WRITTEN = {
    "two decimals": ([[1.0, -2.5]], [[1.0, 2.5]], (("1.00", "-2.50"),)),
    "more where the difference asks for them": ([[1.0004]], [[1.0]], (("1.0004",),)),
    "NaN and infinity": ([[nan, -torch.inf]], [[0.0, 0.0]], (("nan", "-inf"),)),
    "wild values": ([[3e20, 1.0]], [[0.0, 0.0]], (("3e+20", "1.00"),)),
}


@pytest.mark.parametrize(("got", "wanted", "cells"), WRITTEN.values(), ids=WRITTEN.keys())
def test_numbers_are_written_shortly_and_differ_where_they_are_wrong(
    got: Any, wanted: Any, cells: Any
) -> None:
    grid = grid_of(torch.tensor(got), torch.tensor(wanted))
    assert grid is not None
    assert grid.got == cells


def test_whole_numbers_have_no_decimals() -> None:
    grid = grid_of(torch.tensor([3, 1]), torch.tensor([2, 1]))
    assert grid == Grid("", (("3", "1"),), (("2", "1"),), ((True, False),))


def shown(grid: Grid, width: int, **options: Any) -> list[str]:
    console = Console(width=width, highlight=False, **options)
    with console.capture() as captured:
        terminal.print_grid(console, grid)
    return captured.get().splitlines()


@pytest.mark.parametrize(("columns", "width", "beside"), [(3, 80, True), (8, 80, False), (7, 120, True)])
def test_grids_lie_beside_each_other_where_there_is_room(columns: int, width: int, beside: bool) -> None:
    got = torch.zeros(2, columns)
    grid = grid_of(got, got + 12.25)
    assert grid is not None
    lines = shown(grid, width)
    assert ("wanted" in lines[0]) is beside
    assert max(map(len, lines)) <= width
    assert sum(line.count("*") for line in lines[1:]) == 2 * columns


def test_colour_is_never_alone() -> None:
    got, wanted = changed_at(0, 1, shape=(2, 2))
    grid = grid_of(got, wanted)
    assert grid is not None
    plain = "\n".join(shown(grid, 80, no_color=True))
    assert "\x1b[3" not in plain
    assert plain.count("*") == 2  # the mark, and what it means
    assert "\x1b[1;31m" in "\n".join(shown(grid, 80, force_terminal=True, color_system="standard"))


WRONG_BIAS = ("y = x @ weight.T", "y = x @ weight.T + 1")


def test_a_failed_public_check_has_a_grid_that_a_record_keeps() -> None:
    report = examine(changed("layers", WRONG_BIAS), tasks=["linear"])
    (values, *_) = checks_of(decode(encode(report)), "linear")
    assert values.grid is not None
    assert all(map(all, values.grid.wrong))


def test_no_hidden_check_has_a_grid() -> None:
    only_hidden = ("y = x @ weight.T", "y = x @ weight.T + (x.dim() > 2)")
    report = examine(changed("layers", only_hidden), tasks=["linear"], hidden=True, secret=b"s")
    hidden = [check for check in checks_of(report, "linear") if check.visibility == "hidden"]
    assert any(check.outcome == "failed" for check in hidden)
    assert [check.grid for check in hidden] == [None] * len(hidden)
