"""What a task has left of its doings in torch and Python, with Python's count of a dict's changes and without."""

import builtins
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from grader.worker import untouched, versions

F = torch.nn.functional
CHANGES: dict[str, tuple[Callable[[pytest.MonkeyPatch], object], bool]] = {
    "nothing": (lambda patch: None, True),
    "a function": (lambda patch: patch.setattr(F, "relu", abs), False),
    "a function, by its module's dict": (lambda patch: patch.setitem(vars(torch), "einsum", abs), False),
    "a method": (lambda patch: patch.setattr(torch.Tensor, "relu", abs), False),
    "a method of Python": (lambda patch: patch.setattr(torch.nn.Linear, "forward", abs), False),
    "a function of Python": (lambda patch: patch.setattr(builtins, "sum", max), False),
    "a function is gone": (lambda patch: patch.delattr(F, "elu"), False),
    "a new method": (lambda patch: patch.setattr(torch.nn.Module, "extra", abs, raising=False), False),
    "a new name in a module": (lambda patch: patch.setattr(torch, "extra", abs, raising=False), True),
    "the same function again": (lambda patch: patch.setattr(F, "relu", F.relu), True),
}


@pytest.fixture(params=[True, False], ids=["counted", "not counted"])
def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not request.param:
        monkeypatch.setattr(versions, "_is_counted", lambda: False)
    elif sys.version_info >= (3, 14):
        pytest.skip("Python counts no longer")
    untouched.remember()
    yield
    untouched._WATCHED.clear()


def holds() -> bool:
    return all(watched.holds() for watched in untouched._WATCHED)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_name_is_noticed(name: str) -> None:
    change, expected = CHANGES[name]
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        assert holds() is expected
        assert holds() is expected
    assert holds() or name == "a function is gone"  # which comes back at the end of its module


def test_a_version_is_another_after_each_change() -> None:
    class Named:
        kept = 1

    changes: list[Callable[[], Any]] = [
        lambda: setattr(Named, "kept", 2),
        lambda: setattr(Named, "new", 2),
        lambda: delattr(Named, "new"),
    ]
    version = versions.version_of(vars(Named))
    if version is None:
        pytest.skip("Python counts no longer")
    seen = [version.value]
    for change in changes:
        change()
        seen.append(version.value)
    assert len(set(seen)) == len(seen)
    assert (Named.kept, version.value) == (2, seen[-1])
