// One question with its answer, and what was said aloud and has not become a question yet.
import { button, icon, iconButton, make } from "./dom.js";

/** @typedef {import("./types.js").QuestionMessage} Question */
/** @typedef {import("./types.js").AnswerBody} Answer */

/**
 * @typedef {object} TurnActions
 * @property {(id: number | null) => void} mark
 * @property {(id: number) => void} select
 * @property {(id: number) => string} name
 */

/** How objects are named in answers. */
export const REFERENCE = /\[#(\d{1,9})\]/g;

/** @param {number} ms */
export const seconds = (ms) => (ms < 950 ? `${Math.round(ms / 10) / 100} s` : `${Math.round(ms / 100) / 10} s`);

/**
 * What was asked; what was spoken can be taken into the field, since it may have been misheard.
 * @param {(string | Node)[]} content
 * @param {string} text
 * @param {((text: string) => void) | null} edit
 */
function asked(content, text, edit) {
  const words = make("p", "asked", ...content);
  if (!edit) return words;
  words.prepend(icon("microphone"));
  return make("div", "spoken", iconButton("pen", "Edit what was heard", () => edit(text)), words);
}

export class Turn {
  /**
   * @param {Question} question
   * @param {TurnActions} actions
   * @param {{again: (turn: Turn) => void, edit: (text: string) => void}} then
   */
  constructor(question, actions, { again, edit }) {
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
    const line = asked([...about, question.text], question.text, question.spoken ? edit : null);
    this.element = make("li", "turn", line, this.said, this.foot);
    this.element.dataset.state = "open";
  }

  /**
   * @param {{n: number, text: string}} delta
   * @returns {boolean} whether it is new
   */
  add({ n, text }) {
    if (this.done || n < this.next) return false;
    this.next = n + 1;
    this.text += text;
    this.#write();
    return true;
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

/** What was said aloud, while it is being understood, or where it was a command and no question. */
export class Utterance {
  #words = make("p", "asked");
  #foot = make("p", "foot");
  #text = "";

  /** @param {(text: string) => void} edit */
  constructor(edit) {
    this.edit = edit;
    this.element = make("li", "turn", this.#words, this.#foot);
    this.element.dataset.state = "heard";
  }

  /** @param {string} text */
  hear(text) {
    this.#text = text;
    this.#words.replaceChildren(icon("microphone"), text);
  }

  /** @param {string} outcome */
  settle(outcome) {
    this.element.dataset.state = "done";
    this.#words.replaceWith(asked([this.#text], this.#text, this.edit));
    this.#foot.textContent = outcome;
  }
}

/**
 * Text whose `[#3]` are buttons. What comes from the wire stays text.
 * @param {string} text
 * @param {TurnActions} actions
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
