/* What stands around the skeleton: people and one's own photo, motions, poses out of files, saving.

skeleton.js lists what the model holds. Of this each part is shown where the model has what it needs. */
import { brought, fitted, readPose, writePose } from "./geometry.mjs";

/* An element with attributes and children; `tag` of SVG where the namespace says so. */
export function element(tag, attributes = {}, children = [], namespace = null) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// JupyterLab's own keys (X cuts a cell) stay out of whatever has the focus and this attribute; a parent's doesn't count.
export const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

const LARGEST = 6_000_000; // bytes of a file that goes as it is: a message to a notebook's kernel has at most 10 million
const LONGEST_SIDE = 2048; // in pixels, of a photo that had to be made smaller
const NO_TORSO = "has no hip and shoulder of one side, by which a pose is brought to a person's size";

const FORMS = [
  ["points", "Pose", "Save the pose as a list of 18 [x, y], null for a missing joint"],
  ["openpose", "OpenPose", "Save the pose as OpenPose writes it for one person (18 joints)"],
  ["coco", "COCO-17", "Save the pose as a COCO annotation (17 key points, without the neck)"],
];

function save(bytes, type, name) {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/* A file's bytes; a photo too large for one message comes as a smaller JPEG. */
async function bytesOf(file) {
  if (file.size <= LARGEST) return file.arrayBuffer();
  const photo = await createImageBitmap(file).catch(() => {
    const fault = `${file.name} is larger than ${LARGEST / 1e6} MB, and this browser cannot make it smaller.`;
    throw new Error(`${fault} Save it as JPEG, or smaller.`);
  });
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(photo.width, photo.height));
  const [width, height] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(photo, 0, 0, width, height);
  return (await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95))).arrayBuffer();
}

/* `become` takes a pose, `play` the key poses of a motion, `stop` ends it; `root` is the studio's element. What is
returned: elements above and below the skeleton, listeners to the model, and what is to be done when the view goes. */
export function surroundings({ model, root, become, play, stop }) {
  const grants = model.get("grants") ?? [];
  const leaving = new AbortController();
  const addresses = [];
  const button = (text, title, attributes, act) => {
    const node = element("button", { type: "button", title, ...attributes, ...OWN_KEYS }, [text]);
    node.addEventListener("click", act);
    return node;
  };

  // What there is to tell

  const invitation = grants.includes("photo")
    ? "Choose a person, or drop a photo of your own here, or a pose that was saved."
    : "";
  const told = element("p", { class: "told", role: "status" }, [invitation]);
  function tell(text, fault = false) {
    told.textContent = text;
    told.classList.toggle("fault", fault);
  }

  let mine = null; // the wish that was made last, by its number
  function wish(kind, ...values) {
    mine = Math.random();
    model.set("wish", [mine, kind, ...values]);
    model.save_changes();
  }

  function hear() {
    const [number, text, fault, file] = model.get("reply") ?? [];
    if (number !== mine) return; // of an older wish, or of another view of the same model
    if (text) tell(text, fault);
    if (file) save(file[2], file[1], file[0]);
  }

  // Files: photos and poses

  async function takePhoto(file) {
    tell(`Looking for people in ${file.name}…`);
    try {
      wish("photo", await bytesOf(file), file.name);
    } catch (error) {
      tell(error.message, true);
    }
  }

  async function takePose(file) {
    try {
      const found = readPose(JSON.parse((await file.text()).replace(/^\ufeff/, "")));
      const pose = brought(found, model.get("start"), model.get("size"));
      if (!pose) throw new Error(`it lies beside the picture, and it or the person ${NO_TORSO}`);
      become(pose);
      tell(`The pose of ${file.name}${pose === found ? "" : ", brought to the person's size and place"}.`);
    } catch (error) {
      const what = error instanceof SyntaxError ? "it is not JSON" : error.message;
      const forms = "A pose is a list of 18 [x, y], OpenPose's JSON of one person, or a COCO annotation.";
      tell(`${file.name}: ${what}. ${forms}`, true);
    }
  }

  function take(file) {
    if (/\.json$/i.test(file.name) || file.type === "application/json") return takePose(file);
    if (grants.includes("photo")) return takePhoto(file);
    tell(`${file.name} is not a pose: a JSON file is one.`, true);
  }

  /* A label that opens a file. */
  function chooser(text, title, accept) {
    const input = element("input", { type: "file", accept, title, ...OWN_KEYS });
    input.addEventListener("change", () => {
      if (input.files[0]) take(input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
    return element("label", { class: "chooser", title }, [text, input]);
  }

  const zone = root.closest("[data-drop-zone]") ?? root; // files may be dropped here, and elsewhere go elsewhere
  const over = (on) => (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    if (on || !zone.contains(event.relatedTarget)) root.classList.toggle("over", on);
  };
  for (const [name, on] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]])
    zone.addEventListener(name, over(on), { signal: leaving.signal });
  zone.addEventListener("drop", (event) => {
    root.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  }, { signal: leaving.signal });

  // People

  const strip = element("div", { class: "strip people", role: "group", "aria-label": "People" });
  const photo = chooser("Your photo…", "A photo of yours; it can be dropped here, too", "image/*,.heic,.heif");
  function listPeople() {
    for (const address of addresses.splice(0)) URL.revokeObjectURL(address);
    const people = (model.get("people") ?? []).map(([name, png], number) => {
      const address = URL.createObjectURL(new Blob([png], { type: "image/png" }));
      addresses.push(address);
      const image = element("img", { src: address, alt: "", draggable: "false" });
      const label = { "aria-label": `Person ${number + 1}: ${name}`, "data-person": number };
      return button(image, name, label, () => {
        stop();
        tell(invitation);
        wish("person", number);
      });
    });
    strip.replaceChildren(...(grants.includes("photo") ? [photo] : []), ...people);
    strip.hidden = !strip.childElementCount;
    press();
  }
  function press() {
    for (const person of strip.querySelectorAll("button"))
      person.setAttribute("aria-pressed", String(Number(person.dataset.person) === model.get("person")));
  }

  // Motions

  const motions = element("div", { class: "row", role: "group", "aria-label": "Motions" });
  function listMotions() {
    const offered = model.get("motions") ?? [];
    motions.replaceChildren(element("span", {}, ["Motions"]), ...offered.map(([name, poses]) =>
      button(name, `Play: ${name}`, { "data-motion": name }, () => {
        const keys = model.get("fit") ? fitted(poses, model.get("start")) : poses;
        if (keys) play(keys);
        else tell(`This person's pose ${NO_TORSO}: no motion can be played.`, true);
      }),
    ));
    motions.hidden = !offered.length;
  }

  // Saving, and a pose out of a file

  const saving = element("div", { class: "row", role: "group", "aria-label": "Save and open" }, [
    element("span", {}, ["Save"]),
    button("Picture", "Save the picture as PNG", { "data-save": "picture" }, () =>
      save(model.get("picture"), "image/png", "picture.png"),
    ),
    ...FORMS.map(([form, text, title]) =>
      button(text, title, { "data-save": form }, () => {
        const name = form === "points" ? "pose.json" : `pose_${form}.json`;
        save(JSON.stringify(writePose(model.get("pose"), form)), "application/json", name);
      }),
    ),
    ...(grants.includes("clip") ? [button("Motion", "Save the motion as GIF", { "data-save": "clip" }, saveClip)] : []),
    element("span", { class: "apart" }, ["Open"]),
    chooser("Pose…", "A pose out of a file, ours, OpenPose's or COCO's; it can be dropped here, too", ".json"),
  ]);

  function saveClip() {
    if ((model.get("motion") ?? []).length < 2)
      return tell("Choose a motion, or add two key poses or more: they are what is saved.", true);
    tell("Making the pictures…");
    wish("clip");
  }

  listPeople();
  listMotions();
  return {
    above: [strip, told],
    motions,
    saving,
    grants,
    tell,
    wish,
    listeners: {
      "change:people": listPeople, "change:person": press, "change:motions": listMotions, "change:reply": hear,
    },
    leave() {
      leaving.abort();
      for (const address of addresses) URL.revokeObjectURL(address);
    },
  };
}
