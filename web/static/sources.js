// The menu of sources: this computer's cameras and screen, and the streams that the server has.
import { button, icon, iconButton, make, place } from "./dom.js";
import { isCamera } from "./camera-address.js";
import { closeStream, listStreams } from "./api.js";
import { listCameras } from "./publish.js";

/** @typedef {import("./types.js").StreamInfo} StreamInfo */

/**
 * @typedef {object} SourceActions
 * @property {(deviceId: string | null) => void} camera
 * @property {() => void} screen
 * @property {() => void} demo
 * @property {(stream: {id: string, name: string, kind: string}) => void} watch
 * @property {() => void} all cameras, side by side
 * @property {() => void} add a camera
 * @property {() => string | null} current id of the stream on screen
 * @property {() => string | null} own id of the stream that this page publishes
 * @property {() => string | null} usedCamera
 * @property {(error: unknown) => void} failed
 */

export class SourceMenu {
  /**
   * @param {HTMLElement} popover
   * @param {HTMLElement} anchor
   * @param {SourceActions} actions
   */
  constructor(popover, anchor, actions) {
    this.popover = popover;
    this.anchor = anchor;
    this.actions = actions;
    popover.addEventListener("toggle", (event) => {
      const open = /** @type {ToggleEvent} */ (event).newState === "open";
      anchor.setAttribute("aria-expanded", String(open));
      if (open) this.#fill();
    });
    popover.addEventListener("keydown", (event) => moveFocus(popover, event));
  }

  open() {
    this.popover.showPopover();
  }

  async #fill() {
    this.#place();
    const [cameras, streams] = await Promise.all([listCameras(), listStreams().catch(() => [])]);
    const items = [make("h3", "", "This computer"), ...this.#cameraRows(cameras)];
    items.push(this.#row("screen", "Share my screen", "", () => this.actions.screen()));
    items.push(make("h3", "", "Streams of the server"));
    if (streams.length > 1) items.push(this.#row("grid", "All side by side", "", () => this.actions.all()));
    for (const stream of streams) items.push(this.#streamRow(stream));
    items.push(this.#row("plus", "Add a camera…", "By its address in your network", () => this.actions.add()));
    if (!streams.some((stream) => stream.source.kind === "demo")) {
      items.push(this.#row("film", "Play the demo", "", () => this.actions.demo()));
    }
    this.popover.replaceChildren(...items);
    this.#place();
    this.popover.querySelector("button")?.focus();
  }

  #place() {
    const box = this.anchor.getBoundingClientRect();
    place(this.popover, { x: box.left, y: box.bottom + 6 });
  }

  /** @param {MediaDeviceInfo[]} cameras */
  #cameraRows(cameras) {
    const named = cameras.filter((camera) => camera.label);
    if (named.length < 2) {
      const only = named[0];
      return [this.#row("camera", "Use my webcam", only?.label ?? "", () => this.actions.camera(only?.deviceId ?? null))];
    }
    return named.map((camera) => {
      const row = this.#row("camera", camera.label, "", () => this.actions.camera(camera.deviceId));
      this.#markCurrent(row, camera.deviceId === this.actions.usedCamera());
      return row;
    });
  }

  /** @param {StreamInfo} stream */
  #streamRow(stream) {
    const size = stream.width ? `${stream.width} × ${stream.height} · ` : "";
    const name = stream.id === this.actions.own() ? "From this page" : stream.name || stream.id;
    const row = this.#row(isCamera(stream.source.kind) || stream.source.kind === "webrtc" ? "camera" : "film", name, `${size}${stream.state}`, () =>
      this.actions.watch({ id: stream.id, name, kind: stream.source.kind }),
    );
    this.#markCurrent(row, this.actions.current() === stream.id);
    // A camera is removed where all of them are, after being asked.
    if (!stream.saved) row.append(iconButton("close", `Close the stream ${name}`, () => this.#close(stream, row)));
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {boolean} current
   */
  #markCurrent(row, current) {
    row.querySelector(".menu-item")?.setAttribute("aria-current", String(current));
  }

  /**
   * @param {StreamInfo} stream
   * @param {HTMLElement} row
   */
  async #close(stream, row) {
    try {
      await closeStream(stream.id);
      row.remove();
      this.popover.querySelector("button")?.focus();
    } catch (error) {
      this.actions.failed(error);
    }
  }

  /**
   * @param {string} iconName
   * @param {string} title
   * @param {string} note
   * @param {() => void} act
   */
  #row(iconName, title, note, act) {
    const item = button("", () => {
      this.popover.hidePopover();
      act();
    }, "menu-item");
    const text = make("span", "menu-text", title);
    if (note) text.append(make("small", "", note));
    item.append(icon(iconName), text);
    return make("div", "menu-row", item);
  }
}

/**
 * Arrow keys walk through the buttons of a popover.
 * @param {HTMLElement} popover
 * @param {KeyboardEvent} event
 */
export function moveFocus(popover, event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const buttons = [...popover.querySelectorAll("button")];
  const at = buttons.findIndex((candidate) => candidate === document.activeElement);
  const next = (at + (event.key === "ArrowDown" ? 1 : buttons.length - 1)) % buttons.length;
  buttons[next]?.focus();
}
