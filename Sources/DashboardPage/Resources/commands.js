// A new order on its way: the command, and the wait until the read model shows what it did.
import { retryAfter } from "./feed.js";

/** How often a command is sent before the page gives up. */
const ATTEMPTS = 5;
/** How long one request may take. */
const REQUEST_MS = 35_000;
/** How long the read model may take to show the order. */
const PATIENCE_MS = 120_000;

const browser = {
  fetch: (url, options) => fetch(url, options),
  sleep: (ms) => new Promise((resolve) => { setTimeout(resolve, ms); }),
  now: () => Date.now(),
  timeout: (ms) => AbortSignal.timeout(ms),
};

/** The service refused a command or a read; `title` and `detail` are those of its problem (RFC 9457). */
export class Refused extends Error {
  constructor(status, { title = `The service answered with status ${status}`, detail = "" } = {}) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** @param {string} place what the service wrote into the page @returns {URL | null} null when it takes no commands */
export function commandsURL(place, base) {
  return place === "" ? null : new URL(place.endsWith("/") ? place : `${place}/`, base);
}

/**
 * Creates an order. A request that gets no answer is sent again with the same key, by which the service recognises a
 * command that it has carried out already.
 *
 * @param {object} order the body of the request
 * @param {{url: URL, key: string, token: string | null, world?: object}} options
 * @returns {Promise<{orderId: string, version: number}>}
 * @throws {Refused} when the service refuses it @throws {TypeError} when no attempt got an answer
 */
export async function createOrder(order, { url, key, token, world = browser }) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, ...authorization(token) };
  return ask(new URL("v1/orders", url), { method: "POST", headers, body: JSON.stringify(order) }, {
    world, isLast: (attempt) => attempt === ATTEMPTS, pause: (attempt) => 250 * 2 ** attempt,
  });
}

/**
 * Waits until the read model has an order in a version.
 *
 * @throws {Refused} when that takes longer than two minutes, or the service refuses to say
 */
export async function untilShown({ orderId, version }, { base, token, world = browser }) {
  const url = new URL(`v1/orders/${encodeURIComponent(orderId)}?min_version=${version}`, base);
  const end = world.now() + PATIENCE_MS;
  return ask(url, { headers: { Prefer: "wait=10", ...authorization(token) } }, {
    world, isLast: () => world.now() >= end, pause: () => 500,
  });
}

/** Sends a request until it has an answer that the same request would get again, or the attempt is the last one. */
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

/** Whether the same request may be answered otherwise a little later. */
const isPassing = (status) => status === 429 || status >= 500;

const authorization = (token) => (token === null ? {} : { Authorization: `Bearer ${token}` });

async function problem(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}
