// HTTP calls. Every failure becomes an `ApiError` with the server's own words.

export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string} action what the user can do
   * @param {number} status 0 where the server was not reached
   */
  constructor(code, message, action, status) {
    super(message);
    this.code = code;
    this.action = action;
    this.status = status;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: string, headers?: Record<string, string>, keepalive?: boolean}} [options]
 */
export async function request(method, path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method, credentials: "same-origin", ...options });
  } catch {
    throw new ApiError("unreachable", "The server cannot be reached.", "Start it again with: onlooker demo", 0);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** @param {Response} response */
async function problem(response) {
  /** @type {Record<string, unknown>} */
  const body = await response.json().catch(() => ({}));
  const words = (/** @type {string} */ key, /** @type {string} */ otherwise) =>
    typeof body[key] === "string" && body[key] ? String(body[key]) : otherwise;
  const code = words("code", response.status === 401 ? "unauthorized" : "failed");
  const message = words("message", words("detail", `The server answered ${response.status}.`));
  return new ApiError(code, message, words("action", "Try again."), response.status);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const options = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await request(method, path, options);
  return response.status === 204 ? null : response.json();
}

/** @returns {Promise<import("./types.js").StreamInfo[]>} */
export const listStreams = async () => (await call("GET", "/v1/streams")).items;

/** @param {string} id */
export const closeStream = (id) => call("DELETE", `/v1/streams/${encodeURIComponent(id)}`);

export const openDemo = () => call("POST", "/v1/streams", { id: "demo", name: "Demo", source: { kind: "demo" } });

/** @param {string} token */
export const openSession = (token) => call("POST", "/v1/session", { token });

/**
 * Fetch a model, or `all` that are missing, and follow the job until it ends.
 * @param {string} name
 * @param {(job: {step: string, done: number, total: number}) => void} onProgress
 */
export async function fetchModel(name, onProgress) {
  const { job } = await call("POST", `/v1/models/${encodeURIComponent(name)}/fetch`);
  for (;;) {
    const state = await call("GET", `/v1/jobs/${encodeURIComponent(job)}`);
    onProgress(state);
    if (state.error) throw new ApiError(state.error.code, state.error.message, state.error.action, 200);
    if (state.state === "done") return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
