// Types that several modules of the page share. The wire's own types come from the server's schema.
import type * as wire from "./protocol.js";

export type Track = wire.Track;
export type Prompt = wire.Prompt;
export type ServerMessage = wire.ServerMessage;
export type Hello = wire.Hello;
export type Status = wire.Status;
export type Tracks = wire.Tracks;
export type PromptMessage = wire.PromptMessage;
export type OkMessage = wire.Ok;
export type EngineNote = wire.EngineNote;
export type FrameRef = wire.FrameRef;

export type Speech = wire.Speech;
export type Heard = wire.Heard;
export type VoiceInfo = wire.VoiceInfo;
export type VlmInfo = wire.VlmInfo;

export type Watch = wire.Watch;
export type Rule = wire.Rule;
export type AgentEvent = wire.Event;
export type QuestionMessage = Omit<wire.QuestionMessage, "type" | "fact_seq" | "at">;
export type AnswerBody = Omit<wire.AnswerMessage, "type" | "fact_seq" | "at">;

/** One row of `GET /v1/streams/{id}/questions`. */
export type AskedQuestion = QuestionMessage & { answer?: AnswerBody | null };

/** One row of `GET /v1/events`. */
export type StoredEvent = wire.Event & {
  stream: string;
  frame_url?: string | null;
  keep?: boolean;
  note?: string | null;
  clip_offset_s?: number | null;
};

/** One row of `GET /v1/sinks`. */
export interface SinkInfo {
  name: string;
  kind: "webhook" | "mqtt" | "smtp" | "browser";
  url: string;
  min_severity: "info" | "warn" | "critical";
  streams: string[];
  events: string[];
  quiet: boolean;
  delivered: number;
  waiting: number;
  held: number;
  repeated: number;
  dead: number;
  error?: string | null;
}

/** One row of `GET /v1/sinks/{name}/dead`; `body` is JSON. */
export interface DeadLetter {
  id: string;
  at: string;
  error: string | null;
  body: string;
}

/** What `GET /v1/notifications` sends. */
export type ToldMessage = { title?: string; text?: string } & (
  | { type: "alert"; data: { stream: string; event: wire.Event } }
  | { type: "summary" | "test" }
);

export interface WireError {
  code: string;
  message: string;
  action: string;
  nearest?: string[] | null;
}

/** One row of `GET /v1/streams`. */
export interface StreamInfo {
  id: string;
  name: string;
  source: { kind: string; url?: string | null; transport?: string | null; username?: string | null; verify_tls?: boolean | null };
  state: "waiting" | "live" | "still" | "stalled" | "ended";
  width: number;
  height: number;
  fps?: number | null;
  codec?: string | null;
  error?: WireError | null;
  saved?: boolean;
}

/** What `POST /v1/streams/probe` answers. */
export interface ProbeResult {
  codecs: string[];
  width: number;
  height: number;
  fps: number;
  snapshot?: string | null;
  note?: string | null;
}

/** Every condition that the page has words and a button for. */
export type StateName =
  | "starting"
  | "choose"
  | "no_cameras"
  | "permission_denied"
  | "screen_denied"
  | "no_camera"
  | "camera_in_use"
  | "camera_failed"
  | "unplugged"
  | "insecure"
  | "no_screen_share"
  | "screen_ended"
  | "connecting"
  | "waiting"
  | "still"
  | "stalled"
  | "ended"
  | "stream_gone"
  | "server_gone"
  | "token"
  | "reconnecting" | "rtc_failed"
  | "refused"
  | "version"
  | "background"
  | "paused";

/** An object of the list: the newest of its track and what the page remembers of it. */
export interface Item {
  track: Track;
  hidden: boolean;
  lostAt: number | null;
}
