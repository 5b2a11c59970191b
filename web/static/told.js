// What is told outside of this page: notifications of this browser, and the places that the server sends alerts to.
import { ApiError, call } from "./api.js";
import { showEvent } from "./clips.js";
import { checkbox } from "./dialogs.js";
import { button, find, make } from "./dom.js";
import { Notifications } from "./notifications.js";
import { routeOf, streamHash } from "./route.js";
import { SinkList } from "./sinks.js";

/** @param {import("./page.js").Page} page */
export function openTold(page) {
  const { settings, toasts, announcer } = page.parts;
  const tab = () => ({ hidden: document.hidden, grid: routeOf(location.hash).grid, stream: page.stream });
  const notifications = new Notifications(tab, (message) => {
    if (message.type === "alert") {
      location.hash = streamHash(message.data.stream);
      showEvent(message.data.event.id);
    } else if (message.type === "summary") find("#open-history", HTMLElement).click();
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
  const asked = new URLSearchParams(location.search).get("event") ?? "";
  if (/^[0-9a-f]{32}$/.test(asked)) showEvent(asked);
}

/**
 * @param {import("./settings.js").Settings} settings
 * @param {Notifications} notifications
 * @param {(words: string) => void} refused
 */
function notificationRow(settings, notifications, refused) {
  const control = checkbox(settings.get("notify"));
  control.id = "setting-notify";
  const test = button("Send a test", async () => {
    try {
      /** @type {{items: import("./types.js").SinkInfo[]}} */
      const { items } = await call("GET", "/v1/sinks");
      for (const { kind, name } of items) if (kind === "browser") await call("POST", `/v1/sinks/${name}/test`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      refused(`${error.message} ${error.action}`);
    }
  });
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
