"""An outer box around the program that workers are forked from: `--box`, once a run.

Where the kernel gives workers neither Landlock nor seccomp, the box is what keeps files and network out of
their reach (level C); elsewhere it is one more layer. The program is told by a socket in a folder that the
box lets through, since not every box hands descriptors on.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from grader.outcomes import KitError
from grader.worker.libraries import ROOT, WORKER, readable

_INSIDE = "/kit"  # where an image has the kit's worker, by its recipe (docs/security.md)
_CONTROL = "/control"


def boxed(box: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[str]:
    """The command that starts `boot.py` with these arguments and the path of a socket, in the box.

    folder: holds that socket, `control`. Raises `KitError` for a box that is not known or not installed.
    """
    kind, _, image = box.partition(":")
    programs = {"bubblewrap": "bwrap", "docker": "docker", "apptainer": "apptainer"}
    if kind not in programs or (kind == "bubblewrap") == bool(image):
        raise KitError(f"--box takes bubblewrap, docker:IMAGE or apptainer:IMAGE, not {box}")
    program = shutil.which(programs[kind])
    if program is None:
        raise KitError(f"--box {kind} needs {programs[kind]}, which is not installed")
    if kind == "bubblewrap":
        interpreter = [sys.executable, "-I", str(WORKER / "boot.py")]
        return [program, *_bubblewrap(folder), "--", *interpreter, *arguments, str(folder / "control")]
    interpreter = ["python3", "-I", f"{_INSIDE}/grader/worker/boot.py"]
    options = _docker(folder, environment) if kind == "docker" else _apptainer(folder, environment)
    return [program, *options, image, *interpreter, *arguments, f"{_CONTROL}/control"]


def _bubblewrap(folder: Path) -> list[str]:
    options = [
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-pid",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ]
    options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"]
    prefix = Path(sys.prefix)
    # under the names that the loader looks for, also where they are links
    system = (Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64"))
    shown = [*system, *readable(), Path(sys.executable), prefix / "pyvenv.cfg", folder]
    for path in dict.fromkeys(path for path in shown if path.exists() and Path("/dev") not in path.parents):
        options += ["--ro-bind", str(path), str(path)]
    return options


def _docker(folder: Path, environment: Mapping[str, str]) -> list[str]:
    options = [
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        "--pids-limit",
        "512",
    ]
    options += ["--security-opt", "no-new-privileges", "--user", f"{os.getuid()}:{os.getgid()}"]
    for outside, inside in _mounts(folder).items():
        options += ["--volume", f"{outside}:{inside}:ro"]
    for name, value in environment.items():
        options += ["--env", f"{name}={value}"]
    return options


def _apptainer(folder: Path, environment: Mapping[str, str]) -> list[str]:
    options = ["exec", "--containall", "--no-home"]
    for outside, inside in _mounts(folder).items():
        options += ["--bind", f"{outside}:{inside}:ro"]
    for name, value in environment.items():
        options += ["--env", f"{name}={value}"]
    return options


@cache
def sandbox_exec() -> list[str]:
    """What goes before a command on macOS to put it in a sandbox of its own; nothing where that does not work.

    Writes nothing, has no network, starts no program, reads none of the users' files but the libraries.
    """
    program = shutil.which("sandbox-exec")
    if program is None:
        return []
    shown = "".join(f" (subpath {json.dumps(str(path))})" for path in (*readable(), Path(sys.prefix)))
    profile = f"""(version 1)
        (allow default)
        (deny network*) (deny process-fork) (deny signal (target others)) (deny file-write*)
        (allow file-write-data (literal "/dev/null"))
        (deny file-read-data (subpath "/Users") (subpath "/Volumes") (subpath "/private/tmp")
            (subpath "/private/var/folders") (subpath {json.dumps(str(ROOT))}))
        (allow file-read*{shown} (literal {json.dumps(str(ROOT / "datasets.py"))}))"""
    prefix = [program, "-p", profile]
    tried = subprocess.run([*prefix, sys.executable, "-I", "-c", "import ctypes"], capture_output=True)
    return prefix if tried.returncode == 0 else []


def _mounts(folder: Path) -> dict[Path, str]:
    """What an image gets of this machine: the worker's half of the kit, the same as ours, and the socket."""
    worker = f"{_INSIDE}/grader/worker"
    return {WORKER: worker, ROOT / "datasets.py": f"{_INSIDE}/datasets.py", folder: _CONTROL}
