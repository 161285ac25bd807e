"""What a check is made of. A check is a small experiment on an implementation:

    @check("conv2d", points=1, needs="values")
    def test_conv2d__stride(agree, draw):
        '''conv2d moves the kernel by `stride` pixels in both directions.'''
        x, weight = draw(2, 3, 11, 8), draw(4, 3, 3, 2)
        agree(lambda s: s.conv2d(x, weight, stride=2))

`agree` runs the experiment on the student's code and on the reference, and compares. Where they
differ, each known mistake is tried in the reference's place, and the one that gives the student's
result is the diagnosis. The docstring is the sentence that the student reads; what follows the two
underscores is the check's name ("conv2d/stride"), unique among the public and hidden ones of its task.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from grader import compare
from grader.grid import wrong_grid
from grader.outcomes import KitError
from grader.picture import draw_difference
from grader.proxy import Student
from grader.reference import Experiment, Reference
from grader.remote import WorkerFailure
from grader.report import Grid


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """What `@check` says about a test function."""

    task: str
    points: float
    needs: str  # name of another check of the task that must pass first, "" for none


Test = TypeVar("Test", bound=Callable[..., None])


def check(task: str, points: float, needs: str = "") -> Callable[[Test], Test]:
    """Make a test function a check of `task`, worth `points`, skipped where `needs` did not pass."""

    def mark(test: Test) -> Test:
        test.check_info = CheckInfo(task, points, needs)  # type: ignore[attr-defined]
        return test

    return mark


class WrongAnswer(Exception):
    """The student's code answered, and the answer is wrong."""

    def __init__(self, message: str, diagnosis: str = "", picture: str = "", grid: Grid | None = None):
        super().__init__(message)
        self.message = message
        self.diagnosis = diagnosis
        self.picture = picture
        self.grid = grid


class Draw:
    """Random inputs of one check. Uniform and integer draws are the same on every machine."""

    def __init__(self, seed: int):
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        """float32, uniform in -1 to 1."""
        return torch.rand(shape, generator=self._generator) * 2 - 1

    def images(self, *shape: int) -> Tensor:
        """float32, uniform in 0 to 1."""
        return torch.rand(shape, generator=self._generator)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64, from `low` to `high` - 1."""
        return torch.randint(low, high, shape, generator=self._generator)

    def distinct(self, *shape: int) -> Tensor:
        """float32 values between -1 and 1 of which no two are equal, in random order (no ties)."""
        count = torch.Size(shape).numel()
        order = torch.randperm(count, generator=self._generator)
        return ((2 * order + 1) / count - 1).reshape(shape).float()

    def away_from_zero(self, *shape: int) -> Tensor:
        """float32 of size 0.1 to 3 and either sign: no kink is met."""
        size = 0.1 + 2.9 * torch.rand(shape, generator=self._generator)
        return size * (2 * torch.randint(0, 2, shape, generator=self._generator) - 1)


def seed_of(check_id: str, student: str, secret: bytes) -> int:
    """The seed of a check: fixed for a public one, drawn from secret, student and check for a hidden one."""
    if check_id.startswith("public/"):
        secret, student = b"public", ""
    text = f"{student}\0{check_id}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hmac.digest(secret, text, hashlib.sha256)[:6], "big")


class Agree:
    """Compares experiments of one check; see the module's first lines.

    `observe` is told each comparison's error in units of its tolerance (to measure tolerances).
    """

    def __init__(
        self,
        check_id: str,
        task: str,
        student: Student,
        reference: Reference,
        observe: Callable[[str, float], None] | None = None,
    ):
        self._check_id = check_id
        self._task = task
        self._student = student
        self._reference = reference
        self._observe = observe
        self._count = 0

    def __call__(
        self, experiment: Experiment, rtol: float = compare.RTOL, atol: float = compare.ATOL
    ) -> None:
        """Raise `WrongAnswer` unless the student's code gives what the reference gives."""
        key = f"{self._check_id}#{self._count}"
        self._count += 1
        unusable: Exception | None = None
        try:
            got = experiment(self._student)
        except (WorkerFailure, KitError):
            raise
        except Exception as error:
            unusable = error
        wanted = self._reference.wanted(key, experiment)
        if unusable is not None:  # the reference went through: it is the student's result that does not fit
            raise WrongAnswer(self.describe(f"the result cannot be used as the task says: {unusable}"))
        if self._observe is not None:
            self._observe(self._check_id, compare.excess(got, wanted, rtol, atol))
        found = compare.difference(got, wanted, rtol, atol)
        if found is None:
            return
        diagnosis = ""
        for hint, mistaken in self._reference.mistaken(key, self._task, experiment, wanted):
            if compare.difference(got, mistaken, 10 * compare.RTOL, 10 * compare.ATOL) is None:
                diagnosis = hint
                break
        picture, grid = draw_difference(got, wanted, rtol, atol), wrong_grid(got, wanted, rtol, atol)
        raise WrongAnswer(self.describe(found.text), diagnosis, picture, grid)

    def ensure(self, condition: bool, message: str, diagnosis: str = "") -> None:
        """Raise `WrongAnswer` with `message` unless `condition` holds."""
        if not condition:
            raise WrongAnswer(self.describe(message), diagnosis)

    def describe(self, text: str) -> str:
        """`text` under the call that it is about."""
        return f"{self._student.last_call}\n{text}" if self._student.last_call else text
