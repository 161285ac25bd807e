"""Sample submissions: right ones, stubs and wrong ones, no two with the same bytes.

Seven of ten are the solutions, one of ten is the empty handout, two of ten hold a mistake.
"""

import csv
import io
import re
import zipfile
from pathlib import Path

from grader.assignment import MODULES, TOTAL_POINTS

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


HOSTILE = {
    "ends its process": "    import os\n    os._exit(0)\n",
    "prints a flood": "    print('very ' * 4_000_000)\n    return x\n",
    "eats memory": "    return [bytearray(1 << 28) for _ in range(100)]\n",
    "writes to what is open": (
        "    import os\n    for number in range(1, 64):\n        try:\n            os.write(number, b'passed ' * 100)\n"
        "        except OSError:\n            pass\n    return x\n"
    ),
    "is a zip cut short": "",
    "hangs": "    while True:\n        pass\n",
}
_RELU = re.compile(
    r"^( *)### BEGIN SOLUTION\n    return x\.clamp\(min=0\)\n.*?### END SOLUTION\n", re.MULTILINE | re.DOTALL
)


def hostile_kind(number: int) -> str:
    """What student `number` of a class with hostile ones does: one of twenty something that costs little, one of
    five hundred hangs until a deadline ends it; "" for `sample`."""
    if number % 500 == 250:
        return "hangs"
    return list(HOSTILE)[number // 20 % 5] if number % 20 == 9 else ""


def hostile(number: int) -> dict[str, str]:
    """The files of a hostile student: right, but for what its `relu` does."""
    text, count = _RELU.subn(HOSTILE[hostile_kind(number)].replace("\\", "\\\\"), SOLUTIONS["layers.py"])
    if count != 1:
        raise ValueError("layers.py has no relu of one line any more")
    return {
        name: f"{text if name == 'layers.py' else other}# student {number}\n"
        for name, other in SOLUTIONS.items()
    }


def write_mixed_class(folder: Path, numbers: range) -> None:
    """Write a class with hostile ones; a zip that is cut short among them."""
    for number in numbers:
        student = folder / f"student{number:04}"
        kind = hostile_kind(number)
        if kind == "is a zip cut short":
            data = io.BytesIO()
            with zipfile.ZipFile(data, "w") as archive:
                for name, text in right().items():
                    archive.writestr(f"student/{name}", text)
            folder.mkdir(parents=True, exist_ok=True)
            student.with_suffix(".zip").write_bytes(data.getvalue()[: 1000 + number])
        elif kind:
            student.mkdir(parents=True)
            for name, text in hostile(number).items():
                (student / name).write_text(text, encoding="utf-8")
        else:
            write_class(folder, range(number, number + 1))


def wrong_totals(grades: Path, numbers: range) -> list[str]:
    """Students of a class with hostile ones whose row in grades.csv is not what it should be."""
    with grades.open(newline="", encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    found = [f"{len(rows)} rows"] if len(rows) != len(numbers) else []
    for number in numbers:
        row = rows.get(f"student{number:04}", {"total": "", "status": ""})
        kind, total = hostile_kind(number), float(row["total"] or -1)
        if kind == "is a zip cut short":
            fine = row["status"] == "unreadable" and total == 0
        elif kind:  # a relu that is wrong loses its point, and those of what may call it
            fine = row["status"] == "graded" and 0 < total < TOTAL_POINTS and row["relu"] == "0"
        elif number % 10 == 1:
            fine = row["status"] == "graded" and total == 0
        elif number % 10 in (2, 7):
            fine = row["status"] == "graded" and 0 < total < TOTAL_POINTS
        else:
            fine = row["status"] == "graded" and total == TOTAL_POINTS
        if not fine:
            found.append(f"student{number:04} ({kind or 'sample'}): {row['status']}, {row['total']}")
    return found


def write_class(folder: Path, numbers: range) -> None:
    """Write the submissions of these students below `folder`, a package `student` for each."""
    for number in numbers:
        package = folder / f"student{number:04}" / "student"
        package.mkdir(parents=True)
        for name, text in sample(number).items():
            (package / name).write_text(text, encoding="utf-8")
