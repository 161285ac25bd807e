"""Starts runners in namespaces of their own and collects their results; `python -m attacks.launch` by hand."""

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
USERS = ("root", "ordinary", "as it is")
_NEW = ["--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
_OWN_USER = ["--user", "--map-current-user", "--keep-caps"]


@functools.cache
def box() -> tuple[str, ...]:
    """The command that gives a program namespaces of its own; () where this machine has none for us."""
    command = ["unshare", *(_OWN_USER if os.getuid() else []), *_NEW]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        return ()
    return tuple(command)


def launch(level: str, user: str, only: list[str] | None = None, shards: int = 2) -> dict[str, dict]:  # type: ignore[type-arg]
    """The result of each attack by its id; what a runner said when it ended too early is under ""."""
    results: dict[str, dict] = {}  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory(prefix="attacks-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        runners = []
        for shard in range(shards):
            place = Path(folder, str(shard))
            place.mkdir()
            command = [*box(), sys.executable, "-m", "attacks.enter", str(place), user]
            command += ["--level", level, "--shard", f"{shard}/{shards}"]
            command += ["--only", "|".join(only)] if only else []
            error = Path(folder, f"{shard}.stderr").open("w+")  # noqa: SIM115
            runner = subprocess.Popen(
                command, cwd=TESTS, stdout=subprocess.PIPE, stderr=error, stdin=subprocess.DEVNULL, text=True
            )
            runners.append((runner, error))
        for runner, error in runners:
            assert runner.stdout is not None
            last = "none"
            for line in runner.stdout:
                result = json.loads(line)
                results[result["id"]] = result
                last = result["id"]
            if runner.wait():
                error.seek(0)
                said = results.setdefault("", {"id": "", "problems": [], "seconds": 0})
                said["problems"].append(
                    f"a runner ended with status {runner.returncode} after {last}: {error.read()[-2000:]}"
                )
            error.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Run attacks by hand, and print what is wrong.")
    parser.add_argument("words", nargs="*", help="parts of ids: only attacks that have one of them")
    parser.add_argument("--level", default="A")
    parser.add_argument("--user", choices=USERS, default="as it is")
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    from attacks import ATTACKS

    chosen = [a.id for a in ATTACKS if not options.words or any(word in a.id for word in options.words)]
    results = launch(options.level, options.user, chosen, options.shards)
    for result in sorted(results.values(), key=lambda result: -result["seconds"]):
        for problem in result["problems"]:
            print(f"{result['id']}\n    {problem}")
    slowest = sorted(results.values(), key=lambda result: -result["seconds"])[:12]
    print("slowest:", ", ".join(f"{r['id']} {r['seconds']}" for r in slowest))
    wrong = sum(bool(result["problems"]) for result in results.values())
    missing = set(chosen) - results.keys()
    print(f"{len(results)} attacks, {wrong} with problems, {len(missing)} not run {sorted(missing)[:5]}")


if __name__ == "__main__":
    main()
