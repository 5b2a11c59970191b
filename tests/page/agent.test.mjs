import assert from "node:assert/strict";
import { test } from "node:test";
import { when } from "../../web/static/when.js";
import { seconds } from "../../web/static/turn.js";
import { forget, gathered, seen } from "../../web/static/timeline.js";
import { ruleWords, watchWords } from "../../web/static/watches.js";

test("rules are said in words", () => {
  assert.equal(ruleWords({ kind: "apart", label: "bag", near_label: "person", seconds: 0 }), "bag is left by person");
  assert.equal(ruleWords({ kind: "count", label: "person", op: ">", value: 3, seconds: 0 }), "number of person > 3");
  assert.equal(ruleWords({ kind: "enter", seconds: 0 }), "anything comes in");
  const compiled = { rules: [{ kind: "exit", label: "dog", seconds: 0 }], verify: "the wet dog leaves" };
  assert.equal(watchWords({ compiled }), "dog leaves; then the model decides");
});

test("a lane goes on over a short gap and begins anew after a long one", () => {
  const lanes = new Map();
  for (const now of [1000, 1100, 1300]) seen(lanes, [3], now);
  seen(lanes, [3], 2500);
  assert.deepEqual(lanes.get(3).spans, [[1000, 1300], [2500, 2500]]);
  forget(lanes, 122_000);
  assert.deepEqual(lanes.get(3).spans, [[2500, 2500]]);
  forget(lanes, 200_000);
  assert.equal(lanes.size, 0);
});

test("durations are short", () => {
  assert.equal(seconds(312), "0.31 s");
  assert.equal(seconds(12_345), "12.3 s");
});

test("what happens at about the same time is one mark, which an alert stands for", () => {
  const at = (second, kind = "lost") => ({ kind, at: new Date(1e12 + second * 1000).toISOString() });
  const [early, near, alert, late] = [at(0), at(0.5), at(1, "alert"), at(9)];
  assert.deepEqual(gathered([early, near, alert, late], 2000), [[late], [alert, near, early]]);
  assert.deepEqual(gathered([late, early, near], 2000), [[late], [near, early]]);
  assert.deepEqual(gathered([], 2000), []);
});

test("an event says its day where that is not today", () => {
  const now = new Date(2026, 5, 15, 12).getTime();
  const at = (/** @type {number} */ days) => when(new Date(now - days * 86_400_000).toISOString(), now);
  assert.match(at(0), /^\d\d:\d\d:\d\d/);
  assert.match(at(3), /12.*\d\d:\d\d/);
  assert.doesNotMatch(at(3), /2026/);
  assert.match(at(400), /2025/);
});
