// Questions and answers beside the picture: answers as they stream, objects named in them as buttons that show them.
import { button, icon, make } from "./dom.js";
import { linked, REFERENCE, Turn, Utterance } from "./turn.js";

/** @typedef {import("./types.js").QuestionMessage} Question */
/** @typedef {import("./types.js").AnswerBody} Answer */
/** @typedef {import("./types.js").AskedQuestion} AskedQuestion */
/** @typedef {import("./types.js").AgentEvent} AgentEvent */

/**
 * @typedef {object} ConversationActions
 * @property {(text: string, trackIds: number[], follows: string | null) => Promise<boolean>} ask say free words; whether they were taken
 * @property {(questionId: string | null) => void} stop one answer, or only the voice
 * @property {(id: number | null) => void} mark
 * @property {(id: number) => void} select
 * @property {(id: number) => string} name
 * @property {(words: string) => void} say
 * @property {() => void} typing the first letter of something new
 * @property {(questionId: string, text: string) => void} more of an answer
 * @property {(answer: Answer) => boolean} ended an answer; whether it is read out
 * @property {(event: AgentEvent) => void} alert
 */

const MOST_TURNS = 60;
/** A follow-up goes on from what was said at most this long ago. */
const TOGETHER_MS = 180_000;

export class Conversation {
  /** @type {Map<string, Turn>} */
  #turns = new Map();
  /** @type {Set<string>} alerts that are shown */
  #alerts = new Set();
  /** @type {number[]} */
  #about = [];
  /** @type {Map<number, Utterance>} by the number of the utterance */
  #heard = new Map();
  #speaking = false;
  /** On a phone the conversation is below the picture: what this page asked is brought into view. */
  #following = false;

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
    parts.input.addEventListener("input", () => parts.input.value && actions.typing());
    this.clear();
  }

  /** Who answers. @param {import("./types.js").VlmInfo} vlm */
  setModel({ name, can, error }) {
    const { who } = this.parts;
    const words = name ? `${name}${can.includes("image") ? "" : ", without eyes"}` : "answers from the tracks";
    const told = error ? `model away: ${words}` : words;
    if (who.textContent !== told) {
      if (who.classList.contains("away") || error) this.actions.say(error ? `${error.message} ${error.action}` : `${words} is back`);
      who.textContent = told;
      who.title = error ? `${error.message} ${error.action}` : "";
      who.classList.toggle("away", Boolean(error));
    }
    // Pictures go to the model's server, wherever that is: nothing may say that they stay here.
    document.documentElement.toggleAttribute("data-model", name !== null || Boolean(error));
  }

  focus() {
    this.parts.input.focus();
  }

  clear() {
    this.#turns.clear();
    this.#alerts.clear();
    this.#heard.clear();
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

  /** Whether an answer is on its way. */
  get busy() {
    return this.#running.length > 0;
  }

  /** What the next words are about, and what they may go on from. */
  get context() {
    const before = [...this.#turns.values()].at(-1);
    const recent = before && performance.now() - before.at < TOGETHER_MS && before.element.dataset.state !== "failed";
    return { about: this.#about, follows: recent ? before.question.id : null };
  }

  /** An answer as far as it has come. @param {string} id */
  answer(id) {
    const turn = this.#turns.get(id);
    return turn ? { text: turn.text, done: turn.done } : null;
  }

  /** The answer is being read out, which can be stopped. @param {boolean} speaking */
  setSpeaking(speaking) {
    if (this.#speaking === speaking) return;
    this.#speaking = speaking;
    this.#refresh();
  }

  /**
   * What has been understood of an utterance.
   * @param {number} number
   * @param {string} text
   */
  hear(number, text) {
    this.#following = true;
    let utterance = this.#heard.get(number);
    if (!utterance) {
      utterance = new Utterance((words) => this.edit(words));
      this.#heard.set(number, utterance);
      this.#append(utterance.element);
    }
    utterance.hear(text);
    this.#refresh();
  }

  /**
   * An utterance has become something, or nothing.
   * @param {number} number
   * @param {string | null} outcome none where nothing is left to show of it, as with a question, which shows itself
   */
  settle(number, outcome) {
    const utterance = this.#heard.get(number);
    this.#heard.delete(number);
    if (outcome) {
      utterance?.settle(outcome);
      this.setAbout([]);
    } else utterance?.element.remove();
    this.#refresh();
  }

  /** Take words into the field, to be changed and sent again. @param {string} text */
  edit(text) {
    const { input } = this.parts;
    input.value = text;
    input.focus();
    input.setSelectionRange(text.length, text.length);
    this.actions.typing();
  }

  /** @param {Question} question */
  onQuestion(question) {
    if (!this.#turns.has(question.id)) this.#add(question);
    this.#refresh();
  }

  /** @param {{question_id: string, n: number, text: string}} delta */
  onDelta(delta) {
    if (this.#turns.get(delta.question_id)?.add(delta)) this.actions.more(delta.question_id, delta.text);
    this.#scroll();
  }

  /** @param {Answer} answer */
  onAnswer(answer) {
    const turn = this.#turns.get(answer.question_id);
    if (turn && !turn.done && answer.text.startsWith(turn.text)) {
      this.actions.more(answer.question_id, answer.text.slice(turn.text.length));
    }
    turn?.end(answer);
    const readOut = this.actions.ended(answer);
    if (readOut) this.#refresh();
    else if (answer.text) this.actions.say(answer.text.replace(REFERENCE, (_, id) => this.actions.name(Number(id))));
    else if (answer.error) this.actions.say(answer.error.message);
    this.#refresh();
    this.#following = false;
  }

  /** The agent speaks up by itself. @param {AgentEvent} event */
  onAlert(event) {
    if (this.#alerts.has(event.id)) return;
    this.#alerts.add(event.id);
    const time = new Date(event.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const entry = make("li", "alert", icon("bell"), make("p", "", ...linked(event.text, this.actions)), make("time", "foot", time));
    entry.dataset.severity = event.severity;
    this.#append(entry);
    this.actions.say(`Alert: ${event.text.replace(REFERENCE, "#$1")}`);
    this.actions.alert(event);
    this.#refresh();
  }

  get #running() {
    return [...this.#turns.values()].filter((turn) => !turn.done);
  }

  #submit() {
    const text = this.parts.input.value.trim();
    const [running] = this.#running.slice(-1);
    if (!text && (running || this.#speaking)) this.actions.stop(running?.question.id ?? null);
    if (!text) return;
    this.parts.input.value = "";
    void this.#ask(text, this.#about);
  }

  /**
   * @param {string} text
   * @param {number[]} about
   */
  async #ask(text, about) {
    this.#following = true;
    if (await this.actions.ask(text, about, this.context.follows)) this.setAbout([]);
    else this.parts.input.value ||= text;
  }

  /** @param {Question} question */
  #add(question) {
    const again = (/** @type {Turn} */ { question }) => void this.#ask(question.text, question.track_ids);
    const turn = new Turn(question, this.actions, { again, edit: (text) => this.edit(text) });
    this.#turns.set(question.id, turn);
    this.#append(turn.element);
    while (this.#turns.size > MOST_TURNS) this.#turns.delete([...this.#turns.keys()][0] ?? "");
    return turn;
  }

  /** @param {HTMLElement} entry */
  #append(entry) {
    const { list } = this.parts;
    list.append(entry);
    while (list.childElementCount > MOST_TURNS) list.firstElementChild?.remove();
  }

  #refresh() {
    const busy = this.busy || this.#speaking;
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
    if (this.#following) list.lastElementChild?.scrollIntoView({ block: "nearest" });
  }
}
