"""Wrong answers to the exercises of notebook 07_pose_studio, with words of the message that each must get."""

import copy
import math
from functools import partial

import torch

from sdgan_lib.estimation import COUNTED, Crop
from sdgan_lib.exercises.studio import PARENT, branch, turned, two_bones
from sdgan_lib.motion import fit_poses
from sdgan_lib.pose import JOINT, body_size


def rotated(points, angle):
    x, y = points.unbind(-1)
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], -1)


def turn_some(pose, joints, centre, angle):
    result = pose.clone()
    result[joints] = centre + rotated(pose[joints] - centre, angle)
    return result


def carry_along(pose, joint, angle):
    result = pose.clone()
    result[branch(joint)] += turned(pose, joint, angle)[joint] - pose[joint]
    return result


def two_levels(pose, joint, angle):
    children = [child for child, parent in PARENT.items() if parent == joint]
    return turn_some(pose, [joint, *children], pose[PARENT[joint]], angle)


def turn_in_place(pose, joint, angle):
    joints, centre = branch(joint), pose[PARENT[joint]].clone()
    pose[joints] = centre + rotated(pose[joints] - centre, angle)
    return pose


def no_way_back(pose, joint, angle):
    joints, result = branch(joint), pose.clone()
    result[joints] = rotated(pose[joints] - pose[PARENT[joint]], angle)
    return result


def cosines(root, middle, end, to, *, side=None, corner="root", clamp=True, direction=True, origin=True):
    """Two bones by the law of cosines, in a learner's words and with a learner's slips."""
    a, b, d = (middle - root).norm(), (end - middle).norm(), (to - root).norm()
    if clamp:
        d = d.clamp((a - b).abs(), a + b)
    opposite, beside = (b, a) if corner == "root" else (a, b)
    cosine = (beside**2 + d**2 - opposite**2) / (2 * beside * d)
    angle = torch.acos(cosine.clamp(-1, 1) if clamp else cosine)
    if side is None:
        (ex, ey), (mx, my) = end - root, middle - root
        side = 1 if ex * my - ey * mx >= 0 else -1
    base = torch.atan2((to - root)[1], (to - root)[0]) * bool(direction)
    heading = base + side * angle
    start = root if origin else torch.zeros(2)
    tip = start + d * (to - root) / (to - root).norm()
    return torch.stack([start + a * torch.stack([heading.cos(), heading.sin()]), tip])


def straight_arm(root, middle, end, to):
    along = (to - root) / (to - root).norm()
    return torch.stack([root + (middle - root).norm() * along, two_bones(root, middle, end, to)[1]])


HIPS, ANKLES = [JOINT["Rhip"], JOINT["Lhip"]], [JOINT["Rank"], JOINT["Lank"]]


def fitted(poses, to_pose, factor=None, shift=None):
    scaled = poses * (body_size(to_pose) / body_size(poses).median() if factor is None else factor)
    if shift is None:
        shift = ground_shift(scaled, to_pose)
    return scaled + shift


def ground_shift(scaled, to_pose):
    shift = to_pose[HIPS].nanmean(0) - scaled[:, HIPS].nanmean((0, 1))
    shift[1] = to_pose[ANKLES, 1].max() - scaled[:, ANKLES, 1].max()
    return shift


def by_hips(poses, to_pose):
    scaled = poses * (body_size(to_pose) / body_size(poses).median())
    return scaled + to_pose[HIPS].mean(0) - scaled[:, HIPS].mean((0, 1))


def by_smallest(poses, to_pose):
    scaled = poses * (body_size(to_pose) / body_size(poses).median())
    shift = ground_shift(scaled, to_pose)
    shift[1] = to_pose[ANKLES, 1].min() - scaled[:, ANKLES, 1].min()
    return scaled + shift


def every_pose_grounded(poses, to_pose):
    found = fit_poses(poses, to_pose)
    lowest = found[:, ANKLES, 1].amax(1, keepdim=True)
    return torch.stack([found[..., 0], found[..., 1] + to_pose[ANKLES, 1].max() - lowest], -1)


def every_pose_centred(poses, to_pose):
    found = fit_poses(poses, to_pose)
    middle = found[:, HIPS, 0].mean(1, keepdim=True)
    return torch.stack([found[..., 0] + to_pose[HIPS, 0].mean() - middle, found[..., 1]], -1)


def fit_in_place(poses, to_pose):
    poses *= body_size(to_pose) / body_size(poses).median()
    poses += ground_shift(poses, to_pose)
    return poses


def polar(length, angle):
    return length[..., None] * torch.stack([angle.cos(), angle.sin()], -1)


def swing(first, last, share, turn=None, length=None):
    a, b = (torch.atan2(v[..., 1], v[..., 0]) for v in (first, last))
    shorter = (b - a + math.pi) % (2 * math.pi) - math.pi
    by = shorter if turn is None else turn(a, b, shorter)
    r = torch.lerp(first.norm(dim=-1), last.norm(dim=-1), share) if length is None else length
    return polar(r, a + share * by)


def long_way(a, b, shorter):
    return torch.where(shorter > 0, shorter - 2 * math.pi, shorter + 2 * math.pi)


def unanchored(first, last, share):
    return swing(first, last, share, lambda a, b, shorter: shorter - a / share)


def to_pose18(found, least):
    pose = torch.full((18, 2), torch.nan)
    for (y, x, score), joint in zip(found, COUNTED, strict=True):
        if score >= least:
            pose[joint] = torch.stack([x, y])
    pose[JOINT["neck"]] = (pose[JOINT["Rsho"]] + pose[JOINT["Lsho"]]) / 2
    return pose


def with_neck(found, least, neck):
    pose = to_pose18(found, least)
    pose[JOINT["neck"]] = neck(pose, to_pose18(found, 0.0))
    return pose


SHOULDERS = [JOINT["Rsho"], JOINT["Lsho"]]


def own_order(found, least):
    pose = torch.full((18, 2), torch.nan)
    kept = [i for i in range(18) if i != JOINT["neck"]]
    pose[kept] = found[:, [1, 0]].masked_fill(found[:, 2:] < least, torch.nan)
    pose[JOINT["neck"]] = to_pose18(found, least)[JOINT["neck"]]
    return pose


def neck_last(found, least):
    pose = to_pose18(found, least)
    return torch.cat([pose[list(COUNTED)], pose[[JOINT["neck"]]]])


def zeroed_scores(found, least):
    pose = to_pose18(found, least)
    found[found[:, 2] < least] = 0
    return pose


def back(points, left, top, scale, before=0.5, after=0.5):
    return (points + before) / scale + torch.tensor([left, top]) - after


def moved_points(points, left, top, scale):
    result = back(points, left, top, scale)
    points += 0.5
    return result


def one_limb(pose):
    result = pose.clone()
    result[JOINT["Rwri"]] = result[JOINT["Rwri"]] + 9
    return result


def hide_legs(pose):
    result = pose.clone()
    result[[JOINT["Rank"], JOINT["Lank"]]] = torch.nan
    return result


def upside_down(pose):
    there = pose[~pose.isnan().any(-1)]
    return there.amin(0) + there.amax(0) - pose


def tuned(
    network, batches, loss_of, rate, decay, own=False, fall=None, zero=True, average=None, batch_of=None
):
    """A network trained further; each option is one way of doing it that is not wanted."""
    student = network if own else copy.deepcopy(network)
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.Adam(student.parameters(), lr=rate, betas=(0.5, 0.999))
    for i in range(len(batches)):
        optimiser.param_groups[0]["lr"] = rate * (fall or (lambda share: 1 - share))(i / len(batches))
        if zero:
            optimiser.zero_grad()
        loss_of(student, batches[i if batch_of is None else batch_of]).backward()
        optimiser.step()
        for old, new in zip(averaged.parameters(), student.parameters(), strict=True):
            old.data = (
                decay * old.data + (1 - decay) * new.data if average is None else average(old, new, decay)
            )
    return averaged


WRONG: dict = {
    "check_turn": [
        (lambda p, j, a: turned(p, j, -a), "turned the wrong way"),
        (lambda p, j, a: turned(p, j, math.radians(a)), "in radians already"),
        (lambda p, j, a: turn_some(p, [j], p[PARENT[j]], a), "its bone is torn"),
        (carry_along, "carried along but not turned"),
        (two_levels, "not the children's children"),
        (lambda p, j, a: turn_some(p, branch(j), p[j], a), "about the joint itself"),
        (lambda p, j, a: turn_some(p, branch(j), torch.zeros(2), a), "corner of the picture"),
        (lambda p, j, a: turn_some(p, list(range(18)), p[PARENT[j]], a), "the whole pose turned"),
        (no_way_back, "not added again"),
        (lambda p, j, a: turned(p, j, a).nan_to_num(0.0), "NaN must stay NaN"),
        (turn_in_place, "changed the pose that you were given"),
    ],
    "check_two_bones": [
        (lambda *four: cosines(*four, side=1), "on the other side"),
        (lambda *four: cosines(*four, side=-1), "on the other side"),
        (lambda *four: two_bones(*four).flip(0), "the end first"),
        (lambda *four: cosines(*four, corner="end"), "at the wrong corner"),
        (lambda *four: cosines(*four, clamp=False), "Clamp the distance to what the bones allow"),
        (lambda r, m, e, to: torch.stack([two_bones(r, m, e, to)[0], to]), "the bone became longer"),
        (lambda r, m, e, to: torch.stack([m, two_bones(r, m, e, to)[1]]), "did not move"),
        (straight_arm, "lies on the line"),
        (lambda *four: cosines(*four, origin=False), "add the root's place"),
        (lambda *four: cosines(*four, direction=False), "is not added to it"),
    ],
    "check_fit": [
        (lambda p, t: fitted(p, t, factor=1.0), "keep their own size"),
        (lambda p, t: fitted(p, t, factor=body_size(p).median() / body_size(t)), "upside down"),
        (lambda p, t: fitted(p, t, factor=(body_size(t) / body_size(p))[:, None, None]), "scale of its own"),
        (lambda p, t: fitted(p, t, factor=body_size(t) / body_size(p)[0]), "first pose alone"),
        (lambda p, t: fitted(p, t, factor=body_size(t) / body_size(p).mean()), "a single odd pose"),
        (lambda p, t: fitted(p, t, shift=0.0), "not moved to the person"),
        (by_hips, "not the feet"),
        (by_smallest, "you took the smallest"),
        (every_pose_grounded, "nobody can jump"),
        (every_pose_centred, "sway of the walk"),
        (lambda p, t: fitted(p, t, shift=ground_shift(p, t)), "measured before scaling"),
        (fit_in_place, "Do not calculate in place"),
    ],
    "check_swing": [
        (lambda a, b, share: torch.lerp(a, b, share), "straight line between the two tips"),
        (lambda a, b, share: swing(a, b, share, lambda x, y, _: y - x), "179° and −179°"),
        (lambda a, b, share: swing(a, b, share, long_way), "nearer to 0"),
        (lambda a, b, share: swing(a, b, share, lambda x, y, s: s % (2 * math.pi)), "negative turns"),
        (lambda a, b, share: swing(b, a, share), "runs backwards"),
        (lambda a, b, share: swing(a, b, share, length=a.norm(dim=-1)), "stays the first one's"),
        (lambda a, b, share: swing(a, b, share, length=b.norm(dim=-1)), "is the last one's"),
        (lambda a, b, share: swing(a, b, share, length=torch.ones(len(a))), "has length 1"),
        (lambda a, b, share: swing(a, b, share).flip(-1), "x and y are swapped"),
        (unanchored, "not added to the first bone's angle"),
    ],
    "check_found_pose": [
        (lambda f, least: to_pose18(f, least).flip(-1), "y first"),
        (lambda f, least: to_pose18(f, 0.0), "only a guess"),
        (lambda f, least: to_pose18(f, least).nan_to_num(0.0), "corner of the picture"),
        (lambda f, least: with_neck(f, least, lambda p, all_: all_[SHOULDERS].mean(0)), "there is no neck"),
        (lambda f, least: with_neck(f, least, lambda p, _: p[SHOULDERS].nanmean(0)), "became the neck"),
        (lambda f, least: with_neck(f, least, lambda *_: torch.nan), "the neck is missing: it is"),
        (own_order, "eyes before shoulders"),
        (neck_last, "with the neck last"),
        (
            lambda f, least: to_pose18(torch.cat([f[:, :2], (f[:, 2:] < least).float()], 1), 0.5),
            "uncertain ones",
        ),
        (zeroed_scores, "changed what you were given"),
    ],
    "check_back": [
        (lambda p, *crop: back(p, *crop, 0, 0), "the first pixel is at −0.5"),
        (lambda p, *crop: back(p, *crop, 0.5, 0), "not subtracted at the end"),
        (lambda p, *crop: back(p, *crop, 0, 0.5), "not added before scaling"),
        (lambda p, *crop: back(p, *crop, -0.5, -0.5), "the wrong signs"),
        (lambda p, left, top, scale: back(p, left, top, 1 / scale), "upside down"),
        (lambda p, left, top, scale: Crop(left, top, scale, (128, 64)).to(p), "the way into the crop"),
        (lambda p, left, top, scale: back(p, top, left, scale), "left and top are swapped"),
        (lambda p, left, top, scale: back(p, -left, -top, scale), "on the way back it is added"),
        (lambda p, left, top, scale: back(p + torch.tensor([left, top]), 0, 0, scale), "divide first"),
        (lambda p, left, top, scale: back(p, 0, 0, scale), "is left out"),
        (lambda p, *crop: back(p, *crop).round(), "rounded to whole pixels"),
        (moved_points, "changed the points"),
    ],
    "check_broken_pose": [
        (lambda pose: pose.clone(), "not broken yet"),
        (lambda pose: pose + 2.0, "not broken yet"),
        (one_limb, "times as long as before"),
        (hide_legs, "hiding them is too easy"),
        (lambda pose: pose.nan_to_num(5.0), "leave NaN as it is"),
        (lambda pose: pose + 500, "lies outside the picture"),
        (lambda pose: pose.mul_(1.0).add_(3.0), "changed the pose that you were given"),
        (lambda pose: pose[:17], "a pose is wanted"),
    ],
    "check_fine_tune": [
        (partial(tuned, own=True), "has changed"),
        (lambda network, *_, **__: network, "has changed"),
        (partial(tuned, average=lambda old, new, decay: new.data.clone()), "not their moving average"),
        (partial(tuned, fall=lambda share: 1), "the rate stays as it is"),
        (partial(tuned, fall=lambda share: share), "the rate rises"),
        (partial(tuned, zero=False), "add up"),
        (partial(tuned, average=lambda old, new, decay: torch.lerp(old, new, decay).data), "the wrong way"),
        (partial(tuned, batch_of=0), "never looked at"),
        (lambda network, *_, **__: copy.deepcopy(network), "nothing was learned"),
        (lambda network, *_, **__: list(network.parameters()), "a network is wanted"),
    ],
}
