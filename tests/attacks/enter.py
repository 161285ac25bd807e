"""Gets the ground ready and starts the runner: `python -m attacks.enter FOLDER USER ...`, called by `launch`.

Runs in new namespaces, with what rights it takes to prepare them, and gives those up before the runner starts.
Refuses to go on outside of a PID namespace of its own: an attack that is not stopped may kill whatever it sees.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

import as_ordinary_user

from attacks import grounds

MOST_PROCESSES = 10  # in a namespace that was made for this
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4


def main() -> None:
    folder, user, options = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if len([entry for entry in os.listdir("/proc") if entry.isdigit()]) > MOST_PROCESSES:
        raise SystemExit("attacks run in a PID namespace of their own only: see tests/attacks/__init__.py")
    _loopback_up()
    markers = grounds.build(folder)
    command = [sys.executable, "-m", "attacks.run", str(folder), *options]
    if os.getuid() != 0:
        ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    elif user == "ordinary":
        for where, folders, names in os.walk(folder):
            for path in (where, *(os.path.join(where, name) for name in (*folders, *names))):
                os.chown(path, as_ordinary_user.USER, as_ordinary_user.USER, follow_symlinks=False)
        command = as_ordinary_user.ordinary(command)
    elif user == "root":  # with libraries that all may read, as on most machines
        command = [sys.executable, as_ordinary_user.__file__, "--root", *command]
    _hand_over(json.dumps(markers).encode())
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'kit'}:{Path(__file__).parents[1]}",
        "HOME": str(folder),
        "GRADE_COURSE_SECRET": markers["environment"],
    }
    os.execve(sys.executable, command, environment)


def _hand_over(data: bytes) -> None:
    """Make the data the next program's standard input."""
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)


def _loopback_up() -> None:
    """A new network namespace has its loopback device down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


if __name__ == "__main__":
    main()
