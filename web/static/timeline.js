// The last two minutes under the picture: each object a thin lane, each event a mark that opens its picture.
import { button, make, place } from "./dom.js";
import { showEvent } from "./clips.js";
import { linked } from "./turn.js";

/** @typedef {import("./types.js").AgentEvent} AgentEvent */
/** @typedef {import("./types.js").Track} Track */

const WINDOW_MS = 120_000;
const MOST_EVENTS = 200;
const MOST_LANES = 6;
const LANE_GAP = 3;
const MARK_PX = 18;
const MOST_LINES = 6;
/** A lane goes on where an object is seen again within this time. */
const JOIN_MS = 400;

/** @typedef {{id: number, spans: [number, number][]}} Lane */

/**
 * Take note of who is seen now.
 * @param {Map<number, Lane>} lanes
 * @param {Iterable<number>} ids
 * @param {number} now
 */
export function seen(lanes, ids, now) {
  for (const id of ids) {
    const lane = lanes.get(id) ?? { id, spans: [] };
    lanes.set(id, lane);
    const last = lane.spans.at(-1);
    if (last && now - last[1] < JOIN_MS) last[1] = now;
    else lane.spans.push([now, now]);
  }
}

/**
 * Let go of what is out of the window.
 * @param {Map<number, Lane>} lanes
 * @param {number} now
 */
export function forget(lanes, now) {
  for (const [id, lane] of lanes) {
    lane.spans = lane.spans.filter(([, until]) => now - until < WINDOW_MS);
    if (!lane.spans.length) lanes.delete(id);
  }
}

/**
 * Gather what happened within `gap_ms` under one: an alert, or else the newest.
 * @template {{kind: string, at: string}} E
 * @param {E[]} events
 * @param {number} gap_ms
 * @returns {E[][]} each with the one that stands for it first, the others newest first
 */
export function gathered(events, gap_ms) {
  const newest = [...events].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  /** @type {E[][]} */
  const groups = [];
  for (const event of newest) {
    const group = groups.at(-1);
    const first = group?.[0];
    if (group && first && Date.parse(first.at) - Date.parse(event.at) < gap_ms) group.push(event);
    else groups.push([event]);
  }
  return groups.map((group) => {
    const leader = group.find((event) => event.kind === "alert") ?? group[0];
    return leader ? [leader, ...group.filter((event) => event !== leader)] : group;
  });
}

export class Timeline {
  /** @type {Map<number, Lane>} */
  #lanes = new Map();
  /** @type {Map<string, {event: AgentEvent, mark: HTMLElement}>} */
  #events = new Map();
  /** @type {Map<string, AgentEvent[]>} what happened at about the same time, by the event that stands for it */
  #under = new Map();

  /**
   * @param {{root: HTMLElement, canvas: HTMLCanvasElement, marks: HTMLElement, card: HTMLElement}} parts
   * @param {{stream: () => string | null, colour: (id: number) => string, mark: (id: number | null) => void, select: (id: number) => void, name: (id: number) => string}} page
   */
  constructor(parts, page) {
    this.parts = parts;
    this.page = page;
  }

  clear() {
    this.#lanes.clear();
    this.#events.clear();
    this.parts.marks.replaceChildren();
  }

  /** @param {Track[]} tracks */
  onTracks(tracks) {
    seen(this.#lanes, tracks.filter((track) => track.state === "live").map((track) => track.id), Date.now());
  }

  /** @param {AgentEvent} event */
  onEvent(event) {
    if (this.#events.has(event.id)) return;
    const words = event.text.replace(/\[#(\d+)\]/g, "#$1");
    const mark = button("", () => this.#open([event, ...(this.#under.get(event.id) ?? [])], mark), "mark");
    mark.dataset.kind = event.kind;
    mark.dataset.severity = event.severity;
    mark.setAttribute("aria-label", `${new Date(event.at).toLocaleTimeString()}: ${words}`);
    mark.title = words;
    mark.addEventListener("pointerenter", () => this.page.mark(event.track_ids[0] ?? null));
    mark.addEventListener("pointerleave", () => this.page.mark(null));
    const [first] = event.track_ids;
    if (first !== undefined) mark.style.setProperty("--colour", this.page.colour(first));
    this.#events.set(event.id, { event, mark });
    this.#move(mark, event, Date.now());
    this.parts.marks.append(mark);
    if (this.#events.size > MOST_EVENTS) this.#drop([...this.#events.keys()][0] ?? "");
  }

  /** Move everything to where it belongs now. */
  draw() {
    const now = Date.now();
    forget(this.#lanes, now);
    for (const [id, { event, mark }] of this.#events) {
      if (now - Date.parse(event.at) > WINDOW_MS) this.#drop(id);
      else this.#move(mark, event, now);
    }
    this.#gather();
    this.parts.root.classList.toggle("quiet", !this.#events.size && !this.#lanes.size);
    this.#drawLanes(now);
  }

  /** Marks that would lie on each other become one. */
  #gather() {
    const width = this.parts.marks.clientWidth || 1;
    this.#under.clear();
    for (const [leader, ...others] of gathered([...this.#events.values()].map(({ event }) => event), (MARK_PX / width) * WINDOW_MS)) {
      if (!leader) continue;
      this.#under.set(leader.id, others);
      for (const { id } of others) this.#events.get(id)?.mark.setAttribute("hidden", "");
      const mark = this.#events.get(leader.id)?.mark;
      mark?.removeAttribute("hidden");
      mark?.classList.toggle("several", others.length > 0);
    }
  }

  /**
   * @param {HTMLElement} mark
   * @param {AgentEvent} event
   * @param {number} now
   */
  #move(mark, event, now) {
    const age = Math.max(0, now - Date.parse(event.at));
    mark.style.setProperty("left", `${100 * (1 - age / WINDOW_MS)}%`);
  }

  /** @param {number} now */
  #drawLanes(now) {
    const { canvas } = this.parts;
    const [width, height] = [canvas.clientWidth * devicePixelRatio, canvas.clientHeight * devicePixelRatio];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    const shown = [...this.#lanes.values()].sort((a, b) => a.id - b.id).slice(-MOST_LANES);
    shown.forEach(({ id, spans }, row) => {
      context.fillStyle = this.page.colour(id);
      const y = (height - shown.length * LANE_GAP * devicePixelRatio) / 2 + row * LANE_GAP * devicePixelRatio;
      for (const [since, until] of spans) {
        const x0 = width * (1 - Math.min(WINDOW_MS, now - since) / WINDOW_MS);
        const x1 = width * (1 - Math.max(0, now - until) / WINDOW_MS);
        context.fillRect(x0, y, Math.max(2, x1 - x0), 2 * devicePixelRatio);
      }
    });
  }

  /** @param {string} id */
  #drop(id) {
    this.#events.get(id)?.mark.remove();
    this.#events.delete(id);
  }

  /**
   * @param {AgentEvent[]} events the first with its picture
   * @param {HTMLElement} anchor
   */
  #open(events, anchor) {
    const { card } = this.parts;
    const [event] = events;
    if (!event) return;
    const image = make("img", "moment");
    const missing = make("p", "foot", "The picture of this moment is no longer kept.");
    image.alt = "The picture at that moment";
    const { thumb } = event;
    image.addEventListener("error", () => {
      if (thumb && !image.src.endsWith(thumb)) image.src = thumb;
      else image.replaceWith(missing);
    });
    image.addEventListener("load", () => place(card, corner()));
    image.src = `/v1/streams/${encodeURIComponent(this.page.stream() ?? "")}/keyframes/${event.frame.epoch}/${event.frame.rtp}.jpg`;
    const lines = events.slice(0, MOST_LINES).map(({ text, at }) =>
      make("li", "", make("time", "foot", new Date(at).toLocaleTimeString()), " ", ...linked(text, this.page)),
    );
    const more = events.length - lines.length;
    if (more > 0) lines.push(make("li", "foot", `and ${more} more`));
    const filmed = events.find(({ clip }) => clip);
    const play = button("Play the clip", () => {
      card.hidePopover();
      if (filmed) showEvent(filmed.id);
    }, "button small");
    card.replaceChildren(image, make("ul", "moment-lines", ...lines), ...(filmed ? [play] : []));
    card.setAttribute("aria-label", "What happened");
    card.showPopover();
    const corner = () => {
      const box = anchor.getBoundingClientRect();
      return { x: box.left - card.offsetWidth / 2, y: box.top - card.offsetHeight - 8 };
    };
    place(card, corner());
  }
}
