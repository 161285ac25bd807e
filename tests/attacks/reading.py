"""Reading secrets: solutions, hidden checks, other students, environment, /proc, frames, heap, the course secret."""

from attacks.attack import STOPPED, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, PASSED = Outcome.CRASHED, Outcome.ERROR, Outcome.PASSED
_PATHS = "(t.SECRET_FILE, t.SOLUTIONS + '/layers.py', t.HIDDEN + '/test_layers.py', t.OTHER, t.RECORDS + '/other.json')"

ATTACKS: list[Attack] = [
    hostile("a secret file", "to read the course's secret", "t.each(lambda: t.read(t.SECRET_FILE))", quick=True),
    hostile("a secret file at import", "to read before the examination",
            at_import="t.each(lambda: t.read(t.SECRET_FILE))"),
    hostile("the solutions", "to read the solutions", "t.each(lambda: t.read(t.SOLUTIONS + '/layers.py'))", quick=True),
    hostile("the hidden checks", "to read what is asked", "t.each(lambda: t.read(t.HIDDEN + '/test_layers.py'))"),
    hostile("the known mistakes", "to read what is asked", "t.each(lambda: t.read(t.KIT + '/grader/instructor/mistakes.py'))"),
    hostile("another student's submission", "to copy it", "t.each(lambda: t.read(t.OTHER))"),
    hostile("a record", "to read another's grade", "t.each(lambda: t.read(t.RECORDS + '/other.json'))"),
    hostile("names of folders", "to learn who is in the class", "import os\nt.each(lambda: os.listdir(t.CLASS), lambda: os.listdir(t.RECORDS), lambda: [e.name for e in os.scandir(t.CLASS)])"),
    hostile("names by glob and walk", "to learn who is in the class",
            "import glob, os, pathlib\nt.each(lambda: glob.glob(t.CLASS + '/*'), lambda: list(pathlib.Path(t.CLASS).iterdir()), lambda: list(os.walk(t.CLASS)))"),
    hostile("a path by detours", "to lead a path rule astray", f"""
        import os
        for path in {_PATHS}:
            t.each(lambda: t.read("/usr/lib/../.." + path), lambda: t.read("/proc/self/root" + path), lambda: t.read("//" + path),
                   lambda: t.read("/proc/self/cwd/" + path.lstrip("/")), lambda: t.read(os.__file__ + "/../../../../../../.." + path),
                   lambda: t.read("/dev/fd/../../.." + path))
        """),
    hostile("a path by a folder's descriptor", "to lead a path rule astray", """
        import os
        def read():
            folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
            return os.read(os.open(t.SECRET_FILE.lstrip("/"), os.O_RDONLY, dir_fd=folder), 1000)
        def by_path_only():
            fd = os.open(t.SECRET_FILE, os.O_PATH)
            return t.read(f"/proc/self/fd/{fd}")
        t.each(read, by_path_only)
        """),
    hostile("another working folder", "to lead a path rule astray", """
        import os
        t.each(lambda: os.chdir(t.CLASS + "/.."), lambda: t.read("secret.txt"), lambda: t.read("class/other/layers.py"))
        """),
    hostile("openat2 and handles", "to open by system calls that a rule forgot", """
        import ctypes, os
        def openat2():
            how = (ctypes.c_uint64 * 3)(0, 0, 0)
            return os.read(t.syscall("openat2", -100, t.SECRET_FILE.encode(), how, 24), 1000)
        def by_handle():
            handle = ctypes.create_string_buffer(bytes([128, 0, 0, 0]) + bytes(132))
            mount = ctypes.c_int()
            t.syscall("name_to_handle_at", -100, t.SECRET_FILE.encode(), handle, ctypes.byref(mount), 0)
            root = os.open("/", os.O_RDONLY)
            return os.read(t.syscall("open_by_handle_at", root, handle, 0), 1000)
        t.each(openat2, by_handle)
        """, outcome=STOPPED),
    hostile("readers written in C", "to open past Python", f"""
        import ctypes, mmap
        import numpy
        libc = ctypes.CDLL(None, use_errno=True)
        def by_stdio(path):
            libc.fopen.restype = ctypes.c_void_p
            file = libc.fopen(path.encode(), b"r")
            if not file: raise OSError("fopen")
            space = ctypes.create_string_buffer(1000)
            libc.fgets(space, 1000, ctypes.c_void_p(file))
            return space.value
        for path in {_PATHS}:
            t.each(lambda: by_stdio(path), lambda: numpy.fromfile(path, dtype="uint8", count=200).tobytes(),
                   lambda: bytes(numpy.memmap(path, dtype="uint8", mode="r", shape=20)),
                   lambda: bytes(torch.from_file(path, size=60, dtype=torch.uint8).tolist()),
                   lambda: torch.load(path), lambda: torch.jit.load(path))
        """, outcome=STOPPED),
    hostile("readers of the standard library", "to open past `open`", f"""
        import importlib.util, io, linecache, runpy, shutil, sqlite3, tokenize, zipfile
        def by_spec(path):
            spec = importlib.util.spec_from_file_location("stolen", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return spec.loader.get_source("stolen")
        for path in {_PATHS}:
            t.each(lambda: io.FileIO(path).read(1000), lambda: linecache.getline(path, 1), lambda: tokenize.open(path).read(1000),
                   lambda: runpy.run_path(path).keys() and None, lambda: by_spec(path), lambda: shutil.copy(path, "/dev/stdout") and None,
                   lambda: io.open_code(path).read(1000), lambda: sqlite3.connect(path).execute("select 1") and None)
        """, outcome=STOPPED),
    hostile("another program that reads", "to read by `cat`", """
        import ctypes, os, subprocess
        t.each(lambda: subprocess.run(["cat", t.SECRET_FILE], capture_output=True).stdout, lambda: os.popen("cat " + t.SECRET_FILE).read(),
               lambda: ctypes.CDLL(None).system(b"cat " + t.SECRET_FILE.encode()) and None)
        """, outcome=STOPPED),
    hostile("copies in the kernel", "to move bytes that it may not read", """
        import os
        t.each(lambda: os.sendfile(1, os.open(t.SECRET_FILE, os.O_RDONLY), 0, 1000) and None,
               lambda: os.link(t.SECRET_FILE, t.FOLDER + "/" + t.MARK), lambda: os.symlink(t.SECRET_FILE, t.FOLDER + "/" + t.MARK + "s"),
               lambda: os.rename(t.SECRET_FILE, t.FOLDER + "/" + t.MARK + "r"))
        """),
    hostile("the kit's modules", "to import what judges it", """
        for name in ("solutions.layers", "grader.instructor.mistakes", "grader.instructor.checks.test_layers", "grader.examine",
                     "grader.checking", "grader.reference", "grader.checks.public.test_layers", "tests.mutants", "conftest"):
            try:
                __import__(name)
            except ImportError:
                continue
            t.breach("imported " + name)
        """),
    hostile("the kit's modules by a path", "to import what judges it", """
        import sys
        sys.path[:0] = [t.KIT, t.SOLUTIONS, t.KIT + "/grader"]
        sys.path_importer_cache.clear()
        for name in ("solutions", "checking", "examine", "datasets"):
            try:
                found = __import__(name)
            except Exception:
                continue
            if t.KIT in str(getattr(found, "__file__", "")) and name != "datasets": t.breach("imported " + name)
        """),
    hostile("its environment", "to read secrets from the environment", """
        import ctypes, os
        libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p
        t.each(lambda: dict(os.environ), lambda: libc.getenv(b"GRADE_COURSE_SECRET"), lambda: t.read("/proc/self/environ"))
        """),
    hostile("others' environments", "to read secrets from the environment", """
        import os
        t.each(*[lambda p=p: t.read(f"/proc/{p}/environ", 100_000) for p in (t.EXAMINER, os.getppid(), t.BYSTANDER, 1)])
        """, quick=True),
    hostile("others' command lines", "to read secrets from arguments", """
        import os
        t.each(*[lambda p=p: t.read(f"/proc/{p}/cmdline", 100_000) for p in (t.EXAMINER, t.BYSTANDER, 1)],
               lambda: [open(f"/proc/{p}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()])
        """),
    hostile("others' files by /proc", "to read through another's eyes", """
        import os
        for p in (t.EXAMINER, os.getppid(), t.BYSTANDER, 1):
            t.each(lambda: t.read(f"/proc/{p}/root{t.SECRET_FILE}"), lambda: t.read(f"/proc/{p}/cwd/secret.txt"),
                   lambda: [os.readlink(f"/proc/{p}/fd/{n}") for n in os.listdir(f"/proc/{p}/fd")] and None)
        """),
    hostile("others' links in /proc", "to learn who is graded from what others have open", """
        import os
        for p in (t.EXAMINER, os.getppid(), t.BYSTANDER):
            for name in ("exe", "cwd", "root", *(f"fd/{n}" for n in range(64))):
                try:
                    t.breach(f"/proc/{p}/{name} is {os.readlink(f'/proc/{p}/{name}')}")
                except OSError:
                    pass
        """),
    hostile("others' memory by /proc", "to read the course's secret from the examiner's heap", """
        import os, re
        def scan(pid):
            found = b""
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
                for line in maps:
                    address, access, *rest = line.split()
                    start, end = (int(part, 16) for part in address.split("-"))
                    if access.startswith("rw") and end - start < 1 << 27:
                        memory.seek(start)
                        try:
                            found += b" ".join(set(re.findall(rb"CANARY-[a-z]+-[0-9a-f]{8,}", memory.read(end - start))))
                        except OSError:
                            pass
            return found[:5000]
        t.each(*[lambda p=p: scan(p) for p in (t.EXAMINER, t.BYSTANDER, os.getppid())])
        """, outcome=STOPPED),
    hostile("its own memory", "to find what the worker was forked with", "t.each(t.search_memory)", outcome=STOPPED),
    hostile("its own objects", "to find what the worker was forked with", """
        import gc, sys
        kinds = {type(o).__name__ for o in gc.get_objects()}
        for name in ("LiveReference", "Agree", "CheckInfo", "CheckResult", "Examination", "Report", "Examiner"):
            if name in kinds: t.breach("an object of " + name)
        t.each(lambda: [o for o in gc.get_objects() if isinstance(o, str) and "CANARY-" in o] or None)
        gc.unfreeze()
        t.each(lambda: [str(o) for o in gc.get_objects() if isinstance(o, (list, dict)) and "CANARY-" in str(list(o)[:50])][:5] or None)
        for name, module in list(sys.modules.items()):
            if name.startswith(("solutions", "grader.instructor", "grader.check", "_pytest", "pytest")): t.breach("the module " + name)
        """, outcome=STOPPED),
    hostile("frames", "to take the wanted answer from whoever calls", """
        import sys
        frame = sys._getframe()
        while frame is not None:
            for name, value in list(frame.f_locals.items()):
                if name in ("wanted", "expected", "reference", "solutions", "secret", "check_id", "seed"):
                    t.breach(f"{name} in a frame of {frame.f_code.co_name}")
            frame = frame.f_back
        """, quick=True),
    hostile("a traceback's frames", "to take the wanted answer from whoever calls", """
        try:
            raise ValueError
        except ValueError as error:
            frame = error.__traceback__.tb_frame
        while frame:
            if "grader/" in frame.f_code.co_filename and "worker" not in frame.f_code.co_filename: t.breach(frame.f_code.co_filename)
            frame = frame.f_back
        """),
    hostile("descriptors", "to read from what was left open", """
        import os
        for fd in range(3, 4096):
            try:
                where = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                where = "?"
            try:
                os.fstat(fd)
            except OSError:
                continue
            if not where.startswith(("socket:", "?")): t.breach(f"descriptor {fd} is {where}")
            t.each(lambda: os.pread(fd, 4000, 0))
        """),
    hostile("the system's files", "to read passwords and logs", """
        for path in ("/etc/shadow", "/etc/passwd", "/etc/hostname", "/root/.bash_history", "/root/.ssh/id_rsa", "/var/log/dpkg.log", "/proc/kcore",
                     "/proc/kallsyms", "/proc/keys", "/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/sda", "/proc/1/status", "/proc/net/tcp", "/proc/mounts"):
            try:
                data = t.read(path, 64)
            except OSError:
                continue
            if data: t.breach("read " + path)
        """),
    hostile("the kernel's log", "to read the machine's log", "import ctypes\nt.each(lambda: t.must_fail('syslog', 3, ctypes.create_string_buffer(1000), 1000))",
            outcome=STOPPED),
    hostile("a change of root", "to see other files", """
        import os
        t.each(lambda: os.chroot(t.CLASS), lambda: t.read("/other/layers.py"))
        """, outcome=STOPPED),
    hostile("the public recordings", "to read what is expected", """
        import os
        t.each(lambda: t.read(t.KIT + "/grader/checks/other.npz"), lambda: os.listdir(t.KIT + "/grader/checks"),
               lambda: torch.load(t.KIT + "/grader/checks/other.npz"))
        """),
    hostile("a secret told by an exception", "to get it out in a message", "raise ValueError(t.read(t.SECRET_FILE))", outcome=ERROR),
    hostile("a secret told by a result", "to get it out in a result", "return t.read(t.SECRET_FILE).decode()",
            outcome=(ERROR, Outcome.FAILED)),
    hostile("a secret told by a name", "to get it out in a type's name",
            "return type(t.read(t.SECRET_FILE).decode().strip(), (), {})()", outcome=(ERROR, Outcome.FAILED)),
]  # fmt: skip
