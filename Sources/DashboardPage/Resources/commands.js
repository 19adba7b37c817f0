// Creates an order: sends the command, and waits until the read model shows its result.
import { retryAfter } from "./feed.js";

/** Maximum number of attempts to send a command. */
const ATTEMPTS = 5;
/** Maximum time for one request. */
const REQUEST_MS = 35_000;
/** Maximum time until the read model shows the order. */
const PATIENCE_MS = 120_000;

const browser = {
  fetch: (url, options) => fetch(url, options),
  sleep: (ms) => new Promise((resolve) => { setTimeout(resolve, ms); }),
  now: () => Date.now(),
  timeout: (ms) => AbortSignal.timeout(ms),
};

/** The service refused a command or a read. `title` and `detail` are the members of its problem (RFC 9457). */
export class Refused extends Error {
  constructor(status, { title = `The service answered with status ${status}`, detail = "" } = {}) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** @param {string} place the address in the page @returns {URL | null} null if there is no service for commands */
export function commandsURL(place, base) {
  return place === "" ? null : new URL(place.endsWith("/") ? place : `${place}/`, base);
}

/**
 * Creates an order. A request that gets no answer is sent again with the same key. By this key the service recognises a
 * command that it has already executed.
 *
 * @param {object} order the body of the request
 * @param {{url: URL, key: string, token: string | null, world?: object}} options
 * @returns {Promise<{orderId: string, version: number}>}
 * @throws {Refused} if the service refuses the order @throws {TypeError} if no attempt got an answer
 */
export async function createOrder(order, { url, key, token, world = browser }) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, ...authorization(token) };
  return ask(new URL("v1/orders", url), { method: "POST", headers, body: JSON.stringify(order) }, {
    world, isLast: (attempt) => attempt === ATTEMPTS, pause: (attempt) => 250 * 2 ** attempt,
  });
}

/**
 * Waits until the read model has this version of an order.
 *
 * @throws {Refused} if this takes longer than two minutes, or the service refuses the read
 */
export async function untilShown({ orderId, version }, { base, token, world = browser }) {
  const url = new URL(`v1/orders/${encodeURIComponent(orderId)}?min_version=${version}`, base);
  const end = world.now() + PATIENCE_MS;
  return ask(url, { headers: { Prefer: "wait=10", ...authorization(token) } }, {
    world, isLast: () => world.now() >= end, pause: () => 500,
  });
}

/** Sends a request until it gets an answer that another attempt would not change, or until the last attempt. */
async function ask(url, options, { world, isLast, pause }) {
  for (let attempt = 1; ; attempt += 1) {
    let wait = pause(attempt);
    try {
      const answer = await world.fetch(url, { ...options, cache: "no-store", signal: world.timeout(REQUEST_MS) });
      if (answer.ok) return await answer.json();
      const refusal = new Refused(answer.status, await problem(answer));
      if (!isPassing(answer.status) || isLast(attempt)) throw refusal;
      wait = Math.max(wait, retryAfter(answer.headers.get("Retry-After"), world.now()));
    } catch (error) {
      if (error instanceof Refused || isLast(attempt)) throw error;
    }
    await world.sleep(wait);
  }
}

/** Whether the same request may get another answer later. */
const isPassing = (status) => status === 429 || status >= 500;

const authorization = (token) => (token === null ? {} : { Authorization: `Bearer ${token}` });

async function problem(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}
