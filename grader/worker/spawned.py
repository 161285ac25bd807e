"""A worker that is a program of its own, where forking after `import torch` is not to be had.

The channel arrives as a shared socket (Windows) or an inherited descriptor (elsewhere).
"""

import base64
import os
import socket
import sys

from grader.worker import sandbox, server
from grader.worker.warm_up import warm_up


def main(channel: socket.socket, cpu_seconds: int, level: str) -> None:
    """Take the sandbox's layers, then answer requests until the channel closes."""
    try:
        plan = sandbox.prepare(level)
        warm_up(sealed=level == "B")
        layers = sandbox.enter(plan, channel.fileno(), 1, cpu_seconds)
    except sandbox.LayerMissing as missing:
        server.refuse(channel, missing)
    else:
        server.serve(channel, layers)
    os._exit(0)


def receive_channel(argument: str) -> socket.socket:
    """The channel that the trusted process handed over: a descriptor, or "share" and bytes on stdin."""
    if argument == "share":
        return socket.fromshare(base64.b64decode(sys.stdin.readline()))  # type: ignore[attr-defined]
    return socket.socket(fileno=int(argument))
