"""Gets the ground ready and starts the runner: `python -m attacks.enter FOLDER ...`, called by `launch`.

Runs in new namespaces, with what rights it takes to prepare them; gives those up before the runner starts.
Refuses to go on outside of a PID namespace of its own: an attack that is not stopped may kill whatever it sees.
"""

import ctypes
import fcntl
import json
import os
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

from attacks import grounds

MOST_PROCESSES = 10  # in a namespace that was made for this


def main() -> None:
    folder, user, options = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if len([entry for entry in os.listdir("/proc") if entry.isdigit()]) > MOST_PROCESSES:
        raise SystemExit("attacks run in a PID namespace of their own only: see tests/attacks/__init__.py")
    _loopback_up()
    markers = grounds.build(folder)
    if user != os.getuid():
        _open_the_way(Path(sys.base_prefix), folder)
        for where, folders, names in os.walk(folder):
            for name in (*folders, *names):
                os.chown(os.path.join(where, name), user, user, follow_symlinks=False)
        os.chown(folder, user, user)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if os.getuid() != 0:
        ctypes.CDLL(None).prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(markers).encode())
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'kit'}:{Path(__file__).parents[1]}",
        "HOME": str(folder),
        "GRADE_COURSE_SECRET": markers["environment"],
    }
    os.execve(sys.executable, [sys.executable, "-m", "attacks.run", str(folder), *options], environment)


def _loopback_up() -> None:
    """A new network namespace has its loopback device down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def _open_the_way(interpreter: Path, folder: Path) -> None:
    """Make the interpreter reachable for others where it lies in a closed home: in this mount namespace only."""
    closed = [p for p in reversed(interpreter.parents) if not p.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return
    kept = folder / "interpreter"
    kept.mkdir()
    for command in (
        ["mount", "--bind", interpreter, kept],
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", closed[0]],
        ["mkdir", "-p", interpreter],
        ["mount", "--move", kept, interpreter],
    ):
        subprocess.run(command, check=True)
    kept.rmdir()


if __name__ == "__main__":
    main()
