"""Plausible wrong answers to the exercises of notebook 04, each with words of the message meant for it."""

from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.composition import push_pull_fill, widen
from sdgan_lib.encoders import SLOPE, normalise
from sdgan_lib.generators import SCALES, WARPED_LEVELS, PartAttention
from sdgan_lib.warping import deformable_skip


def _weights(a: int, s: int, o: int) -> int:
    return 16 * a * o + o + 9 * (o + s) * o + 2 * o


def no_padding(a, s, o, h, w):
    return 2 * h + 2, 2 * w + 2, o + s, _weights(a, s, o)


def no_skip(a, s, o, h, w):
    return 2 * h, 2 * w, o, _weights(a, 0, o)


def joined_too_early(a, s, o, h, w):
    return 2 * h, 2 * w, a + s, _weights(a, s, o)


def skip_not_weighed(a, s, o, h, w):
    return 2 * h, 2 * w, o + s, _weights(a, 0, o)


def bias_everywhere(a, s, o, h, w):
    return 2 * h, 2 * w, o + s, _weights(a, s, o) + o


def not_up_sampled(f_a, h_b, decoders, ups, heads):
    images = []
    for decode, head in zip(decoders, heads, strict=True):
        f_a = decode(f_a)
        images.append(head(f_a, h_b))
    return images


def picture_handed_on(f_a, h_b, decoders, ups, heads):
    images, x = [], f_a
    for decode, up, head in zip(decoders, ups, heads, strict=True):
        x = head(decode(x), up(h_b))
        images.append(x)
    return images


def not_stacked(f_a, h_b, decoders, ups, heads):
    return [head(decode(f_a), up(h_b)) for decode, up, head in zip(decoders, ups, heads, strict=True)]


def fine_to_coarse(f_a, h_b, decoders, ups, heads):
    images = []
    for decode, up, head in zip(decoders, ups, heads, strict=True):
        f_a = decode(f_a)
        images.insert(0, head(f_a, up(h_b)))
    return images


def ups_chained(f_a, h_b, decoders, ups, heads):
    images = []
    for decode, up, head in zip(decoders, ups, heads, strict=True):
        f_a, h_b = decode(f_a), up(h_b)
        images.append(head(f_a, h_b))
    return images


def first_up_only(f_a, h_b, decoders, ups, heads):
    images, code = [], ups[0](h_b)
    for decode, head in zip(decoders, heads, strict=True):
        f_a = decode(f_a)
        images.append(head(f_a, code))
    return images


def three_at_most(f_a, h_b, decoders, ups, heads):
    images = []
    for decode, up, head in list(zip(decoders, ups, heads, strict=True))[:3]:
        f_a = decode(f_a)
        images.append(head(f_a, up(h_b)))
    return images


def _prior(masks: Tensor, paint: float = PartAttention.OUTSIDE / 2) -> Tensor:
    regions = PartAttention.OUTSIDE * (1 - masks)
    return torch.cat([regions, torch.full_like(regions[:, :1], paint)], 1)


def _mixed(shares: Tensor, painted: Tensor, candidates: Tensor) -> Tensor:
    return (shares[:, :11, None] * candidates).sum(1) + shares[:, 11:12] * painted


def _attention(shares: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """An answer with wrong shares, made from logits and masks, and the right mixture."""

    def answer(logits, painted, candidates, masks):
        made = shares(logits, masks)
        return _mixed(made, painted, candidates), made

    return answer


def paint_forgotten(logits, painted, candidates, masks):
    shares = (logits + _prior(masks))[:, :11].softmax(1)
    return (shares[:, :, None] * candidates).sum(1), shares


def paint_not_mixed_in(logits, painted, candidates, masks):
    shares = (logits + _prior(masks)).softmax(1)
    return (shares[:, :11, None] * candidates).sum(1), shares


def paint_first(logits, painted, candidates, masks):
    shares = (logits + _prior(masks)).softmax(1)
    return _mixed(shares, painted, candidates), shares.roll(1, 1)


def logits_changed(logits, painted, candidates, masks):
    logits += _prior(masks)
    shares = logits.softmax(1)
    return _mixed(shares, painted, candidates), shares


def paint_in_full(logits, painted, candidates, masks):
    shares = (logits + _prior(masks)).softmax(1)
    return (shares[:, :11, None] * candidates).sum(1) + painted, shares


def _up(colour: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    share = F.avg_pool2d(known, 2)
    enough = (4 * share).clamp(max=1)
    return F.avg_pool2d(colour, 2) / share.clamp_min(1e-6) * enough, enough


def _double(coarse: Tensor, mode: str = "bilinear") -> Tensor:
    return F.interpolate(
        coarse, scale_factor=2, mode=mode, align_corners=None if mode == "nearest" else False
    )


def _even(x: Tensor) -> bool:
    return x.shape[-2] % 2 == 0 and x.shape[-1] % 2 == 0


def _filled(
    colour: Tensor, known: Tensor, up=_up, double=_double, keeps: bool = True, top: bool = True
) -> Tensor:
    """Push-pull by recursion, with one step exchanged."""
    if not _even(known):
        total = colour.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return colour + (1 - known) * total * top
    coarse = double(_filled(*up(colour, known), up, double, keeps, top))
    return colour + (1 - known) * coarse if keeps else coarse


def hole_averaged(pictures, known):
    """The mean of all four pixels, whether they are known or not."""
    if not _even(known):
        mean = (pictures * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return pictures * known + (1 - known) * mean
    enough = (4 * F.avg_pool2d(known, 2)).clamp(max=1)
    return pictures * known + (1 - known) * _double(hole_averaged(F.avg_pool2d(pictures, 2), enough))


def never_divided(pictures, known):
    return _filled(
        pictures * known,
        known,
        up=lambda c, k: (
            F.avg_pool2d(c, 2) * (4 * F.avg_pool2d(k, 2)).clamp(max=1),
            (4 * F.avg_pool2d(k, 2)).clamp(max=1),
        ),
    )


def quarters(pictures, known):
    return _filled(pictures * known, known, up=lambda c, k: (F.avg_pool2d(c, 2), F.avg_pool2d(k, 2)))


def all_blurred(pictures, known):
    return _filled(pictures * known, known, keeps=False)


def in_steps(pictures, known):
    return _filled(pictures * known, known, double=lambda x: _double(x, "nearest"))


def top_left_open(pictures, known):
    return _filled(pictures * known, known, top=False)


def one_level(pictures, known):
    colour, enough = _up(pictures * known, known)
    mean = colour.sum((2, 3), keepdim=True) / enough.sum((2, 3), keepdim=True)
    return pictures * known + (1 - known) * _double(colour + (1 - enough) * mean)


def _composition(
    inside: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(1),
    alpha: Callable[[Tensor], Tensor] = torch.sigmoid,
    order: tuple[int, ...] = (0, 1, 2),
) -> Callable:
    """An answer with other shares inside, another alpha or another order of regions, background and paint."""

    def answer(logits, painted, candidates, outline, background):
        share, person = inside(logits), alpha(outline)
        parts = [person * share[:, :10], 1 - person, person * share[:, 10:]]
        picture = (parts[0][:, :, None] * candidates).sum(1) + parts[1] * background + parts[2] * painted
        return picture, torch.cat([parts[i] for i in order], 1)

    return answer


def alpha_not_in_the_shares(logits, painted, candidates, outline, background):
    share, alpha = logits.softmax(1), outline.sigmoid()
    person = (share[:, :10, None] * candidates).sum(1) + share[:, 10:] * painted
    return alpha * person + (1 - alpha) * background, torch.cat([share[:, :10], 1 - alpha, share[:, 10:]], 1)


def twelve_compete(logits, painted, candidates, outline, background):
    shares = torch.cat([logits[:, :10], -outline, logits[:, 10:]], 1).softmax(1)
    everything = torch.cat([candidates, background[:, None], painted[:, None]], 1)
    return (shares[:, :, None] * everything).sum(1), shares


def _picture_without(part: str) -> Callable:
    """The right shares, and a picture that lacks a part or has the background in full."""

    def answer(logits, painted, candidates, outline, background):
        picture, shares = _composition()(logits, painted, candidates, outline, background)
        change = {
            "background": -shares[:, 10:11] * background,
            "paint": -shares[:, 11:] * painted,
            "share of the background": (1 - shares[:, 10:11]) * background,
        }
        return picture + change[part], shares

    return answer


class _Up(nn.Module):
    """The right block, of which each wrong one below exchanges a piece."""

    def __init__(self, a: int, s: int, o: int, norm: str, dropout: float):
        super().__init__()
        self.up = self.upward(a, o)
        self.join = nn.Sequential(*self.joined(a, s, o, norm))
        self.dropout = nn.Dropout(dropout)

    def upward(self, a: int, o: int) -> nn.Module:
        return nn.ConvTranspose2d(a, o, 4, stride=2, padding=1)

    def joined(self, a: int, s: int, o: int, norm: str) -> list[nn.Module]:
        return [nn.Conv2d(o + s, o, 3, padding=1, bias=False), normalise(norm, o), nn.LeakyReLU(SLOPE)]

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.dropout(self.join(torch.cat([self.up(x), skip], 1)))


class GoesDown(_Up):
    def upward(self, a, o):
        return nn.Conv2d(a, o, 4, stride=2, padding=1)


class Kernel3(_Up):
    def upward(self, a, o):
        return nn.ConvTranspose2d(a, o, 3, stride=2, padding=1, output_padding=1)


def _joined(layers: Callable[[int, int, int, str], list[nn.Module]]) -> type[_Up]:
    return type("Joined", (_Up,), {"joined": lambda self, *sizes: layers(*sizes)})


def _forward(body: Callable) -> type[_Up]:
    return type("Forward", (_Up,), {"forward": body})


class OtherNames(_Up):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.upsample = self.up
        del self.up


class HeadOf(nn.Module):
    """A head of some layers and an end."""

    def __init__(self, layers: list[nn.Module], end: Callable[[Tensor], Tensor] = torch.tanh):
        super().__init__()
        self.layers, self.end = nn.Sequential(*layers), end

    def forward(self, features: Tensor) -> Tensor:
        return self.end(self.layers(features))


def _head(
    a: int, c: int, between: Callable[[], nn.Module] = lambda: nn.LeakyReLU(SLOPE), **given
) -> list[nn.Module]:
    return [nn.Conv2d(a, c, 3, **{"padding": 1, **given}), between(), nn.Conv2d(c, 3, 3, padding=1)]


def forward_with(mistake: str = "") -> Callable:
    """The stacked forward pass with one mistake."""

    def answer(inputs, encoder, decoders, ups, heads, choices):
        maps = [inputs.source_heatmaps, inputs.target_heatmaps]
        appearance, pose = encoder(inputs.source_image, *(maps[::-1] if mistake == "maps swapped" else maps))
        skips = []
        for level in reversed(range(len(pose) - 1)):
            a, p = appearance[level], pose[level]
            if (level < WARPED_LEVELS and mistake != "no warp") or mistake == "all warped":
                a = deformable_skip(a, inputs.warps)
                p = deformable_skip(p, inputs.warps) if mistake == "pose warped" else p
            skips.append(torch.cat({"pose first": [p, a], "no pose": [a]}.get(mistake, [a, p]), 1))
        a, p = appearance[-1], pose[-1]
        ends = {"code turned": [p, a], "no h_b": [a]}.get(mistake, [a, p])
        if mistake == "fine to coarse":
            skips.reverse()
        x, left, images, attention = torch.cat(ends, 1), iter(skips), [], []
        for factor, blocks, up, head in zip(SCALES, decoders, ups, heads, strict=True):
            left = iter(skips) if mistake == "from the start" else left
            for block, skip in zip(blocks, islice(left, len(blocks)), strict=True):
                x = block(x, skip)
            features = [x, up(pose[-1])]
            features = {"head turned": features[::-1], "no up": [x]}.get(mistake, features)
            made = head(torch.cat(features, 1), *choices(1 if mistake == "full size" else factor))
            images.append(made[0])
            attention.append(made[1])
        if mistake == "finest first":
            return images[::-1], attention[::-1]
        return (images[-1], attention[-1]) if mistake == "last only" else (images, attention)

    return answer


def shifts(
    mask: Tensor, pixels: int, first: int, last: int, how: Callable = torch.amax, wrap: bool = False
) -> Tensor:
    """All shifts from ``first`` to ``last`` in both directions, put together by ``how``."""
    moved = []
    for y in range(first, last + 1):
        for x in range(first, last + 1):
            padded = F.pad(mask, [pixels] * 4)
            piece = padded[..., pixels - y :, pixels - x :][..., : mask.shape[-2], : mask.shape[-1]]
            moved.append(mask.roll((y, x), (2, 3)) if wrap else piece)
    return how(torch.stack(moved), 0)


def crosses(mask: Tensor, pixels: int) -> Tensor:
    for _ in range(pixels):
        padded = F.pad(mask, [1] * 4)
        sides = [padded[..., :-2, 1:-1], padded[..., 2:, 1:-1], padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]]
        mask = torch.stack([mask, *sides]).amax(0)
    return mask


def written_into(mask: Tensor, pixels: int) -> Tensor:
    mask.copy_(widen(mask, pixels))
    return mask


def _look_up(shares: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    def answer(query, key, value):
        made = shares(query, key)
        return made @ value, made

    return answer


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT / query.shape[-1] ** 0.5


WRONG = {
    "check_up_module": [
        (GoesDown, "an ordinary convolution"),
        (Kernel3, "another kernel"),
        (
            _joined(lambda a, s, o, n: [nn.Conv2d(o, o, 3, padding=1, bias=False), normalise(n, o)]),
            "only the up-sampled",
        ),
        (
            _joined(lambda a, s, o, n: [nn.Conv2d(a + s, o, 3, padding=1, bias=False), normalise(n, o)]),
            "has already made",
        ),
        (
            _joined(
                lambda a, s, o, n: [nn.Conv2d(o + s, o, 3, padding=1), normalise(n, o), nn.LeakyReLU(SLOPE)]
            ),
            "takes every constant away",
        ),
        (
            _joined(lambda a, s, o, n: [nn.Conv2d(o + s, o, 3, padding=1, bias=False), nn.LeakyReLU(SLOPE)]),
            "no normalisation",
        ),
        (
            _joined(lambda a, s, o, n: [nn.Conv2d(o + s, o, 3, padding=1, bias=False), normalise(n, o)]),
            "LeakyReLU at the end",
        ),
        (
            _joined(
                lambda a, s, o, n: [nn.Conv2d(o + s, o, 3, padding=1, bias=False), normalise(n, o), nn.ReLU()]
            ),
            "plain ReLU",
        ),
        (
            _joined(
                lambda a, s, o, n: [
                    nn.Conv2d(o + s, o, 3, padding=1, bias=False),
                    normalise(n, o),
                    nn.LeakyReLU(),
                ]
            ),
            "another slope",
        ),
        (
            _joined(
                lambda a, s, o, n: [
                    nn.Conv2d(o + s, o, 3, padding=1, bias=False),
                    nn.InstanceNorm2d(o, affine=True),
                    nn.LeakyReLU(SLOPE),
                ]
            ),
            "always of the same kind",
        ),
        (_forward(lambda self, x, skip: self.join(torch.cat([skip, self.up(x)], 1))), "stands before"),
        (_forward(lambda self, x, skip: self.join(torch.cat([self.up(x), 0 * skip], 1))), "is not read"),
        (_forward(lambda self, x, skip: self.join(torch.cat([self.up(x), skip], 1))), "dropout rate of 1"),
        (
            _forward(lambda self, x, skip: self.join(self.dropout(torch.cat([self.up(x), skip], 1)))),
            "dropout rate of 1",
        ),
        (_forward(lambda self, x, skip: F.dropout(self.join(torch.cat([self.up(x), skip], 1)))), "two calls"),
        (OtherNames, "Call the parts"),
        (lambda a, s, o, norm, dropout: "a block", "a module is wanted"),
    ],
    "check_picture_head": [
        (lambda a, c: HeadOf(_head(a, c), lambda x: x), "tanh is missing"),
        (lambda a, c: HeadOf(_head(a, c), torch.sigmoid), "a sigmoid gives"),
        (lambda a, c: HeadOf(_head(a, c), lambda x: x.clamp(-1, 1)), "no gradient"),
        (lambda a, c: HeadOf([nn.Conv2d(a, 3, 3, padding=1)]), "one convolution is not enough"),
        (
            lambda a, c: HeadOf([nn.Conv2d(a, c, 3, padding=1), nn.Conv2d(c, 3, 3, padding=1)]),
            "between the conv",
        ),
        (lambda a, c: HeadOf(_head(a, c, nn.Identity)), "between the two convolutions"),
        (lambda a, c: HeadOf(_head(a, c, nn.ReLU)), "plain ReLU"),
        (lambda a, c: HeadOf(_head(a, c, nn.LeakyReLU)), "another slope"),
        (lambda a, c: HeadOf(_head(a, c), lambda x: F.leaky_relu(x.tanh(), SLOPE)), "after the tanh"),
        (lambda a, c: HeadOf(_head(a, c, padding=0)), "become smaller"),
        (lambda a, c: HeadOf([*_head(a, c)[:2], nn.Conv2d(c, 1, 3, padding=1)]), "three colours"),
        (
            lambda a, c: HeadOf([nn.Conv2d(a, c, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(c, 3, 1)]),
            "kernels are 3x3",
        ),
    ],
    "check_stacked_forward": [
        (forward_with("no warp"), "are not warped"),
        (forward_with("all warped"), "beyond the 4 finest"),
        (forward_with("pose warped"), "pose features of the skips have been warped"),
        (forward_with("pose first"), "stand before the appearance"),
        (forward_with("code turned"), "begins with h_b"),
        (forward_with("head turned"), "come first"),
        (forward_with("maps swapped"), "changed places"),
        (forward_with("finest first"), "finest first"),
        (forward_with("fine to coarse"), "coarse to fine"),
        (forward_with("from the start"), "has stopped"),
        (forward_with("no h_b"), "begins at the code"),
        (forward_with("no pose"), "of the level, joined"),
        (forward_with("no up"), "code, joined"),
        (forward_with("full size"), "factor of this scale"),
        (forward_with("last only"), "two lists of 3"),
    ],
    "check_widened": [
        (lambda mask, pixels: shifts(mask, pixels, -pixels, pixels, torch.mean), "that is the mean"),
        (lambda mask, pixels: shifts(mask, pixels, -pixels, pixels, torch.sum), "that is the sum"),
        (lambda mask, pixels: shifts(mask, pixels, -pixels, pixels, torch.sum).clamp(max=1), "cut at 1"),
        (lambda mask, pixels: -widen(-mask, pixels), "got narrower"),
        (lambda mask, pixels: shifts(mask, pixels, 0, pixels), "only one side"),
        (lambda mask, pixels: shifts(mask, pixels, -pixels, 0), "only one side"),
        (lambda mask, pixels: shifts(mask, pixels, -pixels, pixels, wrap=True), "torch.roll"),
        (crosses, "corners of the square"),
        (lambda mask, pixels: widen(mask, pixels - 1) if pixels > 1 else mask, "nothing has been added"),
        (lambda mask, pixels: widen(mask, pixels + 1), "too many"),
        (lambda mask, pixels: widen((mask > 0).float(), pixels), "all or nothing"),
        (lambda mask, pixels: F.max_pool2d(mask, 2 * pixels + 1, 1), "become smaller"),
        (written_into, "changed `mask`"),
    ],
    "check_look_up": [
        (_look_up(lambda q, k: _scores(q, k).softmax(-2)), "over the target's pixels"),
        (_look_up(lambda q, k: _scores(q, k).softmax(1)), "over the heads"),
        (_look_up(lambda q, k: (q @ k.mT).softmax(-1)), "not divided"),
        (_look_up(lambda q, k: (q @ k.mT / q.shape[-1]).softmax(-1)), "the length itself"),
        (_look_up(lambda q, k: (q @ k.mT / k.shape[-2] ** 0.5).softmax(-1)), "number of source pixels"),
        (_look_up(lambda q, k: (q @ k.mT).softmax(-1) / q.shape[-1] ** 0.5), "after the softmax"),
        (_look_up(_scores), "softmax is missing"),
        (_look_up(lambda q, k: _scores(q, k).sigmoid()), "a sigmoid judges"),
        (lambda q, k, v: (_scores(q, k).softmax(-1) @ v, _scores(q, k).softmax(-1).mT), "turned round"),
        (lambda q, k, v: (_scores(q, k).softmax(-1).mT @ v, _scores(q, k).softmax(-1)), "turned round"),
        (
            lambda q, k, v: (v.mean(-2, keepdim=True).expand(*q.shape[:-1], -1), _scores(q, k).softmax(-1)),
            "plain mean",
        ),
        (lambda q, k, v: _scores(q, k).softmax(-1) @ v, "two tensors are wanted"),
    ],
    "check_fill": [
        (hole_averaged, "has crept in"),
        (never_divided, "towards grey"),
        (quarters, "counts for a quarter"),
        (all_blurred, "has been blurred"),
        (in_steps, "has steps"),
        (one_level, "one level is not enough"),
        (top_left_open, "at the top"),
        (lambda pictures, known: push_pull_fill(pictures, known)[:1], "has shape"),
    ],
    "check_composition": [
        (_composition(alpha=lambda x: x), "`outline` holds logits"),
        (_composition(alpha=lambda x: (-x).sigmoid()), "changed places"),
        (_composition(alpha=lambda x: (x > 0).float()), "all or nothing"),
        (alpha_not_in_the_shares, "sum to more than 1"),
        (twelve_compete, "competes in the softmax"),
        (_composition(inside=torch.sigmoid), "a sigmoid judges"),
        (_composition(inside=lambda x: x.softmax(0)), "over the batch"),
        (_composition(inside=lambda x: x.softmax(2)), "picture's height"),
        (_composition(inside=lambda x: x.softmax(3)), "picture's width"),
        (_composition(order=(0, 2, 1)), "another order"),
        (_composition(order=(1, 0, 2)), "another order"),
        (_picture_without("background"), "lacks the background"),
        (_picture_without("paint"), "lacks the new paint"),
        (_picture_without("share of the background"), "shines through"),
        (lambda *given: _composition()(*given)[0], "two tensors are wanted"),
    ],
    "check_up_block": [
        (no_padding, "padding=1"),
        (no_skip, "forgot the skip's channels"),
        (joined_too_early, "joined before going up"),
        (skip_not_weighed, "lack those for the skip's"),
        (bias_everywhere, "bias=False"),
    ],
    "check_stack": [
        (not_up_sampled, "h_b as it is"),
        (picture_handed_on, "hands on the features"),
        (not_stacked, "starts again from f_a"),
        (fine_to_coarse, "wrong order"),
        (ups_chained, "starts from the pose code h_b itself"),
        (first_up_only, "the size of scale 1"),
        (three_at_most, "any number of scales"),
    ],
    "check_diagnosis": [
        ({"A": "source pose", "B": "unwarped skip", "C": "no attention"}, "are never read"),
        ({"A": "unwarped skip", "B": "no attention", "C": "source pose"}, "are 0 at every pixel"),
        ({"A": "unwarped skip", "B": "unwarped skip", "C": "unwarped skip"}, "exactly the healthy ones"),
        ({"A": "overfitting", "B": "source pose", "C": "no attention"}, "none of the faults"),
        ({"A": "unwarped skip"}, "a dictionary with the keys"),
    ],
    "check_attention": [
        (_attention(lambda x, m: (x + _prior(m)).sigmoid()), "a sigmoid judges"),
        (paint_forgotten, "the twelfth"),
        (paint_not_mixed_in, "lacks the new paint"),
        (paint_in_full, "added in full"),
        (_attention(lambda x, m: x.softmax(1)), "the prior is missing"),
        (_attention(lambda x, m: x.softmax(1) + _prior(m)), "added after the softmax"),
        (_attention(lambda x, m: (x + _prior(m, 0.0)).softmax(1)), "prior of the new paint is missing"),
        (_attention(lambda x, m: (x + _prior(m, -4.0)).softmax(1)), "new paint starts at -4"),
        (_attention(lambda x, m: (x + _prior(1 - m)).softmax(1)), "upside down"),
        (_attention(lambda x, m: (x + _prior((m > 0).float())).softmax(1)), "all or nothing"),
        (_attention(lambda x, m: (x + _prior((m >= 0.5).float())).softmax(1)), "all or nothing"),
        (_attention(lambda x, m: (x + _prior((m == 1).float())).softmax(1)), "all or nothing"),
        (_attention(lambda x, m: (x + _prior((m > 0.3).float())).softmax(1)), "all or nothing"),
        (_attention(lambda x, m: _prior(m).softmax(1)), "has taken the place"),
        (
            _attention(lambda x, m: (x * torch.cat([m, torch.ones_like(m[:, :1])], 1)).softmax(1)),
            "are multiplied",
        ),
        (paint_first, "another order"),
        (logits_changed, "changed `logits`"),
        (_attention(lambda x, m: (x + _prior(m)).softmax(0)), "over the batch"),
        (_attention(lambda x, m: (x + _prior(m)).softmax(2)), "picture's height (dimension 2)"),
        (_attention(lambda x, m: (x + _prior(m)).softmax(3)), "picture's width (dimension 3)"),
    ],
}
