"""Checks for the course's exercises: ``check_…(your_answer)`` returns a :class:`Verdict`, shown as one line.

Every check compares with the library on fresh random input and names the misconception behind a likely wrong
answer. One module per notebook; all checks are found here.
"""

from sdgan_lib.exercises import adversarial, encoders, generators, poses, start, warping
from sdgan_lib.exercises._verdict import Verdict

__all__ = ["Verdict"]
for _module in (start, poses, encoders, warping, generators, adversarial):
    for _name in vars(_module):
        if _name.startswith("check_"):
            globals()[_name] = getattr(_module, _name)
            __all__.append(_name)
