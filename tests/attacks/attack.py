"""What an attack is, and how one is written: the solutions with something hostile put into them."""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from grader.assignment import TASKS
from grader.limits import Limits
from grader.outcomes import Outcome
from grader.submission import read_folder

SOLUTIONS = read_folder(Path(__file__).resolve().parents[2] / "solutions").files
POINTS = {task.name: float(task.points) for task in TASKS}
LAYERS = tuple(task.name for task in TASKS if task.module == "layers")
AROUND = ("relu", "elu", "Invert")  # the attacked task, the next of its module, and one of another module

# for attacks that hang; an honest call takes milliseconds, an import some ten
SHORT = Limits(call=1.5, load=3.0, submission=30.0, cpu=30)
ORDINARY = Limits(call=8.0, load=12.0, submission=60.0, cpu=60)

# an attack of which each part may be refused, by an error or by death
STOPPED = (Outcome.PASSED, Outcome.ERROR, Outcome.CRASHED, Outcome.MEMORY, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Attack:
    """One hostile submission and its right outcome.

    outcomes: task -> the outcomes that are right for it; a task that is not named has to pass.
    most: task -> the points that its honest part is worth, where it does not pass and yet is not worth 0.
    archive: file name and content of what is handed in, in place of `files`.
    says: what the submission's problems have to say (archives).
    ends_run: without the layers it would end the examiner itself or change the machine, so not at D.
    """

    name: str
    tries: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    tasks: tuple[str, ...] = AROUND
    outcomes: Mapping[str, tuple[Outcome, ...]] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = ORDINARY
    archive: tuple[str, Callable[[], bytes]] | None = None
    says: str = ""
    ends_run: bool = False
    quick: bool = False
    family: str = ""

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"

    def expected(self, task: str) -> tuple[Outcome, ...]:
        """The right outcomes of a task. Where an error or a death is right, so is the sandbox's refusal."""
        right = self.outcomes.get(task, (Outcome.PASSED,))
        refused = Outcome.ERROR in right or Outcome.CRASHED in right
        return (*right, Outcome.FORBIDDEN) if refused else right

    def ceiling(self, task: str) -> float:
        """The most points that the task may earn."""
        passes = Outcome.PASSED in self.expected(task)
        return self.most.get(task, POINTS[task] if passes else 0.0)


HONEST = {  # function -> module and an answer that is right in one line
    "relu": ("layers", "return x.clamp(min=0)"),
    "elu": ("layers", "return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))"),
    "linear": ("layers", "return x @ weight.T if bias is None else x @ weight.T + bias"),
    "softmax": ("layers", "e = torch.exp(x - x.amax(dim=dim, keepdim=True)); return e / e.sum(dim=dim, keepdim=True)"),
    "conv2d": (
        "layers",
        "w = F.pad(x, (padding,) * 4).unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)\n"
        "y = torch.einsum('nchwuv,ocuv->nohw', w, weight)\n"
        "return y if bias is None else y + bias[:, None, None]",
    ),
    "max_pool2d": ("layers", "return None"),
    "cross_entropy": (
        "layers",
        "return (torch.logsumexp(logits, dim=1) - logits.gather(1, target[:, None]).squeeze(1)).mean()",
    ),
    "train_epoch": ("training", "return 0.0, 1.0"),
    "evaluate": ("training", "return 1.0"),
    "fit": ("training", "return History()"),
    "mean_and_std": ("transforms", "return images.float().mean((0, 2, 3)), images.float().std((0, 2, 3))"),
    "with_negatives": ("transforms", "return images, labels"),
}  # fmt: skip


def hostile(
    name: str,
    tries: str,
    call: str = "",
    *,
    at_import: str = "",
    function: str = "relu",
    answer: str | None = None,
    outcome: Outcome | tuple[Outcome, ...] | None = None,
    also: Mapping[str, Outcome | tuple[Outcome, ...]] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    **more: object,
) -> Attack:
    """The solutions, where `function` does `call` and then answers by `answer` (None: rightly).

    at_import: code put before the function's module. outcome: of the function's task, None for passed.
    also: outcomes of other tasks. `t` is the toolbox (`tests/attacks/toolbox.py`) in both.
    """
    module, honest = HONEST[function]
    text = SOLUTIONS[f"{module}.py"].decode()
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"def {function}("))
    begin = next(i for i in range(start, len(lines)) if "### BEGIN SOLUTION" in lines[i])
    end = next(i for i in range(begin, len(lines)) if "### END SOLUTION" in lines[i])
    body = _clean(call) + _clean(honest if answer is None else answer)
    lines[begin : end + 1] = textwrap.indent(body, "    ").splitlines()
    before = "from student import toolbox as t\n" if "t." in call + at_import else ""
    changed = before + _clean(at_import) + "\n".join(lines) + "\n"
    all_files = {**SOLUTIONS, f"{module}.py": changed.encode("utf-8", "surrogatepass")}
    for path, content in (files or {}).items():
        all_files[path] = content.encode() if isinstance(content, str) else content
    outcomes = {key: _tuple(value) for key, value in (also or {}).items()}
    if outcome is not None:
        outcomes[function] = _tuple(outcome)
    more.setdefault("tasks", tuple(dict.fromkeys((function, *AROUND[1:]))))
    return Attack(name, tries, all_files, outcomes=outcomes, **more)  # type: ignore[arg-type]


def raw(name: str, tries: str, files: Mapping[str, str | bytes], **more: object) -> Attack:
    """The solutions with whole files replaced or added."""
    also = more.pop("also", {})
    outcomes = {key: _tuple(value) for key, value in also.items()}  # type: ignore[attr-defined]
    given = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    return Attack(name, tries, {**SOLUTIONS, **given}, outcomes=outcomes, **more)  # type: ignore[arg-type]


def named(family: str, attacks: list[Attack]) -> list[Attack]:
    """The attacks of one family."""
    return [replace(attack, family=family) for attack in attacks]


def _tuple(outcome: Outcome | tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    return (outcome,) if isinstance(outcome, Outcome) else outcome


def _clean(code: str) -> str:
    code = textwrap.dedent(code).strip("\n")
    return code + "\n" if code else ""
