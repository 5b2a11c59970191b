// All cameras: where tiles stand, what they say, and what an address means.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isRtsp, probeWords, sourceOf, splitAddress } from "../../web/static/camera-address.js";
import { routeOf, streamHash } from "../../web/static/route.js";
import { tileWords } from "../../web/static/tile-state.js";
import { columnsFor, moved } from "../../web/static/tiling.js";

const TILE = { gap: 12, ratio: 16 / 9, below: 36 };

test("tiles are as large as they can be without scrolling", () => {
  const wide = { width: 1248, height: 680 };
  assert.equal(columnsFor(1, wide, TILE), 1);
  assert.equal(columnsFor(2, wide, TILE), 2);
  assert.equal(columnsFor(4, wide, TILE), 2);
  assert.equal(columnsFor(5, wide, TILE), 3);
  assert.equal(columnsFor(9, wide, TILE), 3);
  assert.equal(columnsFor(16, { width: 1888, height: 900 }, TILE), 4);
  assert.equal(columnsFor(4, { width: 366, height: 700 }, TILE), 1, "a phone");
  assert.equal(columnsFor(16, { width: 600, height: 300 }, TILE), 2, "they stay large enough to be made out");
  assert.equal(columnsFor(0, wide, TILE), 1);
});

test("arrow keys walk the grid by rows and never leave it", () => {
  const from = (/** @type {string} */ key, /** @type {number} */ at) => moved(key, at, 8, 3);
  assert.equal(from("ArrowRight", 2), 3);
  assert.equal(from("ArrowRight", 7), 7);
  assert.equal(from("ArrowLeft", 0), 0);
  assert.equal(from("ArrowDown", 1), 4);
  assert.equal(from("ArrowDown", 5), 7, "into the shorter last row");
  assert.equal(from("ArrowDown", 6), 6);
  assert.equal(from("ArrowUp", 1), 1);
  assert.equal(from("ArrowUp", 7), 4);
  assert.equal(from("Home", 5), 0);
  assert.equal(from("End", 5), 7);
  assert.equal(from("x", 5), 5);
});

test("the address of the page names the view", () => {
  assert.deepEqual(routeOf("#grid"), { grid: true, stream: null });
  assert.deepEqual(routeOf(streamHash("front-door")), { grid: false, stream: "front-door" });
  assert.deepEqual(routeOf(""), { grid: false, stream: null });
  assert.deepEqual(routeOf("#stream/"), { grid: false, stream: null });
});

test("credentials that were pasted with an address are taken out of it", () => {
  const plain = { address: "rtsp://10.0.0.5:554/a@b?x=1", username: "", password: "" };
  assert.deepEqual(splitAddress(" rtsp://10.0.0.5:554/a@b?x=1 "), plain);
  assert.deepEqual(splitAddress("rtsp://admin:p%40ss:1@10.0.0.5/s"), { address: "rtsp://10.0.0.5/s", username: "admin", password: "p@ss:1" });
  assert.deepEqual(splitAddress("rtsp://admin:p@ss@10.0.0.5"), { address: "rtsp://10.0.0.5", username: "admin", password: "p@ss" });
  assert.deepEqual(splitAddress("http://viewer@cam/v"), { address: "http://cam/v", username: "viewer", password: "" });
  assert.equal(splitAddress("rtsp://a:100%@h/").password, "100%", "what is no escape stays as it is");
});

test("an address becomes a source of the kind that it looks like", () => {
  const form = { address: "", username: "", password: "", transport: "udp", anyCertificate: false };
  const kind = (/** @type {string} */ address) => sourceOf({ ...form, address })?.kind;
  assert.deepEqual(sourceOf({ ...form, address: "rtsps://h/1", username: "u", password: "p", transport: "tcp" }), {
    kind: "rtsp", url: "rtsps://h/1", username: "u", password: "p", transport: "tcp", verify_tls: true,
  });
  assert.deepEqual(sourceOf({ ...form, address: "192.168.1.20:8554/live" }), {
    kind: "rtsp", url: "rtsp://192.168.1.20:8554/live", transport: "udp",
  });
  assert.deepEqual(sourceOf({ ...form, address: "http://h/v.mjpg" }), { kind: "http", url: "http://h/v.mjpg" });
  assert.deepEqual(sourceOf({ ...form, address: "https://h/v", anyCertificate: true }), { kind: "http", url: "https://h/v", verify_tls: false });
  assert.deepEqual(sourceOf({ ...form, address: "/dev/video0" }), { kind: "v4l2", device: "/dev/video0" });
  assert.equal(kind("clips/walk.mp4"), "file");
  assert.equal(kind("walk.mp4"), "file");
  assert.equal(kind("clips/"), "folder");
  assert.equal(kind("ftp://h/a"), undefined);
  assert.equal(kind(""), undefined);
  assert.ok(isRtsp("cam.local/1"));
  assert.ok(!isRtsp("http://cam.local/1"));
});

test("what a camera sends is told in a line", () => {
  const found = { codecs: ["h264", "aac"], width: 1920, height: 1080, fps: 24.99 };
  assert.equal(probeWords(found), "H.264 + AAC · 1920 × 1080 · 25 pictures a second");
  assert.equal(probeWords({ ...found, codecs: ["hevc"], fps: 0 }), "H.265 · 1920 × 1080");
});

test("a tile says what is wrong, the most important first", () => {
  const fine = {
    state: /** @type {const} */ ("live"), trouble: null, since: 5, fromPage: false, connected: true, hasPicture: true, full: false, failed: null,
  };
  const clock = () => "14:02";
  const words = (/** @type {Partial<import("../../web/static/tile-state.js").TileSituation>} */ change) => tileWords({ ...fine, ...change }, clock);
  assert.deepEqual(words({}), { word: "live", tone: "good", text: "", detail: "", busy: false });
  assert.equal(words({ connected: false }).word, "connecting");
  const refused = words({ state: "waiting", trouble: "Wrong password." });
  assert.equal(refused.text, "Offline since 14:02");
  assert.equal(refused.detail, "Wrong password. It is tried again by itself.");
  assert.equal(words({ state: "stalled", trouble: "It does not answer." }).word, "offline");
  assert.equal(words({ state: "waiting", since: null, trouble: "It does not answer." }).text, "Offline");
  assert.equal(words({ state: "waiting", since: null }).word, "connecting");
  assert.match(words({ state: "waiting", fromPage: true }).text, /Waiting for the sender/);
  assert.match(words({ state: "stalled" }).text, /No new picture since 14:02/);
  assert.match(words({ full: true }).detail, /All places for viewers/);
  assert.equal(words({ failed: "UDP is blocked." }).word, "no video");
  assert.equal(words({ state: "ended", full: true }).word, "ended");
});
