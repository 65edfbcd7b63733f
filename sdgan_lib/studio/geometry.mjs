/* Poses and what follows from them, without a page and without Python.

A pose is an array of 18 joints in the order of JOINTS, each [x, y] in pixels or null where it is missing. Pixel centres
are integers: the top left pixel's centre is [0, 0]. Nothing here changes what it is given: every function returns a new
pose. The first half moves joints; the second half computes what a generator is given, equal to heatmaps.py and
warping.py, and last what is seen inside it. */

export const JOINTS = [
  "nose", "neck", "Rsho", "Relb", "Rwri", "Lsho", "Lelb", "Lwri", "Rhip", "Rkne", "Rank", "Lhip", "Lkne", "Lank",
  "Reye", "Leye", "Rear", "Lear",
];

export const JOINT = Object.fromEntries(JOINTS.map((name, index) => [name, index]));

/* The eight limbs: name, joint near the body, joint away from it. */
export const LIMBS = [
  ["right_thigh", 8, 9], ["left_thigh", 11, 12], ["right_shin", 9, 10], ["left_shin", 12, 13],
  ["right_upper_arm", 2, 3], ["left_upper_arm", 5, 6], ["right_forearm", 3, 4], ["left_forearm", 6, 7],
];

/* The 17 bones, each from one joint to the one that hangs on it. */
export const BONES = [
  [1, 2], [1, 5], [1, 8], [1, 11], ...LIMBS.map(([, from, to]) => [from, to]),
  [1, 0], [0, 14], [14, 16], [0, 15], [15, 17],
];

/* For each joint its partner on the other side. */
export const LEFT_RIGHT = JOINTS.map((name) => JOINT[{ R: "L", L: "R" }[name[0]] + name.slice(1)] ?? JOINT[name]);

const PARTS = {
  sho: "shoulder", elb: "elbow", wri: "wrist", hip: "hip", kne: "knee", ank: "ankle", eye: "eye", ear: "ear",
};

/* Names to read: "right wrist". */
export const LABELS = JOINTS.map((name) =>
  PARTS[name.slice(1)] ? `${name[0] === "R" ? "right" : "left"} ${PARTS[name.slice(1)]}` : name,
);

/* Okabe and Ito's colours, as in plotting.py: right warm, left cool, nose and neck green; a bone has its outer joint's. */
export const COLOURS = JOINTS.map((name) => {
  const leg = ["hip", "kne", "ank"].includes(name.slice(1));
  return { R: leg ? "#e69f00" : "#d55e00", L: leg ? "#56b4e9" : "#0072b2" }[name[0]] ?? "#009e73";
});

/* Each joint hangs on the one before it on the way from the neck; the neck hangs on nothing. */
export const PARENT = JOINTS.map(() => null);
for (const [near, far] of BONES) PARENT[far] = near;

/* A joint and all that hangs on it. */
export function branch(joint) {
  return [joint, ...PARENT.flatMap((parent, child) => (parent === joint ? branch(child) : []))];
}

const ARMS = [["Rsho", "Relb", "Rwri"], ["Lsho", "Lelb", "Lwri"]].map((chain) => chain.map((name) => JOINT[name]));
const LEGS = [["Rhip", "Rkne", "Rank"], ["Lhip", "Lkne", "Lank"]].map((chain) => chain.map((name) => JOINT[name]));
const HIPS = LEGS.map(([hip]) => hip);
const LOWER_LEGS = LEGS.flatMap(([, ...rest]) => rest);
const TURNS_ALONG = new Set(["Relb", "Lelb", "Rkne", "Lkne", "nose"].map((name) => JOINT[name]));

// Points and poses

const plus = (a, b) => [a[0] + b[0], a[1] + b[1]];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];
const times = (a, factor) => [a[0] * factor, a[1] * factor];
const length = (a) => Math.hypot(a[0], a[1]);
const angle = (a) => Math.atan2(a[1], a[0]);
const cross = (a, b) => a[0] * b[1] - a[1] * b[0];
const mean = (points) => times(points.reduce(plus, [0, 0]), 1 / points.length);

function turned(point, centre, by) {
  const [x, y] = minus(point, centre);
  return [centre[0] + x * Math.cos(by) - y * Math.sin(by), centre[1] + x * Math.sin(by) + y * Math.cos(by)];
}

export const copy = (pose) => pose.map((point) => (point ? [point[0], point[1]] : null));
const changed = (pose, change) => pose.map((point, joint) => (point ? change(point, joint) : null));

/* Whether two poses are the same, number by number. */
export function samePose(a, b) {
  return a.length === b.length && a.every((p, i) => (p && b[i] ? p[0] === b[i][0] && p[1] === b[i][1] : p === b[i]));
}

/* Coordinates rounded to a thousandth of a pixel: what is sent and kept is short, and the same on both sides. */
export const rounded = (pose) => changed(pose, (point) => point.map((v) => Math.round(v * 1000) / 1000));

/* Lengths of the bones in pixels, in the order of BONES; null where an end is missing. */
export const boneLengths = (pose) =>
  BONES.map(([from, to]) => (pose[from] && pose[to] ? length(minus(pose[to], pose[from])) : null));

/* Whether a point lies on one of a picture's pixels. */
const onPicture = ([x, y], height, width) => x >= -0.5 && y >= -0.5 && x < width - 0.5 && y < height - 0.5;

// Moving joints

/* Two bones in the plane: the middle and the end joint when the end is to be at `to`.

Both bones keep their lengths and the middle joint stays on its side of the line from root to end. Out of reach, the end
is as near to `to` as the bones allow: stretched, or folded. */
export function twoBones(root, middle, end, to) {
  const upper = length(minus(middle, root)), lower = length(minus(end, middle));
  let distance = length(minus(to, root));
  let direction = angle(minus(distance > 1e-9 ? to : end, root));
  distance = Math.min(Math.max(distance, Math.abs(upper - lower)), upper + lower);
  if (distance < 1e-9) return [middle, turned(plus(root, [distance, 0]), root, direction)];
  const side = cross(minus(end, root), minus(middle, root)) < 0 ? -1 : 1;
  const along = (upper ** 2 - lower ** 2 + distance ** 2) / (2 * distance);
  const bend = side * Math.atan2(Math.sqrt(Math.max(0, upper ** 2 - along ** 2)), along);
  return [
    turned(plus(root, [upper, 0]), root, direction + bend),
    turned(plus(root, [distance, 0]), root, direction),
  ];
}

/* The pose after `joint` was dragged to `to`, every bone as long as before.

- Wrist, ankle: the elbow or knee follows (two bones); the shoulder or hip stays.
- Elbow, knee: turns round the shoulder or hip, and what hangs on it turns along. Nose: turns round the neck, the face
  turns along.
- Shoulder, eye, ear: turns round the joint that it hangs on; what hangs on it is carried along and does not turn.
- Torso. The skeleton has no joint between the hips, so the two hips and all above them stand for one rigid body.
  A hip: the body goes where the hip goes and the feet stay where they are, as far as the legs reach: one crouches, or is
  lifted. The neck: the body turns round the middle of the hips; the feet stay.

With `alone` the joint moves by itself and bones change their length. Where a joint that is needed is missing, what hangs
on the dragged one is carried along. A missing joint cannot be dragged. */
export function drag(pose, joint, to, alone = false) {
  if (!pose[joint]) return copy(pose);
  if (alone) return changed(pose, (point, other) => (other === joint ? [to[0], to[1]] : [...point]));
  if (HIPS.includes(joint)) return plantFeet(pose, carry(pose, upperBody(pose), minus(to, pose[joint])));
  if (PARENT[joint] === null) {
    const hips = HIPS.filter((hip) => pose[hip]).map((hip) => pose[hip]);
    if (!hips.length) return carry(pose, pose.keys(), minus(to, pose[joint]));
    return plantFeet(pose, turn(pose, upperBody(pose), mean(hips), pose[joint], to));
  }
  const limb = [...ARMS, ...LEGS].find((chain) => chain[2] === joint);
  if (limb && pose[limb[0]] && pose[limb[1]]) return reach(pose, limb, to);
  const parent = pose[PARENT[joint]];
  if (!parent) return carry(pose, branch(joint), minus(to, pose[joint]));
  if (TURNS_ALONG.has(joint)) return turn(pose, branch(joint), parent, pose[joint], to);
  return carry(pose, branch(joint), minus(turn(pose, [joint], parent, pose[joint], to)[joint], pose[joint]));
}

const upperBody = (pose) => [...pose.keys()].filter((joint) => !LOWER_LEGS.includes(joint));

function carry(pose, joints, by) {
  const moving = new Set(joints);
  return changed(pose, (point, joint) => (moving.has(joint) ? plus(point, by) : [...point]));
}

/* Turn joints round a centre so that `from` points to `to`. */
function turn(pose, joints, centre, from, to) {
  const moving = new Set(joints);
  const by = length(minus(to, centre)) < 1e-9 ? 0 : angle(minus(to, centre)) - angle(minus(from, centre));
  return changed(pose, (point, joint) => (moving.has(joint) ? turned(point, centre, by) : [...point]));
}

function reach(pose, [root, middle, end], to) {
  const result = copy(pose);
  [result[middle], result[end]] = twoBones(pose[root], pose[middle], pose[end], to);
  return result;
}

/* The pose `after` the body has moved, legs joined to it: ankles stay where they were before, as far as legs reach. */
function plantFeet(before, after) {
  let result = after;
  for (const leg of LEGS) {
    const [hip, knee, ankle] = leg;
    if (!before[hip]) continue;
    result = carry(result, [knee, ankle], minus(after[hip], before[hip]));
    if (before[knee] && before[ankle]) result = reach(result, leg, before[ankle]);
  }
  return result;
}

/* The whole pose moved. */
export const moved = (pose, dx, dy) => carry(pose, pose.keys(), [dx, dy]);

/* The middle of the smallest box around a pose; null without a joint. */
export function middle(pose) {
  const points = pose.filter(Boolean);
  if (!points.length) return null;
  const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
  return [(left + right) / 2, (top + bottom) / 2];
}

/* The whole pose larger or smaller about a point. */
export const scaled = (pose, factor, about = middle(pose)) =>
  changed(pose, (point) => plus(about, times(minus(point, about), factor)));

/* The mirror image: x is reflected about `about`, left and right joints swap. `(width - 1) / 2` mirrors with the picture
(flip_pose in Python); by default the pose stays where it is. */
export function mirrored(pose, about = middle(pose)?.[0]) {
  return LEFT_RIGHT.map((other) => (pose[other] ? [2 * about - pose[other][0], pose[other][1]] : null));
}

export const hidden = (pose, joint) => pose.map((point, other) => (point && other !== joint ? [...point] : null));

/* A person who stands and faces us (their right is at our left), [x, y] in heights of the picture. */
const STANDING = [
  [0, -0.3], [0, -0.21], [-0.07, -0.21], [-0.1, -0.1], [-0.12, 0], [0.07, -0.21], [0.1, -0.1], [0.12, 0],
  [-0.05, 0.02], [-0.05, 0.2], [-0.05, 0.38], [0.05, 0.02], [0.05, 0.2], [0.05, 0.38],
  [-0.018, -0.32], [0.018, -0.32], [-0.04, -0.31], [0.04, -0.31],
];

/* A standing person in the middle of a picture, all joints there. */
export const template = (height, width) =>
  STANDING.map((point) => [(width - 1) / 2 + point[0] * height, (height - 1) / 2 + point[1] * height]);

/* Where a missing joint would be: a standing person laid over the joints that are there, facing us or turned away,
whichever fits better; the joint keeps its offset from the one that it hangs on. */
export function expected(pose, joint, height, width) {
  if (pose[joint]) return [...pose[joint]];
  const seen = [...pose.keys()].filter((other) => pose[other]);
  if (!seen.length) return template(height, width)[joint];
  const centre = mean(seen.map((other) => pose[other]));
  const fits = [STANDING, STANDING.map(([x, y]) => [-x, y])].map((figure) => {
    const middle = mean(seen.map((other) => figure[other]));
    let [product, square] = [0, 0];
    for (const other of seen) {
      const from = minus(figure[other], middle), to = minus(pose[other], centre);
      product += from[0] * to[0] + from[1] * to[1];
      square += from[0] ** 2 + from[1] ** 2;
    }
    const size = product > 0.2 * height * square ? product / square : height;
    const placed = figure.map((point) => plus(centre, times(minus(point, middle), size)));
    return { placed, fault: seen.reduce((sum, i) => sum + length(minus(placed[i], pose[i])) ** 2, 0) };
  });
  const { placed } = fits[0].fault <= fits[1].fault ? fits[0] : fits[1];
  const parent = PARENT[joint] ?? seen[0];
  return pose[parent] ? plus(pose[parent], minus(placed[joint], placed[parent])) : placed[joint];
}

/* A missing joint is there again: at `at`, or where it is expected. */
export function shown(pose, joint, height, width, at = null) {
  const result = copy(pose);
  result[joint] = at ? [...at] : expected(pose, joint, height, width);
  return result;
}

/* A sequence of poses brought to the size and place of a person, as motion.fit_poses; null where there is no torso to
measure by. */
export function fitted(poses, person) {
  const sizes = poses.map(bodySize).filter((size) => size > 0).sort((a, b) => a - b);
  const factor = bodySize(person) / sizes[(sizes.length - 1) >> 1];
  if (!(factor > 0 && Number.isFinite(factor))) return null;
  const larger = poses.map((pose) => scaled(pose, factor, [0, 0]));
  const there = (joints, some) => some.flatMap((pose) => joints.map((joint) => pose[joint])).filter(Boolean);
  const ankles = LEGS.map((leg) => leg[2]);
  const lowest = (some) => Math.max(...there(ankles, some).map((point) => point[1]));
  const by = minus(mean(there(HIPS, [person])), mean(there(HIPS, larger)));
  const down = lowest([person]) - lowest(larger);
  return larger.map((pose) => moved(pose, by[0], Number.isFinite(down) ? down : by[1]));
}

/* Key poses and what lies between them, `steps` poses from each key to the next; `closed`: the last leads to the first.

As motion.between: arms and legs swing, their angle goes the shorter way and their length changes evenly; the other joints
move along straight lines. A joint missing in one of two keys is missing between them. */
export function between(keys, steps, closed = false) {
  const pairs = keys.map((key, i) => [key, keys[(i + 1) % keys.length]]).slice(0, closed ? keys.length : -1);
  const poses = pairs.flatMap(([first, last]) =>
    Array.from({ length: steps }, (_, step) => (step ? inBetween(first, last, step / steps) : copy(first))),
  );
  return closed ? poses : [...poses, ...keys.slice(-1).map(copy)];
}

function inBetween(first, last, share) {
  const pose = first.map((a, i) => (a && last[i] ? plus(a, times(minus(last[i], a), share)) : null));
  for (const [, near, far] of LIMBS) {
    if (!pose[near] || !pose[far]) continue;
    const [from, to] = [first, last].map((key) => minus(key[far], key[near]));
    const turn = Math.atan2(cross(from, to), from[0] * to[0] + from[1] * to[1]);
    const reach = length(from) + share * (length(to) - length(from)), direction = angle(from) + share * turn;
    pose[far] = plus(pose[near], [reach * Math.cos(direction), reach * Math.sin(direction)]);
  }
  return pose;
}

// Files of poses, as protocol.py reads and writes them: ours, OpenPose's, COCO's

const FARTHEST = 1_000_000; // largest coordinate that a file may hold

/* Which of OpenPose's 25 body joints are the 18, in their order; its 18 are the same. */
const OPENPOSE_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];

/* Which joint each of COCO's 17 key points is, and of MoveNet's; COCO has no neck. */
const COCO_17 = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10];

const isCoordinate = (value) => Number.isFinite(value) && Math.abs(value) <= FARTHEST;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/* A pose from what a JSON file holds, in pixels of its picture; an Error says what is wrong. */
export function readPose(found) {
  if (isObject(found) && "people" in found) {
    const points = triples(theOne(found.people, "people").pose_keypoints_2d, [18, 25], "OpenPose joints");
    return points.length === JOINTS.length ? points : OPENPOSE_25.map((joint) => points[joint]);
  }
  if (isObject(found) && "annotations" in found) found = theOne(found.annotations, "annotations");
  else if (Array.isArray(found) && isObject(found[0])) found = theOne(found, "annotations");
  if (isObject(found) && "keypoints" in found) {
    const pose = JOINTS.map(() => null);
    triples(found.keypoints, [17], "COCO key points").forEach((point, i) => (pose[COCO_17[i]] = point));
    const [right, left] = [pose[JOINT.Rsho], pose[JOINT.Lsho]];
    pose[JOINT.neck] = right && left ? mean([right, left]) : null;
    return pose;
  }
  if (!Array.isArray(found) || found.length !== JOINTS.length) {
    const what = Array.isArray(found) ? `${found.length} entries` : found === null ? "null" : typeof found;
    throw new Error(`${what} instead of a list of ${JOINTS.length} joints (${JOINTS.join(", ")})`);
  }
  return found.map((point, i) => {
    if (point === null || (Array.isArray(point) && point.length === 2 && point.every(isCoordinate))) return point;
    throw new Error(`joint ${i} (${JOINTS[i]}) is ${JSON.stringify(point)}`);
  });
}

function theOne(people, what) {
  if (Array.isArray(people) && people.length === 1 && isObject(people[0])) return people[0];
  const count = Array.isArray(people) ? people.length : typeof people;
  throw new Error(`${count} ${what} instead of one: keep the one that is meant`);
}

/* Points from x, y and certainty (or visibility) of each joint, one after the other; null where the third is 0. */
function triples(values, counts, what) {
  if (!Array.isArray(values) || !counts.includes(values.length / 3)) {
    const count = Array.isArray(values) ? `${values.length} numbers` : typeof values;
    throw new Error(`${count} instead of ${counts.map((n) => `3 x ${n}`).join(" or ")} for its ${what}`);
  }
  const wrong = values.find((value) => !isCoordinate(value));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} among its ${what}`);
  return Array.from({ length: values.length / 3 }, (_, i) => (values[3 * i + 2] > 0 ? values.slice(3 * i, 3 * i + 2) : null));
}

/* What a file of a pose holds, in one of the forms "points" (ours), "openpose" and "coco". */
export function writePose(pose, form = "points") {
  const points = rounded(pose);
  if (form === "points") return points;
  if (form === "openpose") {
    const numbers = points.flatMap((point) => [...(point ?? [0, 0]), point ? 1 : 0]);
    return { version: 1.3, people: [{ person_id: [-1], pose_keypoints_2d: numbers }] };
  }
  const chosen = COCO_17.map((joint) => points[joint]);
  const numbers = chosen.flatMap((point) => [...(point ?? [0, 0]), point ? 2 : 0]);
  return [{ category_id: 1, num_keypoints: chosen.filter(Boolean).length, keypoints: numbers }];
}

/* A pose out of a file for a person in a picture of [height, width]: as it is where at least half its joints lie on the
picture, as those of a pose saved here do; else brought to the person's size and place. Null where it can't be. */
export function brought(pose, person, [height, width]) {
  const there = pose.filter(Boolean);
  const within = there.filter((point) => onPicture(point, height, width));
  if (there.length && 2 * within.length >= there.length) return pose;
  return fitted([pose], person)?.[0] ?? null;
}

// Undo and redo: the poses before, the present one, and those that were undone

export const newHistory = (present) => ({ past: [], present, future: [], kind: null });

const LONGEST = 500;

/* A new pose. One of the same `kind` as the last (a string) takes its place: a key held down is one step to undo. */
export function record(history, present, kind = null) {
  if (samePose(history.present, present)) return history;
  if (kind !== null && kind === history.kind) return { ...history, present, future: [] };
  return { past: [...history.past, history.present].slice(-LONGEST), present, future: [], kind };
}

export function undo({ past, present, future, kind }) {
  if (!past.length) return { past, present, future, kind };
  return { past: past.slice(0, -1), present: past.at(-1), future: [present, ...future], kind: null };
}

export function redo({ past, present, future, kind }) {
  if (!future.length) return { past, present, future, kind };
  return { past: [...past, present], present: future[0], future: future.slice(1), kind: null };
}

// Sizes and crops

/* The pose in the picture resized from one [height, width] to another: outer corners map to outer corners. */
export function rescaled(pose, [fromHeight, fromWidth], [height, width]) {
  return changed(pose, ([x, y]) => [
    ((x + 0.5) * width) / fromWidth - 0.5, ((y + 0.5) * height) / fromHeight - 0.5,
  ]);
}

/* A pose of the whole picture in pixels of a crop {left, top, width, height}, resized to [height, width]. */
export function intoCrop(pose, crop, [height, width]) {
  return changed(pose, ([x, y]) => [
    ((x + 0.5 - crop.left) * width) / crop.width - 0.5, ((y + 0.5 - crop.top) * height) / crop.height - 0.5,
  ]);
}

/* The part of a photo in which a person has the size and the place that training pictures show people in, as
crop_to_model in estimation.py: {crop, pose}, null where there is neither torso nor head to measure by.

crop: {left, top, width, height} in pixels from the photo's outer corner; it may reach beyond the photo. pose: in the
crop, resized to [height, width]; joints outside it are missing. trained: estimation.py's BODY_SIZE, HEAD_SIZE, GROUND,
HIPS and NECK as {body, head, ground, hips, neck}. */
export function cropToModel(pose, [height, width], trained) {
  const some = (joints) => joints.map((joint) => pose[joint]).filter(Boolean);
  const [neck, face] = [pose[JOINT.neck], some(FACE)];
  const body = bodySize(pose), head = neck && face.length ? length(minus(mean(face), neck)) : NaN;
  const tall = body > 0 ? body / trained.body : head / trained.head, wide = (tall * width) / height;
  if (!(tall > 0)) return null;
  const [ankles, hips] = [some(LEGS.map(([, , ankle]) => ankle)), some(HIPS)];
  const [y, place] = ankles.length
    ? [Math.max(...ankles.map((ankle) => ankle[1])), trained.ground]
    : hips.length ? [mean(hips)[1], trained.hips] : [neck[1], trained.neck];
  const top = y + 0.5 - (place + 0.5 / height) * tall;
  const crop = { left: middle(pose)[0] + 0.5 - wide / 2, top, width: wide, height: tall };
  const inside = (point) => point && onPicture(point, height, width);
  return { crop, pose: intoCrop(pose, crop, [height, width]).map((point) => (inside(point) ? point : null)) };
}

// Finding people. MoveNet is given squares of a photo, {left, top, side} in its pixels from the outer corner, black beyond
// its borders; as in estimation.py, except that what it is given there tells of several people at once.

/* The square around a picture: `margin` times its longer side, the picture in the middle. */
export function squareAround(height, width, margin) {
  const side = roundToEven(margin * Math.max(height, width));
  return { left: -Math.floor((side - width) / 2), top: -Math.floor((side - height) / 2), side };
}

/* The squares in which people are looked for: the one around a picture, then overlapping ones of half its longer side. */
export function squaresOf(height, width, margin) {
  const side = Math.ceil(Math.max(height, width) / 2);
  const starts = (length) => {
    if (length <= side) return [Math.floor((length - side) / 2)];
    const last = 2 * Math.ceil(length / side) - 2;
    return Array.from({ length: last + 1 }, (_, i) => roundToEven((i * (length - side)) / last));
  };
  const parts = starts(height).flatMap((top) => starts(width).map((left) => ({ left, top, side })));
  return [squareAround(height, width, margin), ...parts];
}

/* The square of `margin` times the longer side round a pose's joints, kept in a picture: where one looks closer. */
export function squareRound(pose, height, width, margin) {
  const most = [width - 1, height - 1];
  const inside = pose.filter(Boolean).map((point) => point.map((v, axis) => Math.min(Math.max(v, 0), most[axis])));
  const side = Math.max(8, Math.ceil(margin * extent(inside)));
  const [x, y] = middle(inside);
  return { left: Math.round(x - side / 2), top: Math.round(y - side / 2), side };
}

/* The longer side of the box round a pose's joints; 0 without any. */
export function extent(pose) {
  const points = pose.filter(Boolean);
  const along = (axis) => points.map((point) => point[axis]);
  return points.length ? Math.max(...[0, 1].map((axis) => Math.max(...along(axis)) - Math.min(...along(axis)))) : 0;
}

/* Whether two poses are of one person: joints that both have lie near one another. */
export function samePerson(a, b) {
  const both = [...a.keys()].filter((joint) => a[joint] && b[joint]);
  if (both.length < 3) return false;
  const apart = both.reduce((sum, joint) => sum + length(minus(a[joint], b[joint])), 0) / both.length;
  return apart < 0.25 * Math.max(extent(a), extent(b));
}

function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

/* MoveNet's 17 joints [y, x, score] in shares of a square as our 18 in the picture's pixels; those with a score below
`least` are missing. The neck is between the shoulders. */
export function fromMoveNet(decoded, { left, top, side }, least) {
  const pose = JOINTS.map(() => null);
  decoded.forEach(([y, x, score], i) => {
    if (score >= least) pose[COCO_17[i]] = [x * side - 0.5 + left, y * side - 0.5 + top];
  });
  const shoulders = [pose[JOINT.Rsho], pose[JOINT.Lsho]];
  if (shoulders.every(Boolean)) pose[JOINT.neck] = mean(shoulders);
  return pose;
}

// What a generator is given: heat maps, limb warps, masks

export const REGIONS = ["torso", "head", ...LIMBS.map(([name]) => name), "background"];
export const FACE = ["nose", "Reye", "Leye", "Rear", "Lear"].map((name) => JOINT[name]);
const TORSO_POINTS = ["Rhip", "Lhip", "Lsho", "Rsho"].map((name) => JOINT[name]);
const HEAD_POINTS = [JOINT.Rsho, JOINT.Lsho, ...FACE];

const SIGMA = 6 / 128; // of the picture's height
const HALF_WIDTH = 0.2, HEAD_HALF_SIDE = 0.4, BEFORE = 0.1, MIN_SPREAD = 0.01;
const BEYOND = { thigh: [0.1, 0.1], upper_arm: [0.1, 0.1], shin: [0.3, 0.5], forearm: [0.3, 0.5] };

/* Heat maps [18, height, width] in one Float32Array; zeros for a missing joint. */
export function heatmaps(pose, height, width, sigma = SIGMA * height) {
  const maps = new Float32Array(JOINTS.length * height * width);
  const gaussian = (centre, count) =>
    Float64Array.from({ length: count }, (_, i) => Math.exp(-((i - centre) ** 2) / (2 * sigma ** 2)));
  pose.forEach((point, joint) => {
    if (!point) return;
    const across = gaussian(point[0], width), down = gaussian(point[1], height);
    for (let y = 0, at = joint * height * width; y < height; y++)
      for (let x = 0; x < width; x++, at++) maps[at] = down[y] * across[x];
  });
  return maps;
}

const NOWHERE = [NaN, NaN];
const there = (point) => !Number.isNaN(point[0]) && !Number.isNaN(point[1]);
const withNaN = (pose) => pose.map((point) => point ?? NOWHERE);

/* Root mean square of the two hip-to-shoulder distances; one side stands for both, NaN without either. */
export function bodySize(pose) {
  const points = withNaN(pose);
  const sides = [["Rhip", "Rsho"], ["Lhip", "Lsho"]]
    .map(([hip, shoulder]) => minus(points[JOINT[hip]], points[JOINT[shoulder]]))
    .filter(there);
  return Math.sqrt(sides.reduce((sum, [x, y]) => sum + x * x + y * y, 0) / sides.length);
}

/* Ends of a limb's axis, extended for the fit (`which` 0) or the mask (1). */
function limbAxis(points, [name, near, far], which) {
  const beyond = BEYOND[name.slice(name.indexOf("_") + 1)][which];
  const first = plus(points[near], times(minus(points[near], points[far]), BEFORE));
  return [first, plus(points[far], times(minus(points[far], first), beyond))];
}

/* For each region but the background the points it is fitted to, NaN where there is none. */
function regionPoints(pose) {
  const points = withNaN(pose), size = bodySize(pose);
  const corners = LIMBS.map((limb) => {
    const [first, second] = limbAxis(points, limb, 0);
    const [x, y] = times(minus(second, first), (HALF_WIDTH * size) / length(minus(second, first)));
    const across = [-y, x];
    return [plus(first, across), minus(first, across), minus(second, across), plus(second, across)];
  });
  return [TORSO_POINTS.map((joint) => points[joint]), HEAD_POINTS.map((joint) => points[joint]), ...corners];
}

/* Least squares: the affine map [[a, b, c], [d, e, f]] that leads from `points` to `images`, and the points' spread, the
RMS distance from the line that fits them best. Pairs with a missing point do not count. */
export function fitAffine(points, images) {
  const used = points.map((point, i) => [point, images[i]]).filter(([point, image]) => there(point) && there(image));
  const centre = mean(used.map(([point]) => point)), imageCentre = mean(used.map(([, image]) => image));
  let [a, b, d] = [0, 0, 0];
  const product = [[0, 0], [0, 0]];
  for (const [point, image] of used) {
    const [x, y] = minus(point, centre), to = minus(image, imageCentre);
    a += (x * x) / used.length;
    b += (x * y) / used.length;
    d += (y * y) / used.length;
    for (const row of [0, 1]) {
      product[row][0] += (to[row] * x) / used.length;
      product[row][1] += (to[row] * y) / used.length;
    }
  }
  const determinant = a * d - b * b;
  const map = product.map(([px, py], row) => {
    const linear = [(px * d - py * b) / determinant, (py * a - px * b) / determinant];
    return [...linear, imageCentre[row] - linear[0] * centre[0] - linear[1] * centre[1]];
  });
  const largest = (a + d) / 2 + Math.hypot((a - d) / 2, b);
  return { map, spread: Math.sqrt(Math.max(0, determinant / largest)) || 0 };
}

const IDENTITY = [[1, 0, 0], [0, 1, 0]];

/* The eleven regions' maps and masks, as limb_warps in warping.py: {maps, masks, height, width}.

maps: eleven 2 x 3 matrices, from target pixel to source pixel. masks: Float32Array [11, height, width]. */
export function limbWarps(source, target, height, width, background = "identity") {
  const size = bodySize(target), limbs = REGIONS.length - 1 - LIMBS.length;
  const to = regionPoints(target), all = regionPoints(source);
  const from = all.map((points, i) => (i >= limbs && !points.some(there) ? all[limbs + ((i - limbs) ^ 1)] : points));
  const maps = to.map((points, i) => {
    const seen = points.map((point, k) => there(point) && there(from[i][k]));
    const enough = seen.filter(Boolean).length >= (REGIONS[i] === "head" ? 3 : 4);
    if (!enough || (REGIONS[i] === "head" && !(seen[0] && seen[1]))) return null;
    const { map, spread } = fitAffine(points, from[i]);
    return spread > MIN_SPREAD * size && map.flat().every(Number.isFinite) ? map : null;
  });
  const count = height * width;
  const masks = new Float32Array(REGIONS.length * count).fill(1, (REGIONS.length - 1) * count);
  bodyRegions(target, height, width).forEach((mask, i) => {
    if (!maps[i]) return;
    masks.set(mask, i * count);
    for (let at = 0; at < count; at++) if (mask[at]) masks[(REGIONS.length - 1) * count + at] = 0;
  });
  const behind = background === "torso" ? (maps[0] ?? IDENTITY) : IDENTITY;
  return { maps: [...maps.map((map) => map ?? IDENTITY), behind], masks, height, width };
}

/* Where a body in this pose is: Float32Array [height, width], 1 on its ten regions. */
export function bodyMask(pose, height, width) {
  const mask = new Float32Array(height * width);
  for (const region of bodyRegions(pose, height, width))
    for (let at = 0; at < mask.length; at++) if (region[at]) mask[at] = 1;
  return mask;
}

/* These warps for feature maps of another size: maps by the relation of pixel centres, masks averaged over each feature
pixel's area. */
export function warpsAt(warps, height, width) {
  const scale = [warps.width / width, warps.height / height];
  const corner = scale.map((s) => (s - 1) / 2);
  const maps = warps.maps.map((map) =>
    map.map(([x, y, shift], row) => [
      (x * scale[0]) / scale[row],
      (y * scale[1]) / scale[row],
      (shift + x * corner[0] + y * corner[1] - corner[row]) / scale[row],
    ]),
  );
  const rows = areaShares(warps.height, height), columns = areaShares(warps.width, width);
  const masks = new Float32Array(REGIONS.length * height * width);
  for (let region = 0; region < REGIONS.length; region++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (const [row, share] of rows[y])
          for (const [column, part] of columns[x])
            sum += share * part * warps.masks[(region * warps.height + row) * warps.width + column];
        masks[(region * height + y) * width + x] = sum;
      }
  return { maps, masks, height, width };
}

/* For each new pixel of a row that is resized, the old ones that it takes in, with their shares. */
function areaShares(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const first = (i * from) / to, last = ((i + 1) * from) / to, shares = [];
    for (let pixel = Math.floor(first); pixel < Math.min(from, Math.ceil(last)); pixel++)
      shares.push([pixel, ((Math.min(last, pixel + 1) - Math.max(first, pixel)) * to) / from]);
    return shares;
  });
}

// Masks. In single precision, operation by operation as in warping.py, so that pixels on an edge fall on the same side.

const f = Math.fround;

/* Masks of the ten body regions in a pose, each a Uint8Array [height, width]. */
function bodyRegions(pose, height, width) {
  const points = withNaN(pose).map(([x, y]) => [f(x), f(y)]), size = f(bodySize(pose));
  const count = height * width, half = f(f(HALF_WIDTH) * size);
  const torso = inTorso(TORSO_POINTS.map((joint) => points[joint]), half, height, width);
  const head = new Uint8Array(count);
  const face = FACE.map((joint) => points[joint]).filter(there);
  const centre = mean(face).map(f), side = f(f(HEAD_HALF_SIDE) * size);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++)
      head[at] = Math.abs(f(x - centre[0])) <= side && Math.abs(f(y - centre[1])) <= side ? 1 : 0;
  const limbs = LIMBS.map((limb) => {
    const mask = new Uint8Array(count);
    drawRectangle(mask, ...limbAxis32(points, limb), half, height, width);
    return mask;
  });
  return [torso, head, ...limbs];
}

function limbAxis32(points, [name, near, far]) {
  const beyond = f(BEYOND[name.slice(name.indexOf("_") + 1)][1]);
  const first = [0, 1].map((k) => f(points[near][k] + f(f(BEFORE) * f(points[near][k] - points[far][k]))));
  return [first, [0, 1].map((k) => f(points[far][k] + f(beyond * f(points[far][k] - first[k]))))];
}

/* Set the pixels in the rectangle around the axis from `first` to `second`. */
function drawRectangle(mask, first, second, half, height, width) {
  const dx = f(second[0] - first[0]), dy = f(second[1] - first[1]);
  const size = f(Math.sqrt(f(f(dx * dx) + dy * dy))), ax = f(dx / size), ay = f(dy / size);
  const cx = f(f(first[0] + second[0]) / 2), cy = f(f(first[1] + second[1]) / 2);
  const middle = f(f(ax * cx) + f(ay * cy)), aside = f(f(ax * cy) - f(ay * cx)), reach = f(size / 2);
  for (let y = 0, at = 0; y < height; y++) {
    const down = f(f(ay * y) - middle);
    for (let x = 0; x < width; x++, at++) {
      const along = f(f(ax * x) + down), across = f(f(ax * y) - f(f(ay * x) + aside));
      if (Math.abs(along) <= reach && Math.abs(across) <= half) mask[at] = 1;
    }
  }
}

const PAIRS = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
const TRIPLES = [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]];

/* The pixels at most `margin` from the convex hull of four points. */
function inTorso(points, margin, height, width) {
  const mask = new Uint8Array(height * width), square = f(margin * margin);
  const sides = PAIRS.map(([i, j]) => {
    const [first, second] = [points[i], points[j]];
    drawRectangle(mask, first, second, margin, height, width);
    const dx = f(second[0] - first[0]), dy = f(second[1] - first[1]);
    return { dx, dy, offset: f(f(dx * first[1]) - f(dy * first[0])) };
  });
  const of = (i, j) => PAIRS.findIndex(([a, b]) => a === i && b === j);
  const triangles = TRIPLES.map(([i, j, k]) => [of(i, j), of(j, k), of(i, k)]);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      const side = sides.map(({ dx, dy, offset }) => f(f(dx * y) - f(f(dy * x) + offset)));
      const inside = triangles.some(
        ([a, b, c]) => (side[a] >= 0 && side[b] >= 0 && side[c] <= 0) || (side[a] <= 0 && side[b] <= 0 && side[c] >= 0),
      );
      const near = ([px, py]) => f(f(f(x - px) ** 2) + f(f(y - py) ** 2)) <= square;
      if (inside || points.some(near)) mask[at] = 1;
    }
  return mask;
}

// What is seen inside a generator, equal to look_inside in inference.py

const FRONT_TO_BACK = [
  "head", "right_forearm", "left_forearm", "right_upper_arm", "left_upper_arm",
  "right_shin", "left_shin", "right_thigh", "left_thigh", "torso", "background",
].map((name) => REGIONS.indexOf(name));

const JOINT_BYTES = COLOURS.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));

/* Colour of each candidate of the attention: the regions, then new paint; as in plotting.py. */
export const CANDIDATE_COLOURS = [
  [204, 121, 167], [0, 158, 115],
  ...LIMBS.map(([name, , far]) => JOINT_BYTES[far].map((c) => Math.round(c * (/(shin|forearm)$/.test(name) ? 0.6 : 1)))),
  [96, 96, 96], [255, 255, 255],
];

/* Planes [3, ...] in [-1, 1] of `count` pixels as red, green, blue and 255 for each. */
export function coloursOf(planes, count) {
  const colours = new Uint8ClampedArray(4 * count).fill(255); // which rounds and clamps
  for (let at = 0; at < count; at++)
    for (let colour = 0; colour < 3; colour++) colours[4 * at + colour] = (planes[colour * count + at] + 1) * 127.5;
  return colours;
}

/* A picture [3, height, width] with every part moved to the target pose, the region in front shown: warping.warp_image. */
export function warpedImage(image, { maps, masks, height, width }) {
  const count = height * width, moved = new Float32Array(3 * count);
  for (let at = 0; at < count; at++) {
    const [across, down] = maps[FRONT_TO_BACK.find((region) => masks[region * count + at])];
    const column = at % width, row = Math.floor(at / width);
    const x = across[0] * column + across[1] * row + across[2], y = down[0] * column + down[1] * row + down[2];
    const left = Math.floor(x), top = Math.floor(y);
    for (const [i, j] of [[left, top], [left + 1, top], [left, top + 1], [left + 1, top + 1]]) {
      if (i < 0 || j < 0 || i >= width || j >= height) continue; // zeros outside
      const share = (1 - Math.abs(x - i)) * (1 - Math.abs(y - j));
      for (let plane = 0; plane < 3; plane++) moved[plane * count + at] += share * image[plane * count + j * width + i];
    }
  }
  return moved;
}

/* Heat maps [18, ...] of `count` pixels in the joints' colours on black, the strongest shown: plotting.heatmap_overlay. */
function heatmapColours(maps, count) {
  const colours = new Uint8ClampedArray(4 * count).fill(255);
  for (let at = 0; at < count; at++) {
    let joint = 0;
    for (let other = 1; other < JOINTS.length; other++) if (maps[other * count + at] > maps[joint * count + at]) joint = other;
    colours.set(JOINT_BYTES[joint].map((c) => Math.round(0.85 * maps[joint * count + at] * c)), 4 * at);
  }
  return colours;
}

/* The candidates' colours mixed by their shares [12, ...]: plotting.attention_picture. */
function attentionColours(shares, count) {
  const colours = new Uint8ClampedArray(4 * count).fill(255);
  for (let at = 0; at < count; at++)
    for (let k = 0; k < 3; k++)
      colours[4 * at + k] = CANDIDATE_COLOURS.reduce((sum, colour, i) => sum + shares[i * count + at] * colour[k], 0);
  return colours;
}

/* Pictures to look at, [label, {colours, height, width}] each.

image [3, height, width], heatmaps and warps (limbWarps) of the target pose are what the generator was given; picture, low,
middle, attention, background are the outputs of its graph (studio/export.py). */
export function lookInside({ image, heatmaps, warps }, { picture, low, middle, attention, background }) {
  const { height, width } = warps, count = height * width, behind = (REGIONS.length - 1) * count;
  const shown = (planes, factor = 1) => {
    const [tall, wide] = [height / factor, width / factor];
    return { colours: coloursOf(planes, tall * wide), height: tall, width: wide };
  };
  const person = attention.subarray(behind, behind + count).map((share) => 1 - 2 * share);
  const silhouette = new Float32Array(3 * count);
  for (const plane of [0, 1, 2]) silhouette.set(person, plane * count);
  return [
    ["heat maps", { colours: heatmapColours(heatmaps, count), height, width }],
    ["warped source", shown(warpedImage(image, warps))],
    ["1/4 of the size", shown(low, 4)],
    ["1/2 of the size", shown(middle, 2)],
    ["full size", shown(picture)],
    ["attention", { colours: attentionColours(attention, count), height, width }],
    ["silhouette", shown(silhouette)],
    ["background", shown(background)],
  ];
}
