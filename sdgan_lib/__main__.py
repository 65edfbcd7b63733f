"""``python -m sdgan_lib``: the command line of ``sdgan_lib.cli``."""

from sdgan_lib.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
