// The conversation and the voice, which each need the other: what is typed and said goes through both.
import { Conversation } from "./conversation.js";
import { find } from "./dom.js";
import { Voice } from "./voice.js";

/**
 * @param {{
 *   settings: import("./settings.js").Settings,
 *   actions: import("./actions.js").Actions,
 *   model: import("./model.js").Model,
 *   announcer: import("./say.js").Announcer,
 *   live: () => import("./live.js").Live | null,
 *   frame: () => import("./types.js").FrameRef | null,
 *   mark: (id: number | null) => void,
 *   select: (id: number) => void,
 * }} page
 */
export function openConversation({ settings, actions, model, announcer, live, frame, mark, select }) {
  const element = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
  const say = (/** @type {string} */ words) => announcer.say(words);
  /** @type {Conversation} */
  const conversation = new Conversation(
    {
      form: find("#ask-form", HTMLFormElement),
      input: find("#ask-input", HTMLInputElement),
      send: find("#ask-send", HTMLButtonElement),
      list: element("talk"),
      empty: element("ask-empty"),
      about: element("ask-about"),
      who: element("ask-who"),
    },
    {
      ask: (text, ids, follows) => {
        voice.interrupt();
        return actions.tell(text, ids, follows);
      },
      stop: (id) => {
        voice.speaker.stop();
        if (id) void actions.send({ type: "ask.stop", question_id: id });
      },
      mark,
      select,
      name: (id) => model.name(id),
      say,
      typing: () => voice.onTyping(),
      more: (id, text) => voice.speaker.add(id, text),
      ended: (answer) => voice.onAnswer(answer),
      alert: (event) => voice.onAlert(event),
    },
  );
  const label = (/** @type {number} */ id) => model.items.get(id)?.track.label ?? "";
  /** @type {Voice} */
  const voice = new Voice({ settings, conversation, live, frame, label, say });
  return { conversation, voice };
}
