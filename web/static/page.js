// What a part of the page that stands on its own is given. Such a part is a module with an `open…(page)`, called once
// in app.js; it hears of messages and changes of source here and asks for nothing else of the page.

/** @typedef {import("./types.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} PageParts
 * @property {import("./settings.js").Settings} settings
 * @property {import("./model.js").Model} model
 * @property {import("./stage.js").Stage} stage
 * @property {import("./station.js").Station} station
 * @property {import("./selection.js").Selection} selection
 * @property {import("./pointer.js").Pointer} pointer
 * @property {import("./actions.js").Actions} actions
 * @property {import("./say.js").Toasts} toasts
 * @property {import("./say.js").Announcer} announcer
 * @property {Record<string, () => void>} keys what single keys do, from `event.key`, letters in lower case
 */

export class Page {
  /** @type {((message: ServerMessage) => void)[]} */
  #takers = [];
  /** @type {(() => void)[]} */
  #leavers = [];

  /** @param {PageParts} parts */
  constructor(parts) {
    this.parts = parts;
  }

  /** The id of the stream on screen. */
  get stream() {
    return this.parts.station.feed?.id ?? null;
  }

  /** The websocket of the stream on screen. */
  get live() {
    return this.parts.station.feed?.live ?? null;
  }

  /**
   * Hear of every message of the stream on screen; `hello` is the first of each connection.
   * @param {(message: ServerMessage) => void} take
   */
  onMessage(take) {
    this.#takers.push(take);
  }

  /**
   * Hear that the stream on screen was left: nothing that was known of it is valid any more.
   * @param {() => void} act
   */
  onLeave(act) {
    this.#leavers.push(act);
  }

  /** @param {ServerMessage} message */
  take(message) {
    for (const take of this.#takers) take(message);
  }

  leave() {
    for (const act of this.#leavers) act();
  }
}
