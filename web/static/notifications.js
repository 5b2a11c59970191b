// Notifications of this browser: alerts of all streams, shown where nobody looks at them.
//
// One tab of a browser listens for all of them. Before it shows an alert it asks the others whether one of them has the
// stream on screen.

/** @typedef {import("./types.js").ToldMessage} ToldMessage */

const ASK_MS = 200;
const AGAIN_MS = 10_000;
const CHANNEL = "onlooker-notifications";

/**
 * Whether somebody sees what a message tells: its stream is on screen in a tab that is visible.
 * @param {ToldMessage} message
 * @param {{hidden: boolean, grid: boolean, stream: string | null}} tab
 */
export function isSeen(message, { hidden, grid, stream }) {
  if (message.type !== "alert" || hidden) return false;
  return grid || message.data.stream === stream;
}

/**
 * What a notification says. The picture is the event's own.
 * @param {ToldMessage} message
 * @returns {{title: string, options: NotificationOptions}}
 */
export function wordsOf(message) {
  const event = message.type === "alert" ? message.data.event : null;
  /** @type {NotificationOptions} */
  const options = { body: message.text ?? event?.text ?? "", tag: event?.id ?? message.type };
  if (event?.thumb) options.icon = event.thumb;
  if (event?.severity === "critical") options.requireInteraction = true;
  return { title: message.title ?? "Onlooker", options };
}

/** Why this browser cannot show notifications, in words; null where it can. */
export function refusal() {
  if (!("Notification" in globalThis)) return "This browser has no notifications.";
  if (!globalThis.isSecureContext) return "Browsers allow notifications on https pages and on localhost only.";
  if (Notification.permission === "denied") return "They are blocked for this page: allow them beside the address bar, then try again.";
  return null;
}

export class Notifications {
  /** @type {EventSource | null} */
  #source = null;
  /** @type {(() => void) | null} */
  #release = null;
  #wanted = false;
  #channel = new BroadcastChannel(CHANNEL);
  /** Ids of questions that another tab has answered. @type {Set<string>} */
  #seen = new Set();

  /**
   * @param {() => {hidden: boolean, grid: boolean, stream: string | null}} tab
   * @param {(message: ToldMessage) => void} open what was clicked
   */
  constructor(tab, open) {
    this.tab = tab;
    this.open = open;
    this.#channel.addEventListener("message", ({ data }) => {
      if (data.seen) this.#seen.add(data.seen);
      else if (data.ask && isSeen(data.ask, this.tab())) this.#channel.postMessage({ seen: data.id });
    });
  }

  /** Ask for permission; to be called from a click. @returns {Promise<string | null>} why not */
  async allow() {
    const before = refusal();
    if (before) return before;
    if ((await Notification.requestPermission()) === "granted") return null;
    return refusal() ?? "The browser was not allowed to show them.";
  }

  /** Listen from now on, in this tab or in another one. */
  start() {
    if (this.#wanted || refusal() || Notification.permission !== "granted") return;
    this.#wanted = true;
    const held = () =>
      new Promise((/** @type {(value: void) => void} */ release) => {
        this.#release = release;
        if (this.#wanted) this.#listen();
        else release();
      });
    void navigator.locks.request(CHANNEL, held);
  }

  stop() {
    this.#wanted = false;
    this.#source?.close();
    this.#source = null;
    this.#release?.();
    this.#release = null;
  }

  #listen() {
    const source = new EventSource("/v1/notifications");
    this.#source = source;
    source.addEventListener("message", ({ data }) => void this.#take(JSON.parse(data)));
    source.addEventListener("error", () => {
      // It connects again by itself unless it was refused.
      if (source.readyState !== EventSource.CLOSED || this.#source !== source) return;
      setTimeout(() => this.#wanted && this.#source === source && this.#listen(), AGAIN_MS);
    });
  }

  /** @param {ToldMessage} message */
  async #take(message) {
    if (isSeen(message, this.tab())) return;
    const id = crypto.randomUUID();
    this.#channel.postMessage({ ask: message, id });
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    if (this.#seen.delete(id)) return;
    const { title, options } = wordsOf(message);
    const notification = new Notification(title, options);
    notification.addEventListener("click", () => {
      window.focus();
      notification.close();
      this.open(message);
    });
  }
}
