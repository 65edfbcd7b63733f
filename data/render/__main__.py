"""``python -m data.render``: draw the data set (``all``), a picture (``image``), a contact ``sheet``, or more people.

More people to train on: ``python -m data.render --identities 2000 --out DIR``, see :mod:`data.render.more`.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one thread per process; the processes share out the cores

try:
    from PIL import Image

    from sdgan_lib.errors import UserError
    from sdgan_lib.files import explain

    from . import export, more
    from .bodies import data_folder
    from .shading import HEIGHTS, render
except ModuleNotFoundError as error:
    sys.exit(f"data.render: the package {error.name!r} is missing; pip install -e .[render]")


def _numbers(text: str) -> list[int]:
    """The whole numbers of ``3``, ``1-8`` or ``1,4,7-9``."""
    out = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            out += range(int(first), int(last or first) + 1)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no list of whole numbers such as 3 or 1,4,7-9"
            ) from None
    return out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data.render",
        description="Draw more people to train on (--identities and --out), the data set, one picture, or a contact "
        "sheet.",
    )
    m = parser.add_argument_group("more people to train on; goes on where an interrupted call stopped")
    m.add_argument("--identities", dest="more", metavar="N", type=int, help="how many people to draw")
    m.add_argument("--out", dest="more_out", metavar="DIR", type=Path, help="folder of their data set")
    m.add_argument("--workers", dest="more_workers", metavar="W", type=int, help="default: one per core")
    sub = parser.add_subparsers(dest="command")
    a = sub.add_parser("all", help="draw the whole data set; goes on where an interrupted call stopped")
    a.add_argument("--out", type=Path, default=Path("data/people"))
    a.add_argument("--train", type=int, default=250, help="identities for training")
    a.add_argument("--test", type=int, default=50, help="identities for testing")
    a.add_argument("--test-pairs", type=int, default=1000)
    a.add_argument("--height", type=int, default=128, choices=HEIGHTS, help="of the pictures in pixels")
    a.add_argument("--workers", type=int, default=None, help="processes; default: one per core")
    i = sub.add_parser("image", help="draw one picture and print its key points")
    i.add_argument("identity", type=int)
    i.add_argument("view", type=int, help="0..19: five frames of each of four cameras")
    i.add_argument("--height", type=int, default=128, choices=HEIGHTS)
    i.add_argument("--out", type=Path, default=Path("person.png"))
    s = sub.add_parser("sheet", help="draw a contact sheet")
    s.add_argument("--identities", type=_numbers, default=_numbers("1-8"))
    s.add_argument("--views", type=_numbers, default=_numbers("0-19"))
    s.add_argument("--height", type=int, default=128, choices=HEIGHTS)
    s.add_argument("--out", type=Path, default=Path("sheet.png"))
    return parser


def main() -> None:
    """The command line; faults of the user and of the system end in one line and status 1."""
    parser = _parser()
    args = parser.parse_args()
    if args.command is None:
        if args.more is None or args.more_out is None:
            parser.error("give --identities N and --out DIR to draw more people, or all, image or sheet")
        args.out = args.more_out
    elif (args.more, args.more_out, args.more_workers) != (None, None, None):
        parser.error(f"--identities, --out and --workers of {args.command} stand after it")
    try:
        data_folder()
        if args.command is None:
            print(more.draw_more(args.out, args.more, args.more_workers))
        elif args.command == "all":
            export.export(args.out, args.train, args.test, args.test_pairs, args.workers, args.height)
        elif args.command == "image":
            result = render(args.identity, args.view, args.height)
            Image.fromarray(result.image).save(args.out)
            ys, xs = export.annotation(result)
            print(f"{export.image_name(args.identity, args.view)}: {ys}: {xs}")
        else:
            export.contact_sheet(args.identities, args.views, args.height, args.out)
    except UserError as error:
        sys.exit(f"data.render: {error}")
    except OSError as error:
        sys.exit(f"data.render: {explain(error, args.out)}")
    except KeyboardInterrupt:
        goes_on = args.command in (None, "all")
        print("data.render: interrupted" + "; the same command goes on" * goes_on, file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes that draw end, too
    main()
