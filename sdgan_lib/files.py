"""Files: written whole or not at all, read within limits, and what the system says about them in one line."""

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sdgan_lib.errors import Problem, UserError

TEXT_LIMIT = 64 << 20
"""Bytes of a table or JSON file that are read at most; the largest known, the pairs of Market-1501, has 13 MB."""

REMEDIES = {
    errno.ENOENT: "check the name and the folder it is looked for in",
    errno.ENOTDIR: "a part of its path is a file: name a folder there",
    errno.EEXIST: "it is a file: name a folder there",
    errno.EISDIR: "it is a folder: name a file",
    errno.EACCES: "make it yours to read and write, or choose another place",
    errno.EPERM: "make it yours to read and write, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EFBIG: "choose a place that takes files of this size",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle: name the file itself",
    errno.EMFILE: "close other programs, or use fewer workers",
    errno.EIO: "the disk or the network share fails: choose another place",
}
"""What to do about an error of the system, by its number."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What the system says when a file cannot be written to its end."""


def explain(error: OSError, path: str | Path = "a file") -> Problem:
    """An error of the system as a fault of the file: what the system says, and what to do about it.

    Args:
        error: as ``open`` and its like raise it.
        path: the file, where the error does not name one itself.
    """
    name = error.filename if isinstance(error.filename, str | os.PathLike) else path
    if error.errno is None:  # raised by a library in its own words
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Problem(Path(name), lines[-1], "see to the file, or choose another")
    message = (error.strerror or os.strerror(error.errno)).lower()
    if error.errno == errno.ENOENT and not os.path.isabs(name):
        message += f" in {working_folder()}"
    return Problem(Path(name), message, REMEDIES.get(error.errno, "see to the file, or choose another"))


def working_folder() -> str:
    """The working directory, in which relative names are looked for."""
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return "a working directory that is gone"


def refuse_device(path: str | Path) -> None:
    """Raise if ``path`` is neither file nor folder nor new: reading it might not end, writing it would replace it.

    Raises:
        UserError: naming it.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # told by whoever opens it
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(Problem(Path(path), "a device or a pipe, not a file", "name a file"))


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to; what was written reaches the disk, then takes the name ``path``.

    Whoever reads ``path`` finds the old content or the new, never a part. The temporary file is new (no link is
    followed, nothing is overwritten), has the ending of ``path``, and is gone after a fault.

    Raises:
        UserError: ``path`` is there and is not a file.
        OSError: the folder or the file cannot be made.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    refuse_device(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix[:16]}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        os.close(os.open(temporary, flags, 0o666))
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        number = _number(error)
        if number is None or (isinstance(error, OSError) and error.filename not in (None, str(temporary))):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error  # by the name that the user knows


def _number(error: BaseException) -> int | None:
    """The system's error number behind an error; None where the system had no part in it.

    PyTorch says "unexpected pos" on a full disk; with ``torch.save(state, file)`` the cause is its context (not with
    a path in place of the file). safetensors puts the number into its text.
    """
    if isinstance(error, OSError):
        return error.errno
    if isinstance(error.__context__, OSError) and error.__context__.errno in FULL:
        return error.__context__.errno
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file by :func:`whole`: text as UTF-8, bytes as they are."""
    with whole(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The first ``limit`` + 1 bytes of a file, or all: one byte more than allowed shows that it is too large.

    Raises:
        UserError: naming the file, when it is missing, not a file or not readable.
    """
    path = Path(path)
    refuse_device(path)
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UserError(explain(error, path)) from error
    except ValueError as error:  # NUL in the name
        raise UserError(Problem(path, f"not a name of a file ({error})", "check the name")) from error


def read_text(path: str | Path, limit: int = TEXT_LIMIT) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        UserError: naming the file, when it is missing, not a file, not readable, larger than ``limit`` bytes or not
            UTF-8.
    """
    path = Path(path)
    content = read_bytes(path, limit)
    if len(content) > limit:
        message = f"more than {limit:,} bytes"
        raise UserError(Problem(path, message, "check that it is the file you mean"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(Problem(path, f"not text ({error})", "write it as UTF-8")) from error


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse_json(text: str) -> object:
    """What a JSON text holds.

    Raises:
        ValueError: saying what is wrong with it; also where it is nested too deeply, holds a number of thousands of
            digits, or one that is not finite (which JSON does not have, though Python writes it).
    """
    try:
        return _DECODER.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: str | Path, limit: int = TEXT_LIMIT) -> object:
    """What a JSON file holds, see :func:`read_text` and :func:`parse_json`.

    Raises:
        UserError: naming the file, when it cannot be read or is not JSON.
    """
    try:
        return parse_json(read_text(path, limit))
    except UserError:
        raise
    except ValueError as error:
        message = f"not JSON ({error})"
        raise UserError(Problem(Path(path), message, "correct it, or write it anew")) from error
