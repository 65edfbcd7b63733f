// geometry.mjs against values from Python, in the file that STUDIO_CASES names (written by tests/test_studio.py),
// and against what must hold for any pose. Run by pytest, or: STUDIO_CASES=cases.json node --test tests/studio/
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as g from "../../sdgan_lib/studio/geometry.mjs";

const cases = JSON.parse(readFileSync(process.env.STUDIO_CASES, "utf8"));
const { JOINT } = g;

function floats(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/* Numbers, or nested arrays of them, equal to `tolerance`; null only to null. */
function close(found, expected, what, tolerance = 1e-4) {
  if (expected === null || found === null || found === undefined) return assert.equal(found, expected, what);
  if (typeof expected === "number")
    return assert.ok(Math.abs(found - expected) <= tolerance, `${what}: ${found}, Python has ${expected}`);
  assert.equal(found.length, expected.length, `${what}: length`);
  for (let i = 0; i < expected.length; i++)
    if (found[i] !== expected[i]) close(found[i], expected[i], `${what}[${i}]`, tolerance);
}

/* Masks alike; a pixel in 10,000 may lie on an edge so exactly that another processor rounds it to the other side. */
function alike(found, expected, what) {
  assert.equal(found.length, expected.length, what);
  const off = expected.reduce((sum, value, i) => sum + (Math.abs(found[i] - value) > 1e-4), 0);
  assert.ok(off <= expected.length / 10_000, `${what}: ${off} of ${expected.length} pixels differ`);
}

// A generator of random numbers that is the same everywhere (mulberry32).
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const missing = (pose) => pose.map((point) => point === null);
const poses = cases.pairs.flatMap(({ source, target }) => [source, target]);

/* `count` random drags: the pose before, the joint, where it is dragged to. */
function* drags(count, seed) {
  const next = random(seed);
  for (let i = 0; i < count; i++) {
    let pose = poses[Math.floor(next() * poses.length)];
    for (let step = 0; step < 5; step++) {
      const joint = Math.floor(next() * 18);
      const to = [next() * 128 - 32, next() * 256 - 64];
      yield { pose, joint, to };
      pose = g.drag(pose, joint, to);
    }
  }
}

test("joints, limbs, bones and sides are Python's", () => {
  assert.deepEqual(g.JOINTS, cases.joints);
  assert.deepEqual(g.LIMBS, cases.limbs);
  assert.deepEqual(g.BONES, cases.bones);
  assert.deepEqual(g.COLOURS, cases.colours);
  assert.deepEqual(g.LEFT_RIGHT, cases.left_right);
  assert.deepEqual(g.REGIONS, cases.regions);
  assert.deepEqual(g.FACE, cases.face);
  assert.equal(g.LABELS[JOINT.Rwri], "right wrist");
});

test("the tree of joints holds each once, below the neck", () => {
  assert.deepEqual(g.branch(JOINT.neck).sort((a, b) => a - b), [...g.JOINTS.keys()]);
  assert.deepEqual(g.branch(JOINT.Rsho), [JOINT.Rsho, JOINT.Relb, JOINT.Rwri]);
});

test("heat maps, body size and masks are Python's", () => {
  for (const [i, pair] of cases.pairs.entries()) {
    const { height, width } = pair;
    const size = g.bodySize(pair.target);
    close(Number.isNaN(size) ? null : size, pair.body_size, `pair ${i}: body size`);
    if (pair.heatmaps) close(g.heatmaps(pair.target, height, width), floats(pair.heatmaps), `pair ${i}: heat maps`);
    alike(g.bodyMask(pair.target, height, width), floats(pair.body_mask), `pair ${i}: body mask`);
  }
});

test("limb warps are Python's, at full size and at feature size", () => {
  for (const [i, pair] of cases.pairs.entries()) {
    const warps = g.limbWarps(pair.source, pair.target, pair.height, pair.width, pair.background);
    close(warps.maps, pair.maps, `pair ${i}: maps`);
    alike(warps.masks, floats(pair.masks), `pair ${i}: masks`);
    for (const [height, width, maps, masks] of pair.at) {
      const small = g.warpsAt(warps, height, width);
      close(small.maps, maps, `pair ${i}: maps at ${height} x ${width}`);
      alike(small.masks, floats(masks), `pair ${i}: masks at ${height} x ${width}`);
    }
  }
});

test("a warped picture is Python's", () => {
  const chosen = cases.pairs.filter((pair) => pair.warped);
  assert.ok(new Set(chosen.map((pair) => pair.background)).size === 2 && chosen.length > 3);
  for (const [i, { source, target, height, width, background, image, warped }] of chosen.entries()) {
    const warps = g.limbWarps(source, target, height, width, background);
    alike(g.warpedImage(floats(image), warps), floats(warped), `pair ${i}: warped picture`);
  }
});

test("what is seen inside the network is Python's", () => {
  const { source, target, height, width, image, outputs, seen, colours } = cases.inside;
  assert.deepEqual(g.CANDIDATE_COLOURS, colours);
  const given = {
    image: floats(image), heatmaps: g.heatmaps(target, height, width), warps: g.limbWarps(source, target, height, width),
  };
  const made = Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, floats(values)]));
  const found = g.lookInside(given, made);
  assert.deepEqual(found.map(([label, picture]) => [label, picture.height, picture.width]), seen.map((entry) => entry.slice(0, 3)));
  for (const [i, [label, tall, wide, text]] of seen.entries()) {
    const expected = Buffer.from(text, "base64"), rgba = found[i][1].colours;
    assert.equal(rgba.length, 4 * tall * wide, label);
    const off = Array.from({ length: tall * wide }, (_, at) =>
      Math.max(255 - rgba[4 * at + 3], ...[0, 1, 2].map((k) => Math.abs(rgba[4 * at + k] - expected[3 * at + k]))));
    const wrong = off.filter((value) => value > 1).length; // rounded to the other side, or a mask's edge as in `alike`
    assert.ok(wrong <= expected.length / 10_000, `${label}: ${wrong} pixels differ`);
    assert.ok(new Set(expected).size > 10, `${label}: nothing is seen`);
  }
});

test("sizes and mirror are Python's", () => {
  for (const [i, pair] of cases.pairs.entries()) {
    const { height, width, target } = pair;
    close(g.rescaled(target, [height, width], pair.to_size), pair.rescaled, `pair ${i}: resized`);
    close(g.mirrored(target, (width - 1) / 2), pair.flipped, `pair ${i}: flipped`);
  }
});

test("a photo's people are cropped as in Python", () => {
  for (const [i, { what, pose, size, cropped }] of cases.crops.entries()) {
    const found = g.cropToModel(pose, size, cases.photos.trained);
    if (!cropped) assert.equal(found, null, what);
    else {
      for (const [side, expected] of Object.entries(cropped.crop)) close(found.crop[side], expected, `${what} ${i}: ${side}`, 1e-3);
      close(found.pose, cropped.pose, `${what} ${i}: pose`, 1e-3);
    }
  }
});

test("MoveNet's joints are put into the picture as in Python", () => {
  for (const { decoded, height, width, pose } of cases.movenet)
    close(g.fromMoveNet(decoded, g.squareAround(height, width, cases.photos.margin), cases.photos.leastScore), pose, "found pose");
});

test("what lies between key poses is Python's", () => {
  for (const { keys, steps, closed, poses } of cases.between) close(g.between(keys, steps, closed), poses, "between");
});

test("a random drag keeps every bone's length and every missing joint missing", () => {
  for (const { pose, joint, to } of drags(400, 1)) {
    const after = g.drag(pose, joint, to);
    close(g.boneLengths(after), g.boneLengths(pose), `${g.JOINTS[joint]} to ${to}`, 1e-8);
    assert.deepEqual(missing(after), missing(pose), g.JOINTS[joint]);
    assert.ok(after.flat().every((v) => v === null || Number.isFinite(v)));
  }
});

test("a wrist and an ankle go where they are dragged, and the elbow and knee keep their side", () => {
  const side = (pose, [a, b, c]) => {
    const [p, q, r] = [pose[a], pose[b], pose[c]];
    return (r[0] - p[0]) * (q[1] - p[1]) - (r[1] - p[1]) * (q[0] - p[0]);
  };
  let reached = 0;
  const chains = [["Rsho", "Relb", "Rwri"], ["Lsho", "Lelb", "Lwri"], ["Rhip", "Rkne", "Rank"], ["Lhip", "Lkne", "Lank"]];
  for (const { pose, joint, to } of drags(2000, 2)) {
    const chain = chains.map((names) => names.map((name) => JOINT[name])).find((ends) => ends[2] === joint);
    if (!chain || chain.some((i) => !pose[i])) continue;
    const after = g.drag(pose, joint, to);
    const bones = g.boneLengths(pose);
    const [upper, lower] = g.BONES.flatMap(([, end], i) => (end === chain[1] || end === chain[2] ? [bones[i]] : []));
    const distance = Math.hypot(to[0] - pose[chain[0]][0], to[1] - pose[chain[0]][1]);
    if (distance > upper + lower || distance < Math.abs(upper - lower)) continue;
    close(after[joint], to, g.JOINTS[joint], 1e-8);
    close(after[chain[0]], pose[chain[0]], "the root stays", 0);
    if (Math.abs(side(pose, chain)) > 1e-6 && Math.abs(side(after, chain)) > 1e-6)
      assert.equal(Math.sign(side(after, chain)), Math.sign(side(pose, chain)), "bend side");
    reached++;
  }
  assert.ok(reached > 50, `only ${reached} drags within reach`);
});

test("feet stay while the body moves within the reach of the legs", () => {
  const pose = cases.standing;
  const crouching = g.drag(pose, JOINT.Rhip, [pose[JOINT.Rhip][0] + 1, pose[JOINT.Rhip][1] + 8]);
  for (const [start, joint, dx, dy] of [[pose, "Lhip", -2, 4], [crouching, "Rhip", 3, -3], [crouching, "neck", 3, 1]]) {
    const from = start[JOINT[joint]];
    const after = g.drag(start, JOINT[joint], [from[0] + dx, from[1] + dy]);
    assert.ok(!g.samePose(after, start));
    for (const ankle of ["Rank", "Lank"]) close(after[JOINT[ankle]], pose[JOINT[ankle]], `${joint}: ${ankle}`, 1e-8);
  }
  // beyond it the person is lifted
  const hip = pose[JOINT.Rhip];
  const lifted = g.drag(pose, JOINT.Rhip, [hip[0], hip[1] - 30]);
  assert.ok(lifted[JOINT.Rank][1] < pose[JOINT.Rank][1] - 15);
});

test("an elbow takes the forearm with it, a shoulder the arm; the rest stays", () => {
  const pose = cases.standing;
  for (const [joint, along] of [["Relb", ["Rwri"]], ["Lsho", ["Lelb", "Lwri"]], ["nose", ["Reye", "Leye", "Rear", "Lear"]]]) {
    const from = pose[JOINT[joint]];
    const after = g.drag(pose, JOINT[joint], [from[0] + 9, from[1] - 9]);
    for (const [i, name] of g.JOINTS.entries())
      assert.equal(g.samePose([after[i]], [pose[i]]), !(name === joint || along.includes(name)), `${joint}: ${name}`);
  }
});

test("alone, a joint moves by itself", () => {
  for (const { pose, joint, to } of drags(50, 3)) {
    const after = g.drag(pose, joint, to, true);
    for (let i = 0; i < 18; i++) assert.deepEqual(after[i], i === joint && pose[i] ? to : pose[i]);
  }
});

test("no function changes the pose that it is given", () => {
  const pose = g.copy(cases.standing), before = JSON.stringify(pose);
  g.JOINTS.forEach((_, joint) => g.drag(pose, joint, [3, 4]));
  g.mirrored(pose), g.scaled(pose, 2), g.moved(pose, 1, 1), g.hidden(pose, 3), g.shown(pose, 3, 128, 64);
  assert.equal(JSON.stringify(pose), before);
  const after = g.drag(pose, JOINT.Rwri, [3, 4]);
  after.forEach((point) => (point[0] += 1));
  assert.equal(JSON.stringify(pose), before, "a result shares no point with what it was made from");
});

test("mirrored twice is the same, and mirroring swaps the sides", () => {
  for (const pose of poses) {
    const once = g.mirrored(pose);
    close(g.mirrored(once), pose, "twice", 1e-9);
    assert.deepEqual(missing(once), g.LEFT_RIGHT.map((other) => pose[other] === null));
  }
});

test("the whole pose scales about its middle and moves", () => {
  for (const pose of poses) {
    const twice = g.scaled(pose, 2);
    close(g.middle(twice), g.middle(pose), "middle", 1e-9);
    close(g.boneLengths(twice), g.boneLengths(pose).map((v) => v && 2 * v), "lengths", 1e-9);
    const away = g.moved(pose, 3, -2);
    pose.forEach((point, i) => close(away[i], point && [point[0] + 3, point[1] - 2], "moved", 1e-9));
  }
});

test("a hidden joint is null, stays null under everything, and comes back", () => {
  for (const pose of poses) {
    const less = g.hidden(pose, JOINT.Relb);
    assert.equal(less[JOINT.Relb], null);
    for (const other of [g.scaled(less, 1.1), g.moved(less, 2, 2), g.drag(less, JOINT.Rhip, [20, 70]), g.drag(less, JOINT.Relb, [9, 9])])
      assert.equal(other[JOINT.Relb], null);
    assert.ok(g.shown(less, JOINT.Relb, 128, 64)[JOINT.Relb].every(Number.isFinite));
    assert.deepEqual(g.shown(less, JOINT.Relb, 128, 64, [7, 8])[JOINT.Relb], [7, 8]);
  }
});

test("a missing joint is expected near where it is", () => {
  const errors = [];
  for (const pose of poses)
    for (const name of ["Rkne", "Lelb", "Rsho", "nose"]) {
      if (!pose[JOINT[name]]) continue;
      const [x, y] = g.expected(g.hidden(pose, JOINT[name]), JOINT[name], 128, 64);
      errors.push(Math.hypot(x - pose[JOINT[name]][0], y - pose[JOINT[name]][1]));
    }
  errors.sort((a, b) => a - b);
  assert.ok(errors[errors.length >> 1] < 8, `median ${errors[errors.length >> 1]} px`);
  assert.ok(g.expected(g.JOINTS.map(() => null), 0, 128, 64).every(Number.isFinite), "nobody there at all");
});

test("undo gives the same back, redo leads on, and a new step forgets what was undone", () => {
  let history = g.newHistory(cases.standing);
  const seen = [history.present];
  for (const { joint, to } of drags(4, 4)) {
    history = g.record(history, g.drag(history.present, joint, to));
    if (history.present !== seen.at(-1)) seen.push(history.present);
  }
  assert.ok(seen.length > 10);
  const last = history.present;
  for (const pose of seen.slice(0, -1).reverse()) {
    history = g.undo(history);
    assert.deepEqual(history.present, pose);
  }
  assert.deepEqual(g.undo(history).present, cases.standing, "nothing before the first");
  for (let i = 0; i < seen.length + 3; i++) history = g.redo(history);
  assert.deepEqual(history.present, last);
  history = g.record(g.undo(history), g.moved(cases.standing, 1, 0));
  assert.deepEqual(g.redo(history).present, g.moved(cases.standing, 1, 0));
});

test("steps of one kind are one step to undo; no change is none", () => {
  let history = g.newHistory(cases.standing);
  for (const x of [1, 2, 3]) history = g.record(history, g.moved(cases.standing, x, 0), "key");
  history = g.record(history, g.copy(history.present), "other");
  assert.equal(history.past.length, 1);
  assert.deepEqual(g.undo(history).present, cases.standing);
});

test("rounded poses are the same after a round trip", () => {
  const pose = g.rounded(g.scaled(cases.standing, 1.2345));
  assert.ok(g.samePose(JSON.parse(JSON.stringify(pose)), pose));
  assert.ok(!g.samePose(pose, g.hidden(pose, 3)) && !g.samePose(g.hidden(pose, 3), pose));
});

test("people are looked for in the squares that estimation.py looks at", () => {
  for (const { height, width, views } of cases.views) assert.deepEqual(g.squaresOf(height, width, cases.photos.margin), views);
  for (const { pose, height, width, view } of cases.round) {
    const found = g.squareRound(pose, height, width, cases.photos.margin);
    for (const name of ["left", "top", "side"]) assert.ok(Math.abs(found[name] - view[name]) <= 1, `${name}: ${found[name]}, ${view[name]}`);
  }
  for (const [height, width, pose] of cases.template) close(g.template(height, width), pose, "template");
});

test("two findings are of one person when their joints lie near one another", () => {
  const pose = cases.standing, by = (pixels) => g.moved(pose, pixels, 0), size = g.extent(pose);
  assert.equal(size, 93);
  assert.ok(g.samePerson(pose, by(0.24 * size)));
  assert.ok(!g.samePerson(pose, by(0.26 * size)));
  assert.ok(!g.samePerson(pose, pose.map((point, joint) => (joint < 2 ? point : null))), "too few joints to tell by");
});

test("files of poses are read as in Python", () => {
  for (const { what, holds, pose, fault } of cases.files) {
    if (pose) assert.deepEqual(g.readPose(holds), pose, what);
    else assert.throws(() => g.readPose(holds), (error) => error.message.includes(fault), what);
  }
});

test("files of poses are written as in Python", () => {
  const { pose, ...files } = cases.saved;
  for (const [form, expected] of Object.entries(files)) {
    const found = JSON.parse(JSON.stringify(g.writePose(pose, form)));
    const [own, theirs] = [found, expected].map((file) => file.people?.[0].pose_keypoints_2d ?? file[0]?.keypoints ?? file);
    close(own, theirs, form, 1e-3);
    assert.deepEqual(Object.keys(found[0] ?? found), Object.keys(expected[0] ?? expected), form);
    const back = g.readPose(found);
    if (form !== "coco") close(back, pose, `${form}, back`, 1e-3);
  }
});

test("a pose of another picture is brought to the person, and one of this picture left as it is", () => {
  const pose = cases.standing, size = [128, 64];
  assert.equal(g.brought(pose, cases.standing, size), pose);
  const reaching = g.moved(pose, 0, -40); // head and shoulders beyond the upper border
  assert.equal(g.brought(reaching, cases.standing, size), reaching);
  close(g.brought(g.moved(g.scaled(pose, 4), 300, 200), pose, size), pose, "brought", 1e-9);
  const far = pose.map((point, joint) => (joint === JOINT.Lwri ? [500, 500] : null));
  assert.equal(g.brought(far, pose, size), null);
  assert.equal(g.brought(pose.map(() => null), pose, size), null);
});
