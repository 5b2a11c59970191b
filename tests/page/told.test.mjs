// What is told outside, in words, and which notifications are shown where.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isSeen, wordsOf } from "../../web/static/notifications.js";
import { scopeWords, sinkWords } from "../../web/static/sinks.js";

/** @type {import("../../web/static/types.js").SinkInfo} */
const SINK = {
  name: "mail", kind: "smtp", url: "mail.example:587", min_severity: "info", streams: [], events: [], quiet: false,
  delivered: 3, waiting: 0, held: 0, repeated: 0, dead: 0,
};

/** @param {Partial<import("../../web/static/protocol.js").Event>} [values] */
const alert = (values = {}) =>
  /** @type {Extract<import("../../web/static/types.js").ToldMessage, {type: "alert"}>} */ ({
    type: "alert",
    title: "Front door",
    text: "A person appears",
    data: { stream: "door", event: { id: "e1", severity: "warn", text: "A person [#3] appears", ...values } },
  });

test("how it goes with a place is said in one line", () => {
  assert.equal(sinkWords(SINK), "3 delivered");
  assert.equal(sinkWords({ ...SINK, waiting: 2, repeated: 1 }), "3 delivered · 2 on the way · 1 repeated, told once");
  assert.equal(sinkWords({ ...SINK, quiet: true }), "3 delivered · quiet hours");
  assert.equal(sinkWords({ ...SINK, quiet: true, held: 4 }), "3 delivered · 4 until the quiet hours end");
  assert.equal(scopeWords(SINK), "everything");
  assert.equal(scopeWords({ ...SINK, events: ["alert"], min_severity: "warn", streams: ["door", "yard-*"] }), "alert from warn on of door, yard-*");
});

test("what is on screen needs no notification", () => {
  const tab = { hidden: false, grid: false, stream: "door" };
  assert.equal(isSeen(alert(), tab), true);
  assert.equal(isSeen(alert(), { ...tab, hidden: true }), false);
  assert.equal(isSeen(alert(), { ...tab, stream: "yard" }), false);
  assert.equal(isSeen(alert(), { ...tab, stream: null, grid: true }), true, "all cameras are on screen");
  assert.equal(isSeen({ type: "test" }, tab), false, "a test is always shown");
});

test("a notification has the event's words and picture, once for each event", () => {
  const { title, options } = wordsOf(alert({ thumb: "/v1/events/e1/thumb.jpg", severity: "critical" }));
  assert.equal(title, "Front door");
  assert.deepEqual(options, { body: "A person appears", tag: "e1", icon: "/v1/events/e1/thumb.jpg", requireInteraction: true });
  assert.deepEqual(wordsOf({ type: "summary", title: "2 alerts", text: "…" }), { title: "2 alerts", options: { body: "…", tag: "summary" } });
});
