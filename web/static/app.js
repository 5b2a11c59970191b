// The composition of the page: makes the parts and wires them. What a part does is in its own file.
import { Actions } from "./actions.js";
import { call } from "./api.js";
import { openConversation } from "./asking.js";
import { openCameras } from "./cameras.js";
import { Choices } from "./choices.js";
import { openClips } from "./clips.js";
import { ConceptField } from "./concept.js";
import { Cover } from "./cover.js";
import { DescribeSwitch } from "./describe.js";
import { fillKeys, fillSettings } from "./dialogs.js";
import { find, icon } from "./dom.js";
import { openHistory } from "./history.js";
import { listenKeys } from "./keys.js";
import { Messages } from "./messages.js";
import { Model } from "./model.js";
import { Notes } from "./notes.js";
import { ObjectList } from "./objects.js";
import { ObjectMenu } from "./object-menu.js";
import { Page } from "./page.js";
import { Picking, shownFrame } from "./picking.js";
import { Pointer } from "./pointer.js";
import { openRegions } from "./regions.js";
import { openPrivacy } from "./privacy.js";
import { saveCutOut, saveSnapshot } from "./save.js";
import { Announcer, Toasts } from "./say.js";
import { Selection } from "./selection.js";
import { Settings } from "./settings.js";
import { SourceMenu } from "./sources.js";
import { Stage } from "./stage.js";
import { Station } from "./station.js";
import { Timeline } from "./timeline.js";
import { openTold } from "./told.js";
import { View } from "./view.js";
import { fillVoiceSettings } from "./voice-settings.js";
import { Watches } from "./watches.js";

const REFRESH_MS = 500;
const MENU_WIDE = 220;

const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
const canvas = find("#scene", HTMLCanvasElement);
const settings = new Settings();
const model = new Model();
const toasts = new Toasts(element("toasts"));
const announcer = new Announcer(element("live"));

/** @type {Stage} */
const stage = new Stage(canvas, find("#video", HTMLVideoElement), {
  mirrored: () => station.mirrored,
  marked: () => model.hovered ?? model.selected,
  visible: (track) => !model.hidden.has(track.id),
  opacity: (track) => model.opacity(track.id, performance.now()),
  settings,
});
/** @type {Station} */
const station = new Station(settings, stage, {
  change: () => view.refresh(),
  message: (message) => {
    messages.take(message);
    page.take(message);
  },
  left: () => {
    menu.close();
    messages.clear();
    page.leave();
  },
  restarted: () => messages.restart(Boolean(station.feed?.own)),
  failed: (error) => actions.fail(error),
  say: (words) => announcer.say(words),
  refused: (words, again) => {
    toasts.show(words, { tone: "error", ms: 12_000, actions: [["Try again", again]] });
    announcer.say(words);
  },
  opened: (name, iconName) => {
    element("source-name").textContent = name;
    element("source-icon").replaceChildren(icon(iconName));
    cameras.view.leave();
  },
});
const currentLive = () => station.feed?.live ?? null;
const currentFrame = () => shownFrame(stage);
const selection = new Selection(model, stage, () => list.update(model.list, model.hovered, model.selected, performance.now()));
const hover = (/** @type {number | null} */ id) => selection.hover(id);
const select = (/** @type {number | null} */ id) => selection.select(id);
const actions = new Actions({
  live: currentLive,
  frame: currentFrame,
  model,
  toasts,
  announcer,
  asked: (id) => voice.asked(id, false, ""),
});
const cover = new Cover({ cover: element("cover"), badges: element("badges") }, takeAction);
const view = new View(station, stage, cover, settings);
const concept = new ConceptField(
  {
    form: find("#concept", HTMLFormElement),
    input: find("#concept-input", HTMLInputElement),
    list: element("concept-list"),
    chips: element("chips"),
  },
  {
    follow: (text) => {
      view.hideHint();
      void actions.follow(text);
    },
    drop: (prompt) => void actions.drop(prompt),
  },
);
const currentStream = () => station.feed?.id ?? null;
const { conversation, voice } = openConversation({
  settings,
  actions,
  model,
  announcer,
  live: currentLive,
  frame: currentFrame,
  mark: hover,
  select,
});
const watches = new Watches(
  { list: element("watches"), popover: element("watch-menu") },
  { stream: currentStream, failed: (error) => actions.fail(error), say: (words) => announcer.say(words) },
);
const timeline = new Timeline(
  { root: element("timeline"), canvas: find("#lanes", HTMLCanvasElement), marks: element("marks"), card: element("moment") },
  { stream: currentStream, colour: (id) => settings.colour(id), mark: hover, select, name: (id) => model.name(id) },
);
const messages = new Messages({
  model,
  stage,
  actions,
  concept,
  choices: new Choices(element("choices")),
  describe: new DescribeSwitch(element("describe"), settings, actions),
  notes: new Notes(element("notes"), (words) => announcer.say(words)),
  toasts,
  announcer,
  conversation,
  voice,
  watches,
  timeline,
  catchUp,
  mirrored: () => station.mirrored,
  listChanged: () => selection.show(),
  statusChanged: () => view.refresh(),
});
const menu = new ObjectMenu(element("object-menu"), {
  explain: (id) => conversation.explain(id),
  rename: (id) => list.edit(id),
  hide: (id) => selection.toggleHidden(id),
  cutOut: (id) => {
    if (!saveCutOut(stage, id)) toasts.show("This object has no mask at present.");
  },
  remove: (id) => void actions.remove(id),
});
const list = new ObjectList(
  { list: element("objects"), lost: find("#lost", HTMLDetailsElement), empty: element("objects-empty"), count: element("objects-count") },
  {
    mark: hover,
    select: (id) => selection.toggle(id),
    rename: (id, label) => void actions.rename(id, label),
    hide: (id, hidden) => selection.hide(id, hidden),
    menu: (id, anchor) => {
      const box = anchor.getBoundingClientRect();
      menu.open(id, model.name(id), { x: box.right - MENU_WIDE, y: box.bottom + 4 }, anchor, null);
    },
  },
  settings,
);
const picking = new Picking({
  picture: element("picture"),
  model,
  stage,
  selection,
  actions,
  toasts,
  mirrored: () => station.mirrored,
  used: () => view.hideHint(),
  menu: (id, screen, followPart) => menu.open(id, model.name(id), screen, canvas, followPart),
});
const pointer = new Pointer(canvas, element("crosshair"), element("rubber"), {
  click: (spot, kind, screen) => picking.click(spot, kind, screen),
  box: (box) => picking.box(box),
  hover: (spot) => hover(spot && picking.objectAt(spot)),
  mirrored: () => station.mirrored,
  say: (words) => announcer.say(words),
});
const sources = new SourceMenu(element("sources"), element("source"), {
  camera: (deviceId) => {
    if (deviceId) settings.set("camera", deviceId);
    void station.publish("camera");
  },
  screen: () => void station.publish("screen"),
  demo: () => void station.playDemo(),
  watch: ({ id, name, kind }) => station.watch(id, name, kind),
  all: () => cameras.view.show(),
  add: () => cameras.dialog.add(),
  current: () => station.feed?.id ?? null,
  own: () => (station.feed?.own ? station.feed.id : null),
  usedCamera: () => station.capture.deviceId,
  failed: (error) => actions.fail(error),
});

/** What was said and what happened before this page came. */
async function catchUp() {
  const stream = currentStream();
  if (!stream) return;
  const path = `/v1/streams/${encodeURIComponent(stream)}`;
  try {
    const [said, happened] = await Promise.all([call("GET", `${path}/questions`), call("GET", `${path}/events?limit=1000`)]);
    if (stream !== currentStream()) return;
    conversation.restore(said.items);
    for (const event of happened.items) timeline.onEvent(event);
  } catch (error) {
    actions.fail(error);
  }
}

/** @param {(id: number) => void} act */
function withSelected(act) {
  if (model.selected === null) toasts.show("Select an object first: press ] or click it.");
  else act(model.selected);
}

/**
 * @param {import("./states.js").ActionName} action
 * @param {string} value
 */
async function takeAction(action, value) {
  if (action === "camera" || action === "screen") await station.publish(action);
  else if (action === "retry" || action === "republish") await station.retry();
  else if (action === "reload") location.reload();
  else if (action === "resume") pause(false);
  else if (action === "streams") sources.open();
  else if (action === "demo") await station.playDemo();
  else if (action === "add") cameras.dialog.add();
  else await station.enterToken(value);
}

/** @param {boolean} paused */
function pause(paused) {
  stage.paused = paused;
  view.refresh();
}

function toggleFull() {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void find(".view", HTMLElement).requestFullscreen();
}

function snapshot() {
  if (saveSnapshot(stage)) announcer.say("Snapshot saved");
}

/** @param {string} id */
function openDialog(id) {
  if (id === "settings") {
    fillSettings(element("settings-body"), settings);
    fillVoiceSettings(element("settings-body"), settings, {
      taken: Object.keys(keys),
      languages: voice.info.languages ?? null,
      speak: (words) => voice.speaker.say(words, "en"),
    });
  }
  if (id === "keys") fillKeys(element("keys-body"), voice.keyHelp);
  find(`#${id}`, HTMLDialogElement).showModal();
}

// --- wiring --------------------------------------------------------------------------------------------------------

const togglePause = () => pause(!stage.paused);
const toggleMirror = () => station.toggleMirror();
const toggleZero = () => settings.set("zeroDelay", !settings.get("zeroDelay"));
const toggleNumbers = () => view.toggleNumbers();
const startBox = () => pointer.startBox();

/** @type {Record<string, () => void>} */
const CLICKS = {
  "use-camera": () => void station.publish("camera"),
  "use-screen": () => void station.publish("screen"),
  "tool-pause": togglePause,
  "tool-mirror": toggleMirror,
  "tool-zero": toggleZero,
  "tool-box": startBox,
  "tool-snapshot": snapshot,
  "tool-full": toggleFull,
  status: toggleNumbers,
  "open-settings": () => openDialog("settings"),
  "open-keys": () => openDialog("keys"),
};
for (const [id, run] of Object.entries(CLICKS)) element(id).addEventListener("click", run);

/** @type {Record<string, () => void>} */
const keys = {
  "/": () => concept.focus(),
  a: () => conversation.focus(),
  e: () => withSelected((id) => conversation.explain(id)),
  "?": () => openDialog("keys"),
  p: togglePause,
  m: toggleMirror,
  z: toggleZero,
  b: startBox,
  f: toggleFull,
  s: snapshot,
  n: toggleNumbers,
  u: () => actions.undo(),
  r: () => withSelected((id) => list.edit(id)),
  h: () => withSelected((id) => selection.toggleHidden(id)),
  Delete: () => withSelected((id) => void actions.remove(id)),
  "[": () => select(model.step(-1)),
  "]": () => select(model.step(1)),
  Escape: () => select(null),
};
listenKeys(keys);

const page = new Page({ settings, model, stage, station, selection, pointer, actions, toasts, announcer, keys });
const cameras = openCameras(page, takeAction);
// Parts that stand on their own: one line each.
openHistory(page);
openClips(page);
openRegions(page);
openTold(page);
openPrivacy(page);

canvas.addEventListener("resized", (event) => {
  const { width, height } = /** @type {CustomEvent<{width: number, height: number}>} */ (event).detail;
  element("frame").style.setProperty("--ratio", String(width / height));
});
settings.addEventListener("change", () => {
  stage.redraw();
  selection.show();
  view.refresh();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) station.back();
  view.refresh();
});
document.addEventListener("fullscreenchange", () => view.refresh());
addEventListener("pagehide", () => {
  voice.close();
  station.close();
  cameras.view.close();
});
addEventListener("pageshow", (event) => event.persisted && cameras.view.start());
setInterval(() => {
  timeline.draw();
  selection.show();
  view.refresh();
}, REFRESH_MS);

element("local").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
cameras.view.start();
