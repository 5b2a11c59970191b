import assert from "node:assert/strict";
import { test } from "node:test";
import { keyName, refusal } from "../../web/static/hold.js";
import { height } from "../../web/static/meter.js";
import { Interruption, MICROPHONE_FAULTS, moodOf, moodWords } from "../../web/static/voice-state.js";

const QUIET = { open: false, wanted: false, hears: false, server: "off", sending: false, answering: false, speaking: false };
const HELD = { ...QUIET, wanted: true, hears: true };
const OPEN = { ...QUIET, open: true, wanted: true, hears: true, server: "listening" };

test("each situation of the voice has its mood, the most urgent first", () => {
  assert.equal(moodOf(QUIET), "off");
  assert.equal(moodOf({ ...HELD, hears: false }), "opening");
  assert.equal(moodOf(HELD), "listening", "it listens from the device on, whatever the server knows of it");
  assert.equal(moodOf({ ...HELD, server: "hearing" }), "hearing");
  assert.equal(moodOf({ ...HELD, speaking: true, answering: true }), "listening");
  assert.equal(moodOf({ ...QUIET, server: "hearing" }), "thinking", "the last word is on its way");
  assert.equal(moodOf({ ...QUIET, server: "idle", sending: true }), "thinking");
  assert.equal(moodOf({ ...QUIET, server: "thinking" }), "thinking");
  assert.equal(moodOf({ ...QUIET, server: "idle", answering: true }), "thinking");
  assert.equal(moodOf({ ...QUIET, answering: true, speaking: true }), "speaking");
  assert.equal(moodOf(OPEN), "listening");
  assert.equal(moodOf({ ...OPEN, server: "off" }), "opening");
  assert.equal(moodOf({ ...OPEN, speaking: true }), "speaking");
  assert.equal(moodOf({ ...OPEN, speaking: true, server: "hearing" }), "hearing");
  assert.equal(moodOf({ ...OPEN, wanted: false, server: "idle" }), "off");
});

test("every mood but the quiet one has words, and every fault its way out", () => {
  const how = { open: true, wakeWord: "", touch: false };
  for (const mood of ["opening", "listening", "hearing", "thinking", "speaking"]) assert.ok(moodWords(mood, how), mood);
  assert.equal(moodWords("off", how), "");
  assert.equal(moodWords("listening", { ...how, wakeWord: "computer" }), "Say “computer” and ask");
  for (const [name, { title, text, again }] of Object.entries(MICROPHONE_FAULTS)) {
    assert.ok(title && text && (again || name === "insecure"), name);
  }
});

/** Feed levels 20 times a second; when it was taken for a person, in ms. */
function interruptedAt(levels) {
  const interruption = new Interruption();
  const at = levels.findIndex((level, i) => interruption.feed(level, i * 50));
  return at < 0 ? null : at * 50;
}
const lasting = (ms, level) => Array(ms / 50).fill(level);

test("the voice that comes back through the room is no interruption, however long", () => {
  const uneven = Array.from({ length: 400 }, (_, i) => 0.05 + 0.04 * Math.abs(Math.sin(i)));
  assert.equal(interruptedAt(uneven), null);
  assert.equal(interruptedAt(lasting(10_000, 0.005)), null);
});

test("who talks over it is heard after a fifth of a second, a knock is not", () => {
  assert.equal(interruptedAt([...lasting(2000, 0.03), ...lasting(1000, 0.12)]), 2200);
  assert.equal(interruptedAt([...lasting(2000, 0.001), ...lasting(1000, 0.03)]), 2200, "with headphones");
  assert.equal(interruptedAt([...lasting(2000, 0.03), ...lasting(100, 0.5), ...lasting(2000, 0.03)]), null);
});

test("only a key alone that does nothing else can be held", () => {
  const key = (name, more = {}) => ({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...more });
  const taken = ["p", "Delete", "?"];
  for (const good of ["v", "J", "F8", "ö", "`"]) assert.equal(refusal(key(good), taken), "", good);
  for (const bad of ["P", "Delete", "?", "Tab", " ", "Escape", "Enter", "ArrowLeft", "Shift"]) assert.ok(refusal(key(bad), taken), bad);
  assert.ok(refusal(key("v", { ctrlKey: true }), taken));
  assert.equal(keyName("v"), "V");
  assert.equal(keyName("F8"), "F8");
});

test("the meter shows whispering and shouting", () => {
  assert.equal(height(0), 0);
  assert.equal(height(1), 1);
  assert.ok(height(0.005) > 0.2 && height(0.005) < height(0.05) && height(0.05) < 1);
});
