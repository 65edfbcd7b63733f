// A model for the view without Python, as a static page can have one: an answer is there after `delay` milliseconds.
// The picture is a PNG whose bytes end with the pose that it was made for.
import { State } from "../../sdgan_lib/studio/model.mjs";

export class Model extends State {
  constructor(state, delay) {
    super(state);
    Object.assign(this, { delay, requests: [], wishes: [], answering: 0, most: 0 });
  }

  save_changes() {
    const { asked, pose, wish } = this.state;
    if (wish?.length) this.wishes.push(wish);
    this.state.wish = [];
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
