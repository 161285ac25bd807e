"""Memory, disk and output: to fill the machine or the record."""

from attacks.attack import SHORT, STOPPED, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, TIMEOUT, MEMORY = Outcome.CRASHED, Outcome.ERROR, Outcome.TIMEOUT, Outcome.MEMORY
PASSED, FAILED = Outcome.PASSED, Outcome.FAILED

ATTACKS: list[Attack] = [
    hostile("a tensor of 4 TB", "to take all memory", "torch.zeros(2 ** 40)", outcome=MEMORY, quick=True),
    hostile("a list of bytes", "to take all memory", "x = [bytes(10 ** 8) for _ in range(100)]", outcome=MEMORY),
    hostile("many tensors", "to take all memory", "kept = [torch.ones(25_000_000) for _ in range(100)]", outcome=MEMORY),
    hostile("memory at import", "to take all memory", at_import="x = [bytes(10 ** 8) for _ in range(100)]",
            also={"relu": MEMORY, "elu": MEMORY}),
    hostile("a mapping of 1 TB", "to take all memory", "import mmap; mmap.mmap(-1, 1 << 40)", outcome=(MEMORY, ERROR)),
    hostile("a huge text", "to take all memory", "'spam' * 10 ** 10", outcome=MEMORY),
    hostile("a doubling dict", "to take all memory", "d = {}\nwhile True: d[len(d)] = bytes(1 << 20)", outcome=MEMORY),
    hostile("memory in a file of memory", "to have more memory than its limit", """
        def fill():
            fd = t.syscall("memfd_create", b"x", 0)
            t.breach("memfd_create")
        t.each(fill)
        """, outcome=STOPPED, quick=True),
    hostile("secret memory", "to have memory that is not counted", "t.each(lambda: t.must_fail('memfd_secret', 0))", outcome=STOPPED),
    hostile("System V memory", "to leave memory behind for good", "t.each(lambda: t.must_fail('shmget', 0x7777, 1 << 20, 0o1666))",
            outcome=STOPPED),
    hostile("System V semaphores and queues", "to leave kernel objects behind", """
        t.each(lambda: t.must_fail('semget', 0x7777, 10, 0o1666), lambda: t.must_fail('msgget', 0x7777, 0o1666))
        """, outcome=STOPPED),
    hostile("a POSIX queue", "to leave kernel objects behind", "t.each(lambda: t.must_fail('mq_open', t.MARK.encode(), 0o102, 0o666, 0))",
            outcome=STOPPED),
    hostile("shared memory", "to leave files in /dev/shm", "t.each(lambda: t.plant('/dev/shm'))"),
    hostile("shared memory of Python", "to leave files in /dev/shm", """
        from multiprocessing import shared_memory
        def leave():
            shared_memory.SharedMemory(name=t.MARK, create=True, size=1 << 24)
            t.breach("shared memory was made")
        t.each(leave)
        """, outcome=STOPPED),
    hostile("a tensor in shared memory", "to leave files in /dev/shm", "t.each(lambda: torch.ones(1000).share_memory_())", outcome=STOPPED),
    hostile("locked memory", "to keep others' memory out", "t.each(lambda: t.must_fail('mlockall', 3))", outcome=STOPPED),
    hostile("a file", "to leave files behind", "t.each(lambda: t.plant(t.FOLDER), lambda: t.plant('/tmp'), lambda: t.plant('/var/tmp'))",
            quick=True),
    hostile("files everywhere", "to leave files behind",
            "import os\nt.each(*[lambda d=d: t.plant(d) for d in ('/', '/root', '/home', '/etc', '/run', '/dev', os.getcwd(), t.KIT)])",
            ends_run=True),
    hostile("a file in the libraries", "to be run by every later Python", """
        t.each(lambda: t.plant(t.LIBRARIES), lambda: t.plant(t.PACKAGES), lambda: t.plant(torch.__path__[0]))
        """, ends_run=True),
    hostile("a big file", "to fill the disk", "t.each(lambda: t.plant(t.FOLDER, bytes(2 * 10 ** 9 // 4)))", outcome=STOPPED),
    hostile("many files", "to use up the disk's inodes", """
        import os
        def many():
            for i in range(2000):
                open(os.path.join(t.FOLDER, f"{t.MARK}{i}"), "w").close()
            t.breach("2,000 files")
        t.each(many)
        """),
    hostile("deep folders", "to make cleaning up fail", """
        import os
        def deep():
            os.chdir(t.FOLDER)
            for i in range(500):
                os.mkdir("d"); os.chdir("d")
            t.breach("500 folders in each other")
        t.each(deep)
        """),
    hostile("a FIFO and a device", "to make whoever reads it hang", """
        import os
        t.each(lambda: os.mkfifo(os.path.join(t.FOLDER, t.MARK)), lambda: os.mknod(os.path.join(t.FOLDER, t.MARK + "d"), 0o20666, 261))
        """),
    hostile("a link", "to lead whoever writes elsewhere", """
        import os
        t.each(lambda: os.symlink("/etc/passwd", os.path.join(t.FOLDER, t.MARK)),
               lambda: os.link(t.SECRET_FILE, os.path.join(t.FOLDER, t.MARK + "h")))
        """),
    hostile("the secret made longer", "to change a file that is not its own", """
        import os
        t.each(lambda: open(t.SECRET_FILE, "a").write("x"), lambda: os.truncate(t.SECRET_FILE, 0),
               lambda: t.syscall("truncate", t.SECRET_FILE.encode(), 0))
        """),
    hostile("files removed", "to remove what is not its own", """
        import os, shutil
        t.each(lambda: os.unlink(t.SECRET_FILE), lambda: shutil.rmtree(t.RECORDS), lambda: os.rename(t.OTHER, t.OTHER + "x"))
        """, quick=True),
    hostile("rights taken away", "to make cleaning up fail (chmod is not Landlock's)", """
        import os
        t.each(lambda: os.chmod(t.FOLDER, 0), lambda: os.chmod(t.SECRET_FILE, 0o777), lambda: os.lchown(t.OTHER, 1, 1),
               lambda: os.chmod(os.getcwd(), 0), lambda: t.syscall("fchmodat2", -100, t.SECRET_FILE.encode(), 0o777, 0))
        """, ends_run=True),
    hostile("times and attributes changed", "to change what tells a file's age (utime is not Landlock's)", """
        import os
        t.each(lambda: os.utime(t.SECRET_FILE, (1, 1)), lambda: os.utime(t.OTHER),
               lambda: os.setxattr(t.SECRET_FILE, "user.x", b"1"))
        """),
    hostile("500 MB of output", "to fill the record, and the examiner's time", """
        import os
        block = b"spam " * 200_000
        for _ in range(500): os.write(1, block)
        """, outcome=(PASSED, TIMEOUT)),
    hostile("endless output", "to fill the record for ever", "import os\nwhile True: os.write(2, b'spam' * 10_000)", outcome=TIMEOUT, limits=SHORT),
    hostile("rubbish as output", "to break the record", """
        import os
        os.write(1, bytes(range(256)) * 20 + b"\\x1b]0;owned\\x07\\x1b[2J\\0\\xff\\xfe" + "\\u202e</script>".encode())
        print("\\ud800\\0\\x1b[31m")
        """, quick=True),
    hostile("a stream that hangs", "to hang where the worker flushes it", """
        import sys
        class Stream:
            def write(self, text): return 0
            def flush(self):
                while True: pass
        sys.stdout = Stream()
        """, outcome=TIMEOUT, limits=SHORT),
    hostile("no streams", "to break the worker's flush", "import sys; sys.stdout = sys.stderr = None"),
    hostile("streams closed", "to break the worker's flush", "import sys; sys.stdout.close(); sys.stderr.close()"),
    hostile("a bomb of processes", "to take all processes of the machine", """
        import os
        def bomb():
            for _ in range(100):
                if os.fork() == 0:
                    import time
                    time.sleep(60)
            t.breach("100 forks")
        t.each(bomb)
        """, outcome=STOPPED, ends_run=True, quick=True),
    hostile("a bomb of threads", "to take all processes of the machine", """
        import threading, time
        def bomb():
            for _ in range(5000):
                threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        t.each(bomb)
        """, outcome=STOPPED),
    hostile("a bomb of descriptors", "to use up the machine's files", """
        import os
        def bomb():
            kept = [os.pipe() for _ in range(5000)]
            t.breach("10,000 descriptors")
        t.each(bomb)
        """, outcome=STOPPED),
    hostile("large pipes", "to fill kernel memory", """
        import fcntl, os
        def fill():
            for _ in range(20):
                _, end = os.pipe()
                if fcntl.fcntl(end, 1031, 1 << 20) >= 1 << 20: t.breach("a pipe of 1 MB"); break
        t.each(fill)
        """, outcome=STOPPED),
    hostile("a list of a million", "to fill the message", "return [0] * 1_000_000", outcome=ERROR),
    hostile("a deep list", "to fill the message", "l = []\nfor _ in range(1000): l = [l]\nreturn l", outcome=ERROR),
    hostile("a tensor of 300 MB", "to fill the message", "return torch.zeros(75_000_000)", outcome=FAILED),
    hostile("a hundred tensors of 40 MB", "to fill the message", "return [torch.zeros(10_000_000)] * 100", outcome=FAILED),
    hostile("a text of 100 MB", "to fill the message", "return 'x' * 100_000_000", outcome=FAILED),
    hostile("warnings without end", "to fill the record", """
        import warnings
        warnings.simplefilter("always")
        for i in range(20_000): warnings.warn("spam")
        """),
    hostile("priority for itself", "to starve the others", """
        import os
        t.each(lambda: os.setpriority(os.PRIO_PROCESS, 0, -20) or t.breach("priority"),
               lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or t.breach("real time"),
               lambda: open("/proc/self/oom_score_adj", "w").write("-1000") and t.breach("never killed"))
        """),
    hostile("limits lifted", "to have more than its limits", """
        import resource
        def lift(kind):
            soft, hard = resource.getrlimit(kind)
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if hard != resource.RLIM_INFINITY: t.breach(f"limit {kind} lifted from {hard}")
        t.each(*[lambda k=k: lift(k) for k in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)])
        """),
]  # fmt: skip
