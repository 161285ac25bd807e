"""Sample submissions: right ones, stubs and wrong ones, no two with the same bytes.

Seven of ten are the solutions, one of ten is the empty handout, two of ten hold a mistake.
"""

import re
from pathlib import Path

from grader.assignment import MODULES

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = {
    f"{name}.py": (ROOT / "solutions" / f"{name}.py").read_text(encoding="utf-8")
    for name in ("__init__", *MODULES)
}

MISTAKES = (  # module, what stands in the solutions, what a student wrote
    ("layers.py", 'torch.einsum("nchwuv,ocuv->nohw", windows, weight)', "torch.einsum("
     '"nchwuv,ocuv->nohw", windows, weight.flip(-1, -2))'),
    ("layers.py", "torch.exp(x - x.amax(dim=dim, keepdim=True))", "torch.exp(x)"),
    ("training.py", "        optimizer.zero_grad()\n", ""),
    ("training.py", "    model.train(was_training)\n", ""),
    ("transforms.py", "return 1 - image", "return image.neg_().add_(1)"),
    ("lenet.py", "return self.fc3(x)", "return self.fc3(x).softmax(dim=1)"),
)  # fmt: skip
_TAKEN_OUT = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION\n", re.MULTILINE | re.DOTALL)


def right() -> dict[str, str]:
    """The files of a submission that gets all points."""
    return dict(SOLUTIONS)


def stub() -> dict[str, str]:
    """The files of a submission in which nothing is written yet."""
    return {
        name: _TAKEN_OUT.sub(r"\1raise NotImplementedError()\n", text) for name, text in SOLUTIONS.items()
    }


def wrong(number: int) -> dict[str, str]:
    """The files of a submission with one mistake, a different one for each number up to six."""
    module, old, new = MISTAKES[number % len(MISTAKES)]
    if SOLUTIONS[module].count(old) != 1:
        raise ValueError(f"{module} holds {old!r} {SOLUTIONS[module].count(old)} times")
    return {**SOLUTIONS, module: SOLUTIONS[module].replace(old, new)}


def sample(number: int) -> dict[str, str]:
    """The files of student `number` of a class; a comment makes each one's bytes unlike all others'."""
    kind = number % 10
    files = stub() if kind == 1 else wrong(number // 5) if kind in (2, 7) else right()
    return {name: f"{text}# student {number}\n" for name, text in files.items()}


def write_class(folder: Path, numbers: range) -> None:
    """Write the submissions of these students below `folder`, a package `student` for each."""
    for number in numbers:
        package = folder / f"student{number:04}" / "student"
        package.mkdir(parents=True)
        for name, text in sample(number).items():
            (package / name).write_text(text, encoding="utf-8")
