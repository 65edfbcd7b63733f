"""Checks of the exercises of notebook 04_stacked_generator, and the patients of exercise 4.3."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.composition import OUTSIDE, ComposingHead, push_pull_fill
from sdgan_lib.exercises._verdict import Mistakes, Open, Wrong, compare, exercise, name_mistake
from sdgan_lib.generators import PartAttention, StackedGenerator, UpBlock
from sdgan_lib.inputs import Generated, Inputs
from sdgan_lib.warping import BACKGROUND, REGIONS

DIAGNOSES = {
    "source pose": "the pose stream is given the source's heat maps instead of the target's",
    "unwarped skip": "the finest skip carries the source's features without moving them",
    "no attention": "the person is painted anew at every pixel, no warped part is kept",
}
"""What may be wrong with a patient of exercise 4.3."""

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
        found = answer(*(t.clone() for t in (logits, painted, candidates, masks)))
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("two tensors are wanted, the picture and the twelve shares.")
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
    all_or_nothing = (
        f"the prior is all or nothing: a mask is a share of the pixel, so 0.25 gives {0.75 * outside:g}, neither 0 nor "
        f"{outside:g}. Multiply {outside:g} by 1 - mask, without a threshold."
    )
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
        (all_or_nothing, biased((masks > 0).float()).softmax(1)),
        (all_or_nothing, biased((masks > 0.5).float()).softmax(1)),
        (all_or_nothing, biased((masks == 1).float()).softmax(1)),
    ]


def _prior(masks: Tensor, paint: float = PartAttention.OUTSIDE / 2) -> Tensor:
    return torch.cat([PartAttention.OUTSIDE * (1 - masks), torch.full_like(masks[:, :1], paint)], 1)


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
        picture, shares = _composed(logits, painted, candidates, outline, background)
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


def _composed(
    logits: Tensor, painted: Tensor, candidates: Tensor, outline: Tensor, background: Tensor
) -> tuple[Tensor, Tensor]:
    """Picture and shares of the library's head when its layers say so and its priors are taken out."""
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
