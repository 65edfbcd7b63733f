"""Checks of the exercises of notebook 07_pose_studio, and in Python what the studio computes in ``geometry.mjs``.

:func:`branch`, :func:`turned` and :func:`two_bones` are equal to the studio's own functions; ``node`` proves it in
``tests/test_studio_reference.py``. So the checks need no ``node``.
"""

import copy
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.estimation import COUNTED, Crop, PoseEstimator, load_estimator, pck
from sdgan_lib.exercises._verdict import Mistakes, Wrong, compare, exercise
from sdgan_lib.generators import Generator
from sdgan_lib.motion import fit_poses
from sdgan_lib.pose import JOINT, JOINTS, SKELETON, body_size, visible

DATA = Path(__file__).parents[2] / "data"

PARENT = {child: parent for parent, child in SKELETON}
"""Each joint's parent, the joint that it hangs on; the neck has none."""


def branch(joint: int) -> list[int]:
    """A joint and all joints that hang on it."""
    return [joint, *(i for child, parent in PARENT.items() if parent == joint for i in branch(child))]


def turned(pose: Tensor, joint: int, angle: float) -> Tensor:
    """The pose ``[18, 2]`` with a joint, and all that hangs on it, turned about the joint's parent.

    Args:
        pose: (x, y) in pixels, NaN for a missing joint; the parent is there.
        joint: its index; not the neck, which hangs on nothing.
        angle: in radians; as y points down, a positive one turns clockwise.
    """
    return _turned(pose, branch(joint), pose[PARENT[joint]], angle)


def _turned(pose: Tensor, joints: list[int], centre: Tensor, angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = (pose[joints] - centre).unbind(-1)
    result = pose.clone()
    result[joints] = centre + torch.stack([x * cos - y * sin, x * sin + y * cos], -1)
    return result


def two_bones(root: Tensor, middle: Tensor, end: Tensor, to: Tensor) -> Tensor:
    """Middle joint and end ``[2, 2]`` of two bones when the end is to be at ``to``.

    Both bones keep their lengths, and the middle joint stays on its side of the line from root to end. Out of reach,
    the end is as near to ``to`` as the bones allow.

    Args:
        root, middle, end, to: ``[2]``, (x, y) in pixels; ``to`` is not at ``root``.
    """
    side = -1 if _cross(end - root, middle - root) < 0 else 1
    return _bent(root, middle, end, to, side)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[1] - a[1] * b[0]


def _bent(root: Tensor, middle: Tensor, end: Tensor, to: Tensor, side: int, swapped: bool = False) -> Tensor:
    """:func:`two_bones` on a given side; ``swapped``: by the angle at the end, not at the root, a mistake."""
    upper, lower = (middle - root).norm(), (end - middle).norm()
    distance = (to - root).norm().clamp((upper - lower).abs(), upper + lower)
    direction = torch.atan2(*(to - root).flip(0))
    one, other = (lower, upper) if swapped else (upper, lower)
    cosine = (one**2 + distance**2 - other**2) / (2 * one * distance)
    bend = side * torch.acos(cosine.clamp(-1, 1))

    def towards(length: Tensor, angle: Tensor) -> Tensor:
        return root + length * torch.stack([angle.cos(), angle.sin()])

    return torch.stack([towards(upper, direction + bend), towards(distance, direction)])


@exercise
def check_turn(answer) -> str:
    """``my_turn(pose, joint, angle)``: the joint and what hangs on it turned about its parent by radians."""
    generator = torch.Generator().manual_seed(71)
    for name, angle in (("Relb", 0.7), ("Rsho", -0.9), ("Lkne", 2.0), ("nose", 0.4), ("Lhip", -0.3)):
        joint = JOINT[name]
        pose = 10 + 100 * torch.rand(18, 2, generator=generator)
        pose[[JOINT["Lwri"], JOINT["Rear"]]] = torch.nan
        given = pose.clone()
        found = answer(given, joint, angle)
        compare(
            found,
            turned(pose, joint, angle),
            _turn_mistakes(pose, joint, angle),
            what=f"the pose with {name} turned",
            atol=1e-3,
        )
        if not torch.equal(given.nan_to_num(-1e6), pose.nan_to_num(-1e6)):
            raise Wrong(
                "the result is right, but you changed the pose that you were given. Work on a copy: pose.clone()."
            )
    return "what hangs on a joint turns along, and every bone keeps its length."


def _turn_mistakes(pose: Tensor, joint: int, angle: float) -> Mistakes:
    joints, centre = branch(joint), pose[PARENT[joint]]
    right = turned(pose, joint, angle)
    alone = _turned(pose, [joint], centre, angle)
    carried = pose.clone()
    carried[joints] = pose[joints] + alone[joint] - pose[joint]
    children = [joint, *(child for child, parent in PARENT.items() if parent == joint)]
    return [
        ("turned the wrong way: x' = x cos − y sin and y' = x sin + y cos.", turned(pose, joint, -angle)),
        (
            "the angle is in radians already: do not convert it from degrees.",
            turned(pose, joint, math.radians(angle)),
        ),
        ("only the joint itself moved: what hangs on it stayed behind, and its bone is torn.", alone),
        (
            "what hangs on the joint is carried along but not turned. Turn every joint of the branch about the same "
            "centre, the parent.",
            carried,
        ),
        (
            "you moved the joint and its children, but not the children's children: go on to the end of the branch.",
            _turned(pose, children, centre, angle),
        ),
        (
            "you turned about the joint itself, so it stayed where it was. The centre is its parent.",
            _turned(pose, joints, pose[joint], angle),
        ),
        (
            "you turned about the corner of the picture (0, 0): subtract the parent's place first, and add it again.",
            _turned(pose, joints, torch.zeros(2), angle),
        ),
        (
            "the whole pose turned. Only the joint and what hangs on it move.",
            _turned(pose, list(range(18)), centre, angle),
        ),
        ("the parent's place is not added again after the turn.", _minus(right, joints, centre)),
        (
            "a missing joint has a place now: NaN must stay NaN.",
            turned(pose.nan_to_num(0.0), joint, angle),
        ),
        ("a missing joint has a place now: NaN must stay NaN.", right.nan_to_num(0.0)),
    ]


def _minus(pose: Tensor, joints: list[int], by: Tensor) -> Tensor:
    result = pose.clone()
    result[joints] -= by
    return result


@exercise
def check_two_bones(answer) -> str:
    """``my_two_bones(root, middle, end, to)``: middle joint and end ``[2, 2]`` when the end is to be at ``to``."""
    generator = torch.Generator().manual_seed(72)
    for case, reach in enumerate((None, None, None, None, 1.6, 0.5)):
        root = 50 + 20 * torch.rand(2, generator=generator)
        middle = root + 10 + 20 * torch.rand(2, generator=generator)
        end = middle + torch.tensor([-12.0, 6.0]) * (0.8 + torch.rand(2, generator=generator))
        if case % 2:  # the mirror image: bent to the other side
            middle, end = root + (middle - root).flip(0), root + (end - root).flip(0)
        upper, lower = (middle - root).norm(), (end - middle).norm()
        share = 0.2 + 0.6 * torch.rand((), generator=generator)
        distance = torch.lerp((upper - lower).abs(), upper + lower, share)
        if reach is not None:
            distance = reach * (upper + lower if reach > 1 else (upper - lower).abs())
        angle = 2 * math.pi * torch.rand((), generator=generator)
        to = root + distance * torch.stack([angle.cos(), angle.sin()])
        what = "middle joint and end" + (
            "" if reach is None else ", too far away" if reach > 1 else ", too near the root"
        )
        found = answer(root.clone(), middle.clone(), end.clone(), to.clone())
        if reach is not None and isinstance(found, Tensor) and found.isnan().any():
            raise Wrong(
                "NaN where `to` is out of reach: no triangle has such sides, and the cosine is beyond ±1. Clamp the "
                "distance to what the bones allow, from |a − b| to a + b, and the cosine to −1 … 1 as well (rounding)."
            )
        compare(
            found,
            two_bones(root, middle, end, to),
            _two_bones_mistakes(root, middle, end, to),
            what=what,
            atol=0.02,
        )
    return "lengths kept, the bend on its side, and no surprise out of reach. The studio computes the same."


def _two_bones_mistakes(root: Tensor, middle: Tensor, end: Tensor, to: Tensor) -> Mistakes:
    right = two_bones(root, middle, end, to)
    side = 1 if _cross(end - root, middle - root) >= 0 else -1
    upper, lower = (middle - root).norm(), (end - middle).norm()
    other = _bent(root, middle, end, to, -side)
    bent_only = torch.stack([middle, right[1]])
    apart = torch.stack([right[0], to])
    straight = root + upper * (to - root) / (to - root).norm()
    return [
        (
            "the middle joint is on the other side: an elbow must not turn inside out. Keep the sign of the cross "
            "product of (end − root) and (middle − root).",
            other,
        ),
        ("the order is [middle, end]: you return the end first.", right.flip(0)),
        (
            "the angle at the wrong corner: the bend at the root is opposite to the *lower* bone, so the law of "
            "cosines subtracts lower².",
            _bent(root, middle, end, to, side, swapped=True),
        ),
        (
            "the angle at the wrong corner: the bend at the root is opposite to the *lower* bone, so the law of "
            "cosines subtracts lower².",
            _bent(root, middle, end, to, -side, swapped=True),
        ),
        (
            "`to` is out of reach, and you put the end there all the same: the bone became longer. Clamp the distance.",
            apart,
        ),
        ("the middle joint did not move, so both bones have a new length.", bent_only),
        (
            "the middle joint lies on the line from root to end: it must bend by the angle of the law of cosines.",
            torch.stack([straight, right[1]]),
        ),
        (
            "the middle joint is measured from (0, 0): add the root's place.",
            right - root,
        ),
        (
            "the bend is there, but the direction from root to `to` is not added to it.",
            torch.stack([_from_the_axis(root, upper, lower, right[1], side), right[1]]),
        ),
    ]


def _from_the_axis(root: Tensor, upper: Tensor, lower: Tensor, end: Tensor, side: int) -> Tensor:
    distance = (end - root).norm()
    cosine = ((upper**2 + distance**2 - lower**2) / (2 * upper * distance)).clamp(-1, 1)
    bend = side * torch.acos(cosine)
    return root + upper * torch.stack([bend.cos(), bend.sin()])


@exercise
def check_fit(answer) -> str:
    """``my_fit(poses, to_pose)``: a sequence ``[T, 18, 2]`` in the size and place of a person ``[18, 2]``."""
    generator = torch.Generator().manual_seed(73)
    for scale in (2.3, 0.6):
        figure = torch.rand(18, 2, generator=generator) * torch.tensor([20.0, 60.0])
        figure[[JOINT["Rank"], JOINT["Lank"]], 1] = torch.tensor([78.0, 74.0])
        poses = scale * (figure + 8 * torch.rand(5, 18, 2, generator=generator) + torch.tensor([9.0, 5.0]))
        poses[1, JOINT["nose"]] = torch.nan
        to_pose = figure * 1.4 + torch.tensor([7.0, 11.0])
        to_pose[JOINT["Lear"]] = torch.nan
        given = poses.clone(), to_pose.clone()
        found = answer(*given)
        compare(
            found, fit_poses(poses, to_pose), _fit_mistakes(poses, to_pose), what="the sequence", atol=1e-2
        )
        if any(
            not torch.equal(now.nan_to_num(-1e6), before.nan_to_num(-1e6))
            for now, before in zip(given, (poses, to_pose), strict=True)
        ):
            raise Wrong(
                "the result is right, but you changed what you were given. Do not calculate in place."
            )
    return "their motion, this person's size, and feet on this person's ground."


def _fit_mistakes(poses: Tensor, to_pose: Tensor) -> Mistakes:
    hips, ankles = [JOINT["Rhip"], JOINT["Lhip"]], [JOINT["Rank"], JOINT["Lank"]]
    sizes, size = body_size(poses), body_size(to_pose)
    factor = size / sizes.median()

    def placed(scaled: Tensor, ground: Tensor | None = None, across: Tensor | None = None) -> Tensor:
        """Scaled poses, shifted as the task says, or by another ground and another middle."""
        x = scaled[:, hips, 0].mean() if across is None else across
        y = scaled[:, ankles, 1].max() if ground is None else ground
        shift = torch.stack(
            torch.broadcast_tensors(to_pose[hips, 0].mean() - x, to_pose[ankles, 1].max() - y), -1
        )
        return scaled + shift.view(-1, 1, 2)

    scaled = poses * factor
    hips_shift = to_pose[hips].mean(0) - scaled[:, hips].mean((0, 1))
    unscaled_shift = torch.stack(
        [
            to_pose[hips, 0].mean() - poses[:, hips, 0].mean(),
            to_pose[ankles, 1].max() - poses[:, ankles, 1].max(),
        ]
    )
    highest = scaled + torch.stack(
        [
            to_pose[hips, 0].mean() - scaled[:, hips, 0].mean(),
            to_pose[ankles, 1].min() - scaled[:, ankles, 1].min(),
        ]
    )
    return [
        (
            "the poses keep their own size: multiply them by the person's body size over theirs.",
            placed(poses),
        ),
        (
            "the scale is upside down: the person's size divided by the sequence's.",
            placed(poses / factor),
        ),
        (
            "each pose got a scale of its own: a body that leans or turns would grow and shrink. One scale for all, by "
            "the median.",
            placed(poses * (size / sizes)[:, None, None]),
        ),
        (
            "the scale comes from the first pose alone; the median over all poses is wanted.",
            placed(poses * (size / sizes[0])),
        ),
        (
            "the scale comes from the mean; the median is wanted: a single odd pose must not decide.",
            placed(poses * (size / sizes.mean())),
        ),
        ("size is right, but the poses are not moved to the person.", scaled),
        (
            "the hips are in place, but not the feet: in y the lowest ankle decides, so that the person stands on the "
            "ground.",
            scaled + hips_shift,
        ),
        (
            "the ground is the *largest* y (y points down): you took the smallest.",
            highest,
        ),
        (
            "each pose is put on the ground by itself: then nobody can jump. One shift for the whole sequence.",
            placed(scaled, ground=scaled[:, ankles, 1].amax(1)),
        ),
        (
            "each pose is centred by itself: the sway of the walk is lost. One shift for the whole sequence.",
            placed(scaled, across=scaled[:, hips, 0].mean(1)),
        ),
        (
            "the shift was measured before scaling: scale first, then measure where the poses are.",
            scaled + unscaled_shift,
        ),
    ]


@exercise
def check_swing(answer) -> str:
    """``my_swing(first, last, share)``: a bone ``[..., 2]`` between two others, by its angle and its length."""
    for seed, share in ((74, 0.5), (75, 0.25), (76, 0.8)):
        generator = torch.Generator().manual_seed(seed)
        angle = 2 * math.pi * torch.rand(40, generator=generator)
        by = (2 * torch.rand(40, generator=generator) - 1) * 3
        lengths = 10 + 20 * torch.rand(2, 40, generator=generator)
        first, last = (
            r[:, None] * torch.stack([a.cos(), a.sin()], -1)
            for r, a in zip(lengths, (angle, angle + by), strict=True)
        )
        compare(
            answer(first.clone(), last.clone(), share),
            _swung(first, last, share),
            _swing_mistakes(first, last, share),
            what="the bone on the way",
            atol=2e-3,
        )
    return "the bone swings, the shorter way round, and does not shrink. `between` does so for every limb."


def _polar(length: Tensor, angle: Tensor) -> Tensor:
    return length[..., None] * torch.stack([angle.cos(), angle.sin()], -1)


def _swung(first: Tensor, last: Tensor, share: float) -> Tensor:
    start, turn = _angles(first, last)
    length = torch.lerp(first.norm(dim=-1), last.norm(dim=-1), share)
    return _polar(length, start + share * torch.remainder(turn + math.pi, 2 * math.pi) - share * math.pi)


def _angles(first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The first one's angle and what is between both, not yet the shorter way."""
    start, end = (torch.atan2(v[..., 1], v[..., 0]) for v in (first, last))
    return start, end - start


def _swing_mistakes(first: Tensor, last: Tensor, share: float) -> Mistakes:
    start, turn = _angles(first, last)
    shorter = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
    own, other = first.norm(dim=-1), last.norm(dim=-1)
    length = torch.lerp(own, other, share)
    right = _swung(first, last, share)
    longer = shorter - shorter.sign() * 2 * math.pi
    return [
        (
            "this is the straight line between the two tips: half way the bone is too short.",
            torch.lerp(first, last, share),
        ),
        (
            "some bones go the long way round: 179° and −179° are 2° apart, not 358°. Bring the turn to −π … π first.",
            _polar(length, start + share * turn),
        ),
        (
            "all bones go the long way round: take the turn that is nearer to 0.",
            _polar(length, start + share * longer),
        ),
        (
            "negative turns are missing: all bones turn in one direction. The turn must lie between −π and π.",
            _polar(length, start + share * torch.remainder(turn, 2 * math.pi)),
        ),
        (
            "share 0 must give the first bone and share 1 the last: yours runs backwards.",
            _swung(last, first, share),
        ),
        (
            "the angle is right, but the length stays the first one's: it must change evenly too.",
            _polar(own, start + share * shorter),
        ),
        (
            "the angle is right, but the length is the last one's: it must change evenly.",
            _polar(other, start + share * shorter),
        ),
        ("the angle is right, but the bone has length 1: multiply by its length.", right / length[..., None]),
        (
            "x and y are swapped: x is length · cos, y is length · sin, and the angle is atan2(y, x).",
            right.flip(-1),
        ),
        (
            "the turn is not added to the first bone's angle.",
            _polar(length, share * shorter),
        ),
    ]


@exercise
def check_found_pose(answer) -> str:
    """``my_found_pose(found, least)``: MoveNet's 17 joints ``[17, 3]``, (y, x, score), as a pose ``[18, 2]``."""
    rsho, lsho = (COUNTED.index(JOINT[name]) for name in ("Rsho", "Lsho"))
    for seed, least in ((77, 0.2), (78, 0.35), (79, 0.5)):
        generator = torch.Generator().manual_seed(seed)
        found = torch.cat(
            [torch.rand(17, 2, generator=generator) * 100, torch.rand(17, 1, generator=generator)], 1
        )
        found[[0, 5], 2] = 0.05
        found[[1, 7], 2] = 0.95
        found[[rsho, lsho], 2] = torch.tensor({77: [0.8, 0.9], 78: [0.9, 0.1], 79: [0.6, 0.7]}[seed])
        given = found.clone()
        compare(
            answer(given, least),
            _found_pose(found, least),
            _found_mistakes(found, least),
            what="the pose",
        )
        if not torch.equal(given, found):
            raise Wrong("the result is right, but you changed what you were given. Work on a copy.")
    return "18 joints in our order, and what the network is not sure of is missing."


def _found_pose(found: Tensor, least: float) -> Tensor:
    """What the library's :func:`sdgan_lib.estimation.find_person` makes of joints and scores."""
    pose = found.new_full((18, 2), torch.nan)
    pose[list(COUNTED)] = found[:, [1, 0]].masked_fill(found[:, 2:] < least, torch.nan)
    pose[JOINT["neck"]] = (pose[JOINT["Rsho"]] + pose[JOINT["Lsho"]]) / 2
    return pose


def _found_mistakes(found: Tensor, least: float) -> Mistakes:
    right, neck = _found_pose(found, least), JOINT["neck"]
    everything = _found_pose(found, 0.0)
    guessed = right.clone()
    guessed[neck] = everything[neck]
    one_shoulder = right.clone()
    one_shoulder[neck] = right[[JOINT["Rsho"], JOINT["Lsho"]]].nanmean(0)
    no_neck = right.clone()
    no_neck[neck] = torch.nan
    own_order = torch.full((18, 2), torch.nan)
    sure = found[:, [1, 0]].masked_fill(found[:, 2:] < least, torch.nan)
    own_order[[i for i in range(18) if i != neck]] = sure
    own_order[neck] = right[neck]
    shifted = torch.cat([sure, right[neck][None]])
    weights = found[[COUNTED.index(JOINT["Rsho"]), COUNTED.index(JOINT["Lsho"])], 2:]
    weighted = right.clone()
    weighted[neck] = (right[[JOINT["Rsho"], JOINT["Lsho"]]] * weights).sum(0) / weights.sum()
    return [
        ("x and y are swapped: MoveNet says y first, a pose has x first.", right.flip(-1)),
        ("a joint below the score `least` has a place: it is only a guess, so it must be NaN.", everything),
        (
            "missing joints are 0: that is the corner of the picture. A missing joint is NaN.",
            right.nan_to_num(0.0),
        ),
        ("the neck comes from a shoulder that is missing: without both shoulders there is no neck.", guessed),
        (
            "with one shoulder missing the other one became the neck: then the neck is missing too.",
            one_shoulder,
        ),
        ("the neck is missing: it is the middle of the two shoulders, where both are there.", no_neck),
        (
            "the joints stand in MoveNet's order (left before right, eyes before shoulders). COUNTED says for each of "
            "them its index in our pose.",
            own_order,
        ),
        (
            "the joints stand in MoveNet's order, with the neck last. COUNTED says for each of them its index in our "
            "pose.",
            shifted,
        ),
        ("the neck is half way between the shoulders; their scores do not pull it to one side.", weighted),
        (
            "keep the joints that are *at least* `least`: you kept the uncertain ones.",
            _opposite(found, least),
        ),
    ]


def _opposite(found: Tensor, least: float) -> Tensor:
    turned_round = found.clone()
    turned_round[:, 2] = torch.where(found[:, 2] < least, 1.0, 0.0)
    return _found_pose(turned_round, 0.5)


@exercise
def check_back(answer) -> str:
    """``my_back(points, left, top, scale)``: points ``[N, 2]`` of a crop, in the photograph's pixels."""
    generator = torch.Generator().manual_seed(80)
    for left, top, scale in ((130.5, 41.25, 0.4), (-20.0, 7.5, 2.5)):
        points = 60 * torch.rand(18, 2, generator=generator)
        points[3] = torch.nan
        given = points.clone()
        crop = Crop(left, top, scale, (128, 64))
        compare(
            answer(given, left, top, scale),
            crop.back(points),
            _back_mistakes(points, crop),
            what="the points",
        )
        if not torch.equal(given.nan_to_num(-1e6), points.nan_to_num(-1e6)):
            raise Wrong("the result is right, but you changed the points that you were given.")
    return "there and back without losing half a pixel."


def _back_mistakes(points: Tensor, crop: Crop) -> Mistakes:
    corner, scale = points.new_tensor([crop.left, crop.top]), crop.scale
    return [
        (
            "up to a pixel off: the corner of the first pixel is at −0.5, not at 0. Add 0.5, scale and shift, then "
            "subtract 0.5 again.",
            points / scale + corner,
        ),
        ("0.5 was added before scaling, but not subtracted at the end.", (points + 0.5) / scale + corner),
        ("0.5 was subtracted at the end, but not added before scaling.", points / scale + corner - 0.5),
        (
            "the two 0.5 have the wrong signs: add first, subtract at the end.",
            (points - 0.5) / scale + corner + 0.5,
        ),
        (
            "the scale is upside down: it says how many pixels of the *crop* one pixel of the photograph becomes, so "
            "the way back divides.",
            (points + 0.5) * scale + corner - 0.5,
        ),
        ("this is the way into the crop; wanted is the way back.", crop.to(points)),
        (
            "left and top are swapped: x goes with left, y with top.",
            (points + 0.5) / scale + corner.flip(0) - 0.5,
        ),
        ("the corner is subtracted; on the way back it is added.", (points + 0.5) / scale - corner - 0.5),
        (
            "the corner is added before dividing: it is in pixels of the photograph, so divide first.",
            (points + 0.5 + corner) / scale - 0.5,
        ),
        ("the corner of the crop is left out.", (points + 0.5) / scale - 0.5),
        ("rounded to whole pixels: a joint stands between them.", crop.back(points).round()),
    ]


@functools.cache
def _networks() -> tuple[Generator, PoseEstimator, PersonPairs]:
    people = PersonPairs(DATA / "people", "test", pairs="same-camera")
    return load_generator(DATA / "checkpoints/sdgan.safetensors", "cpu"), load_estimator(), people


@exercise
def check_broken_pose(answer) -> str:
    """``my_broken_pose(pose)``: a pose of the same bones, in the picture, that the generator cannot paint."""
    generator, estimator, people = _networks()
    shares = []
    for number in (258, 330, 381, 462):
        item = people[number]
        source, pose = item["source_image"], item["source_pose"]
        given = pose.clone()
        found = answer(given)
        if not torch.equal(given.nan_to_num(-1e6), pose.nan_to_num(-1e6)):
            raise Wrong("you changed the pose that you were given: work on a copy, pose.clone().")
        if not isinstance(found, Tensor) or found.shape != (18, 2):
            shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise Wrong(f"a pose is wanted, a tensor [18, 2]; yours is {shape}.")
        _same_body(pose, found, source.shape[-2:])
        with torch.inference_mode():
            picture = generator.transfer(source[None], pose[None], found[None].float()).image
        picture, upright = _upright(picture, found.float())
        shares.append(pck(estimator(picture), upright[None]).item())
    share = sum(shares) / len(shares)
    if share > 2 / 3:
        raise Wrong(
            f"not broken yet: MoveNet finds {100 * share:.0f} % of the joints where you asked for them; fewer than two "
            "thirds are wanted. The network has seen people who stand, walk and reach. What have they never done?"
        )
    return (
        f"MoveNet finds {100 * share:.0f} % of the joints. All bones have their length, and still nobody was ever "
        "seen like this: the network knows the poses of its training, not bodies."
    )


def _upright(picture: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """A picture ``[1, 3, H, W]`` and its pose on a square, turned until the neck is above the hips.

    MoveNet itself finds little in people who are not upright; the picture must be judged, not MoveNet.
    """
    from torchvision.transforms.functional import InterpolationMode, rotate  # a second that few checks need

    side = max(picture.shape[-2:])
    across, down = side - picture.shape[-1], side - picture.shape[-2]
    borders = (across // 2, across - across // 2, down // 2, down - down // 2)
    picture = F.pad(picture, borders, mode="replicate")
    pose = pose + pose.new_tensor([across // 2, down // 2])
    x, y = (pose[JOINT["neck"]] - pose[[JOINT["Rhip"], JOINT["Lhip"]]].nanmean(0)).tolist()
    angle = math.atan2(-x, -y)  # clockwise on the screen
    centre = pose.new_full((2,), (side - 1) / 2)
    picture = rotate(picture, -math.degrees(angle), InterpolationMode.BILINEAR)
    return picture, _turned(pose, list(range(len(JOINTS))), centre, angle)


def _same_body(before: Tensor, after: Tensor, size: tuple[int, int]) -> None:
    """Raise :class:`Wrong` unless two poses have the same joints and bones, and lie in the picture."""
    gone, new = (visible(a) & ~visible(b) for a, b in ((before, after), (after, before)))
    if gone.any():
        names = ", ".join(JOINTS[i] for i in gone.nonzero().flatten().tolist())
        raise Wrong(f"joints are gone ({names}): hiding them is too easy. All joints of the pose must stay.")
    if new.any():
        names = ", ".join(JOINTS[i] for i in new.nonzero().flatten().tolist())
        raise Wrong(f"joints have appeared ({names}) that the pose did not have: leave NaN as it is.")
    for near, far in SKELETON:
        old, now = ((pose[far] - pose[near]).norm() for pose in (before, after))
        if old.isfinite() and abs(now - old) > 0.02 * old + 0.05:
            raise Wrong(
                f"the bone from {JOINTS[near]} to {JOINTS[far]} is {now / old:.2f} times as long as before: a body "
                "that is stretched is no body. Only move and turn."
            )
    there = after[visible(after)]
    limit = there.new_tensor([size[1], size[0]]) - 1
    if (there < 0).any() or (there > limit).any():
        raise Wrong("a joint lies outside the picture: nobody can find it there. Keep the whole body inside.")


def fine_tuned(
    network: nn.Module,
    batches: Sequence,
    loss_of: Callable[[nn.Module, object], Tensor],
    rate: float = 4e-4,
    decay: float = 0.9,
    slip: str = "",
) -> nn.Module:
    """A trained network, trained a little further: the moving average of a copy of it. The given one stays as it is.

    In short what ``train --fine-tune`` does (:meth:`sdgan_lib.training.Trainer.train_step`).

    Args:
        network: trained.
        batches: what to train on, one step of Adam for each.
        loss_of: network and batch to a loss with a gradient.
        rate: learning rate of the first step; it falls on a straight line, to 0 after the last.
        decay: share of the average that stays in each step.
        slip: a mistake to make, one of :data:`_TUNING_SLIPS`.
    """
    student, average = copy.deepcopy(network), copy.deepcopy(network)
    optimiser = torch.optim.Adam(student.parameters(), lr=rate, betas=(0.5, 0.999))
    for step, batch in enumerate(batches):
        left = 1 if slip == "constant" else 1 - step / len(batches)
        optimiser.param_groups[0]["lr"] = rate * (1 - left if slip == "rising" else left)
        if slip != "kept":
            optimiser.zero_grad()
        loss_of(student, batches[0] if slip == "first" else batch).backward()
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), student.parameters(), strict=True):
                old.lerp_(new, decay if slip == "reversed" else 1 - decay)
    return student if slip == "last" else average


_TUNING_SLIPS = {
    "last": "these are the weights of the last step, not their moving average: the last few batches have pulled them "
    "about. Keep a second copy, and move it by 1 − decay towards the weights after each step.",
    "constant": "the rate stays as it is: in step i of n it is rate·(1 − i/n), so that the last steps only polish.",
    "rising": "the rate rises: in step i of n, counted from 0, it is rate·(1 − i/n).",
    "kept": "the gradients of all steps add up: zero_grad() before each backward().",
    "reversed": "the average moves the wrong way: `decay` of the OLD average stays, 1 − decay of the new weights comes "
    "in.",
    "first": "each step got the first batch: the other frames were never looked at.",
}


@exercise
def check_fine_tune(answer) -> str:
    """``my_fine_tune(network, batches, loss_of, rate, decay)``: a copy of a network, trained further and averaged."""
    torch.manual_seed(81)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    batches = list(torch.randn(6, 8, 4, generator=torch.Generator().manual_seed(81)))

    def loss_of(network: nn.Module, batch: Tensor) -> Tensor:
        return (network(batch) - batch.sin().sum(1, keepdim=True)).square().mean()

    rest = loss_of, 0.05, 0.7
    given = copy.deepcopy(network)
    found = answer(given, list(batches), *rest)
    if not isinstance(found, nn.Module):
        raise Wrong(f"a network is wanted, the averaged one; yours is a {type(found).__name__}.")
    if found is given or not torch.equal(_weights(given), _weights(network)):
        raise Wrong(
            "the network that you were given has changed, and with it everything that uses it, for everybody else on "
            "the pictures too. Train a copy: copy.deepcopy(network)."
        )
    made = {slip: fine_tuned(copy.deepcopy(network), batches, *rest, slip=slip) for slip in _TUNING_SLIPS}
    mistakes = [(message, _weights(made[slip])) for slip, message in _TUNING_SLIPS.items()]
    mistakes.append(("nothing was learned: the weights are those that you were given.", _weights(network)))
    right = _weights(fine_tuned(network, batches, *rest))
    compare(_weights(found), right, mistakes, what="a weight", rtol=1e-3, atol=1e-5)
    return (
        "a copy that has learned, averaged over its last steps; the network that everybody uses is as it was."
    )


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])
