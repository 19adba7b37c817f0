// The stream of the dashboard: opens it, reads it, detects silence, and opens it again. It passes events to `onEvent`
// and the state of the connection to `onPhase`.
import { EventStreamParser } from "./sse.js";

/** Time without any data, including heartbeats, after which a connection counts as dead. */
export const SILENCE_MS = 30_000;
/** Maximum time until the first byte of an answer. */
const ANSWER_MS = 15_000;
const MAX_DELAY_MS = 30_000;
const DEFAULT_RETRY_MS = 1_000;
/** Maximum delay that a server can request. */
const MAX_RETRY_AFTER_MS = 300_000;

/**
 * The delay before an attempt. It doubles each time up to a limit, and half of it is random. So pages that lost a
 * server at the same time do not reconnect at the same time.
 *
 * @param {number} attempt 0 for the first attempt after a connection that worked
 * @param {number} retryMs the delay that the server requests
 * @param {number} random from 0 to less than 1
 */
export function reconnectDelay(attempt, retryMs, random) {
  const ceiling = Math.min(MAX_DELAY_MS, Math.max(100, retryMs) * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}

/** @returns {number} milliseconds; 0 if the header is missing or invalid */
export function retryAfter(header, now) {
  if (!header) return 0;
  const ms = /^\s*[0-9]+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms)) : 0;
}

/** The reason why a connection ended. With `forget`, the received data cannot be used any more. */
class Ended extends Error {
  constructor(cause, detail = "", { forget = false, delayMs = 0 } = {}) {
    super(detail || cause);
    this.cause = cause;
    this.detail = detail;
    this.forget = forget;
    this.delayMs = delayMs;
  }
}

const browser = {
  fetch: (url, options) => fetch(url, options),
  setTimeout: (call, ms) => setTimeout(call, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => Date.now(),
  random: () => Math.random(),
};

/**
 * A phase is one of
 * `{name: "connecting"}`, `{name: "live", ahead}` (the ms by which the server's clock is ahead),
 * `{name: "waiting", cause, detail, until}` (a time in ms since 1970) and
 * `{name: "token", refused}` (nothing happens until `start` is called with one).
 * Causes: `network` (no connection, or it broke), `silence`, `goodbye`, `refused` (an error's status), `nonsense`.
 */
export class Feed {
  #url;
  #onEvent;
  #onPhase;
  #world;
  #token = null;
  #lastEventId = null;
  #retryMs = DEFAULT_RETRY_MS;
  #attempt = 0;
  #ahead = 0;
  /** Increases with each start, so that data of an abandoned connection is ignored. */
  #run = 0;
  #abort = null;
  #timer = null;
  #watchdog = null;

  /**
   * @param {string} url
   * @param {{onEvent: (event: {type: string, data: object, id: string}) => boolean, onPhase: (phase: object) => void,
   *   world?: object}} options `onEvent` returns false if it cannot use the event without a new snapshot; `world`
   *   replaces `fetch`, timers, clock and random numbers in tests
   */
  constructor(url, { onEvent, onPhase, world = browser }) {
    this.#url = url;
    this.#onEvent = onEvent;
    this.#onPhase = onPhase;
    this.#world = world;
  }

  /** Connects now, in any phase. @param {string | null} token for `Authorization: Bearer` */
  start(token) {
    this.#leave();
    this.#token = token || null;
    this.#attempt = 0;
    this.#connect();
  }

  /** Ends the wait for the next attempt. */
  hurry() {
    if (this.#timer === null) return;
    this.#leave();
    this.#connect();
  }

  /** Ends the feed. No callback is called afterwards. */
  stop() {
    this.#leave();
  }

  #leave() {
    this.#run += 1;
    this.#abort?.abort();
    this.#abort = null;
    this.#world.clearTimeout(this.#timer);
    this.#world.clearTimeout(this.#watchdog);
    this.#timer = null;
  }

  async #connect() {
    const run = this.#run;
    const abort = (this.#abort = new AbortController());
    this.#onPhase({ name: "connecting" });
    let ended;
    try {
      ended = await this.#read(run, abort);
    } catch (error) {
      ended = error instanceof Ended ? error : new Ended("network");
    }
    if (run !== this.#run) return;
    // The watchdog aborts the fetch, which then fails like a broken connection.
    if (abort.signal.aborted) ended = new Ended("silence");
    abort.abort();
    this.#world.clearTimeout(this.#watchdog);
    if (ended.forget) this.#lastEventId = null;
    if (ended.cause === "token") return this.#onPhase({ name: "token", refused: this.#token !== null });
    const delay = Math.max(ended.delayMs, reconnectDelay(this.#attempt, this.#retryMs, this.#world.random()));
    this.#attempt += 1;
    this.#timer = this.#world.setTimeout(() => this.hurry(), delay);
    this.#onPhase({
      name: "waiting", cause: ended.cause, detail: ended.detail, until: this.#world.now() + delay,
    });
  }

  #watch(abort, ms) {
    this.#world.clearTimeout(this.#watchdog);
    this.#watchdog = this.#world.setTimeout(() => abort.abort(), ms);
  }

  async #read(run, abort) {
    const headers = { Accept: "text/event-stream" };
    if (this.#token !== null) headers.Authorization = `Bearer ${this.#token}`;
    if (this.#lastEventId !== null) headers["Last-Event-ID"] = this.#lastEventId;
    this.#watch(abort, ANSWER_MS);
    const response = await this.#world.fetch(this.#url, { headers, cache: "no-store", signal: abort.signal });
    if (!response.ok) throw await this.#refusal(response);
    if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
      throw new Ended("nonsense", "the answer is no event stream");
    }
    const now = this.#world.now();
    this.#ahead = (Date.parse(response.headers.get("Date") ?? "") || now) - now;
    const parser = new EventStreamParser(this.#lastEventId ?? "");
    const reader = response.body.getReader();
    let goodbye = false;
    for (;;) {
      this.#watch(abort, SILENCE_MS);
      const { done, value } = await reader.read();
      if (run !== this.#run) throw new Ended("network");
      if (done) return new Ended(goodbye ? "goodbye" : "network");
      for (const item of this.#parse(parser, value)) {
        if (item.kind === "retry") this.#retryMs = Math.min(item.ms, MAX_DELAY_MS);
        if (item.kind === "event") goodbye = this.#take(item) || goodbye;
      }
    }
  }

  #parse(parser, bytes) {
    try {
      return parser.push(bytes);
    } catch (error) {
      throw new Ended("nonsense", error.message, { forget: true });
    }
  }

  /** @returns {boolean} whether it was the server's event `goodbye` */
  #take(item) {
    let data;
    try {
      data = JSON.parse(item.data);
    } catch {
      throw new Ended("nonsense", "an event is not JSON", { forget: true });
    }
    if (item.type === "goodbye") return true;
    if (!this.#onEvent({ type: item.type, data, id: item.id })) {
      throw new Ended("nonsense", "an event is missing", { forget: true });
    }
    // The server need not send an accepted event again.
    this.#lastEventId = item.id || null;
    this.#attempt = 0;
    this.#onPhase({ name: "live", ahead: this.#ahead });
    return false;
  }

  async #refusal(response) {
    if (response.status === 401 || response.status === 403) return new Ended("token");
    let title = "";
    try {
      title = String((await response.json()).title ?? "");
    } catch {
      // A proxy may answer without problem+json. The status is enough then.
    }
    return new Ended("refused", `${response.status}${title ? ` ${title}` : ""}`, {
      delayMs: retryAfter(response.headers.get("Retry-After"), this.#world.now()),
    });
  }
}
