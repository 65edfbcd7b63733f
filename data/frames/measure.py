"""Does fine-tuning help? ``python -m data.frames.measure`` measures it on stand-ins for photos and draws the figure.

For some held-out people: 20 pictures with another look, 12 to learn from and 8 held out, 56 pairs of them; ``train
--fine-tune`` as it is, with several seeds. Also what the network forgets of 40 pairs of other people.
"""

import argparse
import copy
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data.frames.make import make
from sdgan_lib.checkpoints import SHIPPED, load_generator, read_trained
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import Answer, copy_source, evaluate, of_generator, warp_only
from sdgan_lib.frames import make_frames
from sdgan_lib.generators import Generator
from sdgan_lib.images import to_uint8, write_picture
from sdgan_lib.presets import FINE_TUNING_STEPS
from sdgan_lib.training import Budget, train

METRICS = ("fg_ssim", "fg_l1", "head_l1")
PICTURE = Path("docs/fine_tuning.webp")
SHOWN = 7
"""Columns of the figure: pairs of held-out frames, spread evenly."""


def means(answers: dict[str, Answer], pairs: PersonPairs) -> dict[str, dict[str, float]]:
    """``{answer: {metric: mean}}`` over all pairs."""
    found = evaluate(answers, pairs, quiet=True).means()["all"]
    return {name: {metric: values[metric] for metric in METRICS} for name, values in found.items()}


def line(label: str, values: dict[str, float]) -> str:
    """A row of the table."""
    return f"{label:34}" + "".join(f"{values[metric]:9.3f}" for metric in METRICS)


def draw(pairs: PersonPairs, networks: list[Generator], path: Path) -> None:
    """Rows: source, target, and what each network makes; columns: some pairs."""
    items = [pairs[i] for i in range(0, len(pairs), max(1, len(pairs) // SHOWN))][:SHOWN]
    given = [
        torch.stack([item[key] for item in items]) for key in ("source_image", "source_pose", "target_pose")
    ]
    rows = [given[0], torch.stack([item["target_image"] for item in items])]
    with torch.inference_mode():
        rows += [network.transfer(*given).image for network in networks]
    sheet = Image.fromarray(np.concatenate([np.concatenate(list(to_uint8(row)), 1) for row in rows]))
    write_picture(
        path,
        sheet.resize((sheet.width * 3 // 2, sheet.height * 3 // 2), Image.Resampling.BICUBIC),
        quality=80,
    )


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m data.frames.measure", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--identities", nargs="+", default=["0253", "0288", "0280"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=FINE_TUNING_STEPS)
    parser.add_argument(
        "--figure", type=Path, default=PICTURE, help="of the last identity and its first seed"
    )
    options = parser.parse_args()
    shipped, preset = load_generator(SHIPPED), read_trained(SHIPPED).preset.fine_tuned()
    others = copy.copy(PersonPairs("data/people", "test", pairs="all"))
    others.pairs = others.pairs[::25]
    print(f"{'':34}" + "".join(f"{metric:>9}" for metric in METRICS))
    print(line("other people, before", means({"": of_generator(shipped)}, others)[""]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for identity in options.identities:
            root = Path(folder) / identity
            make_frames(make(identity, root / "photos", 20), root / "data", 8, report=print)
            learned, held = (PersonPairs(root / "data", split, pairs="all") for split in ("train", "test"))
            simple = {"copied": copy_source, "limbs warped": warp_only, "before": of_generator(shipped)}
            for name, values in means(simple, held).items():
                print(line(f"{identity}, {name}", values), flush=True)
            tuned: list[Generator] = []
            for seed in options.seeds:
                run = root / f"{seed}"
                checkpoint = train(
                    learned, preset, run, Budget(steps=options.steps), seed=seed, start=SHIPPED, quiet=True
                )
                tuned.append(load_generator(checkpoint))
                answer = {"": of_generator(tuned[-1])}
                print(line(f"{identity}, after, seed {seed}", means(answer, held)[""]))
                values = means(answer, others)[""]
                print(line(f"other people, after {identity}@{seed}", values), flush=True)
        draw(held, [shipped, tuned[0]], options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
