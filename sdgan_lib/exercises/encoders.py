"""Checks of the exercises of notebook 02_two_stream_encoder, and what the notebook uses until an answer passes."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdgan_lib.encoders import Encoder, OneStreamEncoder, TwoStreamEncoder, normalise
from sdgan_lib.exercises._verdict import (
    Mistakes,
    Open,
    Wrong,
    compare,
    exercise,
    name_mistake,
    number,
    watched,
)

Layers = Sequence[tuple[int, int]]  # (kernel, stride), first layer first
TwoLists = tuple[list[Tensor], list[Tensor]]  # features of the appearance and the pose stream, level by level


def receptive_fields(kernels: Sequence[int], strides: Sequence[int]) -> list[int]:
    """The side in pixels of one feature's receptive field after every layer, first layer first."""
    layers = list(zip(kernels, strides, strict=True))
    return [_side(layers[: n + 1]) for n in range(len(layers))]


def _side(layers: Layers) -> int:
    """The receptive field of one feature, walking back from it to the picture."""
    side = 1
    for kernel, stride in reversed(layers):
        side = (side - 1) * stride + kernel
    return side


@exercise
def check_receptive_fields(answer) -> str:
    """``my_receptive_fields(kernels, strides)``: the side in pixels after every layer, a list of whole numbers.

    Tried on the library's ``Encoder``, whose receptive fields are measured, and on random stacks of layers.
    """
    encoder = _convolutions_only(Encoder(1, (2, 2, 2, 2)))
    convolutions = [encoder.first, *(down[1] for down in encoder.downs)]
    layers = [(c.kernel_size[0], c.stride[0]) for c in convolutions]
    _compare_sides(answer, layers, [_measured_side(encoder, level) for level in range(4)])
    generator = torch.Generator().manual_seed(2)
    for _ in range(4):
        kernels = torch.randint(2, 8, (4,), generator=generator).tolist()
        strides = [2, *torch.randint(1, 4, (3,), generator=generator).tolist()]
        layers = list(zip(kernels, strides, strict=True))
        _compare_sides(answer, layers, receptive_fields(kernels, strides))
    return (
        "right for every stack of layers. What a layer adds depends on all strides before it, not on its own."
    )


def _convolutions_only(encoder: Encoder) -> Encoder:
    """The encoder without its normalisation layers, which let every feature depend on every pixel."""
    for down in encoder.downs:
        down[2] = nn.Identity()
    return encoder


def _measured_side(encoder: Encoder, level: int) -> int:
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    features = encoder(x)[level]
    middle = features.shape[-1] // 2
    features[0, 0, middle, middle].backward()
    return int((x.grad != 0).any(2).sum())


def _compare_sides(answer: Callable, layers: Layers, expected: list[int]) -> None:
    kernels, strides = ([layer[i] for layer in layers] for i in (0, 1))
    found = answer(list(kernels), list(strides))
    try:
        found = torch.as_tensor(found, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Wrong("The result must be a list with one number for each layer.") from error
    if found.ndim == 0 or len(found) == 1:
        raise Wrong("Only one number came back; a list with the side after every layer is wanted.")

    if found.shape == (len(layers) + 1,) and found[0] == 1:
        raise Wrong("Your list begins with 1, the picture itself; wanted is one number after each layer.")
    if found.ndim == 2:
        raise Wrong(
            "Your list holds several numbers for each layer; wanted are the sides alone, without the jumps."
        )
    what = f"for kernels {kernels} and strides {strides} your list"
    compare(found, torch.tensor(expected, dtype=torch.float64), _side_mistakes(layers), what=what)


def _side_mistakes(layers: Layers) -> Mistakes:
    def walked(step: Callable[[int, int, int, int], tuple[int, int]]) -> Tensor:
        r, j, sides = 1, 1, []
        for kernel, stride in layers:
            r, j = step(r, j, kernel, stride)
            sides.append(r)
        return torch.tensor(sides, dtype=torch.float64)

    first = layers[0][0]
    strides_after_first = torch.tensor([1, *(stride for _, stride in layers[1:])], dtype=torch.float64)
    return [
        (
            "The jump is missing: you added k − 1 pixels for every layer. After a stride the neighbours lie `j` "
            "picture pixels apart, so a layer adds (k − 1)·j.",
            walked(lambda r, j, k, s: (r + k - 1, j)),
        ),
        (
            "The jump grew too early: a layer's own stride spreads the features that come *after* it. Add (k − 1)·j "
            "first, then multiply j by s.",
            walked(lambda r, j, k, s: (r + (k - 1) * j * s, j * s)),
        ),
        (
            "You added k·j: the kernel's own pixel is in r already, only its k − 1 neighbours are new.",
            walked(lambda r, j, k, s: (r + k * j, j * s)),
        ),
        (
            "You multiplied the side by the stride. For our encoder (3x3, then 4x4 with stride 2) this happens to be "
            "right; for other kernels it is not. Follow the jump instead.",
            first * strides_after_first.cumprod(0),
        ),
        (
            "You used r = (r − 1)·s + k from the first layer on. This formula walks back, from the last layer to the "
            "picture.",
            walked(lambda r, j, k, s: ((r - 1) * s + k, j)),
        ),
        (
            "The jump does not grow enough: it is the *product* of all strides so far, not the last stride.",
            walked(lambda r, j, k, s: (r + (k - 1) * j, s)),
        ),
    ]


def out_of_sight(source_poses: Tensor, target_poses: Tensor, side: float) -> Tensor:
    """Share of pairs in which each joint moves out of the receptive field: ``[J]``, 0 to 1.

    A feature in the middle of a field of ``side`` pixels sees ``(side - 1) / 2`` pixels to every side; a joint is out
    of sight when it moves by more, in x or in y. Pairs in which the joint is missing (NaN) in one of the two poses are
    left out; a joint for which no pair remains gets NaN.

    Args:
        source_poses: ``[N, J, 2]`` as (x, y) in pixels.
        target_poses: ``[N, J, 2]``.
        side: of the receptive field, in the same pixels.
    """
    furthest = (target_poses - source_poses).abs().amax(-1)
    return (furthest > (side - 1) / 2).double().masked_fill(furthest.isnan(), torch.nan).nanmean(0)


@exercise
def check_out_of_sight(answer) -> str:
    """``my_out_of_sight(source_poses, target_poses, side)``: for each joint the share of pairs, ``[J]``.

    As :func:`out_of_sight`. Tried on random poses with missing joints, with several receptive fields.
    """
    generator = torch.Generator().manual_seed(4)
    for side, count in ((9, 40), (24, 30)):
        start, end = (torch.randint(0, 80, (count, 6, 2), generator=generator) / 2 for _ in range(2))
        end = start + (end - start) / 2  # in quarters of a pixel, exact; some steps end at the rim itself
        end[:5, :, 0] = start[:5, :, 0] + (side - 1) / 2
        end[:5, :, 1] = start[:5, :, 1]
        start[torch.rand(count, 6, generator=generator) < 0.15] = torch.nan
        end[torch.rand(count, 6, generator=generator) < 0.15] = torch.nan
        start[:, 2] = torch.nan
        given = start.clone(), end.clone()
        found = answer(*given, side)
        if not all(
            torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)) for a, b in zip(given, (start, end), strict=True)
        ):
            raise Wrong("Your function changes the poses that it was given. Work on a new tensor.")
        what = f"for a receptive field of {side} px your result"
        expected = out_of_sight(start, end, side)
        compare(found, expected, _sight_mistakes(start, end, side, expected), what=what)
    return "right, rim and missing joints included. A joint that nobody saw twice counts neither way."


def _sight_mistakes(start: Tensor, end: Tensor, side: float, expected: Tensor) -> Mistakes:
    step = (end - start).abs()
    furthest, there, reach = step.amax(-1), step.isfinite().all(-1), (side - 1) / 2

    def share(out: Tensor) -> Tensor:
        return out.double().masked_fill(~there, torch.nan).nanmean(0)

    beyond = furthest > reach
    return [
        (
            "The shares are of joints *in* sight; wanted are those out of sight, 1 minus yours.",
            1 - expected,
        ),
        ("Your numbers are in %; a share lies between 0 and 1.", 100 * expected),
        (
            "Missing joints were counted as in sight: a comparison with NaN is False. Divide by the number of pairs in "
            "which the joint is there in *both* poses.",
            beyond.double().mean(0),
        ),
        (
            "Missing joints were counted as out of sight: a comparison with NaN is False, and `~` turns it into True. "
            "Leave these pairs out.",
            (~(furthest <= reach)).double().mean(0),
        ),
        (
            "A joint for which no pair remains got 0. Nobody knows its share: it is NaN (0 divided by 0).",
            expected.nan_to_num(0),
        ),
        (
            "You compared the length of the step with the reach. A receptive field is a *square*, not a circle: "
            "compare the larger of the steps in x and y.",
            share(step.norm(dim=-1) > reach),
        ),
        (
            "You ask for both x and y to be out of reach; one of them is enough to leave the square.",
            share(step.amin(-1) > reach),
        ),
        ("You added the steps in x and y; the larger of the two counts.", share(step.sum(-1) > reach)),
        (
            "Steps to the left and upwards are missing: take the absolute value before you compare.",
            share((end - start).amax(-1) > reach),
        ),
        (
            "You compared with the whole side. A feature sits in the middle of its field: it sees (side − 1) / 2 "
            "pixels to each side.",
            share(furthest > side),
        ),
        (
            "Half a pixel too much: `side` counts the middle pixel too, so (side − 1) / 2 remain on each side.",
            share(furthest > side / 2),
        ),
        (
            "A joint exactly at the rim, (side − 1) / 2 pixels away, is still in the field: use >, not >=.",
            share(furthest >= reach),
        ),
        (
            "You averaged over the joints as well; one share for each joint is wanted: average over pairs only, dim 0.",
            (beyond & there).sum() / there.sum(),
        ),
        (
            "You averaged over the joints as well; one share for each joint is wanted: average over pairs only, dim 0.",
            expected.nanmean(),
        ),
        (
            "One number for each *pair* came back; average over the pairs, dim 0, not over the joints.",
            beyond.double().masked_fill(~there, torch.nan).nanmean(1),
        ),
    ]


class _Called(TorchFunctionMode):
    """Inside ``with _Called() as called``, ``called.names`` gathers the names of torch's functions that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(function.__name__)
        return function(*args, **(kwargs or {}))


@exercise
def check_halving(answer) -> str:
    """``my_halving(x, weight)``: a 4x4 convolution with stride 2 and one row of zeros around, without bias.

    ``x`` ``[B, C, H, W]`` and ``weight`` ``[D, C, 4, 4]`` give ``[B, D, H / 2, W / 2]``, as torch's ``conv2d``, which
    the answer may not call.
    """
    generator = torch.Generator().manual_seed(5)
    for batch, inputs, outputs, height, width in ((2, 3, 5, 8, 12), (1, 4, 4, 6, 4)):
        x = torch.randn(batch, inputs, height, width, generator=generator)
        weight = torch.randn(outputs, inputs, 4, 4, generator=generator)
        given = x.clone()
        found = answer(given, weight.clone())
        with (
            _Called() as called
        ):  # a run of its own, as an error in it would not be told with the learner's line
            answer(x.clone(), weight.clone())
        if {name for name in called.names if "conv" in name}:
            raise Wrong(
                "You call torch's own convolution. Here only pad, slices, products and sums are allowed."
            )
        if not torch.equal(given, x):
            raise Wrong("Your function changes the features that it was given. Pad into a new tensor.")
        expected = F.conv2d(x, weight, stride=2, padding=1)
        compare(found, expected, _halving_mistakes(x, weight, expected))
    return "equal to torch's conv2d: sixteen products, one for each place of the kernel, and their sum."


def _halving_mistakes(x: Tensor, weight: Tensor, expected: Tensor) -> Mistakes:
    inputs = x.shape[1]
    padded = F.pad(x, (1, 1, 1, 1))
    every = F.conv2d(padded, weight)
    return [
        (
            f"The size is that without padding: ({x.shape[2]} − 4) / 2 + 1 = {(x.shape[2] - 4) // 2 + 1} rows. Put one "
            "row or column of zeros on each of the four sides first.",
            F.conv2d(x, weight, stride=2),
        ),
        ("The size is that of stride 1: take only every second place, in both directions.", every),
        (
            "You put two rows of zeros on each side: that is one place too many in each direction.",
            F.conv2d(x, weight, stride=2, padding=2),
        ),
        (
            "All zeros stand on one side (right and bottom), so every feature looks one pixel too far. Put one row on "
            "*each* side: F.pad(x, (1, 1, 1, 1)).",
            F.conv2d(F.pad(x, (0, 2, 0, 2)), weight, stride=2),
        ),
        (
            "All zeros stand on one side (left and top), so every feature looks one pixel too far back. Put one row on "
            "*each* side: F.pad(x, (1, 1, 1, 1)).",
            F.conv2d(F.pad(x, (2, 0, 2, 0)), weight, stride=2),
        ),
        (
            "The border is not padded with zeros but with copies of the rim; the library's convolution pads with "
            "zeros.",
            F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight, stride=2),
        ),
        (
            "The kernel is turned round. In mathematics a convolution does this; in deep learning the kernel's first "
            "entry meets the first pixel.",
            F.conv2d(padded, weight.flip(2, 3), stride=2),
        ),
        (
            "Rows and columns of the kernel are exchanged: weight[:, :, row, column].",
            F.conv2d(padded, weight.mT.contiguous(), stride=2),
        ),
        (
            "You averaged over the sixteen places of the kernel; a convolution adds them up.",
            expected / 16,
        ),
        (
            "You averaged over the input channels; a convolution adds them up.",
            expected / inputs,
        ),
        (
            "You averaged over kernel and input channels; a convolution adds them up.",
            expected / (16 * inputs),
        ),
        (
            "Only the first picture of the batch came back.",
            expected[:1],
        ),
        (
            "The batch dimension is lost: [B, D, H / 2, W / 2] is wanted.",
            expected[0],
        ),
        (
            "Some of the sixteen places are missing: you stop at 3; range(4) counts 0, 1, 2, 3.",
            F.conv2d(padded[..., :-1, :-1], weight[..., :3, :3], stride=2),
        ),
    ]


@exercise
def check_instance_norm(answer) -> str:
    """``my_instance_norm(x, eps=1e-5)``: each channel of each picture with mean 0 and variance 1, ``[B, C, h, w]``.

    The mean is subtracted, then the difference divided by ``sqrt(variance + eps)``, where the variance is the mean
    square (biased). Tried with channels of very different sizes, one of them plain, in double precision.
    """
    generator = torch.Generator().manual_seed(6)
    for shape in ((3, 4, 5, 6), (1, 4, 3, 2)):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        x = x * torch.tensor([1.0, 0.002, 3.0, 0.0]).view(1, 4, 1, 1)
        x = x + 5 * torch.randn(*shape[:2], 1, 1, generator=generator, dtype=torch.float64)
        given = x.clone()
        found = answer(given)
        if not torch.equal(given, x):
            raise Wrong(
                "Your function changes x itself (an in-place operation such as -=). Make a new tensor."
            )
        compare(found, F.instance_norm(x), _norm_mistakes(x))
    x = torch.randn(2, 3, 4, 4, generator=generator)
    if not torch.allclose(answer(x, eps=0.5), F.instance_norm(x, eps=0.5), atol=1e-4):
        raise Wrong(
            "With another eps the result is not right: add the argument `eps`, not a number of your own."
        )
    return "equal to the library's. Every channel now has mean 0: what it was *everywhere* is gone."


def _norm_mistakes(x: Tensor) -> Mistakes:
    def over(dims: tuple[int, ...]) -> Tensor:
        variance = x.var(dims, keepdim=True, correction=0)
        return (x - x.mean(dims, keepdim=True)) / (variance + 1e-5).sqrt()

    plane = (2, 3)
    mean, variance = x.mean(plane, keepdim=True), x.var(plane, keepdim=True, correction=0)
    unbiased = x.var(plane, keepdim=True)
    return [
        (
            "The variance is the unbiased one, divided by n − 1. Here it is the plain mean of the squares: "
            "var(…, correction=0).",
            (x - mean) / (unbiased + 1e-5).sqrt(),
        ),
        (
            "eps is missing: where a channel has the same value everywhere, its variance is 0 and 0/0 is NaN.",
            (x - mean) / variance.sqrt(),
        ),
        (
            "eps is missing: where a channel has the same value everywhere, its variance is 0 and 0/0 is NaN.",
            (x - mean) / unbiased.sqrt(),
        ),
        (
            "eps stands outside the root: it is added to the variance, *before* the square root.",
            (x - mean) / (variance.sqrt() + 1e-5),
        ),
        (
            "eps stands outside the root: it is added to the variance, *before* the square root.",
            (x - mean) / (unbiased.sqrt() + 1e-5),
        ),
        ("You divided by the variance; divide by its square root.", (x - mean) / (variance + 1e-5)),
        ("The mean is still there: subtract it before you divide.", x / (variance + 1e-5).sqrt()),
        ("Only the mean is gone: divide by the standard deviation as well.", x - mean),
        (
            "Mean and variance go over the batch too (this is batch normalisation). A picture must not depend on its "
            "neighbours in the batch: average over dims 2 and 3 only.",
            over((0, 2, 3)),
        ),
        (
            "Mean and variance go over all channels of a picture at once (layer normalisation). Each channel has its "
            "own: average over dims 2 and 3 only.",
            over((1, 2, 3)),
        ),
        (
            "Mean and variance are of the whole tensor; each channel of each picture has its own.",
            over((0, 1, 2, 3)),
        ),
        ("Mean and variance go along the rows only: average over dims 2 *and* 3.", over((3,))),
        ("Mean and variance go down the columns only: average over dims 2 *and* 3.", over((2,))),
        (
            "Mean and variance go over the channels of one pixel; average over the pixels of one channel.",
            over((1,)),
        ),
    ]


STREAMS = ("appearance", "pose")
FEATURES = ("one stream", *STREAMS)
INPUTS = ("source picture", "source pose", "target pose")
COUNT = "features of level 2 that see one pixel"


@exercise(function=False)
def check_stream_inputs(answer) -> str:
    """``my_prediction``: for each input the set of features that change with it, and one count.

    Keys ``"source picture"``, ``"source pose"``, ``"target pose"``: a set of ``"one stream"``, ``"appearance"``,
    ``"pose"``. Key ``"features of level 2 that see one pixel"``: a whole number, without normalisation layers.
    """
    if not isinstance(answer, Mapping):
        raise Wrong(f"The prediction is a {type(answer).__name__}; keep the dictionary with its four keys.")
    missing = [key for key in (*INPUTS, COUNT) if key not in answer]
    if missing:
        raise Wrong(f"The key {missing[0]!r} is missing.")
    if any(answer[key] is None or answer[key] is ... for key in (*INPUTS, COUNT)):
        raise Open
    predicted = {key: _names(key, answer[key]) for key in INPUTS}
    truth = _changes()
    for key in INPUTS:
        if predicted[key] != truth[key]:
            raise Wrong(_explain(key, predicted[key], truth[key]))
    _compare_count(answer[COUNT])
    return "all right, as the library's encoders confirm. Only one stream mixes the target pose into the colours."


def _names(key: str, value) -> set[str]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        value = [value]
    found = {str(name) for name in value}
    unknown = found - set(FEATURES)
    if unknown:
        raise Wrong(f"{key!r} holds {min(unknown)!r}; choose from {', '.join(map(repr, FEATURES))}.")
    return found


def _changes() -> dict[str, set[str]]:
    """Which features change with which input: tried with the library's encoders."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        one, two = OneStreamEncoder((2, 4)), TwoStreamEncoder((2, 4), (2, 4))
        inputs = [torch.rand(1, c, 8, 8) for c in (3, 18, 18)]

        def features() -> dict[str, list[Tensor]]:
            return dict(zip(FEATURES, (one(*inputs), *two(*inputs)), strict=True))

        before, changes = features(), {}
        for i, key in enumerate(INPUTS):
            kept, inputs[i] = inputs[i], torch.rand_like(inputs[i])
            after, inputs[i] = features(), kept
            changes[key] = {name for name in FEATURES if not torch.equal(before[name][0], after[name][0])}
    return changes


def _explain(key: str, predicted: set[str], truth: set[str]) -> str:
    if "one stream" in truth - predicted:
        return f"{key!r}: the one stream gets all 39 channels, so it changes with every input."
    if key == "target pose" and "appearance" in predicted:
        return (
            "'target pose': the appearance stream never gets the target's heat maps, so its features stay "
            "exactly as they are."
        )
    if key == "source pose" and "appearance" not in predicted:
        return "'source pose': the picture's *own* heat maps belong to the appearance input: 3 + 18 = 21 channels."
    if "pose" in predicted - truth:
        return f"{key!r}: the pose stream gets the *target's* 18 heat maps and nothing else."
    return f"{key!r}: {', '.join(sorted(truth))} would change; you have {', '.join(sorted(predicted)) or 'nothing'}."


def _compare_count(value) -> None:
    encoder = _convolutions_only(Encoder(1, (2, 2, 2)))
    with torch.no_grad():
        x = torch.zeros(1, 1, 64, 64)
        y = x.clone()
        y[..., 31, 31] = 1.0
        counted = int((encoder(x)[2] != encoder(y)[2]).any(1).sum())
    count = number(value, f"{COUNT!r}").item()
    if count == counted:
        return
    mistakes = [
        (
            "144 is the question the other way round: a feature of level 2 sees 12x12 pixels. Here one pixel is "
            "given; the features lie 4 px apart.",
            144,
        ),
        ("3 in each direction is right: 12 px of receptive field, 4 px of jump. How many in the plane?", 3),
        ("More than 1: receptive fields overlap, because they are 12 px wide and lie only 4 px apart.", 1),
    ]
    name_mistake(count, mistakes)
    raise Wrong(
        f"The count is not {count:g}. In one direction it is the receptive field divided by the jump."
    )


@exercise
def check_two_streams(answer) -> str:
    """``my_two_streams(channels, pose_channels)``: an ``nn.Module`` in the manner of ``TwoStreamEncoder``.

    Called with picture ``[B, 3, H, W]``, source and target heat maps ``[B, 18, H, W]``, it returns two lists,
    appearance and pose, with one ``[B, c, H / 2**i, W / 2**i]`` per level. Appearance must not depend on the target.
    """
    for channels, pose_channels in (((4, 8, 8), (4, 8, 8)), ((4, 8), (2, 3))):
        module = answer(channels, pose_channels)
        if not isinstance(module, nn.Module):
            raise Wrong(f"my_two_streams returned a {type(module).__name__}; a torch.nn.Module is wanted.")
        _check_streams(module, channels, pose_channels)
    return "the appearance does not know where the person is going. So it can be warped to any pose."


def _check_streams(module: nn.Module, channels: Sequence[int], pose_channels: Sequence[int]) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = [torch.rand(2, c, 32, 16, generator=generator) for c in (3, 18, 18)]
    call = watched(module)
    found = _two_lists(call(*inputs))
    _check_levels(found, TwoStreamEncoder(channels, pose_channels)(*inputs))

    seen: dict[str, set[str]] = {name: set() for name in STREAMS}
    for i, key in enumerate(INPUTS):
        changed = list(inputs)
        changed[i] = torch.rand(inputs[i].shape, generator=generator)
        for name, before, after in zip(STREAMS, found, _two_lists(call(*changed)), strict=True):
            if not all(torch.equal(a, b) for a, b in zip(before, after, strict=False)):
                seen[name].add(key)
    _check_seen(**seen)
    _check_weights(module, found)


def _check_levels(found: TwoLists, expected: TwoLists) -> None:
    for name, mine, library in zip(STREAMS, found, expected, strict=True):
        if len(mine) != len(library):
            raise Wrong(f"The {name} list has {len(mine)} levels; {len(library)} are wanted, finest first.")
        for level, (a, b) in enumerate(zip(mine, library, strict=True)):
            if a.shape != b.shape:
                shapes = f"has shape {list(a.shape)}; {list(b.shape)} is wanted"
                raise Wrong(f"Level {level} of the {name} features {shapes}.")


def _check_seen(appearance: set[str], pose: set[str]) -> None:
    """Raise :class:`Wrong` unless each stream sees its own inputs, given as names from ``INPUTS``."""
    if appearance == {"target pose"} and pose == {"source picture", "source pose"}:
        raise Wrong("The two lists come in the wrong order: appearance first, then pose.")
    if "target pose" in appearance:
        raise Wrong(
            "The appearance features change with the target pose. Give the appearance stream the picture and its "
            "*own* heat maps only."
        )
    if "source pose" not in appearance:
        raise Wrong(
            "The appearance stream does not see the source pose. It needs to know which limb it looks at: stack "
            "the picture with the source's heat maps, 3 + 18 channels."
        )
    if "source picture" not in appearance:
        raise Wrong("The appearance features do not depend on the picture.")
    if "target pose" not in pose:
        raise Wrong("The pose features do not depend on the target pose; it is what they are for.")
    if pose != {"target pose"}:
        other = "picture" if "source picture" in pose else "pose"
        raise Wrong(
            f"The pose stream also sees the source's {other}; its only input is the target's 18 maps."
        )


def _two_lists(result) -> TwoLists:
    if isinstance(result, Tensor) or not hasattr(result, "__len__") or len(result) != 2:
        raise Wrong(
            "The call must return two things: the list of appearance features and that of pose features."
        )
    for name, levels in zip(STREAMS, result, strict=True):
        if isinstance(levels, Tensor) or not isinstance(levels, list | tuple):
            raise Wrong(f"The {name} features must be a list with one tensor per level: skips need them all.")
        if not all(isinstance(level, Tensor) for level in levels):
            raise Wrong(f"The {name} list must hold tensors only.")
    return list(result[0]), list(result[1])


def _check_weights(module: nn.Module, found: TwoLists) -> None:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters or not all(f.requires_grad for f in itertools.chain(*found)):
        raise Wrong(
            "The module has no weights that can learn: keep both encoders as attributes (self.… = Encoder(…))."
        )
    used = []
    for levels in found:
        total = sum(level.square().sum() for level in levels)
        gradients = torch.autograd.grad(total, parameters, allow_unused=True, retain_graph=True)
        used.append({i for i, g in enumerate(gradients) if g is not None})
    if used[0] & used[1]:
        raise Wrong(
            "The two streams share weights: one encoder does both jobs. Make two encoders; a coat and a joint need "
            "different filters."
        )
    if not used[0] or not used[1]:
        raise Wrong(
            "One stream's weights are not registered, so an optimiser would not find them: keep both encoders as "
            "attributes (self.… = Encoder(…)), made once in __init__."
        )


@exercise
def check_blind_pair(answer) -> str:
    """``my_blind_pair()``: two tensors ``[1, 8, h, w]`` that instance normalisation cannot tell apart.

    ``normalise("instance", 8)`` must give the same for both, ``normalise("group", 8)`` clearly different results.
    """
    pair = answer()
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(x, Tensor) for x in pair):
        raise Wrong("Return two tensors: x, y.")
    x, y = (v.detach().float() for v in pair)
    if x.shape != y.shape or x.ndim != 4 or x.shape[:2] != (1, 8) or x[0, 0].numel() < 4:
        raise Wrong(
            f"The shapes are {list(x.shape)} and {list(y.shape)}; twice [1, 8, h, w] is wanted, 2x2 or more."
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        raise Wrong("The tensors hold NaN or infinite values.")
    difference = y - x
    if difference.abs().max() < 0.01:
        raise Wrong("The two tensors are (nearly) the same, so there is nothing to forget.")
    with torch.no_grad():
        told = {kind: _difference(normalise(kind, 8), x, y) for kind in ("instance", "group")}
    if told["instance"] > 0.01:
        if _difference(normalise("instance", 8), x, -y) < 0.01:
            raise Wrong(
                "You changed the sign. Instance normalisation divides by a standard deviation, which is positive, "
                "so it keeps the sign."
            )
        spread = difference.flatten(2).std(-1).max().item()
        raise Wrong(
            f"Instance normalisation tells them apart. Inside a channel your difference varies from pixel to pixel "
            f"(standard deviation {spread:.2f}); only what is the same at *every pixel* of a channel is forgotten."
        )
    if told["group"] < 0.1:
        if difference.flatten(2).std(-1).max() < 1e-3 and difference.mean((2, 3)).std() < 0.05:
            raise Wrong(
                "You added the same number to all eight channels. Group normalisation subtracts one common mean and "
                "forgets this too; give the channels different numbers."
            )
        raise Wrong(
            "Group normalisation does not tell them apart either. A common factor does not do: it divides all eight "
            "channels by one standard deviation. Change the channels *against each other*."
        )
    return "a coat's colour is a constant per channel: instance normalisation loses it, group normalisation does not."


def _difference(layer: nn.Module, x: Tensor, y: Tensor) -> float:
    return (layer(x) - layer(y)).abs().max().item()
