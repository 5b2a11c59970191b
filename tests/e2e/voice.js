// What the tests of the voice see and set: a voice that speaks without sound, messages, peers and devices of the page.
(() => {
  const seen = { said: [], cancelled: [], sent: [], came: [], moods: [], words: [], peers: [], sockets: [], tracks: [], keys: [] };
  window.seen = seen;
  // "speaks"; "stuck": begins and never ends; "silent": never begins.
  window.voiceMode = "speaks";
  window.msAChar = 15;

  let current = null;
  let queue = [];
  const tell = (utterance, name) => utterance[`on${name}`]?.(new Event(name));
  const next = () => {
    const utterance = (current = queue.shift() ?? null);
    if (!utterance || window.voiceMode === "silent") return;
    setTimeout(() => current === utterance && tell(utterance, "start"), 10);
    if (window.voiceMode === "stuck") return;
    setTimeout(() => {
      if (current !== utterance) return;
      current = null;
      tell(utterance, "end");
      if (!current) next();
    }, 20 + window.msAChar * utterance.text.length);
  };
  speechSynthesis.speak = (utterance) => {
    seen.said.push({ text: utterance.text, lang: utterance.lang, rate: utterance.rate });
    queue.push(utterance);
    if (!current) next();
  };
  speechSynthesis.cancel = () => {
    seen.cancelled.push(performance.now());
    queue = [];
    current = null;
  };

  // The minute after which a microphone is given back, where a test does not want to wait for it.
  const later = window.setTimeout;
  window.setTimeout = (act, ms, ...given) => later(act, ms === 60_000 ? (window.minuteMs ?? ms) : ms, ...given);

  const RealSocket = window.WebSocket;
  window.WebSocket = class extends RealSocket {
    constructor(...given) {
      super(...given);
      seen.sockets.push(this);
      super.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        const { type, state } = message;
        if (["speech", "heard", "question", "answer", "hello"].includes(type)) seen.came.push({ ...message, state, now: performance.now() });
      });
    }

    send(text) {
      seen.sent.push({ ...JSON.parse(text), now: performance.now() });
      super.send(text);
    }
  };

  const RealPeer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends RealPeer {
    constructor(...given) {
      super(...given);
      seen.peers.push(this);
    }
  };
  /** Packets of sound that have left this page. */
  window.packetsOfSound = async () => {
    let count = 0;
    for (const peer of seen.peers) {
      if (peer.connectionState === "closed") continue;
      for (const report of (await peer.getStats()).values()) {
        if (report.type === "outbound-rtp" && report.kind === "audio") count += report.packetsSent;
      }
    }
    return count;
  };

  if (navigator.mediaDevices) {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => {
      const media = await open(wish);
      seen.tracks.push(...media.getAudioTracks());
      return media;
    };
  }
  document.addEventListener("keydown", ({ key, repeat }) => repeat || seen.keys.push({ key, now: performance.now() }), { capture: true });
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("#ask-form");
    new MutationObserver(() => {
      const { mood } = form.dataset;
      if (mood !== seen.moods.at(-1)) seen.moods.push(mood);
    }).observe(form, { attributeFilter: ["data-mood"] });
    const words = form.querySelector(".voice-words");
    new MutationObserver(() => seen.words.push(words.textContent)).observe(words, { childList: true, characterData: true, subtree: true });
  });
})();
