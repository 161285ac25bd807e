"""What a child may read: the interpreter's library, installed packages, the system's shared libraries.

Never the kit beyond `grader.worker` and `datasets.py`, wherever it is: a folder of libraries that holds the
kit is given without it.
"""

import os
import site
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

WORKER = Path(__file__).resolve().parent
ROOT = WORKER.parent.parent

_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
    "/dev/urandom",
)


def readable() -> list[Path]:
    """The files and folders, each with all that is beneath it."""
    found = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [*site.getsitepackages(), os.path.join(sys.base_prefix, "lib"), *_SYSTEM]
    folders = dict.fromkeys(Path(path).resolve() for path in found if os.path.exists(path))
    # one folder inside another needs no rule of its own
    outer = [folder for folder in folders if not any(parent in folders for parent in folder.parents)]
    kept = [path for folder in outer for path in _without(folder, ROOT)]
    return [*kept, *_shared_objects(), WORKER, ROOT / "datasets.py"]


def readable_by_all(paths: list[Path]) -> bool:
    """Could a user of no group read them?"""
    return all(
        path.stat().st_mode & stat.S_IROTH
        and all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents) if parent.is_dir())
        for path in paths
        if path.exists()
    )


def _without(folder: Path, private: Path) -> Iterator[Path]:
    if folder == private:
        return
    if folder not in private.parents:
        yield folder
        return
    for entry in folder.iterdir():
        yield from _without(entry, private)


def _shared_objects() -> Iterator[Path]:
    """Those in the folders of LD_LIBRARY_PATH, as a cluster's modules set it."""
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if os.path.isabs(folder):
            yield from Path(folder).glob("*.so*")
