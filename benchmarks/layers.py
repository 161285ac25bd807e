"""What the sandbox's layers cost, level A beside level D, as JSON: `python benchmarks/layers.py`.

A process for each way takes its turn: a child from the fork until it says hello and is ended; a whole
submission, the solutions with public and hidden checks. And the layers alone: in a process that has imported
torch, from before the first until after the last.
"""

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from grader import examine as module
from grader.examine import Examiner, examine
from grader.isolation import Isolation
from grader.limits import Limits
from grader.remote import Budget
from grader.submission import read_folder
from grader.worker import sandbox

ROOT = Path(__file__).resolve().parent.parent
CHILDREN, SUBMISSIONS = 200, 20
WAYS = {"A": (), "D": ("landlock", "seccomp")}


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def child(examiner: Examiner) -> None:
    limits = Limits()
    examiner.workers().worker(limits, Budget(limits.submission), bytearray()).end()


def layers(plan: sandbox.Plan) -> float:
    """Milliseconds that a forked child spends in them."""
    read, write = os.pipe()
    output = os.open(os.devnull, os.O_WRONLY)
    if (pid := os.fork()) == 0:
        try:
            taken = milliseconds(lambda: sandbox.enter(plan, write, output, 60))
            os.write(write, struct.pack("d", taken))
        finally:
            os._exit(0)
    os.close(write)
    os.close(output)
    data = os.read(read, 8)
    os.close(read)
    os.waitpid(pid, 0)
    return struct.unpack("d", data)[0]


def main() -> None:
    examiners = {
        name: Examiner(Limits(), isolation=Isolation(without=without)) for name, without in WAYS.items()
    }
    submission = read_folder(ROOT / "solutions", "solutions")
    found: dict[str, list[float]] = {
        f"{what} {name}": [] for what in ("child", "submission") for name in WAYS
    }
    for examiner in examiners.values():
        module._examiner = examiner
        for _ in range(3):
            examine(submission, hidden=True)
    for number in range(CHILDREN):
        for name, examiner in examiners.items():
            found[f"child {name}"].append(milliseconds(lambda examiner=examiner: child(examiner)))
            if number < SUBMISSIONS:
                module._examiner = examiner
                found[f"submission {name}"].append(milliseconds(lambda: examine(submission, hidden=True)))
    for examiner in examiners.values():
        examiner.close()
    plan = sandbox.prepare("A")
    found["layers"] = [layers(plan) for _ in range(CHILDREN)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
