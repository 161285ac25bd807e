"""Runs a command as on a kernel that lacks system calls: `python tests/old_kernel.py 444,445,446 COMMAND...`.

A seccomp filter of our own answers the calls of these numbers with ENOSYS, for the command and all that it
starts. `seccomp` in the place of a number takes seccomp itself away (x86-64 and ARM64).
"""

import ctypes
import errno
import os
import platform
import struct
import sys

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARGUMENT = 0, 16  # offsets in what a filter sees
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_SECCOMP, _PRCTL = {"x86_64": (317, 157), "aarch64": (277, 167)}.get(platform.machine(), (0, 0))
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38


def program(calls: list[str]) -> list[tuple[int, int, int, int]]:
    """The filter's instructions."""
    refuse = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    made = [(_LOAD, 0, 0, _NUMBER)]
    for call in calls:
        number = _SECCOMP if call == "seccomp" else int(call)
        made += [(_EQUAL, 0, 1, number), refuse]
    if "seccomp" in calls:
        made += [(_EQUAL, 0, 3, _PRCTL), (_LOAD, 0, 0, _ARGUMENT), (_EQUAL, 0, 1, _PR_SET_SECCOMP), refuse]
    return [*made, (_RETURN, 0, 0, _ALLOW)]


def main(calls: str, command: list[str]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program(calls.split(",")))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0):
        sys.exit(f"no filter can be taken on: {os.strerror(ctypes.get_errno())}")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
