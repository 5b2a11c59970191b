// Add a camera, try it before it is kept, change it, or remove it.
import { ApiError, call } from "./api.js";
import { find, make, paragraph } from "./dom.js";
import { isCamera, isOverTls, isRtsp, probeWords, sourceOf, splitAddress } from "./camera-address.js";

/** @typedef {import("./types.js").StreamInfo} StreamInfo */

/**
 * @typedef {object} CameraEvents
 * @property {(stream: StreamInfo, added: boolean) => void} kept
 * @property {(stream: StreamInfo) => void} removing
 * @property {(stream: StreamInfo) => void} removed
 */

const input = (/** @type {string} */ id) => find(`#camera-${id}`, HTMLInputElement);
const button = (/** @type {string} */ id) => find(`#camera-${id}`, HTMLButtonElement);
const pathOf = (/** @type {string} */ id) => `/v1/streams/${encodeURIComponent(id)}`;

export class CameraDialog {
  /** What is changed; none for a new one. @type {StreamInfo | null} */
  #stream = null;
  /** A try that is no longer wanted is told by its number. */
  #tries = 0;
  /** The address as it was tried, and whether it worked. @type {{key: string, good: boolean} | null} */
  #tried = null;
  #dialog = find("#camera", HTMLDialogElement);
  #form = find("#camera-form", HTMLFormElement);
  #result = find("#camera-result", HTMLElement);
  #transport = find("#camera-transport", HTMLSelectElement);

  /** @param {CameraEvents} events */
  constructor(events) {
    this.events = events;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void (this.#isTried || this.#onlyNamed ? this.#keep() : this.#try());
    });
    this.#form.addEventListener("input", () => this.#fit());
    input("address").addEventListener("change", () => this.#split());
    button("try").addEventListener("click", () => void this.#try());
    button("anyway").addEventListener("click", () => void this.#keep());
    button("remove").addEventListener("click", () => this.#ask(true));
    button("keep").addEventListener("click", () => this.#ask(false));
    button("really").addEventListener("click", () => void this.#remove());
    this.#dialog.addEventListener("close", () => (this.#tries += 1));
  }

  add() {
    this.#open(null);
  }

  /** @param {StreamInfo} stream */
  edit(stream) {
    this.#open(stream);
  }

  /** @param {StreamInfo} stream */
  askToRemove(stream) {
    this.#open(stream);
    this.#ask(true);
  }

  /** @param {StreamInfo | null} stream */
  #open(stream) {
    this.#stream = stream;
    this.#form.reset();
    find("#camera-title", HTMLElement).textContent = stream ? "Camera" : "Add a camera";
    input("address").value = stream?.source.url ?? "";
    input("name").value = stream?.name ?? "";
    input("username").value = stream?.source.username ?? "";
    input("password").placeholder = stream?.source.username ? "unchanged" : "";
    this.#transport.value = stream?.source.transport ?? "tcp";
    input("any-certificate").checked = stream?.source.verify_tls === false;
    // A folder's whole path is not told.
    input("address").disabled = stream !== null && !isCamera(stream.source.kind);
    this.#tried = null;
    this.#show();
    this.#ask(false);
    this.#busy(false);
    this.#dialog.showModal();
    (stream ? input("name") : input("address")).focus();
  }

  get #key() {
    const typed = [input("address"), input("username"), input("password")].map(({ value }) => value);
    return JSON.stringify([...typed, this.#transport.value, input("any-certificate").checked]);
  }

  get #isTried() {
    return this.#tried?.good === true && this.#tried.key === this.#key;
  }

  /** A camera that exists, of which only the name was changed. */
  get #onlyNamed() {
    const source = this.#stream?.source;
    if (!source) return false;
    const same = input("address").value === (source.url ?? "") && input("username").value === (source.username ?? "");
    const trusted = input("any-certificate").checked === (source.verify_tls === false);
    return same && trusted && !input("password").value && this.#transport.value === (source.transport ?? "tcp");
  }

  /** Credentials that were pasted with the address go where they belong. */
  #split() {
    const { address, username, password } = splitAddress(input("address").value);
    input("address").value = address;
    if (username) input("username").value = username;
    if (password) input("password").value = password;
    this.#fit();
  }

  /** Keep the buttons true to what is in the fields. */
  #fit() {
    const ready = this.#isTried || this.#onlyNamed;
    const failed = this.#tried?.good === false && this.#tried.key === this.#key;
    const overTls = isOverTls(input("address").value);
    find("#camera-transport-row", HTMLElement).hidden = !isRtsp(input("address").value) || overTls;
    find("#camera-certificate-row", HTMLElement).hidden = !overTls;
    find("#camera-login", HTMLElement).hidden = /^\//.test(input("address").value.trim());
    button("submit").textContent = ready ? (this.#stream ? "Save" : "Add the camera") : "Try it";
    button("try").hidden = !ready || this.#onlyNamed;
    button("anyway").hidden = !failed;
    button("anyway").textContent = this.#stream ? "Save all the same" : "Add it all the same";
    button("remove").hidden = !this.#stream;
    // What was found belongs to what was tried.
    if (this.#tried && this.#tried.key !== this.#key) this.#show();
  }

  /** @param {...(Node | string)} content what came of a try; nothing before it */
  #show(...content) {
    this.#result.hidden = !content.length;
    this.#result.replaceChildren(...content);
  }

  #source() {
    const [address, username, password] = ["address", "username", "password"].map((id) => input(id).value);
    const anyCertificate = input("any-certificate").checked;
    const source = sourceOf({ address: address ?? "", username: username ?? "", password: password ?? "", transport: this.#transport.value, anyCertificate });
    if (source && this.#stream?.source.kind === "mjpeg" && source.kind === "http") source.kind = "mjpeg";
    if (source) return source;
    this.#fail("This is no address that a camera can have.", "It begins with rtsp://, rtsps://, http:// or https://.");
    return null;
  }

  async #try() {
    this.#split();
    const source = this.#source();
    if (!source) return;
    const key = this.#key;
    const turn = ++this.#tries;
    this.#busy(true, "Looking at the camera…");
    try {
      // With its id goes the password that the server keeps.
      const found = await call("POST", "/v1/streams/probe", { source, ...(this.#stream ? { id: this.#stream.id } : {}) });
      if (turn !== this.#tries) return;
      this.#tried = { key, good: true };
      this.#found(found);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#tries) return;
      this.#tried = { key, good: false };
      this.#fail(error.message, error.action);
    } finally {
      if (turn === this.#tries) this.#busy(false);
    }
  }

  /** @param {import("./types.js").ProbeResult} found */
  #found(found) {
    const parts = [];
    if (found.snapshot) {
      const picture = make("img");
      picture.src = found.snapshot;
      picture.alt = "What the camera shows";
      parts.push(picture);
    }
    parts.push(make("p", "camera-found", probeWords(found)));
    if (found.note) parts.push(make("p", "camera-note", found.note));
    this.#show(...parts);
  }

  async #keep() {
    const source = this.#onlyNamed ? {} : this.#source();
    if (!source) return;
    const name = input("name").value.trim() || hostOf(input("address").value);
    const stream = this.#stream;
    this.#busy(true, stream ? "Saving…" : "Adding…");
    try {
      const body = this.#onlyNamed ? { name } : { name, source };
      const kept = stream ? await call("PATCH", pathOf(stream.id), body) : await call("POST", "/v1/streams", body);
      this.#dialog.close();
      this.events.kept(kept, !stream);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#fail(error.message, error.action);
    } finally {
      this.#busy(false);
    }
  }

  async #remove() {
    const stream = this.#stream;
    if (!stream) return;
    this.#busy(true, "Removing…");
    this.events.removing(stream);
    try {
      await call("DELETE", pathOf(stream.id));
      this.#dialog.close();
      this.events.removed(stream);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#fail(error.message, error.action);
    } finally {
      this.#busy(false);
    }
  }

  /** @param {boolean} asking whether it is really to be removed */
  #ask(asking) {
    find("#camera-actions", HTMLElement).hidden = asking;
    const question = find("#camera-question", HTMLElement);
    question.hidden = !asking;
    if (!asking) return;
    find("#camera-asked", HTMLElement).textContent = `Remove “${this.#stream?.name ?? ""}”? What happened there is kept.`;
    button("keep").focus();
  }

  /**
   * @param {string} message
   * @param {string} action
   */
  #fail(message, action) {
    const box = make("div", "camera-failed", make("strong", "", message), paragraph(action));
    box.setAttribute("role", "alert");
    this.#show(box);
  }

  /**
   * @param {boolean} busy
   * @param {string} [words]
   */
  #busy(busy, words = "") {
    for (const id of ["submit", "try", "anyway", "really", "remove"]) button(id).disabled = busy;
    if (words) this.#show(make("div", "camera-busy", make("div", "spinner"), make("span", "", words)));
    else if (this.#result.querySelector(".camera-busy")) this.#show();
    this.#fit();
  }
}

/**
 * A name for a camera that was given none.
 * @param {string} address
 */
const hostOf = (address) => address.trim().replace(/^\w+:\/\//, "").split(/[/:]/)[0] || undefined;
