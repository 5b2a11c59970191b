// The websocket of one stream: reconnects by itself, replays missed facts, and answers each request by its ref.

/** @typedef {import("./types.js").ServerMessage} ServerMessage */

const PROTOCOL = "onlooker.v1";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const ANSWER_WITHIN_MS = 10_000;
const SILENT_FOR_MS = 15_000;

/** A request that the server refused. */
export class LiveError extends Error {
  /** @param {import("./types.js").WireError} error */
  constructor(error) {
    super(error.message);
    this.code = error.code;
    this.action = error.action;
    this.nearest = error.nearest ?? [];
  }
}

/**
 * @typedef {object} LiveEvents
 * @property {(message: ServerMessage) => void} message
 * @property {(code: number, reason: string, retryInMs: number) => void} lost the connection ended; it is tried again
 * @property {(code: number, reason: string) => void} refused it will not be tried again
 */

/** Close codes after which trying again cannot help. */
const FINAL_CODES = new Set([4401, 4403, 4404, 4406]);

export class Live {
  #url;
  #events;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<string, {resolve: (answer: any) => void, reject: (error: Error) => void, timer: number}>} */
  #waiting = new Map();
  #nextRef = 1;
  #attempt = 0;
  #retryTimer = 0;
  #closed = false;
  #heardAt = 0;
  #watchdog = 0;
  /** @type {string | null} */
  #boot = null;
  #factSeq = 0;

  /**
   * @param {string} streamId
   * @param {LiveEvents} events
   */
  constructor(streamId, events) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#url = `${scheme}://${location.host}/v1/streams/${encodeURIComponent(streamId)}/live`;
    this.#events = events;
    this.#connect();
    this.#watchdog = window.setInterval(() => this.#checkSilence(), 5000);
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /**
   * Send a request and wait for its `ok`. Rejects with `LiveError`.
   * @param {Record<string, unknown>} message
   * @param {number} [withinMs]
   * @returns {Promise<any>} the `ok`, or what answers in its place
   */
  ask(message, withinMs = ANSWER_WITHIN_MS) {
    return new Promise((resolve, reject) => {
      if (!this.open) {
        reject(new LiveError({ code: "offline", message: "The server is not connected.", action: "Wait a moment, it is tried again." }));
        return;
      }
      const ref = `r${this.#nextRef++}`;
      const timer = window.setTimeout(() => this.#settle(ref, null), withinMs);
      this.#waiting.set(ref, { resolve, reject, timer });
      this.send({ ...message, ref });
    });
  }

  /** @param {Record<string, unknown>} message */
  send(message) {
    if (this.open) this.#socket?.send(JSON.stringify(message));
  }

  /** Try again now instead of after the wait. */
  retry() {
    if (this.#closed || this.#socket?.readyState === WebSocket.CONNECTING || this.open) return;
    clearTimeout(this.#retryTimer);
    this.#attempt = 0;
    this.#connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#watchdog);
    this.#socket?.close(1000);
    for (const ref of [...this.#waiting.keys()]) this.#settle(ref, null);
  }

  #connect() {
    const replay = this.#boot ? `?after=${this.#factSeq}&boot=${encodeURIComponent(this.#boot)}` : "";
    const socket = new WebSocket(this.#url + replay, [PROTOCOL]);
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#receive(event));
    socket.addEventListener("close", (event) => {
      if (this.#socket === socket && !this.#closed) this.#onClose(event);
    });
  }

  /** @param {MessageEvent<string>} event */
  #receive(event) {
    if (this.#closed) return;
    this.#heardAt = performance.now();
    /** @type {ServerMessage} */
    const message = JSON.parse(event.data);
    if ("fact_seq" in message && typeof message.fact_seq === "number") this.#factSeq = message.fact_seq;
    if (message.type === "hello") {
      this.#boot = message.boot;
      this.#attempt = 0;
    }
    if ((message.type === "ok" || message.type === "view") && message.ref) this.#settle(message.ref, message);
    else if (message.type === "error" && message.ref) this.#settle(message.ref, new LiveError(message));
    else this.#events.message(message);
  }

  /**
   * @param {string} ref
   * @param {ServerMessage | LiveError | null} answer null where none came
   */
  #settle(ref, answer) {
    const waiting = this.#waiting.get(ref);
    if (!waiting) return;
    this.#waiting.delete(ref);
    clearTimeout(waiting.timer);
    if (answer instanceof LiveError) waiting.reject(answer);
    else if (answer) waiting.resolve(answer);
    else waiting.reject(new LiveError({ code: "no_answer", message: "The server did not answer.", action: "Try again." }));
  }

  /** @param {CloseEvent} event */
  #onClose(event) {
    for (const ref of [...this.#waiting.keys()]) this.#settle(ref, null);
    if (FINAL_CODES.has(event.code)) {
      this.#events.refused(event.code, event.reason);
      return;
    }
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempt++);
    this.#retryTimer = window.setTimeout(() => this.#connect(), wait);
    this.#events.lost(event.code, event.reason, wait);
  }

  /** `status` comes once a second: long silence means a dead connection that nobody has closed. */
  #checkSilence() {
    const silent = performance.now() - this.#heardAt;
    if (!this.open || silent < 5000) return;
    if (silent > SILENT_FOR_MS && !document.hidden) this.#socket?.close(4000);
    else this.send({ type: "ping", t: Math.round(performance.now()) });
  }
}
