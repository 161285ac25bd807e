"""The seccomp filters, run by an interpreter of their own: both architectures are tested on any machine."""

import errno
import struct

import pytest

from grader.worker.seccomp import ARCHITECTURES, KINDS, OWN_PID, filter_path

ALLOWED, KILLED = 0x7FFF_0000, 0x8000_0000
REFUSED, UNKNOWN = 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
AUDIT_OTHERS = {"i386": 0x4000_0003, "arm": 0x4000_0028, "riscv64": 0xC000_00F3}
NUMBERS = {  # from the kernel's tables: name -> x86_64, aarch64
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "mmap": (9, 222), "futex": (202, 98),
    "exit_group": (231, 94), "recvfrom": (45, 207), "sendto": (44, 206), "clone": (56, 220), "clone3": (435, 435),
    "openat2": (437, 437), "fcntl": (72, 25), "ioctl": (16, 29), "prctl": (157, 167), "kill": (62, 129),
    "tgkill": (234, 131), "tkill": (200, 130), "prlimit64": (302, 261), "sched_getaffinity": (204, 123),
    "sched_setaffinity": (203, 122), "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198),
    "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "chroot": (161, 51),
    "pivot_root": (155, 41), "fchmodat": (268, 53), "fchmod": (91, 52), "fchownat": (260, 54), "utimensat": (280, 88),
    "unlinkat": (263, 35), "mkdirat": (258, 34), "renameat2": (316, 276), "linkat": (265, 37),
    "symlinkat": (266, 36), "mknodat": (259, 33), "truncate": (76, 45), "ftruncate": (77, 46), "setxattr": (188, 5),
    "setuid": (105, 146), "setresuid": (117, 147), "setsid": (112, 157), "setpgid": (109, 154),
    "personality": (135, 92), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "timer_create": (222, 107), "open_by_handle_at": (304, 265), "seccomp": (317, 277), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "setpriority": (140, 141), "sched_setscheduler": (144, 119), "kexec_load": (246, 104),
    "init_module": (175, 105), "reboot": (169, 142), "clock_settime": (227, 112), "quotactl": (179, 60),
    "landlock_create_ruleset": (444, 444), "process_madvise": (440, 440), "ioprio_set": (251, 30),
    "setitimer": (38, 103), "getrandom": (318, 278), "wait4": (61, 260), "statx": (332, 291), "readlinkat": (267, 78),
}  # fmt: skip
THREAD = 0x3D0F00  # what glibc asks of clone for a thread

ALWAYS = (
    *((name, ()) for name in ("read", "write", "mmap", "futex", "exit_group", "recvfrom", "sendto", "getrandom", "wait4", "statx")),
    ("clone", (THREAD,)),
    ("fcntl", (5, 1030)), ("fcntl", (5, 4, 0o4000)),  # F_DUPFD_CLOEXEC; F_SETFL, O_NONBLOCK
    ("ioctl", (1, 0x5401)), ("ioctl", (1, 0x5421)),  # TCGETS, FIONBIO
    ("prctl", (15,)),  # PR_SET_NAME
    ("kill", (OWN_PID, 15)), ("tgkill", (OWN_PID, 7, 6)), ("sched_getaffinity", (0,)), ("prlimit64", (0, 7, 0, 1)),
)  # fmt: skip
NEVER = (
    *((name, ()) for name in """
        execve execveat socket socketpair connect bind ptrace process_vm_readv process_vm_writev memfd_create
        memfd_secret unshare setns mount chroot pivot_root fchmodat fchmod fchownat utimensat unlinkat mkdirat
        renameat2 linkat symlinkat mknodat truncate ftruncate setxattr setuid setresuid setsid setpgid personality
        bpf perf_event_open userfaultfd keyctl add_key io_uring_setup io_uring_enter pidfd_open pidfd_send_signal
        pidfd_getfd rt_sigqueueinfo rt_tgsigqueueinfo tkill shmget semget msgget mq_open inotify_init1
        fanotify_init timer_create open_by_handle_at seccomp sendmsg recvmsg setpriority sched_setscheduler
        sched_setaffinity kexec_load init_module reboot clock_settime quotactl landlock_create_ruleset
        process_madvise ioprio_set
    """.split()),
    ("clone", (17,)), ("clone", (0x4111,)),  # fork, vfork
    ("clone", (THREAD | 0x1000_0000,)), ("clone", (0x2000_0000 | 17,)), ("clone", (THREAD | 0x2000,)),
    ("fcntl", (5, 8, 1)), ("fcntl", (5, 10, 9)), ("fcntl", (5, 15, 0)),  # F_SETOWN, F_SETSIG, F_SETOWN_EX
    ("fcntl", (5, 4, 0o20000)), ("fcntl", (5, 4, 0o24000)), ("fcntl", (5, 1033)),  # O_ASYNC; F_ADD_SEALS
    ("fcntl", (5, 1 << 32 | 8, 1)),  # the kernel takes 32 bits of the command
    ("ioctl", (0, 0x5412)), ("ioctl", (0, 0x5452)), ("ioctl", (0, 0x8901)), ("ioctl", (0, 0x541C)),  # TIOCSTI, FIOASYNC, ...
    ("prctl", (1, 0)), ("prctl", (4, 1)), ("prctl", (0x59616D61, -1)), ("prctl", (36, 1)), ("prctl", (38, 1)),
    ("kill", (1, 9)), ("kill", (-1, 9)), ("kill", (0, 9)), ("kill", (-OWN_PID, 9)), ("tgkill", (1, 1, 9)),
    ("sched_getaffinity", (1,)), ("prlimit64", (1, 7, 0, 1)), ("prlimit64", (0, 7, 1, 0)),
)  # fmt: skip


def answer(program: bytes, audit: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the filter says to a system call."""
    wide = [value & (2**64 - 1) for value in arguments] + [0] * (6 - len(arguments))
    data = struct.pack("<iIQ6Q", number - (number >> 31 << 32), audit, 0, *wide)
    accumulator = position = 0
    while True:
        code, true, false, value = struct.unpack_from("<HBBI", program, 8 * position)
        position += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x05:
                position += value
            case 0x15:
                position += true if accumulator == value else false
            case 0x25:
                position += true if accumulator > value else false
            case 0x35:
                position += true if accumulator >= value else false
            case 0x45:
                position += true if accumulator & value else false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"no instruction of a filter: {code:#x}")


def asked(kind: str, architecture: str, name: str, arguments: tuple[int, ...] = ()) -> int:
    program = filter_path(kind, architecture).read_bytes()
    number = NUMBERS[name][ARCHITECTURES.index(architecture)]
    return answer(program, AUDIT[architecture], number, arguments)


each_filter = pytest.mark.parametrize(
    ("kind", "architecture"), [(kind, architecture) for kind in KINDS for architecture in ARCHITECTURES]
)


@each_filter
@pytest.mark.parametrize(("name", "arguments"), ALWAYS)
def test_what_python_and_torch_need_is_allowed(
    kind: str, architecture: str, name: str, arguments: tuple[int, ...]
) -> None:
    assert asked(kind, architecture, name, arguments) == ALLOWED


@each_filter
@pytest.mark.parametrize(("name", "arguments"), NEVER)
def test_the_rest_is_refused(kind: str, architecture: str, name: str, arguments: tuple[int, ...]) -> None:
    assert asked(kind, architecture, name, arguments) == REFUSED


@each_filter
@pytest.mark.parametrize("name", ["clone3", "openat2"])
def test_what_glibc_does_without_is_unknown(kind: str, architecture: str, name: str) -> None:
    assert asked(kind, architecture, name) == UNKNOWN


@each_filter
def test_system_calls_of_another_architecture_end_the_process(kind: str, architecture: str) -> None:
    program = filter_path(kind, architecture).read_bytes()
    others = {name: audit for name, audit in {**AUDIT, **AUDIT_OTHERS}.items() if name != architecture}
    assert {name: answer(program, audit, 1) for name, audit in others.items()} == dict.fromkeys(
        others, KILLED
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_of_x32_gets_through(kind: str) -> None:
    program = filter_path(kind, "x86_64").read_bytes()
    assert {answer(program, AUDIT["x86_64"], 0x4000_0000 | number) for number in range(600)} == {KILLED}


OPENS = {  # flags of openat -> may they pass where Landlock guards the files?
    "to read": (0o2000000, True),
    "to write, for Landlock to refuse": (0o1, True),
    "to write and cut short, for Landlock to refuse": (0o1001, True),
    "to read, cut short": (0o1000, False),
    "by neither, cut short": (0o1003, False),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("flags", "passes"), OPENS.values(), ids=OPENS.keys())
def test_files_are_opened_only_where_landlock_guards_them(
    architecture: str, flags: int, passes: bool
) -> None:
    assert asked("sealed", architecture, "openat", (-100, 0, flags)) == REFUSED
    assert asked("reading", architecture, "openat", (-100, 0, flags)) == (ALLOWED if passes else REFUSED)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_links_are_read_only_where_landlock_guards_those_of_proc(architecture: str) -> None:
    assert asked("sealed", architecture, "readlinkat") == REFUSED
    assert asked("reading", architecture, "readlinkat") == ALLOWED


@each_filter
def test_the_filters_are_what_the_script_makes(kind: str, architecture: str) -> None:
    pytest.importorskip("pyseccomp", reason="makes filters; only authors need it", exc_type=Exception)
    from grader.instructor.filters import make

    assert make(kind, architecture) == filter_path(kind, architecture).read_bytes()
