"""The disk under SQLite in this process: every write and sync goes through here, is recorded, and can be made to fail.

SQLite reaches files through a table of functions, its VFS. This module registers a copy of the usual one, as the
default, whose ``xWrite``, ``xSync``, ``xTruncate`` and ``xDelete`` are ours; each calls the original. The symbols are
looked up in Python's own ``_sqlite3`` module, so that it is the very SQLite that the store uses, linked statically or
not. Nothing is compiled, no tracing tool is needed, and the store under test is the real one with its real settings.
Where the symbols cannot be reached, :func:`install` fails, and says so.

Structures: https://sqlite.org/c3ref/vfs.html, https://sqlite.org/c3ref/io_methods.html
"""

import _sqlite3
import ctypes
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

OK = 0


class Event(NamedTuple):
    """Something that happened to a file, or that somebody noted among it.

    :param kind: ``write``, ``sync``, ``truncate``, ``delete``, or whatever was noted.
    :param path: The file.
    :param offset: Where was written, or the new size.
    :param data: What was written, or noted.
    """

    kind: str
    path: str = ""
    offset: int = 0
    data: Any = b""


Fail = Callable[[str, str], int]
"""Given the kind of an operation and the file, returns SQLite's result code of a failure, or 0."""


class Disk:
    """What is recorded, and what fails.

    :param events: In the order in which they happened.
    :param counts: Operations so far, by kind.
    :param fail: Asked before each operation.
    :param recording: Whether events are kept.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()
        self.fail: Fail = lambda _kind, _path: OK
        self.recording = True

    def note(self, kind: str, data: object) -> None:
        """Note something among the events."""
        self.events.append(Event(kind, data=data))

    def run(self, event: Event, original: Callable[[], int]) -> int:
        """Run an operation unless it is to fail."""
        failure = self.fail(event.kind, event.path)
        if failure:
            return failure
        result = original()
        self.counts[event.kind if result == OK else "failed"] += 1
        if result == OK and self.recording:
            self.events.append(event)
        return result


WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
CLOSE = CFUNCTYPE(c_int, c_void_p)
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)


class Methods(ctypes.Structure):
    """``sqlite3_io_methods``: what can be done with an open file."""

    _fields_ = [
        ("iVersion", c_int),
        ("xClose", CLOSE),
        ("xRead", c_void_p),
        ("xWrite", WRITE),
        ("xTruncate", TRUNCATE),
        ("xSync", SYNC),
        *((f"other{number}", c_void_p) for number in range(13)),
    ]


class File(ctypes.Structure):
    """``sqlite3_file``: an open file begins with what can be done with it."""

    _fields_ = [("pMethods", POINTER(Methods))]


class Vfs(ctypes.Structure):
    """``sqlite3_vfs``: how files are opened."""

    _fields_ = [
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", OPEN),
        ("xDelete", DELETE),
        *((f"other{number}", c_void_p) for number in range(14)),
    ]


class Shim:
    """The copy of the usual VFS. It lives as long as the process: SQLite keeps pointers into it."""

    def __init__(self, disk: Disk) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = POINTER(Vfs)
        self._disk = disk
        self._usual = library.sqlite3_vfs_find(None).contents
        self._paths: dict[int, str] = {}
        self._tables: dict[int, tuple[Methods, Methods]] = {}
        self._vfs = Vfs.from_buffer_copy(self._usual)
        self._vfs.zName = b"watched"
        self._vfs.xOpen = OPEN(self._open)
        self._vfs.xDelete = DELETE(self._delete)
        if library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) != OK:
            raise RuntimeError("SQLite does not take the watched disk")

    def _open(self, vfs: int, name: int, file: int, flags: int, out: Any) -> int:
        result = int(self._usual.xOpen(vfs, name, file, flags, out))
        if result == OK:
            self._paths[file] = ctypes.string_at(name).decode() if name else ""
            opened = ctypes.cast(file, POINTER(File)).contents
            opened.pMethods = ctypes.pointer(self._watched(opened.pMethods))
        return result

    def _watched(self, usual: Any) -> Methods:
        """Return the functions that stand for the usual ones of a kind of file."""
        address = ctypes.addressof(usual.contents)
        if address not in self._tables:
            original = Methods.from_address(address)
            watched = Methods.from_buffer_copy(original)
            watched.xWrite = WRITE(lambda file, data, size, at: self._write(original, file, data, size, at))
            watched.xTruncate = TRUNCATE(lambda file, size: self._truncate(original, file, size))
            watched.xSync = SYNC(lambda file, flags: self._sync(original, file, flags))
            watched.xClose = CLOSE(lambda file: self._close(original, file))
            self._tables[address] = (watched, original)
        return self._tables[address][0]

    def _write(self, original: Methods, file: int, data: int, size: int, offset: int) -> int:
        event = Event("write", self._paths[file], offset, ctypes.string_at(data, size))
        return self._disk.run(event, lambda: int(original.xWrite(file, data, size, offset)))

    def _truncate(self, original: Methods, file: int, size: int) -> int:
        return self._disk.run(Event("truncate", self._paths[file], size), lambda: int(original.xTruncate(file, size)))

    def _sync(self, original: Methods, file: int, flags: int) -> int:
        return self._disk.run(Event("sync", self._paths[file]), lambda: int(original.xSync(file, flags)))

    def _close(self, original: Methods, file: int) -> int:
        self._paths.pop(file, None)
        return int(original.xClose(file))

    def _delete(self, vfs: int, name: bytes, sync: int) -> int:
        return self._disk.run(Event("delete", name.decode()), lambda: int(self._usual.xDelete(vfs, name, sync)))


_installed: list[Shim] = []


def install() -> Disk:
    """Put the watched disk under every SQLite connection this process opens from now on, and return it.

    :raises RuntimeError: When Python's SQLite does not use it.
    """
    disk = Disk()
    try:
        _installed.append(Shim(disk))
    except (AttributeError, OSError) as error:
        raise RuntimeError(f"this Python hides its SQLite's functions; use another build of Python: {error}") from error
    with tempfile.TemporaryDirectory() as directory:
        connection = sqlite3.connect(Path(directory) / "probe.db")
        connection.execute("CREATE TABLE probe (x)")
        connection.close()
    if not (disk.counts["write"] and disk.counts["sync"]):
        raise RuntimeError("Python's SQLite does not use the watched disk")
    disk.events.clear()
    disk.counts.clear()
    return disk
