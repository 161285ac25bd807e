"""Escapes: ptrace, signals, descriptors, namespaces, other ABIs, rights, and system calls that few know."""

import textwrap

from attacks.attack import STOPPED, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, PASSED = Outcome.CRASHED, Outcome.ERROR, Outcome.PASSED


def calls(name: str, tries: str, *attempts: str, before: str = "", **more: object) -> Attack:
    """Attempts, each an expression; what is refused by death is refused, too."""
    more.setdefault("outcome", STOPPED)
    code = f"{textwrap.dedent(before)}\nimport os\nt.each({', '.join(f'lambda: {attempt}' for attempt in attempts)})"
    return hostile(name, tries, code, **more)  # type: ignore[arg-type]


_PIDS = "(os.getppid(), t.EXAMINER, t.BYSTANDER, 1)"

ATTACKS: list[Attack] = [
    # signals
    hostile("signals to those around", "to end the examiner", f"import os, signal\nfor pid in {_PIDS}: t.each(lambda: os.kill(pid, signal.SIGKILL))",
            ends_run=True, quick=True, outcome=STOPPED),
    hostile("stops to those around", "to stop the examiner", f"import os, signal\nfor pid in {_PIDS}: t.each(lambda: os.kill(pid, signal.SIGSTOP))",
            ends_run=True, outcome=STOPPED),
    hostile("a signal to all", "to end every process", "import os\nt.each(lambda: os.kill(-1, 9))", ends_run=True, outcome=STOPPED),
    hostile("a signal to its group", "to end the group", "import os\nt.each(lambda: os.killpg(0, 15), lambda: os.killpg(os.getpgid(os.getppid()), 9))", ends_run=True, outcome=STOPPED),
    hostile("signals by other calls", "to end the examiner", f"""
        import ctypes, os
        info = ctypes.create_string_buffer(128)
        for pid in {_PIDS}:
            t.each(lambda: t.syscall("tkill", pid, 9) and None, lambda: t.syscall("tgkill", pid, pid, 9) and None,
                   lambda: t.syscall("rt_sigqueueinfo", pid, 9, info) and None, lambda: t.syscall("rt_tgsigqueueinfo", pid, pid, 9, info) and None,
                   lambda: t.syscall("pidfd_send_signal", t.syscall("pidfd_open", pid, 0), 9, 0, 0) and None,
                   lambda: os.setpgid(pid, 0))
        """, ends_run=True, outcome=STOPPED),
    hostile("signals by the kernel for a descriptor", "to have the kernel kill the parent (F_SETOWN, F_SETSIG, O_ASYNC)", f"""
        import fcntl, os, socket
        for pid in {_PIDS}:
            def kill_by(fd, poke):
                fcntl.fcntl(fd, 8, pid)     # F_SETOWN
                fcntl.fcntl(fd, 10, 9)      # F_SETSIG
                fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
                poke()
                t.breach("F_SETOWN and O_ASYNC")
            def pipe():
                r, w = os.pipe()
                kill_by(r, lambda: os.write(w, b"x"))
            def pair():
                a, b = socket.socketpair()
                kill_by(a.fileno(), lambda: b.send(b"x"))
            t.each(pipe, pair)
        """, ends_run=True, quick=True, outcome=STOPPED),
    hostile("signals by other owners of a descriptor", "to have the kernel kill the parent (F_SETOWN_EX, FIOSETOWN, leases, notifications)", f"""
        import fcntl, os, socket, struct
        for pid in {_PIDS}:
            r, w = os.pipe()
            t.each(lambda: fcntl.fcntl(r, 15, struct.pack("ii", 1, pid)) and t.breach("F_SETOWN_EX"),
                   lambda: fcntl.ioctl(r, 0x8901, struct.pack("i", pid)) and t.breach("FIOSETOWN"),
                   lambda: fcntl.ioctl(r, 0x8902, struct.pack("i", pid)) and t.breach("SIOCSPGRP"),
                   lambda: fcntl.ioctl(r, 0x5452, struct.pack("i", 1)) and t.breach("FIOASYNC"),
                   lambda: fcntl.fcntl(r, 8, -pid) and t.breach("F_SETOWN of a group"),
                   lambda: fcntl.fcntl(os.open("/usr/lib", os.O_RDONLY), 1026, 0x80000002) and t.breach("F_NOTIFY"))
        """, ends_run=True, outcome=STOPPED),
    hostile("a timer that signals another", "to have the kernel signal the parent", """
        import ctypes, os, struct
        event = struct.pack("<qiii", 0, 9, 4, os.getppid()) + bytes(64)   # SIGEV_THREAD_ID
        def timer():
            t.syscall("timer_create", 1, event, ctypes.byref(ctypes.c_int()))
            t.breach("a timer for another process")
        t.each(timer)
        """, outcome=STOPPED),
    # other processes' memory and descriptors
    calls("ptrace", "to take over the parent", *[f"t.must_fail('ptrace', 16, {pid}, 0, 0)" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")],
          *[f"t.must_fail('ptrace', 0x4206, {pid}, 0, 0)" for pid in ("os.getppid()", "t.EXAMINER")], quick=True, ends_run=True),
    calls("memory of others, read", "to read the course's secret", *[
        f"t.must_fail('process_vm_readv', {pid}, space, 1, remote, 1, 0)" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")
    ], before="import ctypes, struct\nbuffer = ctypes.create_string_buffer(64)\nspace = struct.pack('<QQ', ctypes.addressof(buffer), 64)\nremote = struct.pack('<QQ', id(buffer), 64)"),
    calls("memory of others, written", "to change the parent (a fork has the same addresses)",
          "t.must_fail('process_vm_writev', os.getppid(), space, 1, remote, 1, 0)", "open(f'/proc/{os.getppid()}/mem', 'r+b').seek(id(buffer)) and t.breach('memory opened')",
          before="import ctypes, struct\nbuffer = ctypes.create_string_buffer(64)\nspace = struct.pack('<QQ', ctypes.addressof(buffer), 8)\nremote = struct.pack('<QQ', id(buffer), 8)",
          ends_run=True),
    calls("descriptors of others", "to take the control socket of the parent", *[
        f"t.must_fail('pidfd_getfd', t.syscall('pidfd_open', {pid}, 0), {fd}, 0)" for pid in ("os.getppid()", "t.EXAMINER") for fd in (3, 4, 5)
    ], *[f"os.close(os.open(f'/proc/{{{pid}}}/fd/{fd}', os.O_RDWR)) or t.breach('a descriptor of another')" for pid in ("os.getppid()", "t.EXAMINER") for fd in (0, 3)],
        ends_run=True),
    calls("being traced", "to let another take it over", "t.syscall('prctl', 0x59616d61, -1, 0, 0, 0) and None", "t.syscall('ptrace', 0, 0, 0, 0) and None", "t.syscall('prctl', 4, 1, 0, 0, 0) and None"),
    # scheduling and limits of others
    calls("the parent's processors", "to slow down the parent (sched_setaffinity)", "os.sched_setaffinity(os.getppid(), {0}) or t.breach('affinity of the parent')",
          "os.sched_setaffinity(t.EXAMINER, {0}) or t.breach('affinity of the examiner')", "os.sched_setaffinity(t.BYSTANDER, {0})", quick=True),
    calls("the parent's priority", "to slow down the parent", *[f"os.setpriority(os.PRIO_PROCESS, {pid}, 19)" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")],
          *[f"os.sched_setscheduler({pid}, os.SCHED_IDLE, os.sched_param(0))" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")],
          "t.must_fail('ioprio_set', 1, os.getppid(), 3 << 13)", "t.must_fail('sched_setattr', os.getppid(), bytes([48, 0, 0, 0, 5]) + bytes(43), 0)"),
    calls("the parent's limits", "to have the parent's calls fail", *[
        f"resource.prlimit({pid}, resource.RLIMIT_NOFILE, (10, 10))" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")
    ], before="import resource"),
    calls("the parent's memory moved", "to slow down the parent", "t.must_be_refused('move_pages', os.getppid(), 0, 0, 0, 0, 0)", "t.must_be_refused('migrate_pages', os.getppid(), 0, 0, 0)",
          "t.must_be_refused('process_madvise', -1, 0, 0, 0, 0)", "t.must_be_refused('process_mrelease', -1, 0)", "t.must_be_refused('kcmp', os.getpid(), os.getppid(), 0, 0, 0)"),
    calls("scores of the out-of-memory killer", "to have another killed", *[f"open(f'/proc/{{{pid}}}/oom_score_adj', 'w').write('1000')" for pid in ("os.getppid()", "t.EXAMINER", "t.BYSTANDER")]),
    # namespaces and file systems
    calls("namespaces", "to be root in its own world", *[f"t.must_fail('unshare', {flag})" for flag in ("0x10000000", "0x20000", "0x40000000", "0x20000000", "0x8000000", "0x4000000", "0x2000000")],
          quick=True),
    calls("namespaces by clone", "to be root in its own world", "t.machine_code(code) > 0 and t.breach('clone with a user namespace')",
          before="""
        import struct
        # mov edi, CLONE_NEWUSER | SIGCHLD; xor esi, edx, r10d, r8d; mov eax, 56 (clone); syscall; test eax; jnz ret; exit(0)
        code = bytes.fromhex("bf11000010 31f6 31d2 4531d2 4531c0 b838000000 0f05 85c0 7509 31ff b83c000000 0f05 4898 c3".replace(" ", ""))
        """),
    calls("others' namespaces", "to see what the examiner sees", *[f"t.must_fail('setns', os.open(f'/proc/{{{pid}}}/ns/{kind}', os.O_RDONLY), 0)" for pid in ("t.EXAMINER", "1") for kind in ("mnt", "net")],
          "t.must_fail('setns', t.syscall('pidfd_open', t.EXAMINER, 0), 0x20000)"),
    calls("mounts", "to see other files", "t.must_fail('mount', b'none', t.FOLDER.encode(), b'tmpfs', 0, 0)", "t.must_fail('mount', t.CLASS.encode(), b'/usr/lib', 0, 4096, 0)",
          "t.must_fail('umount2', b'/proc', 2)", "t.must_fail('pivot_root', b'/', b'/')", ends_run=True),
    calls("the new calls for mounts", "to see other files by calls that few know", "t.must_be_refused('open_tree', -100, b'/', 1)", "t.must_be_refused('fsopen', b'tmpfs', 0)",
          "t.must_be_refused('move_mount', -1, b'', -1, b'', 0)", "t.must_be_refused('mount_setattr', -1, b'', 0, 0, 0)"),
    calls("the new calls about mounts", "to learn what is mounted", "t.must_be_refused('statmount', 0, 0, 0, 0)", "t.must_be_refused('listmount', 0, 0, 0, 0)", "t.must_be_refused('quotactl', 0, 0, 0, 0)"),
    # other ABIs
    hostile("x32 system calls", "to get past a filter by numbers of another ABI", """
        import errno
        for number in (39, 2, 101, 57):
            def call():
                try:
                    t.syscall(0x40000000 | number, 0, 0, 0, 0)
                except OSError as error:
                    if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS): t.breach(f"x32 {number}: {error}")
                    raise
                t.breach(f"x32 {number}")
            t.each(call)
        """, outcome=STOPPED),
    hostile("int 0x80", "to get past a filter by system calls of 32 bits", """
        # mov eax, 20 (getpid); int 0x80; cdqe; ret
        found = t.machine_code(bytes.fromhex("b814000000cd804898c3"))
        import os
        if found == os.getpid(): t.breach("int 0x80 is answered")
        """, outcome=(PASSED, CRASHED), quick=True),
    hostile("int 0x80, a file", "to open by system calls of 32 bits", """
        import ctypes, mmap, os, struct
        # the path in the low 4 GB, for a pointer of 32 bits
        libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
        low = libc.mmap(ctypes.c_void_p(0x10000000), 4096, 3, 0x32, -1, 0)
        ctypes.memmove(0x10000000, t.SECRET_FILE.encode() + b"\\0", len(t.SECRET_FILE) + 1)
        # mov eax, 5 (open); mov ebx, path; xor ecx, ecx; int 0x80; cdqe; ret
        fd = t.machine_code(bytes.fromhex("b805000000bb0000001031c9cd804898c3"))
        if fd >= 0: t.breach("opened by int 0x80"); t.loot(os.read(fd, 1000))
        """, outcome=(PASSED, CRASHED)),
    hostile("system calls of its own machine code", "to get past whoever looks at Python and libc", """
        import ctypes, os
        path = ctypes.create_string_buffer(t.SECRET_FILE.encode())
        # mov eax, 2 (open); movabs rdi, path; xor esi, esi; syscall; ret
        fd = t.machine_code(b"\\xb8\\x02\\0\\0\\0\\x48\\xbf" + ctypes.addressof(path).to_bytes(8, "little") + b"\\x31\\xf6\\x0f\\x05\\xc3")
        if fd >= 0: t.loot(os.read(fd, 1000))
        """, outcome=(PASSED, CRASHED)),
    # rights
    calls("another user", "to be root, or another student", *[f"t.syscall('{name}', {args}) == 0 and os.getuid() != before and t.breach('{name}')" for name, args in (
        ("setuid", "0"), ("setuid", "12345"), ("setresuid", "0, 0, 0"), ("setgid", "0"))], "os.setgroups([0, 4, 27]) or t.breach('setgroups')", "os.initgroups('root', 0) or t.breach('initgroups')",
          before="import os\nbefore = os.getuid()"),
    calls("capabilities", "to have rights of root", "t.must_fail('capset', header, data)", "t.must_fail('prctl', 47, 2, 21, 0, 0)", "t.must_fail('prctl', 28, 0x2f, 0, 0, 0)",
          before="import struct\nheader = struct.pack('<Ii', 0x20080522, 0)\ndata = struct.pack('<IIIIII', *[0xffffffff] * 6)"),
    calls("programs that are root", "to be root by a setuid program", *[f"os.execv('{path}', ['{path}', '-c', 'id'])" for path in ("/bin/su", "/usr/bin/passwd", "/usr/bin/mount")],
          "t.must_fail('execveat', -100, b'/bin/su', 0, 0, 0)"),
    calls("a program of its own in memory", "to run what is on no disk", "os.execve(t.syscall('memfd_create', b'x', 0), ['x'], {})", "t.must_fail('execveat', 1, b'', 0, 0, 0x1000)"),
    calls("a changed personality", "to have addresses be the same for all", "t.must_be_refused('personality', 0x0040000)"),
    calls("changes of its own layers", "to undo the layers", "t.must_fail('seccomp', 0, 0, 0)", "t.must_fail('prctl', 22, 0, 0, 0, 0)", "t.must_be_refused('seccomp', 1, 8, program)",
          before="program = bytes(16)"),
    calls("prctl, everything", "to change what the process is", *[f"t.must_fail('prctl', {op}, 0, 0, 0, 0)" for op in ("35", "36", "41", "59", "62")]),
    # kernel interfaces
    calls("io_uring", "to have the kernel open files past seccomp", "t.must_be_refused('io_uring_setup', 8, bytes(120))", "t.must_be_refused('io_setup', 8, bytes(8))", quick=True),
    calls("keys", "to read and leave keys", "t.must_be_refused('add_key', b'user', t.MARK.encode(), b'x', 1, -3)", "t.must_be_refused('keyctl', 0, -3, 0)", "t.must_be_refused('request_key', b'user', b'x', 0, 0)"),
    calls("bpf", "to load programs into the kernel", "t.must_be_refused('bpf', 0, bytes(128), 128)"),
    calls("perf events", "to watch others by counters", "t.must_be_refused('perf_event_open', bytes([0] * 4 + [112, 0, 0, 0]) + bytes(112), 0, -1, -1, 0)"),
    calls("userfaultfd", "to stop the kernel in the middle", "t.must_be_refused('userfaultfd', 0)"),
    calls("watching files", "to see what others do", "t.must_be_refused('fanotify_init', 0, 0)", "t.must_be_refused('inotify_init1', 0)"),
    calls("modules of the kernel", "to be the kernel", "t.must_be_refused('init_module', 0, 0, b'')", "t.must_be_refused('finit_module', -1, b'', 0)", "t.must_be_refused('delete_module', b'x', 0)",
          "t.must_be_refused('kexec_load', 0, 0, 0, 0)", ends_run=True),
    calls("ports and tables of the processor", "to be the kernel", "t.must_be_refused('iopl', 3)", "t.must_be_refused('ioperm', 0, 1, 1)", "t.must_be_refused('modify_ldt', 0, 0, 0)"),
    calls("the clock", "to change the machine's time", "t.must_be_refused('clock_settime', 99, 0)", "t.must_be_refused('settimeofday', 0, 0)", "t.must_be_refused('adjtimex', 0)", ends_run=True),
    calls("the machine", "to change the machine", "t.must_fail('sethostname', b'owned', 5)", "t.must_be_refused('swapon', b'/x', 0)", "t.must_be_refused('acct', 0)", "t.must_be_refused('vhangup')",
          ends_run=True),
    calls("files of the kernel", "to have the kernel run a program", *[f"os.close(os.open('{path}', os.O_WRONLY)) or t.breach('{path} may be written')" for path in (
        "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper", "/proc/self/uid_map", "/proc/1/mem",
        "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs", "/dev/kmsg", "/dev/mem", "/proc/self/attr/current")], ends_run=True),
    hostile("terminals", "to type into the instructor's terminal (TIOCSTI)", """
        import fcntl, os
        for fd in (0, 1, 2):
            t.each(lambda: fcntl.ioctl(fd, 0x5412, b"x") and None, lambda: fcntl.ioctl(fd, 0x540e, 0) and None)
        t.each(lambda: os.open("/dev/tty", os.O_RDWR) and t.breach("/dev/tty"), lambda: os.openpty() and t.breach("a terminal of its own"),
               lambda: os.open("/dev/ptmx", os.O_RDWR) and t.breach("/dev/ptmx"))
        """, outcome=STOPPED),
    hostile("old and rare calls", "to reach code of the kernel that few use", """
        for name in ("lookup_dcookie", "sysfs", "ustat", "uselib", "nfsservctl", "quotactl", "set_mempolicy", "name_to_handle_at", "mknodat", "get_robust_list"):
            if t.number(name) >= 0 and name != "get_robust_list": t.each(lambda: t.must_be_refused(name, 0, 0, 0, 0))
        """, outcome=STOPPED),
    hostile("every number of a system call", "to find one that was forgotten", """
        import errno
        # of all numbers that this kernel may know: none beyond those that Python and torch need is answered
        known = set(t._NUMBERS[name][0] for name in t._NUMBERS)
        for number in [*range(425, 475), *range(303, 335), 134, 136, 139, 153, 155, 163, 169, 172, 173, 174, 175, 176, 179, 180, 212, 250]:
            if number in (309, 318, 324, 332, 334, 435, 436, 439, 441, 449): continue   # getcpu, getrandom, membarrier, statx, rseq, clone3, close_range, faccessat2, epoll_pwait2, futex_waitv
            try:
                t.syscall(number, -1, -1, -1, -1)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS): continue
                t.breach(f"system call {number} looked at its arguments: {error}")
            else:
                t.breach(f"system call {number}")
        """, outcome=STOPPED, ends_run=True),
]  # fmt: skip
