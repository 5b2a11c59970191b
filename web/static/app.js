// The composition of the page: makes the parts and wires them. What a part does is in its own file.
import { ApiError, listStreams, openDemo, openSession } from "./api.js";
import { Actions } from "./actions.js";
import { Capture } from "./capture.js";
import { Choices } from "./choices.js";
import { ConceptField } from "./concept.js";
import { Cover } from "./cover.js";
import { fillKeys, fillSettings } from "./dialogs.js";
import { find, icon } from "./dom.js";
import { Feed, ownStreamId } from "./feed.js";
import { listenKeys } from "./keys.js";
import { Model, objectAt } from "./model.js";
import { Notes } from "./notes.js";
import { lines, showLines, summary } from "./numbers.js";
import { ObjectList } from "./objects.js";
import { ObjectMenu } from "./object-menu.js";
import { pathOf } from "./paint.js";
import { Pointer } from "./pointer.js";
import { saveCutOut, saveSnapshot } from "./save.js";
import { Announcer, Toasts } from "./say.js";
import { Settings } from "./settings.js";
import { SourceMenu } from "./sources.js";
import { Stage } from "./stage.js";
import { stateOf } from "./states.js";

/** @typedef {import("./types.js").ServerMessage} ServerMessage */

const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
const canvas = find("#scene", HTMLCanvasElement);
const query = new URLSearchParams(location.search);
const settings = new Settings();
const model = new Model();
const toasts = new Toasts(element("toasts"));
const announcer = new Announcer(element("live"));
const capture = new Capture(settings, () => leaveSource());

/** @type {Feed | null} */
let feed = null;
/** @type {import("./types.js").StateName | null} */
let startState = "starting";
let startError = "";
/** @type {import("./types.js").Status | null} */
let status = null;
let codec = "";
let backUntil = 0;
let turned = false;

const mirrored = () => {
  if (capture.kind !== "camera") return turned;
  const wish = settings.get("mirror");
  return wish === "on" || (wish === "auto" && capture.facesUser);
};

const stage = new Stage(canvas, find("#video", HTMLVideoElement), {
  mirrored,
  marked: () => model.hovered ?? model.selected,
  visible: (track) => !model.hidden.has(track.id),
  opacity: (track) => model.opacity(track.id, performance.now()),
  settings,
});

/** The frame under the pointer, as the server knows it. */
function shownFrame() {
  const { drawn } = stage;
  if (drawn?.synced && drawn.result) return { epoch: drawn.result.epoch, rtp: drawn.result.rtp };
  if (drawn?.shot.rtp !== null && drawn?.result) return { epoch: drawn.result.epoch, rtp: drawn.shot.rtp };
  return null;
}

const actions = new Actions({ live: () => feed?.live ?? null, frame: shownFrame, model, toasts, announcer });
const cover = new Cover({ cover: element("cover"), badges: element("badges") }, act);
const choices = new Choices(element("choices"));
const notes = new Notes(element("notes"), (words) => announcer.say(words));
const concept = new ConceptField(
  {
    form: find("#concept", HTMLFormElement),
    input: find("#concept-input", HTMLInputElement),
    list: element("concept-list"),
    chips: element("chips"),
  },
  { follow: (text) => void actions.follow(text), drop: (prompt) => void actions.drop(prompt) },
);
const menu = new ObjectMenu(element("object-menu"), {
  rename: (id) => list.edit(id),
  hide: (id) => hide(id, !model.hidden.has(id)),
  cutOut: (id) => {
    if (!saveCutOut(stage, id)) toasts.show("This object has no mask at present.");
  },
  remove: (id) => void actions.remove(id),
});
const list = new ObjectList(
  { list: element("objects"), empty: element("objects-empty"), count: element("objects-count") },
  {
    mark: (id) => hover(id),
    select: (id) => select(model.selected === id ? null : id),
    rename: (id, label) => void actions.rename(id, label),
    hide,
    menu: (id, anchor) => {
      const box = anchor.getBoundingClientRect();
      menu.open(id, model.name(id), { x: box.right - 220, y: box.bottom + 4 }, anchor, null);
    },
  },
  settings,
);
const pointer = new Pointer(canvas, element("crosshair"), element("rubber"), {
  click,
  box: (box) => void actions.box(box),
  hover: (spot) => hover(spot ? objectAt(stage.drawn?.result ?? null, spot, model.hidden, pathOf) : null),
  mirrored,
  say: (words) => announcer.say(words),
});
const sources = new SourceMenu(element("sources"), element("source"), {
  camera: (deviceId) => {
    if (deviceId) settings.set("camera", deviceId);
    void publish("camera");
  },
  screen: () => void publish("screen"),
  watch: ({ id, name, kind }) => watch(id, name, kind),
  current: () => feed?.id ?? null,
  failed: (error) => actions.fail(error),
});

// --- sources -------------------------------------------------------------------------------------------------------

async function start() {
  startState = "starting";
  refresh();
  try {
    const streams = await listStreams();
    const wanted = query.get("stream") ?? "demo";
    const first = streams.find((stream) => stream.id === wanted) ?? streams.find((stream) => stream.state === "live");
    if (first) watch(first.id, first.name || first.id, first.source.kind);
    else startState = "choose";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    startState = error.status === 401 ? "token" : "server_gone";
    if (error.status !== 401) setTimeout(() => startState === "server_gone" && start(), 3000);
  }
  refresh();
}

/**
 * @param {string} id
 * @param {string} name
 * @param {string} kind
 */
function watch(id, name, kind) {
  capture.forget();
  openFeed(id, null, name, kind === "webrtc" ? "camera" : "film");
}

/** @param {"camera" | "screen"} kind */
async function publish(kind) {
  const opened = await capture.open(kind);
  if (!opened) {
    // With a picture on screen a refusal is told beside it, not instead of it.
    if (feed && !capture.media) {
      const words = stateWords(capture.state);
      capture.state = null;
      toasts.show(words, { tone: "error", ms: 12_000, actions: [["Try again", () => void publish(kind)]] });
      announcer.say(words);
    }
    refresh();
    return;
  }
  const media = capture.media;
  if (!media) return;
  openFeed(ownStreamId(), { media, screen: kind === "screen", codec: query.get("codec") }, capture.name, kind);
  stage.play(media, true);
}

/**
 * @param {string} id
 * @param {{media: MediaStream, screen: boolean, codec: string | null} | null} own
 * @param {string} name
 * @param {string} iconName
 */
function openFeed(id, own, name, iconName) {
  feed?.close();
  startState = null;
  status = null;
  codec = "";
  turned = false;
  model.clear();
  choices.hide();
  stage.play(null, false);
  feed = new Feed(id, own, {
    message: onMessage,
    media: (media) => stage.play(media, false),
    encoded: (note) => stage.onEncoded(note),
    offset: (rtpOffset) => stage.useOffset(rtpOffset),
    restarted: onRestart,
    change: refresh,
  });
  element("source-name").textContent = name;
  element("source-icon").replaceChildren(icon(iconName));
  concept.showChips([]);
  refresh();
}

/** The camera or screen of this page has ended by itself. */
function leaveSource() {
  feed?.close();
  feed = null;
  model.clear();
  stage.play(null, false);
  announcer.say(stateWords(capture.state));
  refresh();
}

/** The server is another one than before: nothing of the old one is valid. */
function onRestart() {
  const concepts = feed?.own ? [...model.prompts.values()].filter((prompt) => prompt.kind === "text") : [];
  model.clear();
  stage.forgetResults();
  announcer.say("The server was started anew");
  for (const { text } of concepts) if (text) wantedAgain.add(text);
}

/** @type {Set<string>} concepts to ask for again once the new server knows this stream */
const wantedAgain = new Set();

// --- messages ------------------------------------------------------------------------------------------------------

/** @param {ServerMessage} message */
function onMessage(message) {
  if (message.type === "tracks") {
    stage.onTracks(message);
    if (model.update(message.tracks, performance.now())) showObjects();
  } else if (message.type === "status") {
    status = message;
    notes.show(message.engine.notes);
    refresh();
  } else if (message.type === "hello") onHello(message);
  else if (message.type === "prompt") onPrompt(message);
  else if (message.type === "track") onTrackFact(message);
  else if (message.type === "source") {
    codec = message.codec ?? codec;
    if (message.change === "lost") announcer.say("The picture was lost");
  } else if (message.type === "error") toasts.show(`${message.message} ${message.action}`, { tone: "error" });
}

/** @param {import("./types.js").Hello} hello */
function onHello(hello) {
  model.words = hello.engine.words ?? [];
  concept.words = model.words;
  model.prompts = new Map(hello.prompts.map((prompt) => [prompt.id, prompt]));
  concept.showChips(hello.prompts);
  for (const text of wantedAgain) void actions.follow(text);
  wantedAgain.clear();
}

/** @param {import("./types.js").PromptMessage} message */
function onPrompt({ prompt, tracks, choices: offered }) {
  if (prompt.state === "removed") model.prompts.delete(prompt.id);
  else model.prompts.set(prompt.id, prompt);
  concept.showChips([...model.prompts.values()]);
  if (prompt.state === "failed" && prompt.message) {
    toasts.show(prompt.message, { tone: "error" });
    announcer.say(prompt.message);
  }
  const refined = tracks[0] ?? prompt.track_id ?? null;
  if (offered && offered.length > 1) {
    choices.show(offered, mirrored(), (choice) => void actions.box(choice.box_xyxy, refined));
    announcer.say(`You can choose: ${offered.map((choice) => choice.name).join(" or ")}`);
  }
}

/** @param {Extract<ServerMessage, {type: "track"}>} message */
function onTrackFact({ id, change, label }) {
  const name = label ? `#${id} ${label}` : model.name(id);
  /** @type {Partial<Record<typeof change, string>>} */
  const words = { confirmed: `Following ${name}`, lost: `${name} lost`, found: `${name} found again`, gone: `${name} gone` };
  if (words[change]) announcer.say(words[change]);
  if (change === "confirmed") hideHint();
}

// --- what the user does --------------------------------------------------------------------------------------------

/**
 * @param {import("./pointer.js").Spot} spot
 * @param {import("./pointer.js").ClickKind} kind
 * @param {{x: number, y: number}} screen
 */
function click(spot, kind, screen) {
  const hit = objectAt(stage.drawn?.result ?? null, spot, model.hidden, pathOf);
  const onlyOne = model.items.size === 1 ? [...model.items.keys()][0] : undefined;
  const target = model.selected ?? hit ?? onlyOne ?? null;
  hideHint();
  if (kind === "new" && hit !== null) {
    select(hit);
    menu.open(hit, model.name(hit), { x: screen.x + 8, y: screen.y + 8 }, canvas, () => void actions.point(spot, true, null));
  } else if (kind === "new") {
    select(null);
    ping(spot);
    void actions.point(spot, true, null);
  } else if (target === null) {
    toasts.show("Select an object first: click it, or choose it in the list.");
  } else {
    ping(spot);
    void actions.point(spot, kind === "add", target);
  }
}

/** A ring that says: seen, working on it. */
function ping(/** @type {import("./pointer.js").Spot} */ { x, y }) {
  const ring = document.createElement("div");
  ring.className = "ping";
  ring.style.setProperty("left", `${100 * (mirrored() ? 1 - x : x)}%`);
  ring.style.setProperty("top", `${100 * y}%`);
  ring.addEventListener("animationend", () => ring.remove());
  element("picture").append(ring);
}

function select(/** @type {number | null} */ id) {
  model.selected = id;
  stage.redraw();
  showObjects();
}

function hover(/** @type {number | null} */ id) {
  if (model.hovered === id) return;
  model.hovered = id;
  stage.redraw();
  showObjects();
}

function hide(/** @type {number} */ id, /** @type {boolean} */ hidden) {
  model.hide(id, hidden);
  stage.redraw();
  showObjects();
}

/** @param {(id: number) => void} act */
function withSelected(act) {
  if (model.selected === null) toasts.show("Select an object first: press ] or click it.");
  else act(model.selected);
}

function hideHint() {
  element("hint").hidden = true;
  sessionStorage.setItem("onlooker.hint", "seen");
}

/**
 * @param {import("./states.js").ActionName} action
 * @param {string} value
 */
async function act(action, value) {
  if (action === "camera" || action === "screen") await publish(action);
  else if (action === "retry" || action === "republish") feed ? feed.retry() : await start();
  else if (action === "reload") location.reload();
  else if (action === "resume") pause(false);
  else if (action === "streams") sources.open();
  else if (action === "demo") await playDemo();
  else await enterToken(value);
}

async function playDemo() {
  try {
    const running = (await listStreams()).find((stream) => stream.source.kind === "demo");
    const demo = running ?? (await openDemo());
    watch(demo.id, demo.name || demo.id, "demo");
  } catch (error) {
    actions.fail(error);
  }
}

async function enterToken(/** @type {string} */ token) {
  try {
    await openSession(token);
    startError = "";
    feed ? feed.retry() : await start();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    startError = error.message;
    refresh();
  }
}

function pause(/** @type {boolean} */ paused) {
  stage.paused = paused;
  refresh();
}

function toggleMirror() {
  if (capture.kind === "camera") settings.set("mirror", mirrored() ? "off" : "on");
  else turned = !turned;
  stage.redraw();
  refresh();
}

function toggleFull() {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void find(".view", HTMLElement).requestFullscreen();
}

function snapshot() {
  if (saveSnapshot(stage)) announcer.say("Snapshot saved");
}

function toggleNumbers() {
  const numbers = element("numbers");
  numbers.hidden = !numbers.hidden;
  element("status").setAttribute("aria-expanded", String(!numbers.hidden));
  if (!numbers.hidden) showNumbers();
}

function openDialog(/** @type {string} */ id) {
  find(`#${id}`, HTMLDialogElement).showModal();
}

// --- what is shown -------------------------------------------------------------------------------------------------

/** @param {import("./types.js").StateName | null} name */
function stateWords(name) {
  return name ? cover.words(name) : "";
}

function currentState() {
  if (!feed) return capture.state ?? startState;
  const state = stateOf({
    capture: capture.state,
    connected: feed.connected,
    wasConnected: feed.wasConnected,
    refused: feed.refused,
    hasPicture: stage.drawn !== null,
    rtcFailed: feed.rtcFailed,
    paused: stage.paused,
    stream: status?.state ?? null,
    published: feed.own !== null,
  });
  return state ?? (performance.now() < backUntil ? "background" : null);
}

function unsyncedWords() {
  if (settings.get("zeroDelay") || stage.paused || !stage.drawn?.result || stage.drawn.synced) return null;
  return "The newest masks are drawn on the live picture: the engine cannot keep up.";
}

/** Show the state, the status line and the pressed tools. */
function refresh() {
  const state = currentState();
  const words = state === "refused" && feed?.error ? { title: feed.error.message, text: feed.error.action } : {};
  cover.show(state, { ...words, ...(state === "token" ? { error: startError } : {}), unsynced: unsyncedWords() });
  const pressed = { pause: stage.paused, mirror: mirrored(), zero: settings.get("zeroDelay"), full: Boolean(document.fullscreenElement) };
  for (const [tool, on] of Object.entries(pressed)) element(`tool-${tool}`).setAttribute("aria-pressed", String(on));
  element("hint").hidden = state !== null || model.items.size > 0 || sessionStorage.getItem("onlooker.hint") === "seen";
  element("start").hidden = feed?.own !== null && feed !== null;
  showStatus(state);
  document.title = document.hidden && feed ? "In the background – Onlooker" : "Onlooker";
}

/** @type {Record<string, "good" | "warn" | "bad">} */
const TONES = { live: "good", still: "good", paused: "warn", stalled: "bad", waiting: "warn", ended: "warn" };

/** @param {import("./types.js").StateName | null} state */
function showStatus(state) {
  const troubled = state && !["still", "paused", "background", "starting", "connecting"].includes(state);
  const word = troubled ? (state === "server_gone" ? "offline" : "no picture") : (state ?? status?.state ?? "live").replace("background", "live");
  element("status-state").textContent = word;
  element("status-dot").dataset.tone = troubled ? "bad" : (TONES[word] ?? "warn");
  const live = !troubled && stage.drawn !== null;
  const { rate, latency, sync } = summary(readings());
  element("status-rate").textContent = live ? rate : "";
  element("status-latency").textContent = live ? latency : "";
  element("status-sync").textContent = live ? sync : "";
  element("status-sync").dataset.tone = sync === "exact" ? "good" : "warn";
}

function readings() {
  const zeroDelay = settings.get("zeroDelay");
  return { report: stage.report, counts: stage.counts, status, local: feed?.own !== null, zeroDelay, codec };
}

function showNumbers() {
  showLines(element("numbers-list"), lines(readings()));
}

let listDue = 0;

/** Draw the list soon; many changes at once cost one drawing. */
function showObjects() {
  if (listDue) return;
  listDue = requestAnimationFrame(() => {
    listDue = 0;
    list.update(model.list, model.hovered, model.selected);
  });
}

// --- wiring --------------------------------------------------------------------------------------------------------

canvas.addEventListener("resized", (event) => {
  const { width, height } = /** @type {CustomEvent<{width: number, height: number}>} */ (event).detail;
  element("picture").style.setProperty("--ratio", String(width / height));
});
settings.addEventListener("change", () => {
  stage.redraw();
  showObjects();
  refresh();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    backUntil = performance.now() + 4000;
    stage.ring.clear();
  }
  refresh();
});
document.addEventListener("fullscreenchange", refresh);
addEventListener("pagehide", () => feed?.close());
addEventListener("pageshow", (event) => event.persisted && void start());

/** @type {Record<string, () => void>} */
const CLICKS = {
  "use-camera": () => void publish("camera"),
  "use-screen": () => void publish("screen"),
  "tool-pause": () => pause(!stage.paused),
  "tool-mirror": toggleMirror,
  "tool-zero": () => settings.set("zeroDelay", !settings.get("zeroDelay")),
  "tool-box": () => pointer.startBox(),
  "tool-snapshot": snapshot,
  "tool-full": toggleFull,
  status: toggleNumbers,
  "open-settings": () => {
    fillSettings(element("settings-body"), settings);
    openDialog("settings");
  },
  "open-keys": () => openDialog("keys"),
};
for (const [id, run] of Object.entries(CLICKS)) element(id).addEventListener("click", run);
listenKeys({
  "/": () => concept.focus(),
  "?": () => openDialog("keys"),
  p: () => pause(!stage.paused),
  m: toggleMirror,
  z: () => settings.set("zeroDelay", !settings.get("zeroDelay")),
  b: () => pointer.startBox(),
  f: toggleFull,
  s: snapshot,
  n: toggleNumbers,
  u: () => actions.undo(),
  r: () => withSelected((id) => list.edit(id)),
  h: () => withSelected((id) => hide(id, !model.hidden.has(id))),
  Delete: () => withSelected((id) => void actions.remove(id)),
  "[": () => select(model.step(-1)),
  "]": () => select(model.step(1)),
  Escape: () => select(null),
});
fillKeys(element("keys-body"));
setInterval(() => {
  showObjects();
  refresh();
  if (!element("numbers").hidden) showNumbers();
}, 500);
void start();
