// Made from web/protocol/ by `python -m web.declarations`: change it there.
// Coordinates are in [0, 1] of the picture; `rtp` is a u32, `pts` counts 90 kHz ticks.

/** `seq` of a `tracks` message that has been drawn; it covers those before it. */
export interface Ack {
  type: "ack";
  seq: number;
}

export interface AnswerMessage {
  fact_seq: number;
  at: string;
  question_id: string;
  state: "done" | "stopped" | "failed";
  text: string;
  track_ids: number[];
  frame: FrameRef;
  frame_at: string;
  frame_age_ms: number;
  ttft_ms: number;
  total_ms: number;
  backend: string;
  /** Which one the answer is in, where it is known. */
  language?: string | null;
  error?: ErrorBody | null;
  type: "answer";
}

/** Whether the rules of the stream's regions raise alerts. */
export interface ArmedMessage {
  fact_seq: number;
  at: string;
  type: "armed";
  armed: boolean;
}

export interface Ask {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  text: string;
  track_ids?: number[] | null;
  frame?: FrameRef | null;
  follows?: string | null;
  type: "ask";
}

/** Stops one question, or all that this client has asked. */
export interface AskStop {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "ask.stop";
  question_id?: string | null;
}

/** A box that a click may have meant instead: the `whole` object or the `part` of it. */
export interface Choice {
  name: string;
  box_xyxy: [number, number, number, number];
}

/** Free words: a prompt, a removal, a watch, an undo or a question. The `ok` names what it has become. */
export interface Command {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  text: string;
  track_ids?: number[] | null;
  frame?: FrameRef | null;
  follows?: string | null;
  type: "command";
}

/** Any of `rules` proposes; `verify` is what the model then decides, none where the rules say it all. */
export interface Compiled {
  rules: Rule[];
  verify: string | null;
  note?: string | null;
}

/** A piece of an answer; `n` counts from 0. Objects are named as `[#3]`. */
export interface Delta {
  fact_seq: number;
  at: string;
  type: "delta";
  question_id: string;
  n: number;
  text: string;
}

/** Whether the stream's objects are described by themselves, for all who watch it. */
export interface Describe {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "describe";
  on: boolean;
}

export interface EngineInfo {
  name: string;
  device: string;
  kinds: ("text" | "points" | "box" | "exemplar" | "mask")[];
  /** Concepts known by name; none where any text works. */
  words?: string[] | null;
}

export interface EngineNote {
  code: string;
  message: string;
  action: string;
  retryable: boolean;
}

export interface EngineState {
  name: string;
  device: string;
  notes: EngineNote[];
}

export interface Error {
  code: string;
  message: string;
  action: string;
  retryable: boolean;
  /** Known words near an unknown one. */
  nearest?: string[] | null;
  ref?: string | null;
  type: "error";
}

/** `action` says what the user can do about it. */
export interface ErrorBody {
  code: string;
  message: string;
  action: string;
  retryable: boolean;
  /** Known words near an unknown one. */
  nearest?: string[] | null;
  ref?: string | null;
}

/** Something that happened, in one sentence with objects named as `[#3]`. */
export interface Event {
  id: string;
  kind: "enter" | "appear" | "exit" | "lost" | "found" | "zone_enter" | "zone_leave" | "line" | "dwell" | "count" | "proximity" | "apart" | "change" | "tick" | "alert" | "saved" | "offline" | "online" | "frozen" | "unfrozen";
  track_ids: number[];
  region_id?: string | null;
  watch_id?: string | null;
  /** Of an alert: the rule of the region that raised it. */
  rule_id?: string | null;
  severity: "info" | "warn" | "critical";
  text: string;
  frame: FrameRef;
  pts: number;
  at: string;
  /** Where its picture is, or will be in a moment. */
  thumb?: string | null;
  clip?: string | null;
  evidence?: Evidence | null;
}

export interface EventMessage {
  fact_seq: number;
  at: string;
  type: "event";
  event: Event;
}

/** What led to an alert: what was to be decided, what decided it ("rules" where no model looked), and the masks of its objects on the frame that it was decided on. */
export interface Evidence {
  prompt: string;
  model: string;
  frame: FrameRef;
  masks: EvidenceMask[];
}

export interface EvidenceMask {
  track_id: number;
  mask: Mask;
}

/** Names one frame of a stream. */
export interface FrameRef {
  epoch: number;
  rtp: number;
}

/** Facts that are too old to replay: fetch what you need again by HTTP. */
export interface Gap {
  fact_seq: number;
  at: string;
  type: "gap";
  from: number;
  to: number;
}

/** What became of an utterance; the last word about it. Each that was ended gets one. Either it was taken as a `command`, and the ids say what it has become, or it was `ignored`, or there is an `error`. `transcript` is there in all cases where words were found. `timings_ms` are counted from the end of speech: `endpoint` until it was noticed, `wait` for the transcriber, `transcribe`, `obey`. */
export interface Heard {
  type: "heard";
  utterance: number;
  transcript: string;
  language?: string | null;
  spoken_s: number;
  prompt_id?: number | null;
  track_id?: number | null;
  question_id?: string | null;
  watch_id?: string | null;
  ignored?: "nothing" | "noise" | "wake_word" | "cancelled" | null;
  error?: ErrorBody | null;
  timings_ms: Record<string, number>;
}

/** The first message; itself not replayed. `fact_seq` is the newest fact that it covers. */
export interface Hello {
  fact_seq: number;
  at: string;
  type: "hello";
  version: 1;
  boot: string;
  server: string;
  stream: StreamInfo;
  engine: EngineInfo;
  vlm: VlmInfo;
  voice: VoiceInfo;
  /** Where this client, and no other, sends the offer of its microphone session. */
  microphone: string;
  prompts: Prompt[];
  regions: Region[];
  armed: boolean;
  watches: Watch[];
}

export interface Latency {
  p50: number;
  p95: number;
}

/** How this client's microphone is used; all of it is replaced. `open`: every utterance counts, not only between the edges of `talk`. `muted`: nothing is heard, whatever the other says. `wake_word`: with an open microphone, only what begins with it counts. `language` is a code such as "de"; without one it is detected, among `languages` if there are any: those that the user knows, such as the browser's. */
export interface Listen {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "listen";
  open?: boolean;
  muted?: boolean;
  wake_word?: string | null;
  language?: string | null;
  languages?: string[] | null;
}

/** COCO compressed RLE, stretched over the picture: cell (i, j) covers [j/w, (j+1)/w] × [i/h, (i+1)/h]. */
export interface Mask {
  size: [number, number];
  counts: string;
}

export interface Ok {
  type: "ok";
  ref?: string | null;
  prompt_id?: number | null;
  track_id?: number | null;
  question_id?: string | null;
  watch_id?: string | null;
}

export interface Ping {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "ping";
  t: number;
}

export interface Pong {
  type: "pong";
  t: number;
}

export interface Prompt {
  id: number;
  kind: "text" | "points" | "box" | "exemplar" | "mask";
  text?: string | null;
  points?: Pt[] | null;
  box_xyxy?: [number, number, number, number] | null;
  mask?: Mask | null;
  positive?: boolean;
  track_id?: number | null;
  state: "pending" | "active" | "failed" | "removed";
  message?: string | null;
}

export interface PromptAdd {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  kind: "text" | "points" | "box" | "exemplar" | "mask";
  text?: string | null;
  points?: Pt[] | null;
  box_xyxy?: [number, number, number, number] | null;
  mask?: Mask | null;
  positive?: boolean;
  /** The track that this prompt refines. */
  track_id?: number | null;
  /** The frame under the pointer; none means the newest. */
  frame?: FrameRef | null;
  type: "prompt.add";
}

/** A prompt was added, changed, failed or removed. */
export interface PromptMessage {
  fact_seq: number;
  at: string;
  type: "prompt";
  prompt: Prompt;
  tracks: number[];
  choices?: Choice[] | null;
}

export interface PromptRemove {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "prompt.remove";
  prompt_id: number;
}

/** Undoes `prompt.remove` within 60 s. */
export interface PromptRestore {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "prompt.restore";
  prompt_id: number;
}

export interface Pt {
  x: number;
  y: number;
  positive?: boolean;
}

/** A client asked this about the frame that it saw. */
export interface QuestionMessage {
  fact_seq: number;
  at: string;
  type: "question";
  id: string;
  text: string;
  asked_by: string;
  spoken: boolean;
  frame: FrameRef;
  track_ids: number[];
  follows?: string | null;
  /** Of a spoken question, where it is known. */
  language?: string | null;
}

/** A `zone` has three corners or more, a `line` two ends or more. */
export interface Region {
  id: string;
  name: string;
  kind: "zone" | "line";
  points: [number, number][];
  rules: RegionRule[];
}

export interface RegionMessage {
  fact_seq: number;
  at: string;
  type: "region";
  region: Region;
  removed: boolean;
}

export interface RegionRule {
  kind: "enter" | "leave" | "dwell" | "loiter" | "count" | "cross" | "left" | "removed";
  /** None: anything. */
  label?: string | null;
  /** None: as long as is usual for its kind. */
  seconds?: number | null;
  op?: ">" | ">=" | "<" | "<=" | "==" | "!=" | null;
  value?: number | null;
  direction?: "forward" | "backward" | null;
  min_area?: number | null;
  max_area?: number | null;
  min_speed?: number | null;
  max_speed?: number | null;
  schedule?: Schedule | null;
  severity?: "info" | "warn" | "critical";
  cooldown_s?: number;
  enabled?: boolean;
  sound?: boolean;
  id: string;
}

/** A cheap condition on tracks; what is none may be anything. */
export interface Rule {
  kind: "enter" | "appear" | "exit" | "lost" | "found" | "zone_enter" | "zone_leave" | "line" | "dwell" | "count" | "proximity" | "apart" | "change" | "tick" | "alert" | "saved" | "offline" | "online" | "frozen" | "unfrozen";
  label?: string | null;
  near_label?: string | null;
  region_id?: string | null;
  seconds?: number;
  op?: ">" | ">=" | "<" | "<=" | "==" | "!=" | null;
  value?: number | null;
}

/** From `since` to `until` on `days`, by the clocks of `zone` (an IANA name). Where `until` is not later it ends on the next day; equal times mean the whole day. */
export interface Schedule {
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  since?: string;
  until?: string;
  zone?: string;
}

/** `ack`: at most 4 `tracks` messages are sent beyond the last one acknowledged. */
export interface Set {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "set";
  masks?: boolean | null;
  max_fps?: number | null;
  ack?: boolean | null;
}

export interface SourceMessage {
  fact_seq: number;
  at: string;
  type: "source";
  change: "connected" | "lost" | "resized" | "ended";
  epoch: number;
  width: number;
  height: number;
  codec: string | null;
  error?: string | null;
}

/** What this client's microphone session is doing; `level` comes some times a second while it is open. off: there is no session. idle: it is open and nothing is listened to. listening: an open microphone waits for speech. hearing: somebody speaks. thinking: an utterance is being turned into words. `transcript` is what was understood of `utterance` so far, all of it when `final`. `error`: why the session is off or an utterance lost. */
export interface Speech {
  type: "speech";
  state: "off" | "idle" | "listening" | "hearing" | "thinking";
  muted?: boolean;
  level?: number | null;
  utterance?: number | null;
  transcript?: string | null;
  final?: boolean;
  language?: string | null;
  error?: ErrorBody | null;
}

/** Once a second. */
export interface Status {
  type: "status";
  state: "waiting" | "live" | "still" | "stalled" | "ended";
  fps_in: number;
  fps_out: number;
  drops: Record<string, number>;
  /** Pictures that nobody wanted tracked, by reason. */
  skipped: Record<string, number>;
  latency_ms: Latency;
  engine: EngineState;
  vlm: VlmInfo;
  policy: string[];
  viewers: number;
  /** What nobody gets to see, or why everything is hidden. */
  hidden?: string | null;
  voice: VoiceInfo;
}

export interface StreamInfo {
  id: string;
  source: string;
  state: "waiting" | "live" | "still" | "stalled" | "ended";
  epoch: number;
  width: number;
  height: number;
}

/** Push-to-talk, pressed or released: what is said between is one utterance. With `cancel` it is thrown away, and so is what was said before and is still being understood. What the utterance is about, as with a question, may come with either edge; the later one counts. Needs this client's microphone session (`microphone` in `hello`). */
export interface Talk {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "talk";
  on: boolean;
  cancel?: boolean;
  track_ids?: number[] | null;
  frame?: FrameRef | null;
  follows?: string | null;
}

export interface Track {
  id: number;
  prompt_id: number | null;
  label: string;
  score: number;
  state: "tentative" | "live" | "lost" | "gone";
  box_xyxy: [number, number, number, number];
  mask: Mask | null;
  age_s: number;
  caption?: string | null;
}

export interface TrackMessage {
  fact_seq: number;
  at: string;
  type: "track";
  id: number;
  change: "confirmed" | "lost" | "found" | "gone" | "renamed" | "removed" | "restored" | "described";
  label?: string | null;
  caption?: string | null;
  merged_into?: number | null;
}

export interface TrackRemove {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "track.remove";
  track_id: number;
}

export interface TrackRename {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "track.rename";
  track_id: number;
  label: string;
}

/** Undoes `track.remove` within 60 s. */
export interface TrackRestore {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "track.restore";
  track_id: number;
}

/** All that is followed on one frame. An empty list: nothing is there. */
export interface Tracks {
  type: "tracks";
  seq: number;
  epoch: number;
  index: number;
  pts: number;
  rtp: number;
  captured_unix_us: number | null;
  width: number;
  height: number;
  tracks: Track[];
  timings_ms: Record<string, number>;
}

/** `rVFC.rtpTimestamp - rtp_offset` (mod 2^32) equals `tracks.rtp`, in this epoch: ask again when `source` says `connected`. */
export interface View {
  type: "view";
  session: string;
  rtp_offset: number;
  ref?: string | null;
}

/** `session` is the id of this page's WHEP session; answered by `view`. */
export interface ViewRequest {
  /** Comes back in the one `ok` or `error` that answers. */
  ref?: string | null;
  type: "view";
  session: string;
}

/** What answers questions: a model, or none, and then the tracks alone; `error` says why, where one was asked for. `describes`: the stream's objects are described by themselves, as long as the model sees. */
export interface VlmInfo {
  name: string | null;
  can: ("image" | "audio" | "tools")[];
  describes: boolean;
  error?: ErrorBody | null;
}

/** What turns speech into words: ready, or `error` says what is missing and how to get it; neither while it loads. `name` is the transcriber's, none where there is none; `languages` those that it knows, none where it knows many. */
export interface VoiceInfo {
  ready: boolean;
  name: string | null;
  languages?: string[] | null;
  error?: ErrorBody | null;
}

export interface Watch {
  id: string;
  condition: string;
  cooldown_s: number;
  severity: "info" | "warn" | "critical";
  enabled: boolean;
  compiled: Compiled;
}

export interface WatchMessage {
  fact_seq: number;
  at: string;
  type: "watch";
  watch: Watch;
  removed: boolean;
}

export type ServerMessage = Tracks | Status | Hello | PromptMessage | TrackMessage | SourceMessage | RegionMessage | ArmedMessage | WatchMessage | EventMessage | QuestionMessage | Delta | AnswerMessage | Gap | View | Speech | Heard | Ok | Error | Pong;

export type ClientMessage = PromptAdd | PromptRemove | PromptRestore | TrackRemove | TrackRestore | TrackRename | Ask | AskStop | Command | Describe | Talk | Listen | ViewRequest | Set | Ack | Ping;
