"""The one base class of faults that the user can mend."""


class UserError(ValueError):
    """Something outside the code is wrong, and the user can mend it: a file, a row, an option.

    The message is one line that names the file (and the row), what is wrong and the remedy. The command line prints
    it and ends with status 1; any other exception is a fault of the code and keeps its traceback.
    """
