/* The page around the view: it starts the networks and answers what the view asks and wishes for. */
import { render } from "../skeleton.js";
import {
  between, coloursOf, cropToModel, extent, fitted, fromMoveNet, heatmaps, limbWarps, lookInside, samePerson, squareRound,
  squaresOf, template,
} from "../geometry.mjs";
import { State } from "../model.mjs";

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

async function shipped({ name, picture, pose }) {
  const png = fromBase64(picture);
  const [, context] = canvas(WIDTH, HEIGHT);
  context.drawImage(await createImageBitmap(new Blob([png], { type: "image/png" }), { colorSpaceConversion: "none" }), 0, 0);
  return new Person(name, png, planes(context, WIDTH, HEIGHT), pose);
}

/* What Python tells in its hosts, too, with the values that it names. */
const reply = (kind, values) => settings.replies[kind].replace(/\{(\w+)\}/g, (_, name) => values[name]);

/* What the view talks to. */
class Model extends State {
  constructor(people) {
    const { png, pose } = people[0];
    super({
      pose, start: pose, source: png, picture: null, fault: "", asked: 1, answered: 0, joint: "Rwri", size: settings.size, scale: 4.4,
      poses: settings.poses, motions: settings.motions, fit: true, motion: [], steps: 6,
      person: 0, placing: false, grants: ["person", "photo", "place", "clip"], wish: [], reply: [], wants_inside: false, inside: [],
    });
    Object.assign(this, { people, shown: people[0], ofPhoto: 0, busy: false });
    this.list();
  }

  list() {
    this.set("people", this.people.map(({ name, png }) => [name, png]));
  }

  /* Somebody takes the place of the present one, and so does the motion, brought to their size. */
  show(number, placing = false) {
    const { png, pose } = (this.shown = this.people[number]);
    const values = { source: png, asked: this.state.asked + 1, pose, start: pose, person: number, placing };
    const keys = this.state.motion.length && fitted(this.state.motion, pose);
    for (const [name, value] of Object.entries({ ...values, ...(keys && { motion: keys }) })) this.set(name, value);
    this.save_changes();
  }

  save_changes() {
    this.answer();
    const [number, kind, ...values] = this.state.wish;
    this.state.wish = [];
    if (kind) this.grant(number, kind, values);
  }

  /* One picture after the other, until that of the newest pose is there, and what is seen inside if that is wanted. */
  async answer() {
    const { state } = this;
    if (!state.wants_inside && state.inside.length) this.set("inside", []);
    if (this.busy) return;
    this.busy = true;
    while (state.asked !== state.answered || (state.wants_inside && !state.inside.length)) {
      const { asked, pose, wants_inside } = state, { shown } = this;
      try {
        const inside = wants_inside ? await shown.insideInPose(pose) : [];
        const picture = wants_inside ? new Map(inside).get("full size") : await shown.pngInPose(pose);
        if (shown === this.shown) this.set("picture", picture);
        this.set("inside", state.wants_inside ? inside : []);
        this.set("fault", "");
      } catch (error) {
        this.set("fault", String(error.message ?? error));
        this.set("wants_inside", false);
      }
      this.set("answered", asked);
    }
    this.busy = false;
  }

  async grant(number, kind, values) {
    this.newest = number;
    const tell = (text, fault = false, file = null) => this.set("reply", [number, text, fault, file]);
    try {
      await this[kind](tell, ...values);
    } catch (error) {
      tell(String(error.message ?? error), true);
    }
  }

  person(tell, number) {
    this.show(number);
  }

  place(tell, pose) {
    const { name, png, image } = this.shown, number = this.state.person;
    this.people[number] = new Person(name, png, image[0], pose);
    this.show(number);
    tell(reply("placed"));
  }

  async photo(tell, bytes, name) {
    const { newest } = this;
    await later();
    const photo = await readPhoto(bytes, name);
    const found = await findPeople(photo, (share) => tell(`Looking for people in ${name}: ${Math.round(100 * share)} %`));
    if (newest !== this.newest) return; // somebody else was chosen meanwhile
    const parts = found.length ? found.map((pose) => cutOut(photo, pose)) : [wholePhoto(photo)];
    const people = parts.map((part, i) => new Person(`${name}, ${i + 1} of ${parts.length}`, ...part));
    this.people.splice(0, this.ofPhoto, ...people);
    this.ofPhoto = people.length;
    this.list();
    this.show(0, !found.length);
    const kind = ["nobody", "one", "several"][Math.min(found.length, 2)];
    tell(reply(kind, { name, count: found.length, joints: people[0].pose.filter(Boolean).length }));
  }

  async clip(tell) {
    const { motion, steps } = this.state, person = this.shown;
    const encoder = gifenc.GIFEncoder(), poses = between(motion, steps, true);
    for (const [number, pose] of poses.entries()) {
      tell(`Making picture ${number + 1} of ${poses.length}…`);
      const colours = await person.inPose(pose), palette = gifenc.quantize(colours, 256);
      const numbers = enlarged(gifenc.applyPalette(colours, palette));
      encoder.writeFrame(numbers, ENLARGED * WIDTH, ENLARGED * HEIGHT, { palette, delay: FRAME });
    }
    encoder.finish();
    tell(reply("saved"), false, ["motion.gif", "image/gif", encoder.bytes()]);
  }
}

// Saving

const ENLARGED = 3, FRAME = 125; // a GIF's pixels for one of the picture's, and milliseconds for each pose

/* Pixels' numbers, each repeated across and down. */
function enlarged(numbers) {
  const width = ENLARGED * WIDTH;
  return Uint8Array.from({ length: width * ENLARGED * HEIGHT }, (_, at) => {
    const row = Math.floor(Math.floor(at / width) / ENLARGED), column = Math.floor((at % width) / ENLARGED);
    return numbers[row * WIDTH + column];
  });
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

const isHEIC = (bytes) => /^ftyp(he|mif1|msf1)/.test(String.fromCharCode(...new Uint8Array(bytes).subarray(4, 12)));

async function readPhoto(bytes, name) {
  try {
    const photo = await createImageBitmap(new Blob([bytes]));
    const shrink = LONGEST / Math.max(photo.width, photo.height);
    if (shrink >= 1) return photo;
    const [resizeWidth, resizeHeight] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * shrink)));
    return await createImageBitmap(photo, { resizeWidth, resizeHeight, resizeQuality: "high" });
  } catch {
    const what = isHEIC(bytes) ? "HEIC, as iPhones write it" : "it as a picture";
    throw new Error(`${name}: this browser cannot read ${what}. Save it as JPEG, PNG or WebP, which work everywhere.`);
  }
}

/* What MoveNet sees in a square of a picture: the pose in the picture's pixels, and how certain it is (its six best scores). */
async function look(picture, { left, top, side }) {
  const size = settings.square, scale = size / side;
  const [, context] = canvas(size, size);
  context.fillStyle = "#000";
  context.fillRect(0, 0, size, size);
  context.drawImage(picture, -left * scale, -top * scale, picture.width * scale, picture.height * scale);
  const joints = await engine("run", "finder", { square: [planes(context, size, size), [1, 3, size, size]] });
  const decoded = Array.from({ length: 17 }, (_, i) => [...joints.subarray(3 * i, 3 * i + 3)]);
  const best = decoded.map(([, , score]) => score).sort((a, b) => b - a).slice(0, 6);
  const pose = fromMoveNet(decoded, { left, top, side }, settings.leastScore);
  return { pose, certainty: best.reduce((sum, score) => sum + score, 0) / best.length };
}

/* Poses of the people in a photo, the largest and most certain first. Each square shows the person nearest to its middle,
who is looked at closer as long as that makes it more certain. */
async function findPeople(photo, progress) {
  const { width, height } = photo, people = [];
  const squares = squaresOf(height, width, settings.margin);
  for (const [number, square] of squares.entries()) {
    progress(number / squares.length);
    let person = await look(photo, square);
    for (let looks = 1; looks < settings.mostLooks && person.certainty >= settings.certain / 2 && person.pose.some(Boolean); looks++) {
      const closer = await look(photo, squareRound(person.pose, height, width, settings.margin));
      if (closer.certainty <= person.certainty) break;
      person = closer;
    }
    const there = person.certainty >= settings.certain && extent(person.pose) >= settings.leastExtent * Math.max(width, height);
    if (!there || !cropToModel(person.pose, settings.size, settings.trained)) continue;
    const known = people.findIndex((other) => samePerson(other.pose, person.pose));
    if (known < 0) people.push(person);
    else if (people[known].certainty < person.certainty) people[known] = person;
  }
  const weight = ({ pose, certainty }) => certainty * extent(pose);
  return people.sort((a, b) => weight(b) - weight(a)).map(({ pose }) => pose);
}

/* A part of a photo as a person needs it: the bytes of a PNG file, its values, and the pose. */
function part(photo, crop, pose) {
  const [element, context] = cut(photo, crop, WIDTH, HEIGHT);
  return [asPNG(element), planes(context, WIDTH, HEIGHT), pose];
}

function cutOut(photo, pose) {
  const cropped = cropToModel(pose, settings.size, settings.trained);
  return part(photo, cropped.crop, cropped.pose);
}

/* The whole photo, with a skeleton in its middle to be put where the body is. */
function wholePhoto(photo) {
  const height = Math.max(photo.height, (photo.width * HEIGHT) / WIDTH), width = (height * WIDTH) / HEIGHT;
  return part(photo, { left: (photo.width - width) / 2, top: (photo.height - height) / 2, width, height }, template(HEIGHT, WIDTH));
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
  const model = new Model(await Promise.all(settings.people.map(shipped)));
  await model.answer();
  if (model.get("fault")) throw new Error(model.get("fault"));
  document.getElementById("all").hidden = false;
  render({ model, el: document.getElementById("studio") });
  document.getElementById("start").remove();
} catch (error) {
  document.getElementById("all").hidden = true;
  await stage(`This browser could not start it: ${error.message ?? error}. A current Firefox, Chrome, Edge or Safari can.`, 0);
  throw error;
}
