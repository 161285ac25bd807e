"""Ending and hanging: the process, the examination, the machine."""

from attacks.attack import SHORT, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, TIMEOUT, MEMORY = Outcome.CRASHED, Outcome.ERROR, Outcome.TIMEOUT, Outcome.MEMORY
PASSED, FAILED, MISSING = Outcome.PASSED, Outcome.FAILED, Outcome.MISSING

_AT_IMPORT = dict.fromkeys(("relu", "elu"))


def _import(outcome: Outcome) -> dict[str, Outcome]:
    return dict.fromkeys(_AT_IMPORT, outcome)


ATTACKS: list[Attack] = [
    hostile("os._exit(0)", "to end with success before it is judged", "import os; os._exit(0)", outcome=CRASHED, quick=True),
    hostile("sys.exit(0)", "to end with success", "import sys; sys.exit(0)", outcome=ERROR),
    hostile("SystemExit at import", "to end before there is a check", at_import="raise SystemExit(0)", also=_import(ERROR)),
    hostile("os._exit at import", "to end before there is a check", at_import="import os; os._exit(0)", also=_import(CRASHED)),
    hostile("a segmentation fault", "to crash what calls it", "import ctypes; ctypes.string_at(0)", outcome=CRASHED),
    hostile("abort", "to crash what calls it", "import ctypes; ctypes.CDLL(None).abort()", outcome=CRASHED),
    hostile("an illegal instruction", "to crash what calls it", "t.machine_code(b'\\x0f\\x0b' * 8)", outcome=CRASHED),
    hostile("a loop", "to hang", "while True: pass", outcome=TIMEOUT, limits=SHORT, quick=True),
    hostile("a loop at import", "to hang", at_import="while True: pass", also=_import(TIMEOUT), limits=SHORT),
    hostile("sleep", "to hang", "import time; time.sleep(600)", outcome=TIMEOUT, limits=SHORT),
    hostile("a deadlock", "to hang", "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
            outcome=TIMEOUT, limits=SHORT),
    hostile("a regular expression", "to hang in C, holding the interpreter's lock",
            "import re; re.match('(a+)+$', 'a' * 64 + 'b')", outcome=TIMEOUT, limits=SHORT),
    hostile("a huge power", "to hang in C", "10 ** 10 ** 9", outcome=(TIMEOUT, MEMORY), limits=SHORT),
    hostile("all signals ignored", "to hang and not be ended", """
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True: pass
        """, outcome=TIMEOUT, limits=SHORT),
    hostile("SIGKILL to itself", "to die of no fault of its own", "import os; os.kill(os.getpid(), 9)", outcome=(CRASHED, ERROR)),
    hostile("SIGSTOP to itself", "to hang", "import os; os.kill(os.getpid(), 19)", outcome=(TIMEOUT, ERROR), limits=SHORT),
    hostile("SIGALRM", "to die later", "import signal, time; signal.alarm(1); time.sleep(3)", outcome=(CRASHED, ERROR, PASSED)),
    hostile("the channel closed", "to leave the examiner waiting", "import os; os.closerange(3, 1000)", outcome=CRASHED),
    hostile("the channel closed and a loop", "to leave the examiner waiting", "import os; os.closerange(3, 1000)\nwhile True: pass",
            outcome=(CRASHED, TIMEOUT), limits=SHORT),
    hostile("endless recursion", "to overflow the stack", "return relu(x)", outcome=ERROR),
    hostile("endless recursion without a limit", "to overflow the stack",
            "import sys; sys.setrecursionlimit(10 ** 9)\nreturn relu(x)", outcome=(CRASHED, MEMORY, ERROR, TIMEOUT), limits=SHORT),
    hostile("recursion in C", "to overflow the stack of C", """
        import sys
        sys.setrecursionlimit(10 ** 9)
        nested = []
        for _ in range(10 ** 6): nested = [nested]
        repr(nested)
        """, outcome=(CRASHED, MEMORY, ERROR)),
    hostile("KeyboardInterrupt", "to end the batch as Ctrl-C does", "raise KeyboardInterrupt", outcome=ERROR),
    hostile("GeneratorExit", "to slip through `except Exception`", "raise GeneratorExit", outcome=ERROR),
    hostile("StopIteration", "to end a loop of the caller's", "raise StopIteration", outcome=ERROR),
    hostile("a skip", "to be skipped rather than judged", "import unittest; raise unittest.SkipTest('skip me')", outcome=ERROR),
    hostile("a skip of pytest's", "to be skipped rather than judged", """
        class Skipped(BaseException): pass
        Skipped.__module__ = "builtins"
        raise Skipped("skip me")
        """, outcome=ERROR),
    hostile("an exception named passed", "to be taken for an outcome", "raise type('passed', (BaseException,), {})('passed')",
            outcome=ERROR),
    hostile("an exception with a broken text", "to make reporting it fail", """
        class Broken(Exception):
            def __str__(self): raise ValueError
            __repr__ = __str__
        raise Broken
        """, outcome=ERROR),
    hostile("an exception whose text exits", "to run code while it is reported", """
        import os
        class Exits(Exception):
            def __str__(self): os._exit(0)
        raise Exits
        """, outcome=CRASHED),
    hostile("an exception whose text hangs", "to hang while it is reported", """
        class Hangs(Exception):
            def __str__(self):
                while True: pass
        raise Hangs
        """, outcome=TIMEOUT, limits=SHORT),
    hostile("an exception of 100 MB", "to fill the report", "raise ValueError('spam ' * 20_000_000)", outcome=ERROR),
    hostile("an exception with a long name", "to fill the report", "raise type('E' * 1_000_000, (Exception,), {})('e')", outcome=ERROR),
    hostile("an exception with odd letters", "to break the report", "raise ValueError('\\x1b[2J\\0\\ud800 </script><b>&\\u202e')",
            outcome=ERROR, quick=True),
    hostile("an exception whose class lies", "to break the report", """
        class Meta(type):
            __name__ = property(lambda cls: 1 / 0)
            def __instancecheck__(cls, other): return True
        class E(Exception, metaclass=Meta): pass
        raise E("lies")
        """, outcome=(ERROR, CRASHED)),
    hostile("a traceback of 100,000 frames", "to fill the report", """
        import sys
        sys.setrecursionlimit(200_000)
        def deep(n):
            if n == 0: raise ValueError("deep")
            deep(n - 1)
        deep(100_000)
        """, outcome=(ERROR, MEMORY, CRASHED)),
    hostile("a cyclic cause", "to make reporting loop", """
        a, b = ValueError("a"), ValueError("b")
        a.__cause__ = a.__context__ = b
        b.__cause__ = b.__context__ = a
        raise a
        """, outcome=ERROR),
    hostile("a group of exceptions", "to break the report",
            "e = ValueError('x')\nfor _ in range(500): e = ExceptionGroup('g', [e])\nraise e", outcome=ERROR),
    hostile("a worker that forks and leaves", "to be two workers of which one answers",
            "import os\ntry:\n    pid = os.fork()\nexcept OSError:\n    pid = 0\nif pid: os._exit(0)",
            outcome=(PASSED, CRASHED)),
    hostile("another program in its place", "to become another program",
            "t.each(lambda: __import__('os').execv('/bin/sh', ['sh', '-c', 'echo ' + t.BREACH + ' executed']))",
            outcome=(PASSED, CRASHED), quick=True),
    hostile("slow, but in time", "to use up the examiner's time", "import time; time.sleep(1)",
            outcome=(PASSED, TIMEOUT), also={"elu": (PASSED, TIMEOUT), "Invert": (PASSED, TIMEOUT), "conv2d": (PASSED, TIMEOUT)},
            tasks=("relu", "elu", "Invert"), limits=SHORT),
    hostile("a destructor that hangs", "to hang when it is forgotten", """
        class Hangs:
            def __del__(self):
                while True: pass
        if "kept" not in globals():
            globals()["kept"] = Hangs()
        """),
    hostile("a destructor that hangs at once", "to hang when the result is sent", """
        class Hangs(torch.Tensor):
            def __del__(self):
                while True: pass
        return x.clamp(min=0).as_subclass(Hangs)
        """, outcome=(TIMEOUT, PASSED), limits=SHORT),
    hostile("a handler of exit that hangs", "to hang the end", "import atexit\natexit.register(lambda: [None for _ in iter(int, 1)])"),
    hostile("a stub that says it is one", "to be taken for a stub", "raise NotImplementedError", outcome=MISSING),
]  # fmt: skip
