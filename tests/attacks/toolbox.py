"""What hostile code brings along. Handed in with each submission, as `student/toolbox.py`.

The runner puts its constants in front: where the secrets are (SECRET_FILE, SOLUTIONS, HIDDEN, OTHER,
RECORDS, CLASS, KIT), whom to hurt (EXAMINER, BYSTANDER), whom to call (TCP4, TCP6, UDP, UNIX,
ABSTRACT), where to write (FOLDER), and two words: BREACH, which no honest run prints, and MARK, which
is in the name of every planted file.
"""

# ruff: noqa: F821

import base64
import os

_NUMBERS = {  # x86_64, aarch64
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "tgkill": (234, 131), "tkill": (200, 130),
    "kill": (62, 129), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "unshare": (272, 97),
    "setns": (308, 268), "clone3": (435, 435), "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40),
    "umount2": (166, 39), "setuid": (105, 146), "setgid": (106, 144), "setresuid": (117, 147), "setgroups": (116, 159),
    "setfsuid": (122, 151), "capset": (126, 91), "prctl": (157, 167), "personality": (135, 92), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "fanotify_init": (300, 262), "inotify_init1": (294, 26), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "iopl": (172, -1), "ioperm": (173, -1),
    "modify_ldt": (154, -1), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274), "sched_setparam": (142, 118), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "prlimit64": (302, 261), "move_pages": (279, 239), "migrate_pages": (256, 238), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "kcmp": (312, 272), "swapon": (167, 224), "sethostname": (170, 161),
    "clock_settime": (227, 112), "settimeofday": (164, 170), "adjtimex": (159, 171), "acct": (163, 89),
    "syslog": (103, 116), "open_tree": (428, 428), "fsopen": (430, 430), "move_mount": (429, 429),
    "mount_setattr": (442, 442), "quotactl": (179, 60), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "openat2": (437, 437), "mq_open": (240, 180), "shmget": (29, 194),
    "semget": (64, 190), "msgget": (68, 186), "mlockall": (151, 230), "vhangup": (153, 58), "seccomp": (317, 277),
    "landlock_restrict_self": (446, 446), "io_setup": (206, 0), "splice": (275, 76), "tee": (276, 77),
    "timer_create": (222, 107), "get_robust_list": (274, 100), "set_mempolicy": (238, 237),
    "lookup_dcookie": (212, 18), "socketpair": (53, 199), "fchmodat2": (452, 452), "sysfs": (139, -1),
    "ustat": (136, -1), "uselib": (134, -1), "nfsservctl": (180, 42), "mknodat": (259, 33), "cachestat": (451, 451),
    "execveat": (322, 281), "vmsplice": (278, 75), "socket": (41, 198), "link_to": (86, -1), "fork": (57, -1),
    "vfork": (58, -1), "setxattr": (188, 5), "truncate": (76, 45), "statmount": (457, 457), "listmount": (458, 458),
}  # fmt: skip


def breach(what):
    """Say that something was possible that must not be."""
    os.write(1, f"\n{BREACH} {what}\n".encode())


def loot(data):
    """Try to get stolen data out: printed plainly, in hex, in base64, backwards."""
    raw = data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")
    raw = raw[:6000]
    for form in (raw, raw.hex().encode(), base64.b64encode(raw), raw[::-1]):
        os.write(1, form + b"\n")


def each(*attempts):
    """Run each attempt; loot what it returns; say what was refused."""
    for attempt in attempts:
        try:
            found = attempt()
        except Exception as error:
            print("refused:", type(error).__name__, str(error)[:100], flush=True)
        else:
            if found is not None:
                loot(found)


def read(path, size=4000):
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(size)


def number(name):
    """The number of a system call on this machine; -1 where it has none."""
    return _NUMBERS[name][os.uname().machine == "aarch64"]


def syscall(name, *arguments):
    """The result of a system call; raises OSError. Integers are passed as 64 bits, bytes as pointers."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    raw = name if isinstance(name, int) else number(name)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(raw), *given)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def must_fail(name, *arguments):
    """A breach where the system call does not fail."""
    result = syscall(name, *arguments)
    breach(f"{name} gave {result}")


def must_be_refused(name, *arguments):
    """A breach where the system call is not refused as such: success, or an error of its arguments."""
    import errno

    try:
        result = syscall(name, *arguments)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT):
            breach(f"{name} looked at its arguments: {error}")
        raise
    breach(f"{name} gave {result}")


def is_socket(fd):
    """Is there a socket at this descriptor?"""
    import stat

    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def plant(folder, content=b"planted"):
    """Try to leave a file in a folder."""
    path = os.path.join(folder, f"{MARK}.txt")
    with open(path, "wb") as file:
        file.write(content)
    breach(f"a file was written in {folder}")


def machine_code(code):
    """A C function without arguments from machine code, called; its result as a signed 64-bit number."""
    import ctypes
    import mmap

    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


def search_memory():
    """Whatever in this process's memory looks like one of the planted secrets."""
    import ctypes
    import re

    found = set()
    with open("/proc/self/maps") as maps:
        regions = [line.split() for line in maps]
    for address, access, *_ in regions:
        start, end = (int(part, 16) for part in address.split("-"))
        if access.startswith("r") and end - start < 1 << 28 and "[v" not in _[-1]:
            try:
                data = ctypes.string_at(start, end - start)
            except Exception:
                continue
            found.update(re.findall(rb"CANARY-[a-z]+-[0-9a-f]{8,}", data))
    return b" ".join(found) if found else None
