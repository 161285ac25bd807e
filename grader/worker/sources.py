"""The importer of a submission that arrives as bytes: no folder on disk, no planted `.pyc`.

The files are the package `student`. Inside it `from .layers import ...`, `from student.layers import
...` and `from layers import ...` all give the same module. Installed packages come first where a
top-level name is also a file of the submission, except for the four graded modules.

Source is text in UTF-8 (a byte order mark is allowed); a coding cookie is not obeyed, since it can
make code look like a comment.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

PACKAGE = "student"
_GRADED = ("layers", "lenet", "training", "transforms")


def file_of(name: str) -> str:
    """The name under which a source file of the submission shows in tracebacks."""
    return f"{PACKAGE}/{name}"


class SubmissionImporter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads the modules of one submission; `install` puts it on the import path."""

    def __init__(self, files: dict[str, bytes]):
        self._files = files
        self._loaded: dict[str, str] = {}  # name in `sys.modules` -> file, "" for a package without one
        self._compiled: dict[str, CodeType] = {}
        self._first = _FirstFinder(self)

    def install(self) -> None:
        sys.meta_path.insert(0, self._first)
        sys.meta_path.append(self)

    def show_sources(self) -> None:
        """Let tracebacks find the lines of the submission's files."""
        for name, data in self._files.items():
            if file_of(name) not in linecache.cache:
                text = data.decode("utf-8-sig", errors="replace")
                lines = text.splitlines(keepends=True)
                linecache.cache[file_of(name)] = (len(text), None, lines, file_of(name))

    def get_source(self, fullname: str) -> str:
        """The source of a loaded module, for tracebacks that the student's code prints itself."""
        origin = sys.modules[fullname].__file__ or ""
        return self._files[origin.removeprefix(f"{PACKAGE}/")].decode("utf-8-sig", errors="replace")

    def remove(self) -> None:
        """Take the submission's modules, and this importer, out again."""
        sys.meta_path.remove(self._first)
        sys.meta_path.remove(self)
        self.forget()

    def forget(self) -> None:
        """Take the submission's modules out: the next import makes new ones, from the code compiled before."""
        for name in self._loaded:
            sys.modules.pop(name, None)
        self._loaded.clear()

    def has(self, module: str) -> bool:
        """Is there a file for the module of that name?"""
        return f"{module}.py" in self._files

    def loaded(self) -> list[str]:
        """The files of the submission whose modules were loaded, in that order."""
        return [file for file in self._loaded.values() if file]

    def modules(self) -> list[ModuleType]:
        """The submission's loaded modules."""
        return [sys.modules[name] for name in self._loaded if name in sys.modules]

    # -- finding

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        inside = fullname == PACKAGE or fullname.startswith(f"{PACKAGE}.")
        stem = fullname.removeprefix(PACKAGE).removeprefix(".") if inside else fullname
        base = stem.replace(".", "/")
        for name, is_package in ((f"{base}/__init__.py".lstrip("/"), True), (f"{base}.py", False)):
            if name in self._files:
                return self._spec(fullname, name, is_package)
        prefix = f"{base}/" if base else ""
        if fullname == PACKAGE or any(name.startswith(prefix) for name in self._files):
            return self._spec(fullname, "", is_package=True)  # a package without an __init__.py
        return None

    def _spec(self, fullname: str, name: str, is_package: bool) -> importlib.machinery.ModuleSpec:
        origin = file_of(name) if name else None
        spec = importlib.util.spec_from_loader(fullname, self, origin=origin, is_package=is_package)
        assert spec is not None
        return spec

    # -- loading

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        if spec.name == PACKAGE or spec.name.startswith(f"{PACKAGE}."):
            return None
        # `import layers` is `student.layers`: one module under two names, never two copies
        module = importlib.import_module(f"{PACKAGE}.{spec.name}")
        self._alias = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        self._loaded[spec.name] = ""
        if not spec.name.startswith(PACKAGE):  # the alias is loaded already
            module.__spec__ = self._alias
            return
        if spec.origin is None:
            return
        module.__file__ = spec.origin
        self._loaded[spec.name] = spec.origin.removeprefix(f"{PACKAGE}/")
        if spec.origin not in self._compiled:
            self._compiled[spec.origin] = self._compile(spec.origin)
        exec(self._compiled[spec.origin], module.__dict__)

    def _compile(self, origin: str) -> CodeType:
        data = self._files[origin.removeprefix(f"{PACKAGE}/")]
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            problem = SyntaxError(f"the file is not UTF-8 text (byte {error.start}): save it as UTF-8")
            problem.filename, problem.lineno = origin, line
            raise problem from None
        if "\0" in text:
            problem = SyntaxError("the file holds null bytes: save it as plain text")
            problem.filename, problem.lineno = origin, text.count("\n", 0, text.index("\0")) + 1
            raise problem
        return compile(text, origin, "exec", dont_inherit=True)


class _FirstFinder(importlib.abc.MetaPathFinder):
    """Puts the package and the four graded modules before anything installed."""

    def __init__(self, importer: SubmissionImporter):
        self._importer = importer

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top == PACKAGE or top in _GRADED:
            return self._importer.find_spec(fullname, path, target)
        return None
