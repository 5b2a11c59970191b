// What is told outside of this page: notifications of this browser, and the places that the server sends alerts to.
import { ApiError, call, listStreams } from "./api.js";
import { checkbox } from "./dialogs.js";
import { button, find, icon, iconButton, make } from "./dom.js";
import { when } from "./history.js";
import { Notifications } from "./notifications.js";
import { routeOf, streamHash } from "./route.js";
import { SinkList } from "./sinks.js";
import { REFERENCE } from "./turn.js";

/** @typedef {import("./types.js").StoredEvent} StoredEvent */

/** @param {import("./page.js").Page} page */
export function openTold(page) {
  const { settings, toasts, announcer } = page.parts;
  const tab = () => ({ hidden: document.hidden, grid: routeOf(location.hash).grid, stream: page.stream });
  const moment = new MomentSheet(toasts);
  const notifications = new Notifications(tab, (message) => {
    if (message.type === "alert") void moment.open(message.data.event.id);
    else if (message.type === "summary") find("#open-history", HTMLElement).click();
  });
  const root = make("div", "settings-group told");
  const places = make("div", "sinks");
  const list = new SinkList(places, (words) => announcer.say(words));
  const setting = notificationRow(settings, notifications, (words) => toasts.show(words, { tone: "error", ms: 12_000 }));
  root.append(make("h3", "", "Alerts told outside"), setting, places);
  const dialog = find("#settings", HTMLDialogElement);
  // The settings are made anew each time that they are opened.
  new MutationObserver(() => {
    if (!dialog.open) return;
    find("#settings-body", HTMLElement).append(root);
    void list.fill();
  }).observe(dialog, { attributes: true, attributeFilter: ["open"] });
  if (settings.get("notify")) notifications.start();
  addEventListener("pagehide", () => notifications.stop());
  addEventListener("pageshow", (event) => event.persisted && settings.get("notify") && notifications.start());
  const asked = new URLSearchParams(location.search).get("event");
  if (asked) void moment.open(asked);
}

/**
 * @param {import("./settings.js").Settings} settings
 * @param {Notifications} notifications
 * @param {(words: string) => void} refused
 */
function notificationRow(settings, notifications, refused) {
  const control = checkbox(settings.get("notify"));
  control.id = "setting-notify";
  const test = button("Send a test", () => void call("POST", "/v1/sinks/browser/test"));
  test.setAttribute("aria-label", "Send a test notification");
  test.hidden = !control.checked;
  control.addEventListener("change", async () => {
    const why = control.checked ? await notifications.allow() : null;
    if (why) {
      control.checked = false;
      refused(`No notifications: ${why}`);
    }
    settings.set("notify", control.checked);
    test.hidden = !control.checked;
    if (control.checked) notifications.start();
    else notifications.stop();
  });
  const words = make("label", "", "Notifications in this browser");
  words.htmlFor = control.id;
  words.append(make("small", "", "Of all cameras, while this tab is hidden or another camera is on screen"));
  return make("div", "setting", words, make("div", "setting-pair", test, control));
}

/** One event by itself: what happened, when, and the way to its camera. */
class MomentSheet {
  /** @param {import("./say.js").Toasts} toasts */
  constructor(toasts) {
    this.toasts = toasts;
    this.body = make("div", "told-moment");
    this.title = make("h2", "", "What happened");
    this.dialog = make("dialog", "sheet told-sheet", make("header", "", this.title, iconButton("close", "Close", () => this.dialog.close())), this.body);
    this.dialog.setAttribute("aria-label", "What happened");
    document.body.append(this.dialog);
  }

  /** @param {string} id of an event */
  async open(id) {
    try {
      /** @type {StoredEvent} */
      const event = await call("GET", `/v1/events/${encodeURIComponent(id)}`);
      const streams = await listStreams();
      this.#show(event, streams.find((stream) => stream.id === event.stream)?.name ?? null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.toasts.show(`${error.message} ${error.action}`, { tone: "error" });
    }
  }

  /**
   * @param {StoredEvent} event
   * @param {string | null} name of its stream, while that is there
   */
  #show(event, name) {
    const parts = [];
    const source = event.frame_url ?? event.thumb;
    const offset = event.clip_offset_s;
    if (event.clip && typeof offset === "number") {
      const video = make("video", "told-picture");
      video.src = event.clip;
      video.controls = video.muted = video.autoplay = video.playsInline = true;
      if (source) video.poster = source;
      video.addEventListener("loadedmetadata", () => (video.currentTime = Math.max(0, offset - 2)), { once: true });
      parts.push(video);
    } else if (source) {
      const picture = make("img", "told-picture");
      picture.src = source;
      picture.alt = "";
      parts.push(picture);
    }
    const words = make("p", "", ...(event.kind === "alert" ? [icon("bell")] : []), event.text.replace(REFERENCE, "#$1"));
    const time = make("time", "foot", `${name ?? event.stream} · ${when(event.at, Date.now())}`);
    time.dateTime = event.at;
    parts.push(make("div", "told-words", words, time));
    if (name !== null) {
      const live = button("See it live", () => {
        this.dialog.close();
        location.hash = streamHash(event.stream);
      }, "button primary");
      parts.push(live);
    }
    this.body.replaceChildren(...parts);
    this.body.dataset.severity = event.severity;
    if (!this.dialog.open) this.dialog.showModal();
  }
}
