// A model for the view without Python, as a static page can have one: an answer is there after `delay` milliseconds.
// The picture is a PNG whose bytes end with the pose that it was made for.
export class Model {
  constructor(state, delay) {
    Object.assign(this, { state, delay, listeners: {}, requests: [], answering: 0, most: 0 });
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

  save_changes() {
    const { asked, pose } = this.state;
    if (asked === this.state.answered || this.requests.at(-1)?.asked === asked) return;
    this.requests.push({ asked, pose: JSON.parse(JSON.stringify(pose)) });
    this.most = Math.max(this.most, ++this.answering);
    setTimeout(() => {
      this.answering--;
      this.set("picture", new TextEncoder().encode(JSON.stringify(pose)));
      this.set("answered", asked);
    }, this.delay);
  }
}
