/* What the view talks to where no notebook gives it a model: values by name, and who listens to their changes.

A page's own model extends it by `save_changes`, which answers what was set. */
export class State {
  constructor(values) {
    Object.assign(this, { state: values, listeners: {} });
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
}
