/* The view: a skeleton to drag over a picture that follows it.

It talks to a model with get, set, on, off and save_changes, which a notebook's widget has and a page's shim can have:

pose        the target pose, 18 times [x, y] or null; both sides set it
asked       a number, set here with every new pose; the other side sets
answered    to the same number when the picture of that pose is there
picture     the person in that pose, bytes of a PNG file
source      the picture of the person, bytes of a PNG file
start       the pose that "reset" leads back to; a new one is another person's, or the same person's put right
poses       poses to start from: [name, pose]
motions     motions to choose from: [name, key poses]
fit         whether `poses` and `motions` are brought to the size and place of `start` first
motion      key poses of a motion; both sides set them
steps       how many poses there are from one key to the next when it plays
joint       name of the joint chosen last; both sides set it
size        [height, width] of the pictures
scale       how many pixels of the screen one of theirs takes at most
fault       what went wrong with the last pose, or ""
wants_inside
            whether somebody looks inside the network; set here. While it is true the other side sets, with each picture,
inside      what is seen there: [label, bytes of a PNG file]
people      who can be chosen: [name, bytes of a PNG file]
person      the number in `people` of who is shown, -1 for none of them
placing     whether the skeleton is being put where the person's body is on `source`; no picture is asked for meanwhile
grants      names of the wishes that the other side grants, of those below
wish        [a number, name, what belongs to it], set here; the other side sets
reply       [that number, what there is to tell, whether it is a fault, [name, type, bytes] of a file to be saved or
            null]; more than one reply may come to a wish, as it goes on

What can be wished for: "person" (number in `people`), "photo" (bytes, name of the file: its people come first in
`people` and one of them is shown, or `placing` begins), "place" (the person's pose, put right; `placing` ends), "clip"
(the motion as a file). surroundings.js makes all of them but "place".

Only one pose is under way at a time: while it is, newer ones replace one another, and the newest goes when the answer is
there. So a slow answer never makes a queue. */
import {
  JOINTS, JOINT, BONES, LABELS, COLOURS, samePose, rounded, drag, mirrored, scaled, moved, hidden, shown, expected, middle,
  newHistory, record, undo, redo, between, fitted, extent,
} from "./geometry.mjs";
import { element, OWN_KEYS, surroundings } from "./surroundings.js";

const SVG = "http://www.w3.org/2000/svg";
const REACH = 16; // how near to a joint a pointer takes it, in pixels of the screen
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GROWTH = 1.05;
const FRAME = 125; // milliseconds from one pose of a motion to the next, at least

const ICONS = {
  undo: "M8 5 3 10l5 5M3 10h11a6 6 0 0 1 0 12h-3",
  redo: "M16 5l5 5-5 5M21 10H10a6 6 0 0 0 0 12h3",
  mirror: "M12 2v20M9 7 3 17h6zM15 7l6 10h-6z",
  smaller: "M5 12h14",
  larger: "M5 12h14M12 5v14",
  move: "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3",
  alone: "M4 20l5-5M15 9l5-5M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  hide: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM4 20 20 4",
  ghosts: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  play: "M7 4v16l13-8z",
  stop: "M6 6h12v12H6z",
  add: "M12 5v14M5 12h14",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  reset: "M4 12a8 8 0 1 0 2.5-5.8M4 3v5h5",
  place: "M12 3v4M12 17v4M3 12h4M17 12h4M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
};

const TOOLS = [
  [["undo", "Undo", "Undo (Ctrl+Z)"], ["redo", "Redo", "Redo (Ctrl+Shift+Z)"]],
  [
    ["mirror", "Mirror", "Swap left and right"],
    ["smaller", "Smaller", "Make the whole pose smaller"],
    ["larger", "Larger", "Make the whole pose larger"],
    ["move", "Move", "Drag and arrow keys move the whole pose"],
  ],
  [
    ["alone", "Alone", "Drag and arrow keys move a joint alone, bones change their length (or hold Ctrl or Alt)"],
    ["hide", "Hide", "Take the chosen joint away, or bring it back (Delete)"],
    ["ghosts", "Hidden", "Show where hidden joints would be; click one to bring it back"],
  ],
  [
    ["place", "Place", "Put the joints where they are on the person; press again when they are there"],
    ["reset", "Reset", "Back to the first pose"],
  ],
];

const MOTION = [
  ["play", "Play", "Play the key poses and what lies between them"],
  ["add", "Add key", "Add this pose to the motion"],
  ["remove", "Remove", "Take the last key pose chosen out of the motion"],
];
const TOGGLES = ["move", "alone", "ghosts", "place"];

const shape = (tag, attributes = {}, children = []) => element(tag, attributes, children, SVG);

function icon(name) {
  return shape("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, [shape("path", { d: ICONS[name] })]);
}

const place = (node, names, values) => names.forEach((name, i) => node.setAttribute(name, values[i]));

/* A small skeleton that cannot be moved. */
function thumbnail(pose, height) {
  const [x, y] = middle(pose) ?? [0, 0], tall = Math.max(0.85 * height, 1.1 * extent(pose)), wide = 0.53 * tall;
  const svg = shape("svg", { viewBox: `${x - wide / 2} ${y - tall / 2} ${wide} ${tall}`, "aria-hidden": "true" });
  for (const [from, to] of BONES)
    if (pose[from] && pose[to])
      svg.append(
        shape("line", { x1: pose[from][0], y1: pose[from][1], x2: pose[to][0], y2: pose[to][1], stroke: COLOURS[to] }),
      );
  return svg;
}

/* The skeleton over the picture: bones and joints as SVG, `draw` puts them where a pose is. */
function skeleton([height, width]) {
  const unit = Math.max(1.2, Math.min(height, width) / 40); // width of a bone, as in plotting.draw_skeleton
  const svg = shape("svg", { viewBox: `-0.5 -0.5 ${width} ${height}`, class: "skeleton", role: "group" });
  svg.setAttribute("aria-label", "Skeleton: 18 joints to move");
  svg.style.setProperty("--bone", `${unit}px`);
  const bones = BONES.map(([, to]) => {
    const [outline, line] = ["outline", "bone"].map((name) => shape("line", { class: name }));
    line.style.stroke = COLOURS[to];
    return { outline, line };
  });
  svg.append(...bones.map(({ outline }) => outline), ...bones.map(({ line }) => line));
  const joints = JOINTS.map((name, joint) => {
    const ring = shape("circle", { r: 2.2 * unit, class: "ring" });
    const dot = shape("circle", { r: 1.15 * unit, class: "dot" });
    dot.style.fill = dot.style.stroke = COLOURS[joint];
    const title = shape("title", {}, [LABELS[joint]]);
    const group = shape("g", { "data-joint": name, tabindex: "0", role: "button", ...OWN_KEYS }, [title, ring, dot]);
    group.setAttribute("aria-roledescription", "joint");
    return group;
  });
  svg.append(...joints);

  function draw(pose, ghosts, chosen) {
    BONES.forEach(([from, to], i) => {
      const whole = pose[from] && pose[to];
      for (const line of [bones[i].outline, bones[i].line]) {
        line.style.display = whole ? "" : "none";
        if (whole) place(line, ["x1", "y1", "x2", "y2"], [...pose[from], ...pose[to]]);
      }
    });
    joints.forEach((group, joint) => {
      const at = pose[joint] ?? ghosts[joint];
      group.classList.toggle("ghost", !pose[joint]);
      group.classList.toggle("chosen", joint === chosen);
      group.style.display = at ? "" : "none";
      if (at) group.setAttribute("transform", `translate(${at[0]} ${at[1]})`);
      const where = pose[joint] ? pose[joint].map((v, i) => `${"xy"[i]} ${v.toFixed(0)}`).join(", ") : "hidden";
      group.setAttribute("aria-label", `${LABELS[joint]}, ${where}`);
    });
  }
  return { svg, joints, draw };
}

/* What each picture inside the network is, in plain words. */
const INSIDE = {
  "heat maps": "How the network is told the pose: a spot for each joint, in the skeleton's colours.",
  "warped source": "The source, moved limb by limb to the new pose, without a network.",
  "1/4 of the size": "The network's first picture, a quarter as high and wide: rough shape and colours.",
  "1/2 of the size": "Its second picture, half as high and wide: parts become clear.",
  coarse: "Its first attempt, before it is refined.",
  "full size": "The answer.",
  attention: "Where each pixel comes from. White: painted anew; grey: the background; a colour: moved from that part of the source.",
  silhouette: "White: where it puts the person in front of the background.",
  background: "The place without the person; what they hid is painted.",
};
const INSIDE_WIDTHS = { "--times": 144, "--times-wide": 204 }; // pixels of the screen for one of them, on a phone and a desk

/* What the network is given and makes on the way to its picture, to be opened; nothing is computed while it is closed. */
function insideOf(model) {
  const [height, width] = model.get("size");
  const grid = element("div", { class: "grid" });
  const details = element("details", { class: "inside" }, [element("summary", OWN_KEYS, ["Inside the network"]), grid]);
  for (const [name, most] of Object.entries(INSIDE_WIDTHS))
    details.style.setProperty(name, Math.max(1, Math.floor(most / width))); // whole: every pixel is a square
  let labels = [], addresses = [];

  function show() {
    const pictures = model.get("inside") ?? [], before = addresses;
    addresses = pictures.map(([, bytes]) => URL.createObjectURL(new Blob([bytes], { type: "image/png" })));
    if (String(labels) !== String(pictures.map(([label]) => label))) {
      labels = pictures.map(([label]) => label);
      grid.replaceChildren(...labels.map((label) => {
        const image = element("img", { alt: label, width, height, draggable: "false" });
        return element("figure", { "data-inside": label }, [
          image, element("figcaption", {}, [element("b", {}, [label]), INSIDE[label] ?? ""]),
        ]);
      }));
    }
    grid.querySelectorAll("img").forEach((image, i) => (image.src = addresses[i]));
    for (const address of before) URL.revokeObjectURL(address);
  }

  const forget = () => addresses.forEach((address) => URL.revokeObjectURL(address));
  const follow = () => (details.open = Boolean(model.get("wants_inside")));
  details.addEventListener("toggle", () => {
    if (details.open === model.get("wants_inside")) return;
    model.set("wants_inside", details.open);
    model.save_changes();
  });
  follow();
  show();
  const listeners = { "change:inside": show, "change:wants_inside": follow };
  return { details, listeners, forget };
}

function render({ model, el }) {
  const size = model.get("size"), [height, width] = size;
  const root = element("div", { class: "pose-studio" });
  el.append(root);
  root.style.setProperty("--scale", model.get("scale"));
  root.style.setProperty("--height", height);
  root.style.setProperty("--width", width);

  let pose = model.get("pose"); // as it is seen here, ahead of the picture
  let sent = pose; // as the other side has it
  let history = newHistory(pose);
  let chosen = JOINT[model.get("joint")] ?? null;
  const stepsBetween = model.get("steps"); // of one's own key poses
  let lastPlaces = JOINTS.map(() => null); // of hidden joints
  const on = { move: false, alone: false, ghosts: false };

  // The page's parts

  const around = surroundings({
    model,
    root,
    stop: () => stop(),
    become: (next) => {
      stop();
      become(next);
    },
    play: (keys) => {
      model.set("steps", 1); // all its poses are given
      key = null;
      setKeys(keys);
      play();
    },
  });
  const buttons = {};
  const tool = ([name, text, title]) => {
    const button = element("button", { type: "button", title, "data-tool": name, ...OWN_KEYS }, [icon(name), text]);
    if (TOGGLES.includes(name)) button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => tools[name]());
    return (buttons[name] = button);
  };
  const toolbar = element("div", { class: "tools", role: "toolbar", "aria-label": "Pose" });
  const offered = ([name]) => name !== "place" || around.grants.includes(name);
  toolbar.append(...TOOLS.map((group) => element("div", { class: "group" }, group.filter(offered).map(tool))));
  const { svg, joints, draw } = skeleton(size);
  const images = {};
  const figure = (name, alt, caption, ...over) => {
    images[name] = element("img", { alt, class: name, draggable: "false" });
    const frame = element("div", { class: "frame" }, [images[name], ...over]);
    return element("figure", { class: `of-${name}` }, [frame, element("figcaption", {}, [caption])]);
  };
  const figures = element("div", { class: "figures" }, [
    figure("source", "The person as photographed", "The person"),
    figure("backdrop", "", "Drag the joints", svg),
    figure("picture", "The person in the new pose", "In the new pose"),
  ]);
  const where = element("span", { class: "where" });
  const hint = element("span", { class: "hint" }, ["Arrow keys move the joint · Ctrl: it moves alone · Delete hides it"]);
  const status = element("p", { class: "status" }, [where, hint]);
  const strip = element("div", { class: "strip", role: "group", "aria-label": "Poses to start from" });
  const timeline = element("div", { class: "strip motion", role: "group", "aria-label": "Motion: key poses" });
  function listPoses() {
    const brought = (pose) => (model.get("fit") ? fitted([pose], model.get("start"))?.[0] : pose);
    const offered = (model.get("poses") ?? []).map(([name, pose]) => [name, brought(pose)]);
    strip.replaceChildren(...offered.filter(([, pose]) => pose).map(([name, pose]) => {
      const attributes = { type: "button", title: name, "data-pose": name, ...OWN_KEYS };
      const button = element("button", attributes, [thumbnail(pose, height), name]);
      button.addEventListener("click", () => {
        stop();
        become(pose);
      });
      return button;
    }));
    strip.hidden = !strip.childElementCount;
  }
  const keyButtons = element("div", { class: "keys" });
  timeline.append(element("div", { class: "group" }, MOTION.map(tool)), keyButtons);
  const inside = insideOf(model);
  root.append(...around.above, toolbar, figures, status, strip, around.motions, timeline, around.saving, inside.details);

  // Pictures and poses, to and fro

  const addresses = {};
  const placing = () => Boolean(model.get("placing"));

  function showPicture(trait) {
    const bytes = model.get(trait);
    if (!bytes?.byteLength) return;
    const old = addresses[trait];
    addresses[trait] = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    images[trait].src = addresses[trait];
    showBackdrop();
    if (old) URL.revokeObjectURL(old);
  }

  function showBackdrop() {
    const address = addresses[placing() ? "source" : "picture"];
    if (address) images.backdrop.src = address;
    const caption = placing() ? "Drag each joint to its place" : "Drag the joints";
    root.querySelector(".of-backdrop figcaption").textContent = caption;
  }

  const waiting = () => model.get("asked") !== model.get("answered");

  function send() {
    if (waiting() || placing() || samePose(sent, pose)) return;
    sent = pose;
    model.set("pose", sent);
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
    refresh();
  }

  function refresh() {
    const ghosts = pose.map((point, joint) =>
      on.ghosts && !point ? (lastPlaces[joint] ?? expected(pose, joint, height, width)) : null,
    );
    draw(pose, ghosts, chosen);
    const fault = model.get("fault");
    status.classList.toggle("fault", Boolean(fault));
    if (fault) where.setAttribute("role", "alert"); // read out at once; a joint reads out its own place
    else where.removeAttribute("role");
    const point = chosen === null ? null : pose[chosen];
    const coordinates = point ? `x ${point[0].toFixed(1)}   y ${point[1].toFixed(1)}` : "hidden";
    where.textContent = fault || (chosen === null ? "" : `${LABELS[chosen]}   ${coordinates}`);
    // not `disabled`: the keyboard's focus would be lost
    const keys = model.get("motion") ?? [];
    const idle = {
      undo: !history.past.length,
      redo: !history.future.length,
      hide: chosen === null,
      play: keys.length < 2 || placing(),
      remove: !keys.length,
    };
    for (const name in idle) buttons[name].setAttribute("aria-disabled", String(idle[name]));
    if (buttons.place) buttons.place.lastChild.textContent = placing() ? "Done" : "Place";
    buttons.hide.lastChild.textContent = chosen !== null && !pose[chosen] ? "Show" : "Hide";
    const pressed = { ...on, place: placing() };
    for (const name of TOGGLES) buttons[name]?.setAttribute("aria-pressed", String(pressed[name]));
    svg.classList.toggle("moving", on.move);
    root.classList.toggle("placing", placing());
    root.setAttribute("aria-busy", String(waiting())); // the picture is behind the skeleton
  }

  /* The pose of the moment; `final` poses can be undone. */
  function become(next, { final = true, kind = null } = {}) {
    pose = rounded(next);
    if (final) history = record(history, pose, kind);
    refresh();
    send();
  }

  function choose(joint) {
    chosen = joint;
    refresh();
    if (model.get("joint") === JOINTS[joint]) return;
    model.set("joint", JOINTS[joint]);
    model.save_changes();
  }

  const back = (step) => {
    history = step(history);
    pose = history.present;
    refresh();
    send();
  };

  function hideOrShow(joint) {
    if (!pose[joint]) return become(shown(pose, joint, height, width, lastPlaces[joint]));
    lastPlaces[joint] = pose[joint];
    on.ghosts = true; // it can be seen where it went, and be brought back
    become(hidden(pose, joint));
  }

  // Motion

  let key = null; // the key pose chosen last
  let playing = null; // the poses, the next one's number, the timer, and the pose before

  function listKeys() {
    const keys = model.get("motion") ?? [];
    if (key !== null && key >= keys.length) key = keys.length ? keys.length - 1 : null;
    keyButtons.replaceChildren(
      ...keys.map((pose, number) => {
        const attributes = { type: "button", title: `Key pose ${number + 1}`, "data-key": number, ...OWN_KEYS };
        const button = element("button", attributes, [thumbnail(pose, height), String(number + 1)]);
        button.setAttribute("aria-pressed", String(number === key));
        button.addEventListener("click", () => {
          stop();
          key = number;
          become(pose);
          listKeys();
        });
        return button;
      }),
      ...(keys.length < 2 ? ["Add two poses or more, then play what lies between them."] : []),
    );
    refresh();
  }

  function setKeys(keys) {
    stop();
    model.set("motion", keys);
    model.save_changes();
    listKeys();
  }

  function play() {
    const keys = model.get("motion") ?? [];
    if (playing || placing() || keys.length < 2) return stop();
    playing = { poses: between(keys, model.get("steps"), true), next: 0, before: pose };
    playing.timer = setInterval(() => {
      if (waiting()) return; // one picture for each pose
      become(playing.poses[playing.next++ % playing.poses.length], { final: false });
    }, FRAME);
    showPlaying();
  }

  function halt() {
    clearInterval(playing?.timer);
    playing = null;
    showPlaying();
  }

  function stop() {
    if (!playing) return;
    const { before } = playing;
    halt();
    become(before, { final: false });
  }

  function showPlaying() {
    buttons.play.replaceChildren(icon(playing ? "stop" : "play"), playing ? "Stop" : "Play");
    root.classList.toggle("playing", Boolean(playing));
  }

  /* Put the joints where they are on the person; the second time they are there. */
  function place() {
    if (placing()) return around.wish("place", pose);
    model.set("placing", true);
    model.save_changes();
    history = newHistory(model.get("start"));
    pose = history.present;
    refresh();
  }

  const toggle = (name) => () => {
    on[name] = !on[name];
    refresh();
  };
  const steps = {
    undo: () => back(undo),
    redo: () => back(redo),
    mirror: () => become(mirrored(pose)),
    smaller: () => become(scaled(pose, 1 / GROWTH), { kind: "scale" }),
    larger: () => become(scaled(pose, GROWTH), { kind: "scale" }),
    move: toggle("move"),
    alone: toggle("alone"),
    ghosts: toggle("ghosts"),
    hide: () => chosen !== null && hideOrShow(chosen),
    place,
    reset: () => become(model.get("start")),
    add: () => {
      if (!model.get("motion")?.length) model.set("steps", stepsBetween);
      key = key === null ? (model.get("motion") ?? []).length : key + 1;
      setKeys((model.get("motion") ?? []).toSpliced(key, 0, pose));
    },
    remove: () => setKeys((model.get("motion") ?? []).toSpliced(key ?? -1, 1)),
  };
  // Whatever is done stops what plays.
  const tools = Object.fromEntries(
    Object.entries(steps).map(([name, act]) => [name, () => {
      stop();
      act();
    }]),
  );
  tools.play = play;

  // Pointers

  let grip = null; // what is being dragged: joint (null: the whole pose), from where, and the pose before

  /* A pointer's place in pixels of the picture. */
  function pointAt(event) {
    const box = svg.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * width - 0.5,
      ((event.clientY - box.top) / box.height) * height - 0.5,
    ];
  }

  function nearest([x, y]) {
    const reach = (REACH * width) / svg.getBoundingClientRect().width;
    let [best, distance] = [null, reach];
    joints.forEach((group, joint) => {
      const at = pose[joint] ?? (on.ghosts ? (lastPlaces[joint] ?? expected(pose, joint, height, width)) : null);
      const found = at ? Math.hypot(at[0] - x, at[1] - y) : Infinity;
      if (found < distance) [best, distance] = [joint, found];
    });
    return best;
  }

  const within = ([x, y]) => [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || grip) return;
    const from = pointAt(event), joint = nearest(from);
    if (joint === null && !on.move) return;
    stop();
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    if (joint !== null) {
      joints[joint].focus({ preventScroll: true });
      choose(joint);
      if (!pose[joint]) hideOrShow(joint);
    }
    grip = { pointer: event.pointerId, joint: on.move ? null : joint, from, before: pose };
    root.classList.add("dragging");
  });

  svg.addEventListener("pointermove", (event) => {
    if (grip?.pointer !== event.pointerId) return;
    const to = pointAt(event), { joint, from, before } = grip;
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    if (joint === null) return become(moved(before, dx, dy), { final: false });
    const alone = on.alone || event.ctrlKey || event.altKey || event.metaKey;
    const target = within([before[joint][0] + dx, before[joint][1] + dy]);
    become(drag(before, joint, target, alone), { final: false });
  });

  function release(event) {
    if (grip?.pointer !== event.pointerId) return;
    grip = null;
    root.classList.remove("dragging");
    become(pose);
  }
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("contextmenu", (event) => event.preventDefault()); // Ctrl and a click, on some machines

  // Keys

  joints.forEach((group, joint) => group.addEventListener("focus", () => choose(joint)));

  root.addEventListener("keydown", (event) => {
    const joint = joints.indexOf(event.target);
    const command = event.ctrlKey || event.metaKey;
    const handle = () => {
      if (event.key === "Escape" && playing) return stop();
      if (playing) return false;
      if (command && event.key.toLowerCase() === "z") return back(event.shiftKey ? redo : undo);
      if (command && event.key.toLowerCase() === "y") return back(redo);
      if (joint < 0) return false;
      if (event.key in STEPS) {
        const [dx, dy] = STEPS[event.key].map((step) => step * (event.shiftKey ? 5 : 1));
        if (on.move) return become(moved(pose, dx, dy), { kind: "move" });
        if (!pose[joint]) return true;
        const to = within([pose[joint][0] + dx, pose[joint][1] + dy]);
        return become(drag(pose, joint, to, on.alone || command || event.altKey), { kind: `key:${joint}` });
      }
      if (event.key === "Delete" || event.key === "Backspace") return pose[joint] && hideOrShow(joint);
      if (event.key === "Enter" || event.key === " ") return pose[joint] || hideOrShow(joint);
      return false;
    };
    if (handle() === false) return;
    event.preventDefault();
    event.stopPropagation();
  });

  // What the other side changes

  const listeners = {
    ...around.listeners,
    "change:picture": () => showPicture("picture"),
    "change:source": () => showPicture("source"),
    "change:poses": listPoses,
    "change:placing": () => {
      showBackdrop();
      refresh();
    },
    "change:start": () => {
      halt();
      sent = pose = model.get("pose");
      history = newHistory(pose);
      listPoses();
      refresh();
    },
    ...inside.listeners,
    "change:fault": refresh,
    "change:motion": listKeys,
    "change:answered": () => {
      refresh();
      send();
    },
    "change:joint": () => {
      chosen = JOINT[model.get("joint")] ?? chosen;
      refresh();
    },
    "change:pose": () => {
      const theirs = model.get("pose");
      if (samePose(theirs, sent)) return;
      sent = pose = theirs;
      history = record(history, pose, `outside:${chosen}`);
      refresh();
    },
  };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  listPoses();
  showPicture("source");
  showPicture("picture");
  listKeys();

  return () => {
    clearInterval(playing?.timer);
    for (const [name, listener] of Object.entries(listeners)) model.off?.(name, listener);
    for (const address of Object.values(addresses)) URL.revokeObjectURL(address);
    around.leave();
    inside.forget();
    root.remove();
  };
}

export default { render };
