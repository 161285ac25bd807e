"""Archives: paths that lead out, links, bombs by size and count, names that clash, nested, encrypted, broken.

What can be read is examined as always: full marks where the honest files are whole. Reading writes nothing.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from attacks.attack import SOLUTIONS, Attack
from grader.outcomes import Outcome

_PACKAGE = {f"student/{name}": data for name, data in SOLUTIONS.items()}
_EVIL = b"raise SystemExit('from the archive')\n"
_TASKS = ("relu", "Invert")
Entries = list[tuple[str | zipfile.ZipInfo, bytes]]


def zipped(*more: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The honest package, and more, as a zip."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in (*_PACKAGE.items(), *more):
            archive.writestr(name, content)
    return data.getvalue()


def tarred(*more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The honest package, and more, as a tar.gz."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in _PACKAGE.items():
            archive.addfile(_member(name, size=len(content)), io.BytesIO(content))
        for info, content in more:
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return data.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def _zip_link(name: str, mode: int = 0o120777) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def _flagged(data: bytes, flag: int = 0, method: int | None = None, size: int | None = None) -> bytes:
    """The zip with a flag, another method or another size in all its headers."""
    changed = bytearray(data)
    for signature, flags, length in ((b"PK\3\4", 6, 22), (b"PK\1\2", 8, 24)):
        start = changed.find(signature)
        while start >= 0:
            changed[start + flags] |= flag
            if method is not None:
                struct.pack_into("<H", changed, start + flags + 2, method)
            if size is not None:
                struct.pack_into("<I", changed, start + length, size)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def _overlapping() -> bytes:
    """A zip whose 5,000 entries are all the same megabyte (David Fifield's way to 5 GB from 5 KB)."""
    packed = zlib.compress(bytes(1_000_000), 9)[2:-4]
    crc = zlib.crc32(bytes(1_000_000))
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(packed), 1_000_000, 6, 0)
        + b"m00.py"
        + packed
    )
    entries = b""
    for i in range(5000):
        name = f"m{i:04}.py".encode()
        entries += (
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\1\2",
                20,
                20,
                0,
                8,
                0,
                0,
                crc,
                len(packed),
                1_000_000,
                len(name),
                0,
                0,
                0,
                0,
                0,
                0,
            )
            + name
        )
    return local + entries + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 5000, 5000, len(entries), len(local), 0)


def _bomb(megabytes: int) -> bytes:
    pack = zlib.compressobj(9, wbits=31)
    head = pack.compress(_member("student/data.bin", size=megabytes << 20).tobuf())
    return head + b"".join(pack.compress(bytes(1 << 20)) for _ in range(megabytes)) + pack.flush()


def _many_entries() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for i in range(21_000):
            archive.writestr(f"{i}.txt", b"")
    return data.getvalue()


def _quine() -> bytes:
    """A zip in a zip in a zip: no level below the first is read."""
    inner = zipped()
    for _ in range(5):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("student.zip", inner)
        inner = data.getvalue()
    return inner


def whole(
    name: str, tries: str, make: Callable[[], bytes], says: str, file: str = "mallory.zip", **more: object
) -> Attack:
    """The honest package is read, and gets full marks."""
    return Attack(name, tries, archive=(file, make), says=says, tasks=_TASKS, **more)  # type: ignore[arg-type]


def nothing(
    name: str, tries: str, make: Callable[[], bytes], says: str, file: str = "mallory.zip", **more: object
) -> Attack:
    """Nothing is read, and the record says why."""
    missing = dict.fromkeys(_TASKS, (Outcome.MISSING,))
    return Attack(name, tries, archive=(file, make), says=says, tasks=_TASKS, outcomes=missing, **more)  # type: ignore[arg-type]


_TGZ = "mallory.tar.gz"
ATTACKS: list[Attack] = [
    whole("a path that leads up", "to write where it likes", lambda: zipped(("../../../tmp/evil.py", _EVIL), ("student/../../evil.py", _EVIL)), "leads out", quick=True),
    whole("an absolute path", "to write where it likes", lambda: zipped(("/etc/cron.d/evil.py", _EVIL)), "leads out"),
    whole("a path of Windows", "to write where it likes", lambda: zipped(("..\\..\\evil.py", _EVIL), ("C:\\evil.py", _EVIL)), "leads out"),
    whole("a link", "to read what it likes", lambda: zipped((_zip_link("student/shadow.py"), b"/etc/shadow")), "link", quick=True),
    whole("a link to a folder, and a file in it", "to write where it likes", lambda: zipped((_zip_link("student/up"), b"/tmp"), ("student/up/evil.py", _EVIL)), "link"),
    whole("a device and a FIFO", "to hang whoever reads", lambda: zipped((_zip_link("student/d.py", 0o020666), b""), (_zip_link("student/f.py", 0o010666), b"")), "special"),
    whole("names that differ in case", "to be two files in one", lambda: zipped(("student/Layers.py", _EVIL), ("student/LAYERS.PY", _EVIL)), "only in case"),
    whole("names that differ in their Unicode form", "to be two files in one", lambda: zipped(("student/caf\u00e9.py", _EVIL), ("student/cafe\u0301.py", _EVIL)), "more than once"),
    whole("names of another script", "to be two files in one", lambda: zipped(("student/\u017ftra\u00dfe.py", _EVIL), ("student/STRASSE.py", _EVIL)), "only in case"),
    whole("one name twice", "to show one file and run another", lambda: zipped(("student/x.py", b"1"), ("student/x.py", _EVIL)), "the last one counts"),
    whole("names of 60,000 letters", "to overflow names", lambda: zipped(("student/" + "n" * 60_000 + ".py", _EVIL)), "too long"),
    whole("names of control letters", "to write on the instructor's terminal", lambda: zipped(("../\x1b[2J\x07\u202e.py", _EVIL)), "leads out"),
    whole("names that are formulas and markup", "to be run by a table or a page", lambda: zipped(("../=cmd|'/c calc'!A1.py", _EVIL), ("../<script>alert(1)</script>.py", _EVIL)), "leads out"),
    whole("an archive inside", "to be unpacked again and again", lambda: zipped(("student/inner.zip", _quine())), "archive inside"),
    whole("a file of 3 MB", "to fill memory", lambda: zipped(("student/big.py", bytes(3_000_000))), "too large"),
    whole("300 files", "to fill memory", lambda: zipped(*[(f"student/x/m{i}.py", b"") for i in range(300)]), "more than 200"),
    whole("a file with a password", "to hide what it is", lambda: _half_encrypted(), "encrypted"),
    nothing("all files with a password", "to hide what they are", lambda: _flagged(zipped(), 1), "encrypted"),
    nothing("a method that few know", "to reach a rare decompressor", lambda: _flagged(zipped(), method=97), "compressed in a way"),
    nothing("LZMA", "to take the memory that the archive asks for", lambda: zipped(method=zipfile.ZIP_LZMA), "compressed in a way"),
    nothing("files that claim 4 GB", "to fill memory", lambda: _flagged(zipped(), size=4_000_000_000), "too large"),
    nothing("files that claim 1 byte", "to fill memory", lambda: _flagged(zipped(), size=1), ""),
    nothing("5,000 entries that are one megabyte", "to unpack to 5 GB", _overlapping, ""),
    nothing("21,000 entries", "to fill memory", _many_entries, "more than 20,000 entries"),
    nothing("headers of entries, and nothing else", "to fill memory", lambda: b"PK\1\2" * 100_000, "more than 20,000 entries"),
    nothing("a zip in a zip", "to be unpacked again and again", _quine, ""),
    nothing("a zip cut short", "to break reading", lambda: zipped()[:500], "cannot be read"),
    nothing("an empty file", "to break reading", lambda: b"", "cannot be read"),
    nothing("a page for logging in", "to be taken for a zip", lambda: b"<html>Please log in</html>", "cannot be read"),
    nothing("a rar", "to be of a kind that is not read", lambda: b"Rar!\x1a\x07\x01\x00", "unpack it", file="mallory.rar"),
    whole("a tar whose path leads up", "to write where it likes", lambda: tarred((_member("../../evil.py"), _EVIL), (_member("/etc/evil.py"), _EVIL)), "leads out", file=_TGZ),
    whole("a tar with links", "to read what it likes", lambda: tarred((_member("student/a.py", tarfile.SYMTYPE, "/etc/shadow"), b""), (_member("student/b.py", tarfile.LNKTYPE, "/etc/shadow"), b"")), "link", file=_TGZ),
    whole("a tar with devices", "to hang whoever reads", lambda: tarred((_member("student/a.py", tarfile.CHRTYPE), b""), (_member("student/b.py", tarfile.FIFOTYPE), b""), (_member("student/c.py", tarfile.BLKTYPE), b"")), "special", file=_TGZ),
    whole("a tar whose link is its own target", "to loop", lambda: tarred((_member("student/a.py", tarfile.SYMTYPE, "a.py"), b"")), "link", file=_TGZ),
    nothing("a bomb of 300 MB", "to fill memory and disk", lambda: _bomb(300), "unpacks to more", file=_TGZ),
    nothing("a header of 1 GB", "to fill memory", lambda: gzip.compress(_member("x", tarfile.XHDTYPE, size=10**9).tobuf(tarfile.GNU_FORMAT)), "header", file=_TGZ),
    nothing("a negative size", "to read backwards", lambda: gzip.compress(_negative()), "", file=_TGZ),
    nothing("no tar", "to break reading", lambda: gzip.compress(b"x" * 5000), "cannot be read", file=_TGZ),
    nothing("no gzip", "to break reading", lambda: b"\x1f\x8b\x08" + bytes(100), "cannot be read", file=_TGZ),
]  # fmt: skip


def _half_encrypted() -> bytes:
    """The honest package, and one file that is marked as encrypted in both of its headers."""
    data = bytearray(zipped(("student/hidden.py", _EVIL)))
    name = b"student/hidden.py"
    first, last = data.find(name), data.rfind(name)
    data[first - 30 + 6] |= 1
    data[last - 46 + 8] |= 1
    return bytes(data)


def _negative() -> bytes:
    """A header whose size is -512 in base 256."""
    block = bytearray(_member("student/layers.py").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfe\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block) + bytes(1024)
