// Which line of annotations belongs to a picture, and from when on a choice of time looks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClipLines, nearest, parseLines } from "../../web/static/clip-lines.js";
import { sinceOf } from "../../web/static/history-filters.js";

const line = (time_s) => ({ time_s, tracks: [] });

test("the nearest of ascending times", () => {
  const times = [0, 0.033, 0.067, 0.1];
  assert.deepEqual([-1, 0, 0.016, 0.0166, 0.05, 0.1, 9].map((time) => nearest(times, time)), [0, 0, 0, 1, 1, 3, 3]);
  assert.equal(nearest([], 1), -1);
});

test("a picture that was not looked at has no line", () => {
  const lines = new ClipLines([line(0), line(0.1)]);
  assert.equal(lines.at(0.0999)?.place, 1);
  assert.equal(lines.at(0.0333), null);
  assert.equal(new ClipLines([]).at(0), null);
});

test("outlines come for the line that was asked for, also where it has no mask", () => {
  const lines = new ClipLines([line(0), line(0.1)]);
  const seen = [];
  lines.outlines(1, (outlines) => seen.push(outlines.size));
  lines.outlines(1, (outlines) => seen.push(outlines.size));
  assert.deepEqual(seen, [0, 0]);
});

test("lines are read one by one", () => {
  assert.deepEqual(parseLines('{"pts":0}\n{"pts":3000}\n').map(({ pts }) => pts), [0, 3000]);
});

test("from when on a choice of time looks", () => {
  const now = Date.parse("2026-05-04T12:30:00Z");
  assert.equal(sinceOf("hour", now), "2026-05-04T11:30:00.000Z");
  assert.equal(sinceOf("week", now), "2026-04-27T12:30:00.000Z");
  assert.equal(sinceOf("", now), null);
  const midnight = new Date(sinceOf("today", now) ?? "");
  assert.deepEqual([midnight.getHours(), midnight.getMinutes(), midnight.getDate()], [0, 0, new Date(now).getDate()]);
});
