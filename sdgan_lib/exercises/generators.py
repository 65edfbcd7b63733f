"""Checks of the exercises of notebook 04_stacked_generator, and the patients of exercise 4.11."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.composition import OUTSIDE, ComposingHead, push_pull_fill, widen
from sdgan_lib.encoders import SLOPE
from sdgan_lib.exercises._verdict import (
    Mistakes,
    Open,
    Wrong,
    _Failed,
    compare,
    exercise,
    name_mistake,
    watched,
)
from sdgan_lib.generators import (
    SCALES,
    WARPED_LEVELS,
    GeneratorConfig,
    Head,
    PartAttention,
    StackedGenerator,
    UpBlock,
)
from sdgan_lib.inputs import Generated, Inputs, make_inputs
from sdgan_lib.warping import BACKGROUND, REGIONS, deformable_skip

DIAGNOSES = {
    "source pose": "the pose stream is given the source's heat maps instead of the target's",
    "unwarped skip": "the finest skip carries the source's features without moving them",
    "no attention": "the person is painted anew at every pixel, no warped part is kept",
}
"""What may be wrong with a patient of exercise 4.11."""

_TRUTH = {"A": "unwarped skip", "B": "source pose", "C": "no attention"}
_SIGNS = {
    "unwarped skip": "only the finest decoder block sees that skip, so the low and the middle picture must be exactly "
    "the healthy ones",
    "source pose": "then the heat maps of the target pose are never read: add noise to `inputs.target_heatmaps` "
    "(with dataclasses.replace) and the pictures must not change at all",
    "no attention": "then the shares of the ten body regions are 0 at every pixel",
}


def patients(generator: StackedGenerator) -> dict[str, Callable[[Inputs], Generated]]:
    """Three broken copies of a stacked generator, by letter; each takes ``Inputs`` and returns ``Generated``."""
    return {letter: _infect(copy.deepcopy(generator), fault) for letter, fault in _TRUTH.items()}


def _infect(generator: StackedGenerator, fault: str) -> Callable[[Inputs], Generated]:
    if fault == "source pose":
        return lambda inputs: generator(replace(inputs, target_heatmaps=inputs.source_heatmaps))
    if fault == "unwarped skip":
        join_skips = generator.join_skips

        def without_warp(appearance: list[Tensor], pose: list[Tensor], inputs: Inputs) -> list[Tensor]:
            return [*join_skips(appearance, pose, inputs)[:-1], torch.cat([appearance[0], pose[0]], 1)]

        generator.join_skips = without_warp
        return generator
    candidates = BACKGROUND if generator.config.composition else len(REGIONS)
    for head in generator.heads:
        with torch.no_grad():
            head.layers[-1].bias[3 + candidates] = 1e4  # the logit of the new paint, behind three colours
    return generator


@exercise
def check_up_block(answer: Callable) -> str:
    """``my_up_block(in_channels, skip_channels, out_channels, height, width)`` returns four whole numbers.

    They are height and width of the block's output, channels that go into its 3x3 convolution, and its number of
    weights (all parameters, with instance norm's scale and shift).
    """
    for case in ((8, 4, 6, 3, 5), (32, 24, 16, 8, 4), (128, 64, 64, 7, 2)):
        found = answer(*case)
        whole = isinstance(found, (tuple, list)) and all(isinstance(number, int) for number in found)
        if not whole or len(found) != 4:
            raise Wrong(
                f"four whole numbers are wanted, (height, width, join_channels, weights), not {found!r}."
            )
        _compare_block(tuple(found), *case)
    return (
        "Right. Note where the weights sit: most are in the coarse blocks, where pictures are small and channels "
        "many."
    )


def _compare_block(found: tuple[int, ...], a: int, s: int, o: int, h: int, w: int) -> None:
    """Raise :class:`Wrong` unless the four numbers are those of the block for the channels and the size given."""
    block = UpBlock(a, s, o, "instance", 0.0)
    out = block(torch.zeros(1, a, h, w), torch.zeros(1, s, 2 * h, 2 * w))
    count = sum(p.numel() for p in block.parameters())
    expected = (*out.shape[-2:], block.join[0].in_channels, count)
    given = f"for my_up_block({a}, {s}, {o}, {h}, {w})"
    parts = (found[:2], expected[:2]), (found[2], expected[2]), (found[3], expected[3])
    for (mine, right), mistakes in zip(parts, _block_mistakes(a, s, o, h, w), strict=True):
        if mine != right:
            name_mistake(mine, [(f"{given} {message}", value) for message, value in mistakes])
    names = ("output's height", "output's width", "channels into the 3x3 convolution", "weights")
    for name, mine, right in zip(names, found, expected, strict=True):
        if mine != right:
            raise Wrong(f"{given} the {name}: {mine} where {right} is wanted.")


def _block_mistakes(a: int, s: int, o: int, h: int, w: int) -> tuple[Mistakes, Mistakes, Mistakes]:
    """What may be wrong with the size, with the channels and with the weights."""
    size_mistakes = [
        (
            "the size is 2 too large: padding=1 takes one row away at each of the four sides, so the size is "
            "(n - 1) * 2 - 2 + 4.",
            ((h - 1) * 2 + 4, (w - 1) * 2 + 4),
        ),
        (
            "the size got smaller: a transposed convolution with stride 2 goes up, from n to 2n.",
            (h // 2, w // 2),
        ),
        ("height and width have changed places.", (2 * w, 2 * h)),
    ]
    channel_mistakes = [
        (
            "you forgot the skip's channels: `torch.cat` puts them behind the up-sampled ones before the 3x3 "
            "convolution.",
            o,
        ),
        (
            "you joined before going up: the transposed convolution has already made in_channels into out_channels.",
            a + s,
        ),
    ]
    up, join, norm = 16 * a * o, 9 * (o + s) * o, 2 * o
    weight_mistakes = [
        (
            "the weights lack the bias of the transposed convolution, one number for each output channel.",
            up + join + norm,
        ),
        (
            "you counted a bias for the 3x3 convolution: it has none (bias=False), for the normalisation takes every "
            "constant away and adds its own shift.",
            up + o + join + o + norm,
        ),
        ("the weights lack the normalisation: a scale and a shift for each channel.", up + o + join),
        (
            "the weights of the 3x3 convolution lack those for the skip's channels.",
            up + o + 9 * o * o + norm,
        ),
    ]
    return size_mistakes, channel_mistakes, weight_mistakes


@exercise
def check_up_module(answer: Callable) -> str:
    """``MyUpBlock(in_channels, skip_channels, out_channels, norm, dropout)``, a module like the library's ``UpBlock``.

    Its parts ``up``, ``join`` and ``dropout`` are given the library's weights; then both must make the same of
    ``x`` ``[B, in_channels, h, w]`` and ``skip`` ``[B, skip_channels, 2h, 2w]``.
    """
    torch.manual_seed(0)
    for a, s, o, norm in ((8, 4, 6, "instance"), (16, 12, 24, "group")):
        block = _random_weights(UpBlock(a, s, o, norm, 0.5))
        mine = _adopt(answer(a, s, o, norm, 0.5), block, _up_names(a, s, o))
        x, skip = torch.randn(2, a, 5, 3), torch.randn(2, s, 10, 6)
        forward = watched(mine)
        if not torch.equal(forward(x, skip), forward(x, skip)):
            raise Wrong(
                "two calls in evaluation mode differ: dropout must be off then. `nn.Dropout` knows the mode; "
                "`F.dropout` is on unless it is told `training=self.training`."
            )
        compare(forward(x, skip), block(x, skip), _up_mistakes(block, x, skip), what="the block's output")
        forgetful = _adopt(answer(a, s, o, norm, 1.0), block, _up_names(a, s, o))
        if watched(forgetful.train())(x, skip).count_nonzero():
            raise Wrong(
                "with a dropout rate of 1 the output must be 0 everywhere in training: dropout is the last thing that "
                "happens, with the rate that is given."
            )
    return "Right: up, join, dropout, with the library's own weights to the last digit. The decoders are lists of it."


def _random_weights(module: nn.Module) -> nn.Module:
    """The module in evaluation mode with all weights random, those of the normalisation too."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.3)
    return module.eval()


def _adopt(mine: object, library: nn.Module, names: Callable[[dict[str, Tensor]], Mistakes]) -> nn.Module:
    """The learner's module with the library's weights, in evaluation mode; Wrong where they do not fit.

    Args:
        mine: what the learner's class returned.
        library: whose weights are copied.
        names: from the learner's weights by name to pairs of a message and whether it applies.
    """
    if not isinstance(mine, nn.Module):
        raise Wrong(f"a module is wanted (a subclass of nn.Module), not a {type(mine).__name__}.")
    found, wanted = mine.state_dict(), library.state_dict()
    shapes = {name: list(weight.shape) for name, weight in found.items()}
    if shapes != {name: list(weight.shape) for name, weight in wanted.items()}:
        name_mistake(True, names(found))
        for name, weight in wanted.items():
            if name not in shapes:
                raise Wrong(
                    f"there are no weights by the name {name} {list(weight.shape)}; yours are {shapes or 'none'}. Call "
                    "the parts as the task does, and the layers inside a Sequential count from 0."
                )
            if shapes[name] != list(weight.shape):
                raise Wrong(f"{name} has the shape {shapes[name]}; {list(weight.shape)} is wanted.")
        raise Wrong(f"weights that are not needed: {', '.join(sorted(set(found) - set(wanted)))}.")
    mine.load_state_dict(wanted)
    return mine.eval()


def _up_names(a: int, s: int, o: int) -> Callable[[dict[str, Tensor]], Mistakes]:
    def named(found: dict[str, Tensor]) -> Mistakes:
        shape = {name: tuple(weight.shape) for name, weight in found.items()}
        up, join = shape.get("up.weight"), shape.get("join.0.weight")
        return [
            (
                "`up` is an ordinary convolution, which goes down: use nn.ConvTranspose2d.",
                up == (o, a, 4, 4),
            ),
            (
                "the transposed convolution has another kernel: 4 (with stride 2 and padding 1) makes n into 2n.",
                up is not None and up[2:] != (4, 4),
            ),
            (
                "the 3x3 convolution reads only the up-sampled channels: the skip's are joined behind them, so it "
                f"reads out_channels + skip_channels = {o + s}.",
                join == (o, o, 3, 3),
            ),
            (
                f"the 3x3 convolution reads {a + s} channels, in_channels + skip_channels: when the skip is joined, "
                "`up` has already made in_channels into out_channels.",
                join == (o, a + s, 3, 3),
            ),
            (
                "the 3x3 convolution has a bias: the normalisation behind it takes every constant away "
                "(bias=False).",
                "join.0.bias" in shape and "join.1.weight" in shape,
            ),
            (
                "`join` has no normalisation behind its convolution: `normalise(norm, out_channels)`.",
                "join.0.weight" in shape and "join.1.weight" not in shape,
            ),
        ]

    return named


def _up_mistakes(block: UpBlock, x: Tensor, skip: Tensor) -> Mistakes:
    conv, normalisation, _ = block.join
    up = block.up(x)
    before = normalisation(conv(torch.cat([up, skip], 1)))
    other = nn.GroupNorm if isinstance(normalisation, nn.InstanceNorm2d) else nn.InstanceNorm2d
    other = other(1, before.shape[1]) if other is nn.GroupNorm else other(before.shape[1], affine=True)
    other.load_state_dict(normalisation.state_dict())
    mistakes = [
        ("the LeakyReLU at the end of `join` is missing.", before),
        ("that is a plain ReLU: negative values must pass, times SLOPE (LeakyReLU).", before.relu()),
        (f"the LeakyReLU has another slope than SLOPE = {SLOPE}.", F.leaky_relu(before)),
        (
            "the LeakyReLU comes before the normalisation: the order is convolution, normalisation, LeakyReLU.",
            normalisation(F.leaky_relu(conv(torch.cat([up, skip], 1)), SLOPE)),
        ),
        (
            "the normalisation is always of the same kind: `normalise(norm, …)` takes the one that is asked for.",
            F.leaky_relu(other(conv(torch.cat([up, skip], 1))), SLOPE),
        ),
        (
            "the skip is not read: join it behind the up-sampled features.",
            block.join(torch.cat([up, 0 * skip], 1)),
        ),
    ]
    mistakes.append(
        (
            "the skip stands before the up-sampled features: join them as torch.cat([up, skip], 1), in this order.",
            block.join(torch.cat([skip, up], 1)),
        )
    )
    return mistakes


@exercise
def check_picture_head(answer: Callable) -> str:
    """``MyHead(in_channels, channels)``, a module like the library's ``Head``.

    Its part ``layers`` is given the library's weights; then both must make the same picture ``[B, 3, h, w]`` of
    features ``[B, in_channels, h, w]``.
    """
    torch.manual_seed(0)
    for a, c, size in ((6, 5, (4, 3)), (12, 8, (8, 6))):
        head = _random_weights(Head(a, c))
        mine = _adopt(answer(a, c), head, _head_names(a, c))
        features = torch.randn(2, a, *size)
        first, activation, last = head.layers
        out = head.layers(features)
        mistakes = [
            ("the tanh is missing: the picture leaves [-1, 1].", out),
            ("a sigmoid gives 0 to 1; pictures are in [-1, 1], as tanh makes them.", out.sigmoid()),
            (
                "clamp also keeps the picture in [-1, 1], but beyond it has no gradient: a colour that is once too "
                "bright would never learn. Use tanh.",
                out.clamp(-1, 1),
            ),
            ("the LeakyReLU between the two convolutions is missing.", last(first(features)).tanh()),
            (
                "that is a plain ReLU between the convolutions: LeakyReLU(SLOPE).",
                last(first(features).relu()).tanh(),
            ),
            (
                f"the LeakyReLU has another slope than SLOPE = {SLOPE}.",
                last(F.leaky_relu(first(features))).tanh(),
            ),
            ("the LeakyReLU comes after the tanh, too: negative colours get lost.", activation(out.tanh())),
        ]
        found = watched(mine)(features)
        if isinstance(found, Tensor) and found.shape[-1] < size[1]:
            raise Wrong(
                f"the picture has become smaller, {list(found.shape[-2:])} of {list(size)}: a 3x3 convolution keeps "
                "the size with padding=1."
            )
        compare(found, head(features), mistakes, what="the picture")
    return "Right: features in, three colours in [-1, 1] out. In eq. 3 and 5 it is called G_i."


def _head_names(a: int, c: int) -> Callable[[dict[str, Tensor]], Mistakes]:
    def named(found: dict[str, Tensor]) -> Mistakes:
        shape = {name: tuple(weight.shape) for name, weight in found.items()}
        first, last = shape.get("layers.0.weight"), shape.get("layers.2.weight")
        return [
            (
                "one convolution is not enough: the first mixes the features, the second makes colours of them.",
                first == (3, a, 3, 3),
            ),
            ("the kernels are 3x3 (and padding 1 keeps the size).", first == (c, a, 1, 1)),
            (
                "the LeakyReLU between the convolutions is missing: layers are convolution, LeakyReLU, convolution.",
                first == (c, a, 3, 3) and "layers.1.weight" in shape,
            ),
            ("the last convolution makes three colours.", last is not None and last[0] != 3),
            ("no normalisation here: it would take the picture's own brightness away.", len(shape) > 4),
        ]

    return named


class _Track:
    """Stand-ins for DC_i, Up_i and G_i that compute with real tensors and note what they are given."""

    def __init__(self, stages: int, seed: int):
        rng = torch.Generator().manual_seed(seed)
        self.random = lambda *shape: torch.randn(shape, generator=rng)
        self.stages = stages
        self.known: list[tuple[str, Tensor]] = []
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.code = self.note("f_a", self.random(2, 6, 2, 3))
        self.pose_code = self.note("h_b", self.random(2, 4, 2, 3))
        names = [(f"l_{i}", f"Up_{i}(h_b)", f"y_{i}") for i in range(stages)]
        self.decoders, self.ups, self.heads = (
            [self.stand_in(kind, i, names[i][k], channels) for i in range(stages)]
            for k, (kind, channels) in enumerate((("DC", 6), ("Up", 4), ("G", 3)))
        )

    def note(self, name: str, value: Tensor) -> Tensor:
        self.known.append((name, value))
        return value

    def name(self, value: object) -> str:
        for name, tensor in self.known:
            if isinstance(value, Tensor) and value.shape == tensor.shape and torch.equal(value, tensor):
                return name
        return "something else"

    def stand_in(self, kind: str, i: int, result: str, channels: int) -> Callable[..., Tensor]:
        mix = self.random(channels)

        def module(*given: Tensor) -> Tensor:
            self.calls.append((f"{kind}_{i}", tuple(self.name(g) for g in given)))
            total = sum(torch.as_tensor(g).mean() for g in given)
            value = (mix * torch.sin(total + 1))[None, :, None, None].expand(2, -1, 2 << i, 3 << i)
            return self.note(result, value)

        return module


@exercise
def check_stack(answer: Callable) -> str:
    """``my_stack(f_a, h_b, decoders, ups, heads)`` returns the list of pictures of eq. 2-5, coarsest first.

    ``decoders[i](l)``, ``ups[i](h_b)`` and ``heads[i](l, up)`` are DC_i, Up_i and G_i, for any number of scales.
    """
    for stages in (3, 2, 4):
        track = _Track(stages, seed=stages)
        found = answer(track.code, track.pose_code, track.decoders, track.ups, track.heads)
        if not isinstance(found, (list, tuple)):
            raise Wrong(f"a list of {stages} pictures is wanted, not a {type(found).__name__}.")
        wanted = [f"y_{i}" for i in range(stages)]
        names = [track.name(picture) for picture in found]
        calls = track.calls
        for module, given in calls:
            kind, i = module.split("_")
            _wiring(kind, int(i), given)
        if sorted(names) == wanted and names != wanted:
            raise Wrong(
                "the pictures come in the wrong order: the coarsest, G_0's, is the first of the list."
            )
        if len(names) != stages:
            raise Wrong(
                f"{len(names)} pictures for {stages} scales: walk through the lists with zip, so that the same code "
                "serves any number of scales."
            )
        if names != wanted:
            raise Wrong(
                f"the list should hold {', '.join(wanted)}, what the G_i return; it holds {', '.join(names)}."
            )
        if len(calls) != 3 * stages:
            raise Wrong(
                f"{len(calls)} calls where {3 * stages} are enough: every DC_i, Up_i and G_i runs once."
            )
    return "Right: l is handed on from scale to scale, h_b goes to every scale afresh, and no picture is fed back."


def _wiring(kind: str, i: int, given: tuple[str, ...]) -> None:
    before = f"l_{i - 1}" if i else "f_a"
    wanted = {"DC": (before,), "Up": ("h_b",), "G": (f"l_{i}", f"Up_{i}(h_b)")}[kind]
    if given == wanted:
        return
    got = ", ".join(given) or "nothing"
    if len(given) != len(wanted):
        raise Wrong(
            f"{kind}_{i} takes {len(wanted)} tensors ({', '.join(wanted)}) and was given {len(given)}."
        )
    if kind == "DC" and given[0].startswith("y_"):
        raise Wrong(
            f"DC_{i} is given the picture {given[0]}: eq. 4 hands on the features {before}, which know far more than "
            "three colour channels."
        )
    if kind == "DC" and given[0] == "f_a":
        raise Wrong(
            f"DC_{i} starts again from f_a: the decoders are stacked, each goes on from {before} (eq. 4)."
        )
    if kind == "Up" and given[0].startswith("Up_"):
        raise Wrong(f"Up_{i} is given what Up_{i - 1} made: every Up_i starts from the pose code h_b itself.")
    if kind == "G" and given[1] == "h_b":
        raise Wrong(
            f"G_{i} is given h_b as it is: it has the size of the code. Up_{i} brings it to the size of l_{i} first."
        )
    if kind == "G" and given[1].startswith("Up_"):
        raise Wrong(
            f"G_{i} is given {got}: the pose code must be brought to the size of scale {i}, by Up_{i}, and joined with "
            f"l_{i}."
        )
    if kind == "G" and given[0] in ("f_a", "h_b"):
        raise Wrong(f"G_{i} is given {got}: it paints from the features l_{i} of its own scale (eq. 3, 5).")
    raise Wrong(f"{kind}_{i} is given ({got}); eq. 2-5 give it ({', '.join(wanted)}).")


@exercise
def check_stacked_forward(answer: Callable) -> str:
    """``my_forward(inputs, encoder, decoders, ups, heads, choices)``: the three pictures and the three attentions.

    ``encoder(source_image, source_heatmaps, target_heatmaps)`` returns appearance and pose features, level by level;
    ``decoders[i]`` is a list of blocks ``block(x, skip)``, ``ups[i](h_b)`` the up-sampled pose code,
    ``heads[i](features, candidates, masks)`` a picture and its shares, ``choices(factor)`` candidates and masks. The
    parts are those of a :class:`sdgan_lib.generators.StackedGenerator`, whose answer is wanted.
    """
    rng = torch.Generator().manual_seed(0)
    for depth, ratio, norm in ((4, 0.5, "group"), (5, 1.0, "group")):
        torch.manual_seed(depth)
        plan = GeneratorConfig("sdgan", width=4, depth=depth, pose_ratio=ratio, norm=norm, dropout=0.0)
        generator = StackedGenerator(plan).eval()
        size = torch.tensor([32.0, 64.0])
        poses = [torch.rand(2, 18, 2, generator=rng) * size for _ in range(2)]
        inputs = make_inputs(torch.rand(2, 3, 64, 32, generator=rng) * 2 - 1, *poses)
        with torch.no_grad():
            notes: list[str] = []
            try:
                found = answer(inputs, *_parts(generator, inputs, notes))
            except _Failed as error:
                raise Wrong(notes[0]) if notes else error from error
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise Wrong("two lists are wanted: the pictures, and the attention of each.")
            if any(not isinstance(part, (tuple, list)) or len(part) != len(SCALES) for part in found):
                raise Wrong(
                    f"two lists of {len(SCALES)} are wanted, one entry for each scale, coarsest first."
                )
            wanted = generator(inputs)
            mistaken = [(message, _forward(generator, inputs, name)) for name, message in _FORWARD.items()]
        images, attention = found
        sizes = [getattr(image, "shape", ())[-2:] for image in images]
        if sizes[::-1] == [image.shape[-2:] for image in wanted.images]:
            raise Wrong("the pictures come finest first: the list begins with G_0's, at 1/4 of the size.")
        # The finest picture first: a mistake that only the finest skip shows is seen there.
        for i in reversed(range(len(SCALES))):
            mistakes = [(message, made.images[i]) for message, made in mistaken]
            compare(images[i], wanted.images[i], mistakes, what=f"the picture of scale {i}")
            compare(attention[i], wanted.attention[i], what=f"the attention of scale {i}")
    return (
        "Right: the paper's generator is yours, from the streams to the pictures. Only the weights are still to be "
        "learned."
    )


_FORWARD = {
    "not warped": "the appearance skips are not warped: each of the finest levels needs `deformable_skip(features, "
    "inputs.warps)`.",
    "finest not warped": "the finest skip, level 0, is not warped.",
    "all warped": f"a level beyond the {WARPED_LEVELS} finest is warped, too: only levels below WARPED_LEVELS are.",
    "pose warped": "the pose features of the skips have been warped, too: they are in the target pose already.",
    "pose first": "in the skips the pose features stand before the appearance: appearance ⊕ pose.",
    "code turned": "the code begins with h_b: it is f_a ⊕ h_b, appearance first.",
    "head turned": "a head is given Up_i(h_b) ⊕ l_i: the features l_i come first.",
    "poses swapped": "the heat maps have changed places: the encoder takes the picture, the *source's* heat maps, and "
    "then the *target's*.",
    "source pose": "the pose stream is given the source's heat maps: it takes the target's.",
}


def _parts(generator: StackedGenerator, inputs: Inputs, notes: list[str]) -> tuple:
    """What ``my_forward`` is given besides the inputs; what does not fit is noted in words before PyTorch raises."""

    def block(up: UpBlock) -> Callable[[Tensor, Tensor], Tensor]:
        join = up.join[0].in_channels - up.up.out_channels

        def call(x: Tensor, skip: Tensor) -> Tensor:
            size, wanted = list(skip.shape[-2:]), [2 * n for n in x.shape[-2:]]
            if size != wanted:
                notes.append(
                    f"a block that doubles {list(x.shape[-2:])} is given a skip of {size}: skips go from coarse to "
                    "fine (the encoder lists its levels from fine to coarse), and each decoder takes up where the one "
                    "before it has stopped."
                )
            elif x.shape[1] != up.up.in_channels:
                notes.append(
                    f"a block takes {up.up.in_channels} channels and is given {x.shape[1]}: the first one begins at "
                    "the code f_a ⊕ h_b, any other at what the block before it made."
                )
            elif skip.shape[1] != join:
                notes.append(
                    f"a skip has {skip.shape[1]} channels where the block takes {join}: appearance and pose features "
                    "of the level, joined."
                )
            return up(x, skip)

        return call

    def head(paint: nn.Module) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        channels = paint.layers[0].in_channels

        def call(features: Tensor, candidates: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
            if features.shape[1] != channels:
                notes.append(
                    f"a head takes {channels} channels and is given {features.shape[1]}: l_i and the up-sampled pose "
                    "code, joined."
                )
            elif features.shape[-2:] != candidates.shape[-2:]:
                notes.append(
                    f"a head that paints {list(features.shape[-2:])} is given candidates of "
                    f"{list(candidates.shape[-2:])}: ask `choices` for the factor of this scale."
                )
            return paint(features, candidates, masks)

        return call

    return (
        generator.encoder,
        [[block(up) for up in decoder] for decoder in generator.decoders],
        list(generator.ups),
        [head(paint) for paint in generator.heads],
        lambda factor: generator.candidates(inputs, factor),
    )


def _forward(generator: StackedGenerator, inputs: Inputs, mistake: str) -> Generated:
    """The stacked generator with attention, with one mistake, by its name in ``_FORWARD``."""

    def join(first: Tensor, second: Tensor, turned: bool) -> Tensor:
        return torch.cat([second, first] if turned else [first, second], 1)

    maps = [inputs.source_heatmaps, inputs.target_heatmaps]
    if mistake == "poses swapped":
        maps.reverse()
    if mistake == "source pose":
        maps[1] = maps[0]
    appearance, pose = generator.encoder(inputs.source_image, *maps)
    skips = []
    for level in reversed(range(generator.config.depth)):
        warped = level < WARPED_LEVELS and not (mistake == "finest not warped" and level == 0)
        warped = (warped or mistake == "all warped") and mistake != "not warped"
        moved = [
            deformable_skip(features[level], inputs.warps) if move else features[level]
            for features, move in ((appearance, warped), (pose, warped and mistake == "pose warped"))
        ]
        skips.append(join(*moved, mistake == "pose first"))
    x, left = join(appearance[-1], pose[-1], mistake == "code turned"), iter(skips)
    images, attention = [], []
    parts = zip(SCALES, generator.decoders, generator.ups, generator.heads, strict=True)
    for factor, blocks, up, head in parts:
        for block, skip in zip(blocks, islice(left, len(blocks)), strict=True):
            x = block(x, skip)
        image, shares = head(
            join(x, up(pose[-1]), mistake == "head turned"), *generator.candidates(inputs, factor)
        )
        images.append(image)
        attention.append(shares)
    return Generated(images, attention)


@exercise(function=False)
def check_diagnosis(answer: Mapping) -> str:
    """``my_diagnosis``: a dictionary from each patient's letter to its fault, one of the names in ``DIAGNOSES``."""
    if not isinstance(answer, Mapping) or set(answer) != set(_TRUTH):
        raise Wrong(f'a dictionary with the keys {", ".join(_TRUTH)} is wanted, like {{"A": "...", ...}}.')
    if any(value is None or value is ... for value in answer.values()):
        raise Open
    unknown = [str(value) for value in answer.values() if value not in list(DIAGNOSES)]
    if unknown:
        raise Wrong(f"{unknown[0]!r} is none of the faults: choose from {', '.join(DIAGNOSES)}.")
    wrong = [letter for letter, fault in _TRUTH.items() if answer[letter] != fault]
    if wrong:
        letter = wrong[0]
        claimed = answer[letter]
        raise Wrong(
            f"patient {letter} does not have the fault {claimed!r}. If it had, {_SIGNS[claimed]}: look."
        )
    return (
        "Right. Each fault has its own sign, and you found it by changing one thing and watching what follows: the "
        "best way to debug any network."
    )


@exercise
def check_attention(answer: Callable) -> str:
    """``my_attention(logits, painted, candidates, masks)``: the picture and the twelve shares.

    From logits ``[B, 12, h, w]``, painted ``[B, 3, h, w]``, candidates ``[B, 11, 3, h, w]`` and masks
    ``[B, 11, h, w]`` in [0, 1]; wanted are a picture ``[B, 3, h, w]`` and shares ``[B, 12, h, w]``.
    """
    rng = torch.Generator().manual_seed(0)
    for b, h, w, fractions in ((2, 4, 3, False), (1, 5, 6, True)):
        logits, painted = torch.randn(b, 12, h, w, generator=rng), torch.rand(b, 3, h, w, generator=rng)
        candidates = torch.rand(b, 11, 3, h, w, generator=rng)
        covered = torch.rand(b, 11, h, w, generator=rng)
        masks = (2 * covered - 0.5).clamp(0, 1) if fractions else (covered < 0.4).float()
        picture, shares = PartAttention()(logits, painted, candidates, masks)
        given = [t.clone() for t in (logits, painted, candidates, masks)]
        found = answer(*given)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("two tensors are wanted, the picture and the twelve shares.")
        _unchanged(given, {"logits": logits, "painted": painted, "candidates": candidates, "masks": masks})
        _no_threshold(found[1], logits, masks)
        compare(found[1], shares, _share_mistakes(logits, masks), what="the tensor of shares")
        paint = shares[:, -1:]
        mistakes = [
            (
                "the picture lacks the new paint: add its share times `painted` to the kept parts.",
                picture - paint * painted,
            ),
            (
                "the painted picture is added in full: multiply it by its share first.",
                picture + (1 - paint) * painted,
            ),
        ]
        compare(found[0], picture, mistakes, what="the picture")
    return (
        "Right: twelve candidates for one pixel, and shares that sum to 1, so the picture never leaves the candidates' "
        "range."
    )


def _share_mistakes(logits: Tensor, masks: Tensor) -> Mistakes:
    outside = PartAttention.OUTSIDE

    def biased(masks: Tensor, paint: float = outside / 2) -> Tensor:
        return logits + _prior(masks, paint)

    right = biased(masks)
    regions = right[:, :-1].softmax(1)
    wrong_axis = (
        "the softmax runs over the picture's {} (dimension {}), so pixels compete with each other; the candidates of "
        "one pixel are dimension 1."
    )
    return [
        (
            "the shares do not sum to 1: a sigmoid judges every candidate alone. The candidates compete for the "
            "pixel, so take a softmax over them (dimension 1).",
            right.sigmoid(),
        ),
        (
            "your softmax leaves the new paint out: the twelfth candidate competes like the eleven regions.",
            torch.cat([regions, right[:, -1:]], 1),
        ),
        ("eleven shares: the new paint is a candidate too, the twelfth.", regions),
        ("the softmax runs over the batch (dimension 0); the candidates are dimension 1.", right.softmax(0)),
        (wrong_axis.format("height", 2), right.softmax(2)),
        (wrong_axis.format("width", 3), right.softmax(3)),
        (
            "the prior is missing: outside its mask a region starts at -4, new paint everywhere at -2.",
            logits.softmax(1),
        ),
        (
            "the prior is added after the softmax, so the shares no longer sum to 1 and some are negative: add it to "
            "the logits, then take the softmax.",
            logits.softmax(1) + _prior(masks),
        ),
        (
            "the prior of the new paint is missing: it starts at -2 (`PartAttention.OUTSIDE / 2`).",
            biased(masks, paint=0.0).softmax(1),
        ),
        (
            "the new paint starts at -4, like a region outside its mask: it starts at -2, half of that "
            "(`PartAttention.OUTSIDE / 2`), ahead of what is outside and behind what is inside.",
            biased(masks, paint=outside).softmax(1),
        ),
        (
            "the prior is upside down: it holds regions back *outside* their mask, where the mask is 0.",
            biased(1 - masks).softmax(1),
        ),
        (
            "the prior has taken the place of the logits: it is *added* to them, or the network could never change it.",
            _prior(masks).softmax(1),
        ),
        (
            "the logits are multiplied by the masks: a prior is added to them.",
            (logits * torch.cat([masks, torch.ones_like(masks[:, :1])], 1)).softmax(1),
        ),
        (
            "the shares come in another order: eleven regions first, the new paint last.",
            right.softmax(1).roll(1, 1),
        ),
    ]


def _no_threshold(found: object, logits: Tensor, masks: Tensor) -> None:
    """Raise :class:`Wrong` if the shares come from a prior that is 0 or -4 where the masks are shares of a pixel."""
    partly = (masks > 0) & (masks < 1)
    if not isinstance(found, Tensor) or found.shape != logits.shape or not partly.any() or found.min() <= 0:
        return
    outside = PartAttention.OUTSIDE
    prior = found.log() - logits
    prior = (prior - prior[:, -1:] + outside / 2)[:, :-1][partly]
    if torch.minimum(prior.abs(), (prior - outside).abs()).max() < 1e-2:
        raise Wrong(
            f"the prior is all or nothing: a mask is a share of the pixel, so 0.25 gives {0.75 * outside:g}, neither 0 "
            f"nor {outside:g}. Multiply {outside:g} by 1 - mask, without a threshold."
        )


def _unchanged(given: list[Tensor], before: dict[str, Tensor]) -> None:
    """Raise :class:`Wrong` if the learner's function has written into what it was given."""
    for tensor, (name, value) in zip(given, before.items(), strict=True):
        if not torch.equal(tensor, value):
            raise Wrong(
                f"your function changed `{name}`, which it was given: whoever called it still needs it. Make a new "
                "tensor instead of writing into it (no +=, *=, masked_fill_ or x[...] = on it)."
            )


def _prior(masks: Tensor, paint: float = PartAttention.OUTSIDE / 2) -> Tensor:
    return torch.cat([PartAttention.OUTSIDE * (1 - masks), torch.full_like(masks[:, :1], paint)], 1)


@exercise
def check_widened(answer: Callable) -> str:
    """``my_widen(mask, pixels)``: a mask ``[B, 1, H, W]`` in [0, 1] that reaches ``pixels`` further everywhere."""
    rng = torch.Generator().manual_seed(0)
    for b, h, w, pixels in ((1, 9, 7, 1), (2, 12, 10, 2), (2, 9, 14, 3)):
        mask = torch.rand(b, 1, h, w, generator=rng) * (torch.rand(b, 1, h, w, generator=rng) < 0.1)
        mask[0, 0, 0, w // 2] = 0.7  # at the border, too
        given = [mask.clone()]
        found = answer(given[0], pixels)
        _unchanged(given, {"mask": mask})
        if isinstance(found, Tensor) and found.shape[-2:] == (h - 2 * pixels, w - 2 * pixels):
            raise Wrong("the mask has become smaller: pad it by `pixels` on all four sides.")
        compare(found, widen(mask, pixels), _widen_mistakes(mask, pixels), what="the widened mask")
    return "Right: a pixel belongs to the hole as soon as any pixel of the square around it does."


def _widen_mistakes(mask: Tensor, pixels: int) -> Mistakes:
    def pooled(mask: Tensor, reach: int) -> Tensor:
        return F.max_pool2d(mask, 2 * reach + 1, stride=1, padding=reach)

    def shifted(left: int, right: int, wrap: bool = False) -> Tensor:
        padded = F.pad(mask, [pixels] * 4, mode="circular" if wrap else "constant")
        h, w = mask.shape[-2:]
        shifts = range(pixels - left, pixels + right + 1)
        return torch.stack([padded[..., y : y + h, x : x + w] for y in shifts for x in shifts]).amax(0)

    cross = mask
    for _ in range(pixels):
        rows, columns = (
            F.max_pool2d(cross, size, 1, pad) for size, pad in (((3, 1), (1, 0)), ((1, 3), (0, 1)))
        )
        cross = torch.maximum(rows, columns)
    side = 2 * pixels + 1
    sums = F.avg_pool2d(mask, side, stride=1, padding=pixels)
    return [
        (
            f"the mask is as it was, nothing has been added round it: for {pixels} px in each direction the square has "
            f"the side {side}.",
            mask,
        ),
        (
            f"one pixel too few in each direction: for {pixels} px the square has the side 2 * {pixels} + 1.",
            pooled(mask, pixels - 1),
        ),
        ("one pixel too many in each direction.", pooled(mask, pixels + 1)),
        (
            "that is the mean over the square: a pixel is in if *any* of them is, so take the maximum.",
            sums,
        ),
        ("that is the sum over the square: a mask has no more than 1. Take the maximum.", sums * side**2),
        ("the sum, cut at 1, makes faint pixels strong: take the maximum.", (sums * side**2).clamp(max=1)),
        ("the mask got narrower: that is the minimum, take the maximum.", -pooled(-mask, pixels)),
        (
            "the corners of the square are missing: every direction means the diagonals, too.",
            cross,
        ),
        ("only one side has grown: shift in both directions.", shifted(pixels, 0)),
        ("only one side has grown: shift in both directions.", shifted(0, pixels)),
        (
            "what goes out at one border comes back in at the other (torch.roll does that): pad with zeros instead.",
            shifted(pixels, pixels, wrap=True),
        ),
        (
            "the mask is all or nothing: it holds shares, and a faint pixel must spread faintly.",
            pooled((mask > 0).to(mask.dtype), pixels),
        ),
        (
            "the mask is all or nothing: it holds shares, and a faint pixel must spread faintly.",
            pooled((mask > 0.5).to(mask.dtype), pixels),
        ),
    ]


@exercise
def check_fill(answer: Callable) -> str:
    """``my_fill(pictures, known)``: pictures ``[B, 3, H, W]`` filled where they are not known, by push-pull.

    ``known`` is ``[B, 1, H, W]`` in [0, 1]; wanted is what :func:`sdgan_lib.composition.push_pull_fill` returns.
    """
    rng = torch.Generator().manual_seed(0)
    for size, hole, soft in (
        ((16, 8), (slice(4, 11), slice(2, 7)), False),
        ((24, 12), (slice(0, 13), slice(3, 12)), True),
    ):
        pictures = torch.rand(2, 3, *size, generator=rng) * 2 - 1
        known = torch.rand(2, 1, *size, generator=rng) if soft else torch.ones(2, 1, *size)
        known[..., hole[0], hole[1]] = 0
        found = answer(pictures.clone(), known.clone())
        mistakes = [(text, _fill(pictures, known, mistake)) for mistake, text in _FILL_MISTAKES.items()]
        compare(found, push_pull_fill(pictures, known), mistakes, what="the filled picture")
    return "Right: means of what is known on the way up, and on the way down what is known keeps its colour."


_FILL_MISTAKES = {
    "not weighted": "what stands in the hole has crept in: on the way up average colour *times* known, so that "
    "unknown pixels add nothing.",
    "not divided": "the fill is pulled towards grey (0): the mean of colour times known has to be divided by the mean "
    "of known, or every unknown pixel counts as a grey one.",
    "fading": "a coarse pixel of which a quarter is known counts for a quarter: one known part of four is enough, so "
    "what counts as known is min(1, 4 * mean).",
    "known lost": "what is known has been blurred, too: on the way down a pixel keeps its own colour in so far as it "
    "is known, and takes the coarse one for the rest, 1 - known.",
    "nearest": 'the fill has steps: the coarse picture is enlarged bilinearly (`mode="bilinear"`, '
    "`align_corners=False`), not by repeating its pixels.",
    "one level": "one level is not enough for a hole wider than two pixels: go on upwards while height and width are "
    "even.",
    "no top": "at the top something may still be unknown: there it takes the mean of all that is known.",
}


def _fill(pictures: Tensor, known: Tensor, mistake: str) -> Tensor:
    """Push-pull with one mistake, by its name in ``_FILL_MISTAKES``."""
    levels = [(pictures * (1 if mistake == "not weighted" else known), known)]
    while all(n % 2 == 0 for n in known.shape[-2:]) and not (mistake == "one level" and len(levels) == 2):
        pictures, total = F.avg_pool2d(pictures, 2), F.avg_pool2d(levels[-1][0], 2)
        share = F.avg_pool2d(known, 2)
        known = share if mistake == "fading" else (4 * share).clamp(max=1)
        mean = total if mistake == "not divided" else total / share.clamp_min(1e-6)
        levels.append((pictures * known if mistake == "not weighted" else mean * known, known))
    colour, known = levels[-1]
    mean = colour.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1e-6)
    filled = colour + (0 if mistake == "no top" else (1 - known) * mean)
    if mistake == "not weighted":
        levels[0] = (levels[0][0] * levels[0][1], levels[0][1])
    for colour, known in levels[-2::-1]:
        if mistake == "nearest":
            coarse = F.interpolate(filled, scale_factor=2.0, mode="nearest")
        else:
            coarse = F.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)
        filled = coarse if mistake == "known lost" else colour + (1 - known) * coarse
    return filled


@exercise
def check_composition(answer: Callable) -> str:
    """``my_composition(logits, painted, candidates, outline, background)``: the picture and the twelve shares.

    From logits ``[B, 11, h, w]`` of ten body regions and new paint, painted ``[B, 3, h, w]``, candidates
    ``[B, 10, 3, h, w]``, the silhouette's logits ``[B, 1, h, w]`` and the background ``[B, 3, h, w]``; wanted are a
    picture ``[B, 3, h, w]`` and shares ``[B, 12, h, w]``, in the order ten regions, background, paint.
    """
    rng = torch.Generator().manual_seed(0)
    for b, h, w in ((2, 4, 3), (1, 5, 6)):
        logits, outline = torch.randn(b, 11, h, w, generator=rng), 2 * torch.randn(b, 1, h, w, generator=rng)
        painted, background = (torch.rand(b, 3, h, w, generator=rng) * 1.8 - 0.9 for _ in range(2))
        candidates = torch.rand(b, 10, 3, h, w, generator=rng) * 2 - 1
        picture, shares = library_composition(logits, painted, candidates, outline, background)
        found = answer(*(t.clone() for t in (logits, painted, candidates, outline, background)))
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("two tensors are wanted, the picture and the twelve shares.")
        compare(found[1], shares, _silhouette_mistakes(logits, outline), what="the tensor of shares")
        mistakes = [
            (
                "the background is added in full and shines through the person: multiply it by its share, 1 - alpha.",
                picture + (1 - shares[:, 10:11]) * background,
            ),
            (
                "the picture lacks the background: add its share times `background`.",
                picture - shares[:, 10:11] * background,
            ),
            (
                "the picture lacks the new paint: add its share times `painted`.",
                picture - shares[:, 11:] * painted,
            ),
        ]
        compare(found[0], picture, mistakes, what="the picture")
    return "Right: no background among the person's candidates, and nothing but background beside them."


class _Says(nn.Module):
    """Layers that say what they are told to."""

    def __init__(self, out: Tensor):
        super().__init__()
        self.out = out

    def forward(self, features: Tensor) -> Tensor:
        return self.out


def library_composition(
    logits: Tensor, painted: Tensor, candidates: Tensor, outline: Tensor, background: Tensor
) -> tuple[Tensor, Tensor]:
    """What the library answers to exercise 4.9: picture and shares of a ``ComposingHead`` without its priors.

    Shapes as in :func:`check_composition`.
    """
    head = ComposingHead(1, 1)
    paint = logits[:, BACKGROUND:] - OUTSIDE / 2
    head.layers = _Says(torch.cat([painted.atanh(), logits[:, :BACKGROUND], paint, outline], 1))
    masks = torch.ones_like(logits)
    masks[:, BACKGROUND] = 0.5
    unused = torch.zeros_like(candidates[:, :1])
    return head(outline, torch.cat([candidates, unused], 1), masks, background, outline)[:2]


def _silhouette_mistakes(logits: Tensor, outline: Tensor) -> Mistakes:
    def twelve(inside: Tensor, alpha: Tensor) -> Tensor:
        regions, paint = inside.split([BACKGROUND, 1], 1)
        return torch.cat([alpha * regions, 1 - alpha, alpha * paint], 1)

    inside, alpha = logits.softmax(1), outline.sigmoid()
    regions, paint = inside.split([BACKGROUND, 1], 1)
    order = "the shares come in another order: ten regions, the background, and the new paint last."
    return [
        (
            "`outline` holds logits, from minus to plus infinity: a sigmoid makes a share of them.",
            twelve(inside, outline),
        ),
        (
            "person and background have changed places: inside the silhouette alpha is 1.",
            twelve(inside, 1 - alpha),
        ),
        (
            "the silhouette is all or nothing: alpha is a share, and on the outline a pixel is half person, half wall.",
            twelve(inside, (outline > 0).float()),
        ),
        (
            "the twelve shares sum to more than 1: those of the person count inside the silhouette only, times alpha.",
            torch.cat([regions, 1 - alpha, paint], 1),
        ),
        (
            "the background competes in the softmax: the person's eleven candidates sum to 1 among themselves, and the "
            "silhouette alone decides what is background.",
            torch.cat([logits[:, :BACKGROUND], -outline, logits[:, BACKGROUND:]], 1).softmax(1),
        ),
        (
            "a sigmoid judges every candidate alone: they compete for the pixel, so take a softmax over the eleven "
            "(dimension 1).",
            twelve(logits.sigmoid(), alpha),
        ),
        (
            "the softmax runs over the batch (dimension 0); the candidates are dimension 1.",
            twelve(logits.softmax(0), alpha),
        ),
        (
            "the softmax runs over the picture's height (dimension 2); the candidates are dimension 1.",
            twelve(logits.softmax(2), alpha),
        ),
        (
            "the softmax runs over the picture's width (dimension 3); the candidates are dimension 1.",
            twelve(logits.softmax(3), alpha),
        ),
        (order, torch.cat([alpha * inside, 1 - alpha], 1)),
        (order, torch.cat([1 - alpha, alpha * inside], 1)),
    ]


@exercise
def check_look_up(answer: Callable) -> str:
    """``my_look_up(query, key, value)``: what was found, and the shares.

    From ``query`` ``[B, heads, P, d]`` of P target pixels, ``key`` ``[B, heads, Q, d]`` and ``value``
    ``[B, heads, Q, e]`` of Q source pixels; wanted are ``[B, heads, P, e]`` and the shares ``[B, heads, P, Q]``.
    """
    rng = torch.Generator().manual_seed(0)
    for b, heads, p, q, d, e in ((1, 1, 6, 6, 3, 3), (2, 3, 5, 7, 4, 2)):
        given = [torch.randn(b, heads, n, k, generator=rng) for n, k in ((p, d), (q, d), (q, e))]
        query, key, value = given
        found = answer(*(t.clone() for t in given))
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("two tensors are wanted: what was found, and the shares.")
        wanted, shares = library_look_up(query, key, value)
        compare(found[1], shares, _look_up_mistakes(query, key), what="the tensor of shares")
        mistakes = [
            (
                "the plain mean of the values was returned: weigh each by its share, `shares @ value`.",
                value.mean(-2, keepdim=True).expand_as(wanted),
            ),
            ("the best value alone was taken: mix all of them by their shares.", _best(value, shares)),
        ]
        if p == q:
            turned = (
                "the table of shares is turned round: its rows are the target's pixels, so `shares @ value`."
            )
            mistakes.append((turned, shares.mT @ value))
        compare(found[0], wanted, mistakes, what="what was found")
    return "Right: each target pixel hands out one whole share, and gets a mixture of the source's values for it."


def _best(value: Tensor, shares: Tensor) -> Tensor:
    return value.gather(-2, shares.argmax(-1, keepdim=True).expand(*shares.shape[:-1], value.shape[-1]))


def library_look_up(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """What the library answers to exercise 4.10, by PyTorch's own attention; shapes as in :func:`check_look_up`.

    With the identity for values the answer is the table of shares itself.
    """
    identity = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
    identity = identity.expand(*key.shape[:-2], -1, -1)
    shares = F.scaled_dot_product_attention(query, key, identity)
    return F.scaled_dot_product_attention(query, key, value), shares


def _look_up_mistakes(query: Tensor, key: Tensor) -> Mistakes:
    products, size = query @ key.mT, query.shape[-1]
    scores = products / size**0.5
    return [
        (
            "the softmax runs over the target's pixels (dimension -2), so that they compete for a source pixel and "
            "some get nothing: over the source's pixels, the last dimension, the shares of one target pixel sum to 1.",
            scores.softmax(-2),
        ),
        ("the softmax runs over the heads (dimension 1): each head looks for itself.", scores.softmax(1)),
        ("the softmax runs over the batch (dimension 0): use the last dimension.", scores.softmax(0)),
        (
            "the products are not divided by the root of their length: the longer queries and keys are, the more one "
            "pixel would take all.",
            products.softmax(-1),
        ),
        (f"divided by {size}, the length itself: by its root.", (products / size).softmax(-1)),
        (
            "divided by the root of the number of source pixels: by the root of the *length* of queries and keys.",
            (products / key.shape[-2] ** 0.5).softmax(-1),
        ),
        ("multiplied by the root of the length: divide by it.", (products * size**0.5).softmax(-1)),
        ("the root comes after the softmax: divide the products first.", products.softmax(-1) / size**0.5),
        ("the softmax is missing: those are scores, and no shares.", scores),
        ("a sigmoid judges every source pixel alone: they compete, so take a softmax.", scores.sigmoid()),
        (
            "the table is turned round: rows are the target's pixels, columns the source's (query @ key.mT).",
            scores.softmax(-1).mT,
        ),
        (
            "the table is turned round: rows are the target's pixels, columns the source's (query @ key.mT).",
            (key @ query.mT / size**0.5).softmax(-1),
        ),
    ]
