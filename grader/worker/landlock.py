"""What of the file system a child may still use (Landlock, Linux 5.13 and newer).

A ruleset is built once, before the forks, and taken on by each child. It lets the child read the
interpreter and the libraries, and write nothing; newer kernels keep its signals and abstract Unix sockets
inside, and TCP away. Three system calls, whose numbers are the same on every architecture.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_LOG_SAME_EXEC_OFF = 1  # ABI 7: a refusal writes nothing to the machine's audit log

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
# rights on files by ABI: 13 at first, then REFER, TRUNCATE, and IOCTL_DEV in the fifth
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_BIND_AND_CONNECT = 3  # ABI 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 3  # ABI 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The kernel's Landlock ABI, 0 where it has none. Asked by a system call that changes nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    return max(version, 0)


def ruleset(readable: Iterable[Path]) -> int:
    """The descriptor of a ruleset that lets `readable` be read, with what is beneath, and /dev/null used.

    Raises OSError where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = abi()
    handled = _Ruleset(
        files=_FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= max(version, 1))],
        net=_TCP_BIND_AND_CONNECT if version >= 4 else 0,
        scoped=_ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    # an older kernel takes a longer structure where the rest is zero
    made = libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), 0)
    if made < 0:
        raise _error()
    for path in readable:
        allowed = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        _add(libc, made, path, allowed)
    _add(libc, made, Path(os.devnull), (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled.files)
    return made


def restrict(libc: ctypes.CDLL, made: int) -> None:
    """Take the ruleset on, for this process for good. Needs `no_new_privs`."""
    # the flag first: a kernel that does not know it says so and changes nothing
    for flags in (_LOG_SAME_EXEC_OFF, 0):
        if libc.syscall(_RESTRICT_SELF, made, flags) == 0:
            return
    raise _error()


def _add(libc: ctypes.CDLL, made: int, path: Path, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # nobody can read what is not there
        return
    try:
        rule = _PathBeneath(allowed, descriptor)
        if libc.syscall(_ADD_RULE, made, _RULE_PATH_BENEATH, ctypes.byref(rule), 0):
            raise _error()
    finally:
        os.close(descriptor)


def _error() -> OSError:
    return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
