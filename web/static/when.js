// Times of the past in few words.
const DAY_MS = 86_400_000;

/**
 * The time of an event, with its day where that is another one than today.
 * @param {string} at
 * @param {number} now
 */
export function when(at, now) {
  const then = new Date(at);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (then.toDateString() === new Date(now).toDateString()) return time;
  const far = now - then.getTime() > 300 * DAY_MS;
  return `${then.toLocaleDateString([], { day: "numeric", month: "short", ...(far ? { year: "numeric" } : {}) })}, ${time}`;
}
