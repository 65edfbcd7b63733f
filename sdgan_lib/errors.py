"""The one base class of faults that the user can mend, and text that a terminal can be trusted with."""


class UserError(ValueError):
    """Something outside the code is wrong, and the user can mend it: a file, a row, an option.

    The message is one line that names the file (and the row), what is wrong and the remedy. The command line prints
    it and ends with status 1; any other exception is a fault of the code and keeps its traceback.

    File names and what stands in files may hold anything, so control characters are written as escapes: the message
    stays one line and moves no cursor. A DataLoader raises a worker's error again with the worker's whole traceback
    as its message; of that the last line is kept, which is the message as it was.
    """

    def __init__(self, message: object = "") -> None:
        text = str(message)
        if text.startswith("Caught ") and " in DataLoader worker process " in text:
            text = text.rstrip().rpartition("\n")[2].partition(": ")[2]
        super().__init__(printable(text))


def printable(text: object) -> str:
    """Text with every character that does not print (control characters, lone surrogates) as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
