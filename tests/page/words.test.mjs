import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestWords, suggestions } from "../../web/static/concept.js";
import { fold } from "../../web/static/objects.js";
import { STATES, stateOf, wordsOf } from "../../web/static/states.js";

const WORDS = ["person", "parking meter", "car", "cat", "carrot", "cup", "scissors"];
const FINE = {
  capture: null, connected: true, wasConnected: true, refused: null, hasPicture: true,
  rtcFailed: false, rtcLost: false, paused: false, stream: "live", published: false,
};

test("suggestions begin with what was typed, then contain it", () => {
  assert.deepEqual(suggestions("car", WORDS), ["car", "carrot"]);
  assert.deepEqual(suggestions("met", WORDS), ["parking meter"]);
  assert.deepEqual(suggestions("zebra", WORDS), []);
});

test("the nearest words come first", () => {
  assert.equal(nearestWords("persn", WORDS)[0], "person");
  assert.equal(nearestWords("cats", WORDS)[0], "cat");
});

test("nothing is said while all is well", () => {
  assert.equal(stateOf(FINE), null);
});

test("each situation has its state, the most urgent first", () => {
  assert.equal(stateOf({ ...FINE, refused: "token", connected: false }), "token");
  assert.equal(stateOf({ ...FINE, connected: false }), "server_gone");
  assert.equal(stateOf({ ...FINE, connected: false, wasConnected: false, hasPicture: false }), "connecting");
  assert.equal(stateOf({ ...FINE, stream: "still" }), "still");
  assert.equal(stateOf({ ...FINE, stream: "still", paused: true }), "paused");
  assert.equal(stateOf({ ...FINE, rtcLost: true }), "reconnecting");
  assert.equal(stateOf({ ...FINE, rtcLost: true, hasPicture: false }), "connecting");
  assert.equal(stateOf({ ...FINE, rtcLost: true, rtcFailed: true }), "rtc_failed");
  assert.equal(stateOf({ ...FINE, stream: "waiting" }), "waiting");
  assert.equal(stateOf({ ...FINE, stream: "waiting", published: true }), null);
  assert.equal(stateOf({ ...FINE, capture: "unplugged", stream: "still" }), "unplugged");
  assert.equal(stateOf({ ...FINE, rtcFailed: true }), "rtc_failed");
});

test("every state has words, and each that covers the picture for good has a way out", () => {
  for (const [name, state] of Object.entries(STATES)) {
    assert.ok(state.title && wordsOf(name), name);
    if (state.place === "cover" && !state.busy) assert.ok(state.actions.length, name);
  }
});

test("what has been lost for a while is folded away, unless it is in use", () => {
  const item = (id, lostAt) => ({ track: { id }, lostAt, hidden: false });
  const items = [item(1, null), item(2, 1000), item(3, 9000), item(4, 500)];
  const ids = (inUse) => fold(items, 10_000, inUse).map((some) => some.map(({ track }) => track.id));
  assert.deepEqual(ids(() => false), [[1, 3], [2, 4]]);
  assert.deepEqual(ids((id) => id === 4), [[1, 3, 4], [2]]);
});
