"""Runs a command as a user who is not root: `python tests/as_ordinary_user.py COMMAND...`.

Where the interpreter or the kit lies in a folder that only root may enter (/root), the command runs in a
mount namespace of its own in which that folder is open and holds nothing else. Who is an ordinary user
already just runs the command. With `--root` before the command it runs as root, but in that namespace: the
sandbox can then give each child a user of its own. Tests take `ordinary(command)`, and skip for `why_not()`.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER = 61_234  # any that is not root's; it needs no name


def why_not() -> str:
    """Why no command can be run as an ordinary user here; "" where one can."""
    if sys.platform != "linux":
        return "only on Linux"
    if os.geteuid() != 0:
        return ""
    if shutil.which("setpriv") is None:
        return "there is no setpriv (util-linux) to become another user with"
    if _closed() and subprocess.run(["unshare", "--mount", "mount", "--bind", "/mnt", "/mnt"]).returncode:
        return f"{_closed()[0]} is open to root only, and no mount namespace can be had"
    return ""


def ordinary(command: Sequence[str]) -> list[str]:
    """The command that runs `command` as an ordinary user, in the same folder, with a home of its own."""
    if os.geteuid() != 0:
        return list(command)
    return [sys.executable, __file__, *command]


def _needed() -> list[Path]:
    """The folders that a run of the kit reads."""
    return sorted({ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()})


def _closed() -> list[Path]:
    """The outermost folders on the way to those that others may not enter."""
    found = []
    for folder in _needed():
        for part in (*reversed(folder.parents), folder):
            if not part.stat().st_mode & stat.S_IXOTH:
                found.append(part)
                break
    return sorted(set(found))


def _script(command: Sequence[str], as_root: bool) -> str:
    """The shell script that opens the closed folders and becomes the user."""
    lines = ["set -e", f"home=$(mktemp -d {shlex.quote(tempfile.gettempdir())}/ordinary-XXXXXX)"]
    lines += ["keep=$(mktemp -d)", "mount -t tmpfs -o mode=700 tmpfs $keep"]
    inside = [
        folder for folder in _needed() if any(closed in (folder, *folder.parents) for closed in _closed())
    ]
    for number, folder in enumerate(inside):
        lines += [f"mkdir $keep/{number}", f"mount --bind {shlex.quote(str(folder))} $keep/{number}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(closed))}" for closed in _closed()]
    for number, folder in enumerate(inside):
        where = shlex.quote(str(folder))
        lines += [f"mkdir -p {where}", f"mount --bind $keep/{number} {where}"]
    lines += ["umount --lazy $keep", "rmdir $keep"]
    if not as_root:
        lines += [f"chown {USER}:{USER} $home", "export HOME=$home USER=student LOGNAME=student"]
    become = "" if as_root else f"setpriv --reuid {USER} --regid {USER} --clear-groups --inh-caps=-all -- "
    lines += ["set +e", f"{become}{shlex.join(command)}", "status=$?", "rm -rf $home", "exit $status"]
    return "\n".join(lines)


def main(command: Sequence[str]) -> int:
    as_root = command[:1] == ["--root"]
    command = command[int(as_root) :]
    if reason := why_not():
        print(f"as_ordinary_user: {reason}", file=sys.stderr)
        return 77
    if os.geteuid() != 0:
        return subprocess.run(command).returncode
    unshare = ["unshare", "--mount", "--propagation", "private"]
    return subprocess.run([*unshare, "sh", "-c", _script(command, as_root)]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
