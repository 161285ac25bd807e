"""The entry point of `grade`: what takes longest is begun before the command line is imported, which takes 0.1 s."""

import atexit
import errno
import importlib.util
import os
import sys
import threading
from typing import NoReturn


def _tell_that_some_is_lost(error: OSError) -> int:
    """Tell it without Python's streams; the exit status."""
    os.write(2, f"grade: not all of the output could be written: {error.strerror}\n".encode())
    return 1


def program() -> NoReturn:
    """Run the command, then end the process at once.

    Python would take torch's modules and libraries apart first, 0.4 s for nothing.
    """
    status = 0
    try:
        if sys.argv[1:2] == ["all"] and importlib.util.find_spec("grader.instructor") is not None:
            from grader.instructor import early

            early.begin(sys.argv[2:])
        from grader.cli import main

        main()
    except SystemExit as end:
        if isinstance(end.code, str):  # a message, which Python prints
            raise
        status = end.code or 0
    except KeyboardInterrupt:  # before the command was there to take it
        print("\nStopped.", file=sys.stderr)
        status = 130
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:  # not of what is printed
            raise
        status = _tell_that_some_is_lost(error)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.current_thread()):
        sys.exit(status)  # something still works
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = 1
    except OSError as error:  # a full disk
        status = _tell_that_some_is_lost(error)
    finally:
        os._exit(status)
