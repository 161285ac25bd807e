"""The list of system calls that a child may use, as a filter in the kernel (seccomp).

The filters are BPF programs in `filters/`, made by `grader.instructor.filters`, where each rule has its
reason. There is one for each kind and architecture: `reading` lets files be opened, for a child whose files
Landlock guards; `sealed` refuses every open, for kernels without Landlock.
"""

import ctypes
import os
import platform
import struct
from pathlib import Path

FILTERS = Path(__file__).parent / "filters"
KINDS = ("reading", "sealed")
ARCHITECTURES = ("x86_64", "aarch64")
OWN_PID = 0x4F57_4E21  # stands in a filter for the id of the process that takes it on

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_GET_ACTION_AVAIL = 2
_KILL_PROCESS = 0x8000_0000
_SYSTEM_CALL = {"x86_64": 317, "aarch64": 277}  # seccomp(2)
_INSTRUCTION = struct.Struct("=HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_path(kind: str, architecture: str) -> Path:
    """Where the filter is."""
    return FILTERS / f"{kind}-{architecture}.bpf"


def architecture() -> str:
    """This machine's, by the name that the filters have; "" where there is none for it."""
    name = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    # a 32-bit Python on a 64-bit kernel makes system calls of another architecture
    return name if name in ARCHITECTURES and struct.calcsize("P") == 8 else ""


def available() -> bool:
    """Can a filter be taken on here? Asked of the kernel by a system call that changes nothing."""
    machine = architecture()
    if not machine:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    action = ctypes.c_uint32(_KILL_PROCESS)
    return libc.syscall(_SYSTEM_CALL[machine], _GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0


def load(kind: str) -> bytes:
    """The filter for this machine, to be read before the fork. Raises OSError where it cannot be read."""
    program = filter_path(kind, architecture()).read_bytes()
    if len(program) % _INSTRUCTION.size or struct.pack("=I", OWN_PID) not in program:
        raise OSError(f"{filter_path(kind, architecture())} is not a seccomp filter")
    return program


def restrict(libc: ctypes.CDLL, program: bytes) -> None:
    """From here on this process can make only the filter's system calls. Needs `no_new_privs`."""
    own = program.replace(struct.pack("=I", OWN_PID), struct.pack("=I", os.getpid()))
    filter_ = _Program(len(own) // _INSTRUCTION.size, own)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
