"""Plausible wrong answers to the exercises of notebook 04, each with words of the message meant for it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sdgan_lib.composition import push_pull_fill
from sdgan_lib.generators import PartAttention


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


WRONG = {
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
        (_attention(lambda x, m: (x + _prior(m)).softmax(0)), "over the batch"),
        (_attention(lambda x, m: (x + _prior(m)).softmax(2)), "picture's height (dimension 2)"),
        (_attention(lambda x, m: (x + _prior(m)).softmax(3)), "picture's width (dimension 3)"),
    ],
}
