// Keep what is in the picture now as a clip, with the seconds before it, and play it as soon as it is there.
import { ApiError, call } from "./api.js";
import { find, iconButton } from "./dom.js";

/** @param {import("./page.js").Page} page */
export function openClips(page) {
  const { toasts, announcer, actions, keys } = page.parts;
  const path = () => `/v1/streams/${encodeURIComponent(page.stream ?? "")}/clips`;

  async function save() {
    if (!page.stream) return;
    try {
      const saved = await call("POST", path(), {});
      const words = `Clip saved with what comes in the next ${Math.round(saved.ready_in_s)} seconds.`;
      toasts.show(words, { actions: [["Show", () => showEvent(saved.event_id)]] });
      announcer.say(words);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "clips_off") return actions.fail(error);
      const words = "Clips of this stream are off: nothing of it is written to the disk.";
      toasts.show(words, { ms: 12_000, actions: [["Turn on", () => void turnOn()]] });
      announcer.say(words);
    }
  }

  async function turnOn() {
    try {
      const { before_s, after_s } = await call("PATCH", path(), { on: true });
      toasts.show(`Clips are on: ${before_s} s before and ${after_s} s after each alert. Save one at any time.`);
    } catch (error) {
      actions.fail(error);
    }
  }

  const tool = iconButton("clip", "Save a clip (C)", () => void save());
  tool.id = "tool-clip";
  tool.setAttribute("aria-keyshortcuts", "C");
  find("#tool-snapshot", HTMLElement).after(tool);
  keys.c = () => void save();
}

/** @param {string} id of an event */
export function showEvent(id) {
  document.dispatchEvent(new CustomEvent("onlooker:show-event", { detail: { id } }));
}
