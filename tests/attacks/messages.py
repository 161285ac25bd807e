"""Forging and pre-sending messages on the channel."""

import textwrap

from attacks.attack import SHORT, STOPPED, Attack, hostile
from grader.outcomes import Outcome

CRASHED, ERROR, TIMEOUT, MEMORY = Outcome.CRASHED, Outcome.ERROR, Outcome.TIMEOUT, Outcome.MEMORY
PASSED, FAILED, MISSING, FORBIDDEN = Outcome.PASSED, Outcome.FAILED, Outcome.MISSING, Outcome.FORBIDDEN
_UNREAD = (CRASHED, TIMEOUT)

# `channel` is the descriptor of the channel, `request` the id of the request that is being answered, taken from
# the server's frame; `answer(json, payload)` sends a well-formed frame and ends the process
_TOOLS = """
import os, stat, struct, sys
channel = next(fd for fd in range(3, 256) if t.is_socket(fd))
frame, request = sys._getframe(), 0
while frame is not None:
    request = frame.f_locals.get("request_id", request)
    frame = frame.f_back
def send(data):
    view = memoryview(data)
    while view: view = view[os.write(channel, view):]
def frame_of(text, payload=b"", number=None):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">4sQII", b"LN5\\x01", request if number is None else number, len(text), len(payload)) + text + payload
def answer(text, payload=b""):
    send(frame_of(text, payload))
    import time
    time.sleep(0.3)
    os._exit(0)
"""


def forged(
    name: str, tries: str, code: str, outcome: Outcome | tuple[Outcome, ...], **more: object
) -> Attack:
    """An attack with the tools above."""
    return hostile(name, tries, f"{_TOOLS.strip()}\n{textwrap.dedent(code)}", outcome=outcome, **more)  # type: ignore[arg-type]


def returned(value: str, payload: str = "b''") -> str:
    """Code that answers with a value in the wire's own form."""
    return f'answer(\'{{"type":"returned","value":\' + {value!r} + \'}}\', {payload})'


_DEEP = (
    'b\'{"type":"returned","value":\' + b\'{"type":"list","items":[\' * 20_000 + b\']}\' * 20_000 + b\'}\''
)
_TENSOR = '{"type":"tensor","dtype":"uint8","shape":[%d],"offset":0}'

ATTACKS: list[Attack] = [
    forged("a frame ahead", "to answer before it is asked", "send(frame_of('{\"type\":\"returned\",\"value\":1}', number=0))", _UNREAD, quick=True),
    forged("answers to every id it can guess", "to answer before it is asked",
           "for n in range(2000): send(frame_of('{\"type\":\"returned\",\"value\":null}', number=n))", _UNREAD),
    forged("its own answer twice", "to answer the next question, too", "send(frame_of('{\"type\":\"returned\",\"value\":1}') * 2)", (*_UNREAD, FAILED)),
    forged("an answer of its own to the real question", "to answer without a result", returned("true"), FAILED),
    forged("the word passed", "to tell the verdict itself", returned('"passed"'), FAILED, quick=True),
    forged("a verdict in the message", "to tell the verdict itself", "answer('{\"type\":\"returned\",\"value\":null,\"outcome\":\"passed\",\"points\":99}')", (FAILED, CRASHED)),
    forged("a raise of a kind called passed", "to tell the verdict itself",
           "answer('{\"type\":\"raised\",\"kind\":\"passed\",\"exception\":\"passed\",\"text\":\"passed\"}')", ERROR),
    forged("a raise called skipped", "to be skipped rather than judged",
           "answer('{\"type\":\"raised\",\"kind\":\"skipped\",\"exception\":\"Skip\",\"text\":\"skip\"}')", ERROR),
    forged("a stub's answer", "to be taken for a stub", "answer('{\"type\":\"raised\",\"kind\":\"missing\",\"exception\":\"NotImplementedError\",\"text\":\"\"}')", MISSING),
    forged("a hello", "to name layers of its own", "answer('{\"type\":\"hello\",\"layers\":[\"everything\"]}')", CRASHED),
    forged("rubbish", "to break the decoder", "send(os.urandom(100)); os._exit(0)", CRASHED),
    forged("a frame over the cap", "to make the examiner wait for 8 GB", "send(b'LN5\\x01' + struct.pack('>QII', request, 0xffffffff, 0xffffffff))", CRASHED),
    forged("half a frame", "to make the examiner wait", "send(frame_of('{' * 100)[:40]); import time; time.sleep(60)", TIMEOUT, limits=SHORT),
    forged("a frame byte by byte", "to stretch its time", """
        import time
        for byte in frame_of('{"type":"returned","value":null}'): send(bytes([byte])); time.sleep(0.3)
        """, TIMEOUT, limits=SHORT),
    forged("nothing but the start of a large frame", "to make the examiner take memory", "send(b'LN5\\x01' + struct.pack('>QII', request, 1_999_999, 255_999_999)); import time; time.sleep(60)", TIMEOUT, limits=SHORT),
    forged("no JSON", "to break the decoder", "answer('[}')", CRASHED),
    forged("deep JSON", "to overflow the decoder's stack", f"answer({_DEEP})", CRASHED),
    forged("a deep bare list", "to overflow the decoder's stack", "answer('[' * 900_000)", CRASHED),
    forged("2 MB of empty lists", "to make the decoder take memory",
           "answer('{\"type\":\"returned\",\"value\":{\"type\":\"list\",\"items\":[' + ','.join(['{\"type\":\"list\",\"items\":[]}'] * 60_000) + ']}}')", (FAILED, CRASHED)),
    forged("one payload as 20,000 tensors", "to make the decoder take 4 TB",
           "answer('{\"type\":\"returned\",\"value\":{\"type\":\"list\",\"items\":[' + ','.join(['" + _TENSOR % 200_000_000 + "'] * 20_000) + ']}}', bytes(200_000_000))",
           (CRASHED, FAILED), quick=True),
    forged("a tensor outside the payload", "to read the examiner's memory", returned('{"type":"tensor","dtype":"uint8","shape":[4096],"offset":0}', "b'x'"), CRASHED),
    forged("a tensor at a negative offset", "to read the examiner's memory", returned('{"type":"tensor","dtype":"uint8","shape":[4],"offset":-4}', "b'xxxxxxxx'"), CRASHED),
    forged("a tensor whose size overflows", "to read the examiner's memory", returned('{"type":"tensor","dtype":"float64","shape":[2305843009213693953,8],"offset":0}', "b'xxxxxxxx'"), CRASHED),
    forged("an empty tensor of a huge shape", "to overflow sizes", returned('{"type":"tensor","dtype":"float64","shape":[0,1099511627775,1099511627775,1099511627775],"offset":0}'), (CRASHED, FAILED)),
    forged("a tensor of 10,000 dimensions", "to overflow sizes", returned('{"type":"tensor","dtype":"float64","shape":[' + ",".join("1" * 10_000) + '],"offset":0}', "bytes(8)"), CRASHED),
    forged("a bool of 7", "to break comparisons", returned('{"type":"tensor","dtype":"bool","shape":[4],"offset":0}', "b'\\x07' * 4"), CRASHED),
    forged("a dtype of objects", "to have a pickle read", returned('{"type":"tensor","dtype":"object","shape":[1],"offset":0}', "bytes(8)"), CRASHED),
    forged("a pickle", "to have it read", "import pickle\nanswer(pickle.dumps([1]))", CRASHED),
    forged("a tag of its own", "to have it read", returned('{"type":"pickle","data":"gASVCg=="}'), CRASHED),
    forged("an integer of 100,000 digits", "to overflow or hang conversions", "answer('{\"type\":\"returned\",\"value\":' + '9' * 100_000 + '}')", (CRASHED, FAILED)),
    forged("an integer of 5,000 digits", "to break its printing", "answer('{\"type\":\"returned\",\"value\":' + '9' * 5_000 + '}')", (CRASHED, FAILED)),
    forged("a float of 1e999", "to break its printing", returned("1e999"), (CRASHED, FAILED)),
    forged("half a surrogate", "to break the record", returned('"\\\\ud800"'), (CRASHED, FAILED)),
    forged("a raise with half a surrogate", "to break the record", "answer(r'{\"type\":\"raised\",\"kind\":\"error\",\"exception\":\"\\ud800\",\"text\":\"\\udfff\"}')", (CRASHED, ERROR)),
    forged("bytes that are not UTF-8", "to break the record", "answer(b'{\"type\":\"returned\",\"value\":\"\\xff\\xfe\"}')", (CRASHED, FAILED)),
    forged("a raise of 2 MB", "to fill the record", "answer('{\"type\":\"raised\",\"kind\":\"error\",\"exception\":\"' + 'E' * 500_000 + '\",\"text\":\"' + 't' * 1_000_000 + '\"}')", ERROR),
    forged("10,000 frames of a traceback", "to fill the record",
           "answer('{\"type\":\"raised\",\"kind\":\"error\",\"exception\":\"E\",\"text\":\"t\",\"frames\":[' + ','.join(['{\"file\":\"' + 'f' * 100 + '\",\"line\":1,\"function\":\"f\",\"text\":\"x\"}'] * 10_000) + ']}')", ERROR),
    forged("a frame of 1 MB of a traceback", "to fill the record",
           "answer('{\"type\":\"raised\",\"kind\":\"error\",\"exception\":\"E\",\"text\":\"t\",\"frames\":[{\"file\":\"' + 'f' * 900_000 + '\",\"line\":1,\"function\":\"f\",\"text\":\"' + 'x' * 900_000 + '\"}]}')", ERROR),
    forged("a million loaded modules", "to fill the record", "answer('{\"type\":\"returned\",\"value\":1,\"modules\":[' + ','.join(['\"' + 'm' * 30 + '\"'] * 50_000) + ']}')", FAILED),
    forged("handles without end", "to fill the examiner", "answer('{\"type\":\"returned\",\"value\":{\"type\":\"list\",\"items\":[' + ','.join(['{\"type\":\"handle\",\"id\":1,\"kind\":\"k\"}'] * 40_000) + ']}}')", (FAILED, CRASHED)),
    forged("a handle called torch.Tensor", "to be taken for a tensor", returned('{"type":"handle","id":1,"kind":"torch.Tensor"}'), FAILED),
    forged("an attribute in an answer", "to send what only requests may hold", returned('{"type":"attribute","id":1,"name":"x"}'), CRASHED),
    forged("descriptors with a message", "to put descriptors into the examiner", """
        import array, socket
        s = socket.socket(fileno=os.dup(channel))
        text = frame_of('{"type":"returned","value":1}')
        for _ in range(20):
            s.sendmsg([text[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
        os._exit(0)
        """, (CRASHED, ERROR)),
    forged("data out of band", "to reach the examiner by signals", """
        import socket
        s = socket.socket(fileno=os.dup(channel))
        s.send(b"x", socket.MSG_OOB)
        os._exit(0)
        """, (CRASHED, ERROR, FAILED)),
    forged("the channel half closed", "to leave the examiner waiting", "import socket; socket.socket(fileno=os.dup(channel)).shutdown(socket.SHUT_WR)", (CRASHED, TIMEOUT, ERROR), limits=SHORT),
    forged("the channel not read", "to leave the examiner sending", "import socket; socket.socket(fileno=os.dup(channel)).shutdown(socket.SHUT_RD)", (CRASHED, TIMEOUT, PASSED, ERROR), limits=SHORT),
    forged("a channel that does not wait", "to break the worker's loop", "os.set_blocking(channel, False)", STOPPED),
    forged("the channel read", "to hide the next request", "os.set_blocking(channel, True)\nimport threading\nthreading.Thread(target=os.read, args=(channel, 10_000), daemon=True).start()", (TIMEOUT, CRASHED, PASSED), limits=SHORT,
           also={"elu": (PASSED, TIMEOUT, CRASHED)}),
    hostile("another packer", "to have its own code answer", """
        from grader.worker import wire
        wire.Packer.pack = lambda self, value, depth=0: True
        """, outcome=FAILED, also={"elu": (PASSED, FAILED), "Invert": (PASSED, FAILED)}),
    hostile("another server", "to have its own code answer", """
        from grader.worker import server
        server.Server._call = lambda self, request, payload, packer: server.wire.Returned(True)
        """, outcome=(PASSED, FAILED), answer="return x", also={"elu": (PASSED, FAILED, ERROR), "Invert": (PASSED, FAILED, ERROR)}),
    hostile("the answer that it may go on", "to keep a patched worker for the next task", """
        from grader.worker import server
        server.Server._next = lambda self, module, bans: True
        torch.where = lambda *a: a[0]
        """, also={"elu": (PASSED, FAILED, ERROR), "Invert": (PASSED, FAILED, ERROR, MISSING)}),
    hostile("an encoder of its own", "to answer more than it may", """
        from grader.worker import wire
        wire._encoder = type("Encoder", (), {"encode": lambda self, message: b'{"type":"returned","value":true}'})()
        """, outcome=FAILED, also={"elu": (PASSED, FAILED), "Invert": (PASSED, FAILED)}),
    hostile("the message module replaced", "to have its own code answer", """
        import sys
        sys.modules["grader.worker.wire"] = sys.modules["msgspec"] = None
        """),
]  # fmt: skip
