"""Read by every notebook kernel of an environment in which sdgan_lib is installed, before the first cell runs.

Notebooks import PyTorch first; by then `sdgan_lib` has said how long its threads spin.
"""

import sdgan_lib  # noqa: F401
