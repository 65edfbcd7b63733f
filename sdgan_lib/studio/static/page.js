/* The page around the view: it starts the networks, answers poses with pictures, and offers people, photos and motions.

skeleton.js talks to a model with get, set, on, off and save_changes; here the model draws the picture itself. */
import { render } from "../skeleton.js";
import { between, cropAround, fitted, fromMoveNet, heatmaps, intoCrop, limbWarps, outOfCrop, squareAround, template } from "../geometry.mjs";
import { coloursOf, lookInside } from "../geometry.mjs";

const settings = JSON.parse(document.getElementById("settings").textContent);
const [HEIGHT, WIDTH] = settings.size;
const COUNT = HEIGHT * WIDTH;
const LONGEST = 2048; // of a photo's sides, in pixels, beyond which it is made smaller first

// What is embedded

const later = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))); // after the next paint

const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function embedded(name) {
  const elements = [...document.querySelectorAll(`[data-part="${name}"]`)];
  const bytes = fromBase64(elements.map((element) => element.textContent).join(""));
  for (const element of elements) element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function loadGraph(name) {
  const model = await embedded(`${name}-0`), halves = await embedded(`${name}-1`);
  const weights = new Uint8Array(halves.length), half = halves.length / 2;
  for (let i = 0; i < half; i++) {
    weights[2 * i] = halves[i];
    weights[2 * i + 1] = halves[half + i];
  }
  await engine("load", name, model, weights);
  return weights;
}

/* The networks' engine: a function of the name of a call and its values. In a worker made of the page's own text, so that
the skeleton moves while a picture is computed; without workers in the page itself. */
async function startEngine() {
  const code = document.getElementById("engine").textContent;
  try {
    return await inWorker(code);
  } catch {
    document.head.append(Object.assign(document.createElement("script"), { textContent: code }));
    return async (call, ...values) => {
      await later(); // the skeleton is painted before the page stands still
      return globalThis.engine[call](...values);
    };
  }
}

function inWorker(code) {
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(address);
  const waiting = new Map();
  let last = 0;
  const call = (name, ...values) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, call: name, values });
    });
  return new Promise((resolve, reject) => {
    worker.onerror = reject;
    worker.onmessage = ({ data: { id, result, fault } }) => {
      if (id === 0) return resolve(call);
      const { resolve: done, reject: failed } = waiting.get(id);
      waiting.delete(id);
      if (fault === undefined) done(result);
      else failed(new Error(fault));
    };
  }).finally(() => URL.revokeObjectURL(address));
}

const stage = (text, share) => {
  document.getElementById("stage").textContent = text;
  document.getElementById("bar").value = share;
  return later();
};

// Pictures

function canvas(width, height) {
  const element = document.createElement("canvas");
  Object.assign(element, { width, height });
  const context = element.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  return [element, context];
}

/* Not by toBlob, which waits for the browser to be idle: a second while a joint is dragged. */
const asPNG = (element) => fromBase64(element.toDataURL("image/png").split(",")[1]);

/* Colours as planes in [-1, 1]: Float32Array [3, height, width]. */
function planes(context, width, height) {
  const { data } = context.getImageData(0, 0, width, height);
  const count = width * height, values = new Float32Array(3 * count);
  for (let at = 0; at < count; at++)
    for (let colour = 0; colour < 3; colour++) values[colour * count + at] = data[4 * at + colour] / 127.5 - 1;
  return values;
}

/* Colours as the bytes of a PNG file. */
function pngOf({ colours, height, width }) {
  const [element, context] = canvas(width, height);
  context.putImageData(new ImageData(colours, width, height), 0, 0);
  return asPNG(element);
}

// The generator

const JOINT_MAPS = [1, 18, HEIGHT, WIDTH];

class Person {
  constructor(name, png, image, pose) {
    Object.assign(this, { name, png, pose });
    this.image = [image, [1, 3, HEIGHT, WIDTH]];
    this.heatmaps = [heatmaps(pose, HEIGHT, WIDTH), JOINT_MAPS];
  }

  /* What the generator is given for another pose: the graph's inputs, and the warps among them. */
  given(pose) {
    const warps = limbWarps(this.pose, pose, HEIGHT, WIDTH, settings.background);
    const inputs = {
      source_image: this.image,
      source_heatmaps: this.heatmaps,
      target_heatmaps: [heatmaps(pose, HEIGHT, WIDTH), JOINT_MAPS],
      maps: [Float32Array.from(warps.maps.flat(2)), [1, 11, 2, 3]],
      masks: [warps.masks, [1, 11, HEIGHT, WIDTH]],
    };
    return { inputs, warps };
  }

  /* The person in another pose: the picture's colours. */
  async inPose(pose) {
    return coloursOf(await engine("run", "generator", this.given(pose).inputs), COUNT);
  }

  /* The same as the bytes of a PNG file. */
  async pngInPose(pose) {
    return pngOf({ colours: await this.inPose(pose), height: HEIGHT, width: WIDTH });
  }

  /* The same picture among all that is seen inside the network, [label, bytes of a PNG file] each. */
  async insideInPose(pose) {
    await startInside();
    const { inputs, warps } = this.given(pose);
    const made = await engine("outputs", "inside", inputs);
    const given = { image: this.image[0], heatmaps: inputs.target_heatmaps[0], warps };
    return lookInside(given, made).map(([label, seen]) => [label, pngOf(seen)]);
  }
}

let generatorWeights, insideStarted = null;

/* The generator's graph with all outputs, once: the same weights a second time in memory, for those who look inside. */
function startInside() {
  return (insideStarted ??= embedded("inside-0").then((graph) => engine("load", "inside", graph, generatorWeights)));
}

/* What the view talks to. */
class Model {
  constructor(person, state) {
    Object.assign(this, { person, state, listeners: {}, busy: false });
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    this.state[name] = value;
    for (const listener of this.listeners[`change:${name}`] ?? []) listener();
  }

  on(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }

  off(name, listener) {
    this.listeners[name] = this.listeners[name].filter((other) => other !== listener);
  }

  /* A pose that does not come from the view. */
  become(pose) {
    this.set("asked", this.state.asked + 1); // first, so that the view knows that it waits
    this.set("pose", pose);
    this.save_changes();
  }

  save_changes() {
    const { asked, answered, wants_inside, inside } = this.state;
    if (!wants_inside && inside.length) this.set("inside", []);
    if ((asked !== answered || (wants_inside && !inside.length)) && !this.busy) this.answer();
  }

  async answer() {
    this.busy = true;
    const { asked, pose, wants_inside } = this.state;
    try {
      const inside = wants_inside ? await this.person.insideInPose(pose) : [];
      this.set("picture", wants_inside ? new Map(inside).get("full size") : await this.person.pngInPose(pose));
      this.set("inside", inside);
      this.set("fault", "");
    } catch (error) {
      this.set("fault", String(error.message ?? error));
    }
    this.busy = false;
    this.set("answered", asked);
    if (this.state.wants_inside !== wants_inside) this.save_changes();
  }
}

// The studio for one person

let leave = null, model = null;

/* Poses to start from, brought to the person's size and place. */
function startPoses(person) {
  const { walk, run, raise_arms: raised, turn } = settings.sequences;
  const chosen = [["Walk", walk, 0], ["Run", run, 3], ["Arms up", raised, 6], ["Front", turn, 0], ["Side", turn, 3], ["Back", turn, 6]];
  const poses = chosen.map(([name, poses, number]) => [name, fitted(poses, person.pose)?.[number]]);
  for (const [number, other] of settings.people.entries()) poses.push([`As ${number + 1}`, fitted([other.pose], person.pose)?.[0]]);
  return poses.filter(([, pose]) => pose);
}

async function show(person, state = {}) {
  leave?.();
  const picture = await person.pngInPose(person.pose);
  model = new Model(person, {
    pose: person.pose, start: person.pose, source: person.png, picture,
    poses: startPoses(person), motion: [], steps: 1, joint: "Rwri", size: settings.size,
    scale: 4.4, asked: 0, answered: 0, fault: "", wants_inside: model?.state.wants_inside ?? false, inside: [], ...state,
  });
  leave = render({ model, el: document.getElementById("studio") });
  model.save_changes(); // for those who look inside
}

const INVITATION = "Choose a person, or drop a photo of your own, or a pose that you saved, on this page.";
const told = document.getElementById("told");
function tell(text, fault = false) {
  told.textContent = text;
  told.classList.toggle("fault", fault);
}

// People

async function shipped({ name, picture, pose }) {
  const png = fromBase64(picture);
  const [, context] = canvas(WIDTH, HEIGHT);
  context.drawImage(await createImageBitmap(new Blob([png], { type: "image/png" }), { colorSpaceConversion: "none" }), 0, 0);
  return new Person(name, png, planes(context, WIDTH, HEIGHT), pose);
}

const strip = document.getElementById("people");

function press(chosen) {
  for (const button of strip.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === chosen));
  strip.querySelector("label").classList.toggle("chosen", chosen === null);
}

function offerPeople() {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: "image/*,.json", id: "photo" });
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  const label = document.createElement("label");
  label.append("Your photo…", input);
  strip.append(label);
  settings.people.forEach((entry, number) => {
    const button = document.createElement("button"), image = document.createElement("img");
    Object.assign(image, { src: `data:image/png;base64,${entry.picture}`, alt: "" });
    Object.assign(button, { type: "button", title: entry.name });
    button.setAttribute("aria-label", `Person ${number + 1}`);
    button.append(image);
    button.addEventListener("click", async () => {
      press(button);
      tell(INVITATION);
      await show(await shipped(entry));
    });
    strip.append(button);
  });
}

// Motions

const MOTIONS = { walk: "Walk", run: "Run", raise_arms: "Raise the arms", turn: "Turn round" };

function offerMotions() {
  for (const [name, poses] of Object.entries(settings.sequences)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: MOTIONS[name] ?? name });
    button.dataset.motion = name;
    button.addEventListener("click", () => {
      const found = fitted(poses, model.person.pose);
      if (!found) return tell("This pose has no hip and shoulder of one side: a motion cannot be brought to its size.", true);
      model.set("motion", found);
      const play = document.querySelector('#studio [data-tool="play"]');
      if (document.querySelector("#studio .playing")) play.click();
      play.click();
    });
    document.getElementById("motions").append(button);
  }
}

// Saving

const ENLARGED = 3, FRAME = 125; // a GIF's pixels for one of the picture's, and milliseconds for each pose

function save(bytes, type, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([bytes], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/* Pixels' numbers, each repeated across and down. */
function enlarged(numbers) {
  const width = ENLARGED * WIDTH;
  return Uint8Array.from({ length: width * ENLARGED * HEIGHT }, (_, at) => {
    const row = Math.floor(Math.floor(at / width) / ENLARGED), column = Math.floor((at % width) / ENLARGED);
    return numbers[row * WIDTH + column];
  });
}

async function saveMotion() {
  const { person } = model, keys = model.get("motion");
  if (keys.length < 2) return tell("Choose a motion, or add two key poses or more: they are what is saved.", true);
  const encoder = gifenc.GIFEncoder(), poses = between(keys, model.get("steps"), true);
  for (const [number, pose] of poses.entries()) {
    tell(`Making picture ${number + 1} of ${poses.length}…`);
    const colours = await person.inPose(pose), palette = gifenc.quantize(colours, 256);
    const numbers = enlarged(gifenc.applyPalette(colours, palette));
    encoder.writeFrame(numbers, ENLARGED * WIDTH, ENLARGED * HEIGHT, { palette, delay: FRAME });
  }
  encoder.finish();
  save(encoder.bytes(), "image/gif", "motion.gif");
  tell(`Saved ${poses.length} pictures as motion.gif.`);
}

function offerSaving() {
  document.getElementById("save-picture").addEventListener("click", () => save(model.get("picture"), "image/png", "picture.png"));
  document.getElementById("save-pose").addEventListener("click", () => save(JSON.stringify(model.get("pose")), "application/json", "pose.json"));
  document.getElementById("save-motion").addEventListener("click", saveMotion);
}

// One's own photo

/* The part of a picture at `box`, as a canvas; beyond the picture its edge is repeated. */
function cut(picture, box, width, height) {
  const [element, context] = canvas(width, height);
  const across = width / box.width, down = height / box.height;
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, -box.left * across, -box.top * down, picture.width * across, picture.height * down);
  const clamp = (value, most) => Math.min(Math.max(Math.round(value), 0), most);
  const left = clamp(Math.ceil(-box.left * across), width - 1), right = clamp(Math.floor((picture.width - box.left) * across), width);
  const top = clamp(Math.ceil(-box.top * down), height - 1), bottom = clamp(Math.floor((picture.height - box.top) * down), height);
  context.imageSmoothingEnabled = false;
  if (left > 0) context.drawImage(element, left, 0, 1, height, 0, 0, left, height);
  if (right < width) context.drawImage(element, right - 1, 0, 1, height, right, 0, width - right, height);
  if (top > 0) context.drawImage(element, 0, top, width, 1, 0, 0, width, top);
  if (bottom < height) context.drawImage(element, 0, bottom - 1, width, 1, 0, bottom, width, height - bottom);
  return [element, context];
}

/* The pose in a picture, in its pixels. */
async function findPose(picture) {
  const { width, height } = picture, size = settings.square;
  const { side, left, top } = squareAround(height, width, settings.margin);
  const [, context] = canvas(size, size);
  context.fillStyle = "#000";
  context.fillRect(0, 0, size, size);
  const scale = size / side;
  context.drawImage(picture, left * scale, top * scale, width * scale, height * scale);
  const joints = await engine("run", "finder", { square: [planes(context, size, size), [1, 3, size, size]] });
  const decoded = Array.from({ length: 17 }, (_, i) => [...joints.subarray(3 * i, 3 * i + 3)]);
  return fromMoveNet(decoded, height, width, settings.margin, settings.leastScore);
}

/* A pose as `generate --target` reads it: 18 times [x, y] in pixels, null for a missing joint. */
async function takePose(file) {
  let pose = null;
  try {
    pose = JSON.parse(await file.text());
  } catch {} // told below
  const joint = (point) => point === null || (point?.length === 2 && point.every(Number.isFinite) && inside(point));
  if (pose?.length !== model.state.pose.length || !pose.every(joint))
    return tell(`A pose is a list of 18 places [x, y] inside ${WIDTH} × ${HEIGHT} pixels, null for a missing joint.`, true);
  model.become(pose);
  tell(`The pose of ${file.name}.`);
}

const take = (file) => (file.name.endsWith(".json") ? takePose(file) : takePhoto(file));

async function takePhoto(file) {
  tell("Looking for the person…");
  await later();
  let photo;
  try {
    photo = await createImageBitmap(file);
    const shrink = LONGEST / Math.max(photo.width, photo.height);
    if (shrink < 1)
      photo = await createImageBitmap(photo, {
        resizeWidth: Math.max(1, Math.round(photo.width * shrink)), resizeHeight: Math.max(1, Math.round(photo.height * shrink)), resizeQuality: "high",
      });
  } catch {
    return tell("This browser cannot read the file as a picture. JPEG, PNG and WebP work everywhere.", true);
  }
  let pose = await findPose(photo), crop = cropAround(pose, WIDTH / HEIGHT);
  if (crop) { // a second look, at the person alone
    const closer = Math.min(4, Math.max(1, crop.height / 256)), size = [Math.round(128 * closer), Math.round(256 * closer)];
    const found = await findPose(cut(photo, crop, ...size)[0]);
    if (cropAround(found, WIDTH / HEIGHT)) {
      pose = outOfCrop(found, crop, [size[1], size[0]]);
      crop = cropAround(pose, WIDTH / HEIGHT);
    }
  }
  const seen = Boolean(crop);
  if (!seen) {
    const height = Math.max(photo.height, photo.width / (WIDTH / HEIGHT)), width = height * (WIDTH / HEIGHT);
    crop = { left: (photo.width - width) / 2, top: (photo.height - height) / 2, width, height };
  }
  const [element, context] = cut(photo, crop, WIDTH, HEIGHT);
  const joints = seen ? intoCrop(pose, crop, settings.size).map((point) => (point && inside(point) ? point : null)) : template(HEIGHT, WIDTH);
  press(null);
  await show(new Person(file.name, asPNG(element), planes(context, WIDTH, HEIGHT), joints));
  const count = joints.filter(Boolean).length;
  if (seen) tell(`Found ${count} of 18 joints. The network was trained on drawn people: a photograph is hard for it.`);
  else tell("No person was found. The skeleton stands in the middle; choose a photo that shows the whole body.", true);
}

const inside = ([x, y]) => x >= 0 && y >= 0 && x <= WIDTH - 1 && y <= HEIGHT - 1;

function takeDrops() {
  const over = (on) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", on);
  };
  addEventListener("dragover", over(true));
  addEventListener("dragleave", over(false));
  addEventListener("drop", (event) => {
    over(false)(event);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  });
}

// Start

let engine;
try {
  await stage("Unpacking the runtime", 0.82);
  engine = await startEngine();
  await engine("start", await embedded("wasm-0"));
  await stage("Starting the generator", 0.88);
  generatorWeights = await loadGraph("generator");
  await stage("Starting the pose finder", 0.95);
  await loadGraph("finder");
  await stage("Making the first picture", 0.98);
  offerPeople();
  offerMotions();
  offerSaving();
  tell(INVITATION);
  takeDrops();
  press(strip.querySelector("button"));
  document.getElementById("all").hidden = false;
  await show(await shipped(settings.people[0]));
  document.getElementById("start").remove();
} catch (error) {
  document.getElementById("all").hidden = true;
  await stage(`This browser could not start it: ${error.message ?? error}. A current Firefox, Chrome, Edge or Safari can.`, 0);
  throw error;
}
