// Questions and answers beside the picture: answers as they stream, objects named in them as buttons that show them.
import { button, icon, make } from "./dom.js";

/** @typedef {import("./types.js").QuestionMessage} Question */
/** @typedef {import("./types.js").AnswerBody} Answer */
/** @typedef {import("./types.js").AskedQuestion} AskedQuestion */
/** @typedef {import("./types.js").AgentEvent} AgentEvent */

/**
 * @typedef {object} ConversationActions
 * @property {(text: string, trackIds: number[], follows: string | null) => Promise<boolean>} ask say free words; whether they were taken
 * @property {(questionId: string) => void} stop
 * @property {(id: number | null) => void} mark
 * @property {(id: number) => void} select
 * @property {(id: number) => string} name
 * @property {(words: string) => void} say
 */

const MOST_TURNS = 60;
const REFERENCE = /\[#(\d{1,9})\]/g;
/** A follow-up goes on from what was said at most this long ago. */
const TOGETHER_MS = 180_000;

/** @param {number} ms */
export const seconds = (ms) => (ms < 950 ? `${Math.round(ms / 10) / 100} s` : `${Math.round(ms / 100) / 10} s`);

/** One question with its answer as far as it has come. */
class Turn {
  /**
   * @param {Question} question
   * @param {ConversationActions} actions
   * @param {(turn: Turn) => void} again
   */
  constructor(question, actions, again) {
    this.question = question;
    this.actions = actions;
    this.again = again;
    this.text = "";
    this.next = 0;
    this.done = false;
    this.at = performance.now();
    const about = question.track_ids.map((id) => make("span", "about", actions.name(id)));
    this.said = make("p", "said");
    this.foot = make("p", "foot");
    this.foot.append(make("span", "thinking", "looking"));
    this.element = make("li", "turn", make("p", "asked", ...about, question.text), this.said, this.foot);
    this.element.dataset.state = "open";
  }

  /** @param {{n: number, text: string}} delta */
  add({ n, text }) {
    if (this.done || n < this.next) return;
    this.next = n + 1;
    this.text += text;
    this.#write();
  }

  /** @param {Answer} answer */
  end(answer) {
    this.done = true;
    this.text = answer.text;
    this.element.dataset.state = answer.state;
    this.#write();
    const facts = [answer.backend, `first word ${seconds(answer.ttft_ms)}`, `all ${seconds(answer.total_ms)}`];
    facts.push(`picture ${seconds(Math.max(0, answer.frame_age_ms))} old`);
    this.foot.replaceChildren(answer.state === "stopped" ? "stopped" : facts.join(" · "));
    if (answer.error) this.#explain(answer.error);
  }

  /** @param {NonNullable<Answer["error"]>} error */
  #explain(error) {
    const words = make("span", "fault", `${error.message} ${error.action}`);
    this.foot.replaceChildren(words);
    if (error.retryable) this.foot.append(button("Ask again", () => this.again(this), "text-button"));
  }

  #write() {
    this.said.replaceChildren(...linked(this.text, this.actions));
  }
}

/**
 * Text whose `[#3]` are buttons. What comes from the wire stays text.
 * @param {string} text
 * @param {Pick<ConversationActions, "mark" | "select" | "name">} actions
 * @returns {(string | HTMLElement)[]}
 */
export function linked(text, actions) {
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(REFERENCE)) {
    const id = Number(match[1]);
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const link = button(`#${id}`, () => actions.select(id), "object-link");
    link.title = actions.name(id);
    link.dataset.id = String(id);
    link.addEventListener("pointerenter", () => actions.mark(id));
    link.addEventListener("pointerleave", () => actions.mark(null));
    link.addEventListener("focus", () => actions.mark(id));
    link.addEventListener("blur", () => actions.mark(null));
    parts.push(link);
  }
  parts.push(text.slice(at));
  return parts;
}

export class Conversation {
  /** @type {Map<string, Turn>} */
  #turns = new Map();
  /** @type {Set<string>} alerts that are shown */
  #alerts = new Set();
  /** @type {number[]} */
  #about = [];

  /**
   * @param {{form: HTMLFormElement, input: HTMLInputElement, send: HTMLButtonElement, list: HTMLElement, empty: HTMLElement, about: HTMLElement, who: HTMLElement}} parts
   * @param {ConversationActions} actions
   */
  constructor(parts, actions) {
    this.parts = parts;
    this.actions = actions;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    parts.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") parts.input.blur();
      event.stopPropagation();
    });
    this.clear();
  }

  /** Who answers. @param {{name: string | null, can: string[]}} vlm */
  setModel({ name, can }) {
    const words = name ? `${name}${can.includes("image") ? "" : ", without eyes"}` : "answers from the tracks";
    if (this.parts.who.textContent !== words) this.parts.who.textContent = words;
    // Pictures go to the model's server, wherever that is: nothing may say that they stay here.
    document.documentElement.toggleAttribute("data-model", name !== null);
  }

  focus() {
    this.parts.input.focus();
  }

  clear() {
    this.#turns.clear();
    this.#alerts.clear();
    this.parts.list.replaceChildren();
    this.setAbout([]);
    this.#refresh();
  }

  /** What the next question is about. @param {number[]} ids */
  setAbout(ids) {
    this.#about = ids;
    this.parts.about.replaceChildren(
      ...ids.map((id) => {
        const drop = button("", () => this.setAbout(this.#about.filter((other) => other !== id)), "chip-drop");
        drop.setAttribute("aria-label", `Not about ${this.actions.name(id)}`);
        drop.append(icon("close"));
        return make("li", "chip", make("span", "", this.actions.name(id)), drop);
      }),
    );
    this.parts.about.hidden = !ids.length;
  }

  /** Ask about one object at once. @param {number} id */
  explain(id) {
    void this.#ask("What is this? Explain it in a sentence or two.", [id]);
  }

  /** What was said before this page came. @param {AskedQuestion[]} items */
  restore(items) {
    for (const { answer, ...question } of items) {
      if (this.#turns.has(question.id)) continue;
      const turn = this.#add(question);
      if (answer) turn.end(answer);
    }
    this.#refresh();
  }

  /** @param {Question} question */
  onQuestion(question) {
    if (!this.#turns.has(question.id)) this.#add(question);
    this.#refresh();
  }

  /** @param {{question_id: string, n: number, text: string}} delta */
  onDelta(delta) {
    this.#turns.get(delta.question_id)?.add(delta);
    this.#scroll();
  }

  /** @param {Answer} answer */
  onAnswer(answer) {
    this.#turns.get(answer.question_id)?.end(answer);
    if (answer.text) this.actions.say(answer.text.replace(REFERENCE, (_, id) => this.actions.name(Number(id))));
    else if (answer.error) this.actions.say(answer.error.message);
    this.#refresh();
  }

  /** The agent speaks up by itself. @param {AgentEvent} event */
  onAlert(event) {
    if (this.#alerts.has(event.id)) return;
    this.#alerts.add(event.id);
    const time = new Date(event.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const entry = make("li", "alert", icon("bell"), make("p", "", ...linked(event.text, this.actions)), make("time", "foot", time));
    entry.dataset.severity = event.severity;
    this.parts.list.append(entry);
    this.actions.say(`Alert: ${event.text.replace(REFERENCE, "#$1")}`);
    this.#refresh();
  }

  get #running() {
    return [...this.#turns.values()].filter((turn) => !turn.done);
  }

  #submit() {
    const text = this.parts.input.value.trim();
    const [running] = this.#running.slice(-1);
    if (!text && running) this.actions.stop(running.question.id);
    if (!text) return;
    this.parts.input.value = "";
    void this.#ask(text, this.#about);
  }

  /**
   * @param {string} text
   * @param {number[]} about
   */
  async #ask(text, about) {
    const before = [...this.#turns.values()].at(-1);
    const recent = before && performance.now() - before.at < TOGETHER_MS && before.element.dataset.state !== "failed";
    if (await this.actions.ask(text, about, recent ? before.question.id : null)) this.setAbout([]);
    else this.parts.input.value ||= text;
  }

  /** @param {Question} question */
  #add(question) {
    const turn = new Turn(question, this.actions, (failed) => void this.#ask(failed.question.text, failed.question.track_ids));
    this.#turns.set(question.id, turn);
    this.parts.list.append(turn.element);
    while (this.parts.list.childElementCount > MOST_TURNS) this.parts.list.firstElementChild?.remove();
    while (this.#turns.size > MOST_TURNS) this.#turns.delete([...this.#turns.keys()][0] ?? "");
    return turn;
  }

  #refresh() {
    const busy = this.#running.length > 0;
    const { send, empty, list } = this.parts;
    empty.hidden = list.childElementCount > 0;
    const words = busy ? "Stop the answer" : "Ask";
    if (send.getAttribute("aria-label") !== words) {
      send.setAttribute("aria-label", words);
      send.title = words;
      send.replaceChildren(icon(busy ? "stop" : "enter"));
    }
    this.#scroll();
  }

  #scroll() {
    const { list } = this.parts;
    list.scrollTop = list.scrollHeight;
  }
}
