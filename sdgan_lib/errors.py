"""Faults that the user can mend, and text that a terminal can be trusted with."""

from dataclasses import dataclass
from pathlib import Path

LONGEST = 400  # characters of a message; what stands in a file may be of any length


@dataclass(frozen=True)
class Problem:
    """One fault: where it is, what it is, and what to do about it.

    Attributes:
        path: file or folder.
        message: what is wrong.
        remedy: what to do about it.
        row: line of the file, counted from 1.
        fault: name of the kind of fault, under which a report counts like faults of one file or folder; empty for one
            that is always listed by itself.
        count: how many rows or files have it; this one is the first.
    """

    path: Path
    message: str
    remedy: str
    row: int | None = None
    fault: str = ""
    count: int = 1

    @property
    def fact(self) -> str:
        """File, row and message, in one line without the remedy."""
        row = "" if self.row is None else f", row {self.row}"
        message = self.message if len(self.message) <= LONGEST else self.message[:LONGEST] + " …"
        more = "" if self.count == 1 else f" (so in {self.count:,} {'files' if self.row is None else 'rows'})"
        return printable(f"{self.path}{row}: {message}{more}")

    def __str__(self) -> str:
        """One line: file, row, message, remedy."""
        return printable(f"{self.fact}. Remedy: {self.remedy}.")


class UserError(ValueError):
    """Something outside the code is wrong, and the user can mend it: a file, a row, an option.

    The message is one line that names the file (and the row), what is wrong and the remedy. The command line prints
    it and ends with status 1; any other exception is a fault of the code and keeps its traceback.

    File names and what stands in files may hold anything, so control characters are written as escapes: the message
    stays one line and moves no cursor. A DataLoader raises a worker's error again with the worker's whole traceback
    as its message; of that the last line is kept, which is the message as it was.

    Attributes:
        problem: the fault in its parts, if it was given so.
    """

    def __init__(self, message: Problem | str = "") -> None:
        text = str(message)
        if text.startswith("Caught ") and " in DataLoader worker process " in text:
            text = text.rstrip().rpartition("\n")[2].partition(": ")[2]
        super().__init__(printable(text))
        self.problem = message if isinstance(message, Problem) else None


def printable(text: object) -> str:
    """Text with every character that does not print (control characters, lone surrogates) as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
