"""Disturbing what comes after: the next task, the next submission, the worker's parent."""

from attacks.attack import STOPPED, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, FAILED, PASSED, TIMEOUT = (
    Outcome.CRASHED, Outcome.ERROR, Outcome.FAILED, Outcome.PASSED, Outcome.TIMEOUT
)  # fmt: skip


def left(name: str, call: str, **more: object) -> Attack:
    """Something left behind by a `relu` that is right."""
    more.setdefault("tasks", ("relu", "elu", "linear", "Invert", "train_epoch"))
    return hostile(name, "to change what the next task finds", call, **more)  # type: ignore[arg-type]


ATTACKS: list[Attack] = [
    left("the default dtype", "torch.set_default_dtype(torch.float64)", answer="return x.clamp(min=0).float()"),
    left("the default device", "torch.set_default_device('meta')", outcome=(PASSED, ERROR), quick=True),
    left("gradients off", "torch.set_grad_enabled(False)", outcome=(PASSED, FAILED), most={"relu": 1.0}),
    left("inference mode", "torch.autograd.grad_mode._enter_inference_mode(True)", outcome=(PASSED, FAILED, ERROR), most={"relu": 1.0}),
    left("threads of torch", "torch.set_num_threads(64)"),
    left("anomalies, determinism, precision", "torch.autograd.set_detect_anomaly(True); torch.use_deterministic_algorithms(True); torch.set_float32_matmul_precision('medium')"),
    left("a mode for all functions", """
        from torch.overrides import TorchFunctionMode
        class Wrong(TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None): return func(*args, **(kwargs or {}))
        Wrong().__enter__()
        """),
    left("autocast", "torch.autocast('cpu', dtype=torch.bfloat16).__enter__()"),
    left("torch's functions", "torch.Tensor.sum = torch.Tensor.clamp = torch.where = torch.exp = torch.einsum = lambda *a, **k: 0 / 0", outcome=(PASSED, ERROR),
         most={"relu": 1.0}),
    left("an operator", "globals()['library'] = torch.library.Library('aten', 'IMPL'); library.impl('exp', lambda a: a, 'CPU')"),
    left("Python's functions", "import builtins, math; builtins.len = math.exp = lambda *a: 0", outcome=STOPPED, most={"relu": 1.0}),
    left("a global of its module", "globals()['elu'] = globals()['linear'] = None"),
    left("modules", "import sys; sys.modules['math'] = sys.modules['torch'] = sys.modules['student.transforms'] = sys.modules['transforms'] = None"),
    left("the path of imports", """
        import sys
        class Finder:
            def find_spec(self, name, path=None, target=None): raise RuntimeError("no import any more")
        sys.meta_path.insert(0, Finder())
        sys.path.clear()
        """),
    left("a hook for imports", "import builtins; builtins.__import__ = None", outcome=STOPPED, most={"relu": 1.0}),
    left("a hook for audits", "import sys\ndef hook(event, args):\n    if event in ('exec', 'compile', 'import'): raise RuntimeError(event)\nsys.addaudithook(hook)", outcome=STOPPED, most={"relu": 1.0}),
    left("a tracer", "import sys, threading\nsys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: 1 / 0); threading.settrace(lambda *a: 1 / 0)", outcome=STOPPED, most={"relu": 1.0}),
    left("the garbage collector", "import gc; gc.disable(); gc.callbacks.append(lambda *a: 1 / 0); gc.set_threshold(1)"),
    left("filters of warnings", "import warnings; warnings.simplefilter('error'); warnings.showwarning = None"),
    left("a low limit of recursion", "import sys; sys.setrecursionlimit(60)", outcome=STOPPED, most={"relu": 1.0}),
    left("low limits of the process", """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1, 1)); resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        """, outcome=STOPPED, most={"relu": 1.0}),
    left("the working folder and mask", "import os\nt.each(lambda: os.chdir('/proc'), lambda: os.umask(0o777) and None, lambda: os.environ.clear())"),
    left("signal handlers and a timer", "import signal\nsignal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)", outcome=STOPPED, most={"relu": 1.0}),
    left("a thread that patches later", """
        import threading, time
        def later():
            while True:
                time.sleep(0.001)
                torch.where = torch.einsum = None
        threading.Thread(target=later, daemon=True).start()
        """, quick=True),
    left("a thread that kills later", "import threading, os\nthreading.Timer(0.05, os._exit, (0,)).start()", outcome=(PASSED, CRASHED), most={"relu": 1.0},
         also={"elu": (PASSED, CRASHED)}),
    left("a thread of C", """
        import ctypes
        start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: __import__("time").sleep(600))
        globals()["kept"] = start
        handle = ctypes.c_ulong()
        ctypes.CDLL(None).pthread_create(ctypes.byref(handle), None, start, None)
        """, outcome=(PASSED, CRASHED)),
    left("a daemon", """
        import os, time
        def daemon():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for fd in range(64):
                        try: os.close(fd)
                        except OSError: pass
                    time.sleep(600)
                os._exit(0)
        t.each(daemon)
        """, outcome=STOPPED, quick=True),
    left("a daemon that outlives its parent's death", """
        import ctypes, os, time
        def daemon():
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
                os.setsid()
                if os.fork() == 0: time.sleep(600)
                time.sleep(600)
        t.each(daemon)
        """, outcome=STOPPED),
    left("a process by vfork and clone", """
        import os, signal
        t.each(lambda: os.posix_spawn("/bin/sleep", ["sleep", "600"], {}) and t.breach("spawned"),
               lambda: t.must_fail("clone3", b"\\0" * 88, 88))
        """, outcome=STOPPED),
    left("processes of Python", """
        import multiprocessing, subprocess, concurrent.futures
        t.each(lambda: subprocess.Popen(["sleep", "600"]) and t.breach("a program"),
               lambda: multiprocessing.get_context("fork").Process(target=print, daemon=True).start() or t.breach("a process"))
        """, outcome=STOPPED),
    left("descriptors exchanged", "import os\nos.dup2(0, 1); os.dup2(0, 2)"),
    left("the output's pipe filled and closed", "import os\nos.write(1, b'x' * 60_000); os.close(1); os.close(2)", outcome=(PASSED, ERROR)),
    left("an exit handler", "import atexit, os\natexit.register(os._exit, 3)"),
    left("random generators", "torch.manual_seed(1); import random, numpy; random.seed(1); numpy.random.seed(1); torch.default_generator.set_state(torch.zeros(5056, dtype=torch.uint8))", outcome=STOPPED),
    left("a hook on every layer", "torch.nn.modules.module.register_module_forward_hook(lambda *a: 0)"),
    left("a hook on every optimizer", "torch.optim.Optimizer.step = torch.optim.SGD.step = torch.optim.Adam.step = lambda self, *a: None"),
    left("an altered constant of the interpreter", """
        import ctypes
        # the small integer 2 becomes 3, for this process
        ctypes.c_long.from_address(id(2) + 24).value = 3
        """, outcome=(*STOPPED, FAILED), most={"relu": 1.0}, also=dict.fromkeys(("elu", "linear", "Invert", "train_epoch"), (*STOPPED, FAILED))),
    left("code of the kit in its process", """
        from grader.worker import probes, server, untouched, sources
        probes.run_train_epoch = probes.gradients = None
        untouched._same = lambda *a: True
        untouched.Untouched.holds = untouched.Untouched.holds_but_for_modules = lambda self: True
        torch.where = lambda *a: a[2]
        """, outcome=(PASSED, ERROR), also=dict.fromkeys(("elu", "linear", "Invert", "train_epoch"), (PASSED, FAILED, ERROR)), most={"relu": 1.0}),
]  # fmt: skip
