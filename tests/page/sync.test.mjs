import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Calibration, CaptureLink, DelayControl, EncodedLink, keepsUp, nearestShot, nextSynced, quantile, rtpDelta,
} from "../../web/static/sync.js";

const INTERVAL = 1000 / 30;

function shot(seq, { at = seq * INTERVAL, unixUs = null, result = null } = {}) {
  return { seq, at, unixUs, rtp: null, viewRtp: null, width: 4, height: 3, image: null, result };
}

test("RTP distances are signed and survive the wrap", () => {
  assert.equal(rtpDelta(10, 4), 6);
  assert.equal(rtpDelta(4, 10), -6);
  assert.equal(rtpDelta(5, 0xfffffffb), 10);
  assert.equal(rtpDelta(0xfffffffb, 5), -10);
});

test("one sender report names every later and earlier frame", () => {
  const link = new CaptureLink();
  assert.equal(link.unixUs(1), null);
  link.learn(0xfffffff0, 1_000_000_000, "report");
  assert.equal(link.unixUs(0xfffffff0 - 3000), 1_000_000_000 - 3000 / 0.09);
  assert.ok(Math.abs(link.unixUs((0xfffffff0 + 3000) >>> 0) - (1_000_000_000 + 3000 / 0.09)) < 1);
});

test("a guess from encoded frames never replaces a sender report", () => {
  const link = new CaptureLink();
  link.learn(0, 5_000_000, "transform");
  assert.equal(link.rung, "transform");
  link.learn(0, 6_000_000, "report");
  link.learn(0, 7_000_000, "transform");
  assert.equal(link.unixUs(0), 6_000_000);
  assert.equal(link.rung, "report");
});

test("encoded frames tell the capture time of their RTP timestamps, even if some come late", () => {
  const link = new EncodedLink();
  const shots = [];
  let anchor = null;
  for (let frame = 0; frame < 15; frame++) {
    const captured = 1_000_000 + frame * INTERVAL * 1000;
    shots.push(shot(frame, { unixUs: captured }));
    link.note((0xffffff00 + frame * 3000) >>> 0, captured + (frame % 4 === 0 ? 40_000 : 9_000));
    anchor = link.resolve(shots, captured + 10_000) ?? anchor;
  }
  anchor = link.resolve(shots, 9_000_000);
  assert.equal(anchor.rtp, 0xffffff00);
  assert.ok(Math.abs(anchor.unixUs - 1_000_000) < 1000);
});

test("a result belongs to the frame captured nearest to it, within half an interval", () => {
  const shots = [1, 2, 3].map((seq) => shot(seq, { unixUs: seq * INTERVAL * 1000 }));
  assert.equal(nearestShot(shots, 2 * INTERVAL * 1000 + 9000, INTERVAL).seq, 2);
  assert.equal(nearestShot(shots, 2 * INTERVAL * 1000 - 16_000, INTERVAL).seq, 2);
  assert.equal(nearestShot(shots, 5 * INTERVAL * 1000, INTERVAL), null);
});

test("calibration finds the usual distance between presentation and capture", () => {
  const calibration = new Calibration();
  for (let frame = 0; frame < 60; frame++) {
    const captured = frame * INTERVAL * 1000;
    const shots = [0, 1, 2].map((n) => shot(n, { unixUs: captured + (n - 1) * INTERVAL * 1000 + 12_000 + (frame % 5) * 500 }));
    calibration.learn(shots, captured);
  }
  assert.ok(calibration.ready);
  assert.ok(Math.abs(calibration.offsetUs - 13_000) <= 1000);
});

test("the delay covers nearly all results and a frame more, and moves slowly once it is settled", () => {
  const control = new DelayControl();
  for (let i = 0; i < 90; i++) {
    control.learn(40 + (i % 10));
    control.step(INTERVAL);
  }
  assert.ok(control.delayMs >= 48 + INTERVAL - 1 && control.delayMs <= 50 + INTERVAL);
  const before = control.delayMs;
  for (let i = 0; i < 5; i++) control.learn(400);
  control.step(INTERVAL);
  assert.ok(control.delayMs - before <= 4);
});

test("only frames with their own result are shown, the oldest due first", () => {
  const result = { seq: 1 };
  const shots = [shot(1, { result }), shot(2), shot(3, { result }), shot(4, { result })];
  const now = 3 * INTERVAL + 50;
  assert.equal(nextSynced(shots, now, 50, 0, INTERVAL).seq, 3);
  assert.equal(nextSynced(shots, now, 50, 3, INTERVAL), null);
  assert.equal(nextSynced(shots, now + 10, 40, 1, INTERVAL).seq, 3);
  assert.equal(nextSynced(shots.slice(0, 2), now, 50, 1, INTERVAL), null);
});

test("a picture that fell behind jumps to the newest due frame", () => {
  const result = { seq: 1 };
  const shots = [1, 2, 3].map((seq) => shot(seq, { result }));
  assert.equal(nextSynced(shots, 1000, 50, 0, INTERVAL).seq, 3);
});

test("an engine keeps up at ten frames a second, or at most of a slower camera's", () => {
  assert.ok(keepsUp(30, 30));
  assert.ok(keepsUp(30, 10));
  assert.ok(!keepsUp(30, 9));
  assert.ok(keepsUp(5, 4));
  assert.ok(!keepsUp(10, 5));
});

test("quantiles of no samples are not a number", () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(quantile([3, 1, 2], 0.5), 2);
});
