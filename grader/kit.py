"""The kit's own identity: what a record must have been made with to be still true."""

import hashlib
import platform
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def versions() -> dict[str, str]:
    """Versions of what an examination depends on, without importing any of it."""
    import importlib.metadata  # some time for every command, and few ask

    from grader import __version__

    found = {"kit": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "pytest"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def source_files(folder: Path) -> list[Path]:
    """All that is code in the folder: Python, and the filters of system calls."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".bpf"))


@cache
def kit_digest() -> str:
    """SHA-256 of the checks, the grader, the solutions and the versions. Does not import torch."""
    whole = hashlib.sha256()
    for folder in ("grader", "solutions"):
        for path in source_files(ROOT / folder):
            whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            whole.update(path.read_bytes())
    for package in ("torch", "numpy"):
        whole.update(f"{package} {versions()[package]}".encode())
    return whole.hexdigest()
