"""The student's code as a check sees it: objects whose calls and attributes are requests to a worker.

    student.conv2d(x, weight, stride=2)     one request; the result is a plain tensor
    net = student.LeNet5(1, 28)             not plain data: an object that stays in the worker
    net.state_dict()                        so its calls and attributes are requests, too
    student.probes.Batches(batches)         an object of `grader.worker.probes`, built in the worker

Where a tensor argument requires gradients, the call goes through an autograd function whose backward
is a remote vector-Jacobian product: `y.backward()` and `torch.autograd.grad` work as if it were local.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grader.assignment import BY_NAME
from grader.remote import CrashedError, RemoteObject, Worker
from grader.worker import wire
from grader.worker.server import PROBES, STUDENT


class Student:
    """The names of the student's module. `open_worker` gives the worker that has it imported."""

    def __init__(self, open_worker: Callable[[], Worker]):
        self._open_worker = open_worker
        self._noted: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None

    @property
    def probes(self) -> "Remote":
        """The helpers of `grader.worker.probes` in the worker."""
        return Remote(self, self._open_worker(), PROBES)

    def __getattr__(self, name: str) -> "Remote":
        if name.startswith("__"):
            raise AttributeError(name)
        return Remote(self, self._open_worker(), STUDENT, name)

    def note_call(self, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name in BY_NAME:
            self._noted = name, args, kwargs

    @property
    def last_call(self) -> str:
        """How the task's function was last called, for messages; "" where it was not yet."""
        return describe_call(*self._noted) if self._noted is not None else ""


class Remote:
    """An object in a worker, or its attribute `name`."""

    def __init__(self, student: Student, worker: Worker, id_: int, name: str | None = None):
        self._student = student
        self._worker = worker
        self._id = id_
        self._name = name

    def remote_reference(self) -> wire.Handle | wire.Attribute:
        """How a request names this object."""
        if self._name is None:
            return wire.Handle(self._id, "")
        return wire.Attribute(self._id, self._name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._id in (STUDENT, PROBES):
            return Remote(self._student, self._worker, self._id, name)
        return self._plain(self._worker.get(RemoteObject(self._id, ""), name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._id == STUDENT:
            self._student.note_call(self._name, args, kwargs)
        elif self._id == PROBES and args and isinstance(args[0], Remote) and args[0]._id == STUDENT:
            self._student.note_call(args[0]._name, (), kwargs)  # a probe that calls the student's function
        inputs = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor) and v.requires_grad]
        if inputs and torch.is_grad_enabled():
            return _RemoteCall.apply(self, args, kwargs, *inputs)
        result, _ = self._worker.call(self._id, self._name, args, kwargs, differentiate=False)
        return self._plain(result)

    def _plain(self, value: Any) -> Any:
        """`value` with every `RemoteObject` in it made a `Remote`."""
        match value:
            case RemoteObject(id=id_, kind=kind):
                return NamedRemote(self._student, self._worker, id_, kind)
            case tuple() | list():
                return type(value)(self._plain(item) for item in value)
            case dict():
                return {key: self._plain(item) for key, item in value.items()}
        return value


class NamedRemote(Remote):
    """An object that a call returned; `kind` is the name of its type, for messages."""

    def __init__(self, student: Student, worker: Worker, id_: int, kind: str):
        super().__init__(student, worker, id_)
        self.kind = kind


class _RemoteCall(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, remote: Remote, args: tuple[Any, ...], kwargs: dict[str, Any], *inputs: Tensor
    ) -> Any:
        result, ctx.call = remote._worker.call(remote._id, remote._name, args, kwargs, differentiate=True)
        ctx.remote, ctx.inputs = remote, len(inputs)
        if not isinstance(result, Tensor):
            return remote._plain(result)
        # `unpack` keeps no flag, so ask the kept graph: without one the result hangs on nothing
        if not ctx.call:
            ctx.mark_non_differentiable(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        result = ctx.remote._worker.pull(ctx.call, gradients[0])
        whole = isinstance(result, tuple) and len(result) == ctx.inputs
        if not whole or not all(item is None or isinstance(item, Tensor) for item in result):
            raise CrashedError("its backward pass gave an answer that cannot be read")
        return (None, None, None, *result)


def describe_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The call as a student would write it, with shapes for tensors: `conv2d(x (2, 3, 9, 7), stride=2)`."""
    parameters = BY_NAME[name].parameters
    parts = []
    if not args and BY_NAME[name].module == "training":  # called by a probe, which builds model and loaders
        parts = [parameter for parameter in parameters if parameter != "device"]
    for position, value in enumerate(args):
        label = parameters[position] if position < len(parameters) else ""
        parts.append(_describe(label, value, named=False))
    parts += [_describe(label, value, named=True) for label, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def _describe(label: str, value: Any, named: bool) -> str:
    if isinstance(value, Tensor):
        strided = "" if value.is_contiguous() else ", not contiguous"
        dtype = "" if value.dtype == torch.float32 else f" {str(value.dtype).removeprefix('torch.')}"
        return f"{label}{dtype} {tuple(value.shape)}{strided}"
    if isinstance(value, Remote):
        return f"{label}=..." if named else label or "..."
    return f"{label}={value!r}" if named or label else repr(value)
