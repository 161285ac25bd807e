"""Makes the seccomp filters in `grader/worker/filters`: `python -m grader.instructor.filters`.

Needs pyseccomp and the system's libseccomp, which nobody needs who only uses the kit: the filters are
shipped as BPF programs, one for each architecture and kind, about a kilobyte each. `reading` is for a child
whose files Landlock guards; `sealed` refuses every open, and to read a link, for kernels without Landlock.

A filter is a list of what is allowed. All else fails with EPERM, which a student's code sees as
PermissionError; a system call by another ABI (32-bit `int 0x80`, x32) ends the process. What takes a
process's id is allowed for the caller's own: `OWN_PID` stands for it until the child puts its id there.
"""

import errno
import tempfile
from collections.abc import Iterator
from typing import Any

from grader.worker.seccomp import ARCHITECTURES, FILTERS, KINDS, OWN_PID, filter_path

_32_BITS = 0xFFFF_FFFF  # of an argument that the kernel takes for an int

ANY_ARGUMENTS = """
    read readv pread64 preadv write writev pwrite64 close close_range lseek dup dup2 dup3 pipe pipe2 fadvise64
    sendto recvfrom poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2
    stat lstat fstat newfstatat statx access faccessat faccessat2 getdents64 getcwd umask
    mmap munmap mremap mprotect madvise brk
    futex set_robust_list set_tid_address rseq sched_yield exit exit_group wait4 waitid
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause
    restart_syscall alarm getitimer setitimer
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
    getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getsid
    getrusage getrlimit getcpu sysinfo uname getrandom
""".split()  # noqa: SIM905

# what glibc and others try first, and do without where the kernel does not know it
UNKNOWN = ("clone3", "openat2")

_O_ACCMODE, _O_WRONLY, _O_RDWR, _O_TRUNC, _O_ASYNC = 0o3, 0o1, 0o2, 0o1000, 0o20000
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
_TCGETS, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = 0x5401, 0x541B, 0x5421, 0x5450, 0x5451
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_CLONE_THREAD = 0x10000
# new namespaces of every kind, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT and a descriptor for the process
_CLONE_REFUSED = 0x7E02_0080 | 0x2000 | 0x4000 | 0x8000 | 0x1000

Rule = tuple[
    str, tuple[tuple[int, int, int], ...]
]  # system call, (argument, mask, value) of all that must hold


def by_arguments(kind: str) -> Iterator[Rule]:
    """What is allowed with some arguments only."""
    yield "clone", ((0, _CLONE_REFUSED | _CLONE_THREAD, _CLONE_THREAD),)  # a thread, never a process
    for command in (_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC):
        yield "fcntl", ((1, _32_BITS, command),)
    # F_SETOWN, F_SETSIG and O_ASYNC together make the kernel send a signal to whomever one likes
    yield "fcntl", ((1, _32_BITS, _F_SETFL), (2, _O_ASYNC, 0))
    for request in (_TCGETS, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX):
        yield "ioctl", ((1, _32_BITS, request),)
    for option in (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA):  # not PR_SET_PDEATHSIG, not PR_SET_DUMPABLE
        yield "prctl", ((0, _32_BITS, option),)
    for call in ("kill", "tgkill"):
        yield call, ((0, _32_BITS, OWN_PID),)
    for pid in (0, OWN_PID):
        yield "sched_getaffinity", ((0, _32_BITS, pid),)
        yield "prlimit64", ((0, _32_BITS, pid), (2, ~0, 0))  # limits are read, not set
    if kind == "reading":
        # without Landlock, /proc's links tell what other processes of the same user have open
        yield "readlink", ()
        yield "readlinkat", ()
        for call, flags in (("open", 1), ("openat", 2)):
            yield call, ((flags, _O_TRUNC, 0),)
            # Landlock refuses to write; before its third ABI it let a file be cut short that is opened to read
            for mode in (_O_WRONLY, _O_RDWR):
                yield call, ((flags, _O_ACCMODE | _O_TRUNC, mode | _O_TRUNC),)


def make(kind: str, architecture: str) -> bytes:
    """The BPF program."""
    import pyseccomp as seccomp

    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    wanted = getattr(seccomp.Arch, architecture.upper())
    if not made.exist_arch(wanted):
        made.add_arch(wanted)
        made.remove_arch(seccomp.Arch.NATIVE)
    made.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for name in ANY_ARGUMENTS:
        made.add_rule(seccomp.ALLOW, name)
    for name in UNKNOWN:
        made.add_rule(seccomp.ERRNO(errno.ENOSYS), name)
    for name, conditions in by_arguments(kind):
        comparisons: list[Any] = [
            seccomp.Arg(argument, seccomp.MASKED_EQ, mask & (2**64 - 1), value)
            for argument, mask, value in conditions
        ]
        made.add_rule(seccomp.ALLOW, name, *comparisons)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def main() -> None:
    FILTERS.mkdir(exist_ok=True)
    for architecture in ARCHITECTURES:
        for kind in KINDS:
            path = filter_path(kind, architecture)
            path.write_bytes(make(kind, architecture))
            print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
