// Where alerts are told outside: how that goes, a test, and what could not be delivered.
import { ApiError, call } from "./api.js";
import { button, icon, make, paragraph } from "./dom.js";
import { REFERENCE } from "./turn.js";
import { when } from "./when.js";

/** @typedef {import("./types.js").SinkInfo} SinkInfo */
/** @typedef {import("./types.js").DeadLetter} DeadLetter */

const KINDS = { webhook: "Webhook", mqtt: "MQTT", smtp: "E-mail", browser: "Browsers" };
const MOST_LETTERS = 20;

/**
 * How it goes with a sink.
 * @param {SinkInfo} sink
 */
export function sinkWords(sink) {
  const parts = [`${sink.delivered} delivered`];
  if (sink.waiting) parts.push(`${sink.waiting} on the way`);
  if (sink.held) parts.push(`${sink.held} until the quiet hours end`);
  else if (sink.quiet) parts.push("quiet hours");
  if (sink.repeated) parts.push(`${sink.repeated} repeated, told once`);
  return parts.join(" · ");
}

/**
 * What it is told of.
 * @param {SinkInfo} sink
 */
export function scopeWords({ events, min_severity, streams }) {
  const what = events.length ? events.join(", ") : "everything";
  const from = min_severity === "info" ? "" : ` from ${min_severity} on`;
  return `${what}${from}${streams.length ? ` of ${streams.join(", ")}` : ""}`;
}

export class SinkList {
  /**
   * @param {HTMLElement} root
   * @param {(words: string) => void} say
   */
  constructor(root, say) {
    this.root = root;
    this.say = say;
  }

  async fill() {
    try {
      const { items } = await call("GET", "/v1/sinks");
      /** @type {SinkInfo[]} */
      const sinks = items.filter((/** @type {SinkInfo} */ sink) => sink.kind !== "browser");
      this.root.replaceChildren(...(sinks.length ? sinks.map((sink) => this.#row(sink)) : [nowhere()]));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.root.replaceChildren(make("p", "sink-error", `${error.message} ${error.action}`));
    }
  }

  /** @param {SinkInfo} sink */
  #row(sink) {
    const note = make("p", "sink-note");
    note.setAttribute("role", "status");
    const test = button("Send a test", () => void this.#test(sink, test, note));
    test.setAttribute("aria-label", `Send a test to ${sink.name}`);
    const head = make("div", "sink-head", make("h4", "", sink.name), make("span", "sink-kind", KINDS[sink.kind]));
    const about = make("p", "sink-quiet", `${sink.url} · ${scopeWords(sink)}`);
    const words = make("div", "sink-words", head, about, make("p", "sink-quiet", sinkWords(sink)));
    if (sink.error) words.append(make("p", "sink-error", sink.error));
    words.append(note);
    const row = make("div", "sink", make("span", "sink-dot"), words, test);
    row.dataset.state = sink.error ? "bad" : sink.quiet ? "quiet" : "good";
    if (sink.dead) row.append(this.#letters(sink));
    return row;
  }

  /**
   * @param {SinkInfo} sink
   * @param {HTMLButtonElement} test
   * @param {HTMLElement} note
   */
  async #test(sink, test, note) {
    test.disabled = true;
    note.textContent = "Sending…";
    try {
      const { delivered, error, took_ms } = await call("POST", `/v1/sinks/${sink.name}/test`);
      note.textContent = delivered ? `The test was taken in ${Math.round(took_ms)} ms.` : `The test failed: ${error}`;
      note.dataset.state = delivered ? "good" : "bad";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = `${error.message} ${error.action}`;
    } finally {
      test.disabled = false;
      this.say(note.textContent);
    }
  }

  /** @param {SinkInfo} sink */
  #letters(sink) {
    const list = make("ul", "letters");
    const details = make("details", "", make("summary", "", `${sink.dead} could not be delivered`), list);
    details.addEventListener("toggle", () => {
      if (details.open) void this.#showLetters(sink, list);
    });
    return details;
  }

  /**
   * @param {SinkInfo} sink
   * @param {HTMLElement} list
   */
  async #showLetters(sink, list) {
    const path = `/v1/sinks/${sink.name}/dead`;
    try {
      /** @type {{items: DeadLetter[]}} */
      const { items } = await call("GET", path);
      if (!items.length) return list.replaceChildren(make("li", "sink-quiet", "They were delivered since, or were too old to keep."));
      const again = button("Send all again", () => void this.#retry(sink, `${path}/retry`));
      const rows = items.slice(0, MOST_LETTERS).map((letter) => {
        const one = button("Send again", () => void this.#retry(sink, `${path}/${letter.id}/retry`), "text-button");
        const words = make("div", "", make("span", "", textOf(letter)), make("small", "", `${when(letter.at, Date.now())} · ${letter.error ?? ""}`));
        return make("li", "letter", words, one);
      });
      const left = items.length - rows.length;
      list.replaceChildren(...rows, make("li", "letter", make("span", "sink-quiet", left ? `and ${left} more` : ""), again));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      list.replaceChildren(make("li", "sink-error", `${error.message} ${error.action}`));
    }
  }

  /**
   * @param {SinkInfo} sink
   * @param {string} path
   */
  async #retry(sink, path) {
    try {
      const { waiting } = await call("POST", path);
      this.say(`${waiting} on the way to ${sink.name} again`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(`${error.message} ${error.action}`);
    }
    await this.fill();
  }
}

function nowhere() {
  const text = "Alerts can also go by e-mail, MQTT (Home Assistant) or a webhook: name the place as `[[sinks]]` in `onlooker.toml` and start Onlooker again.";
  return make("div", "sink-none", icon("bell-off"), paragraph(text));
}

/** @param {DeadLetter} letter */
function textOf({ body }) {
  const message = JSON.parse(body);
  return String(message.title ?? message.data?.event?.text ?? message.type).replace(REFERENCE, "#$1");
}
