// What the page knows, and how each message changes it. No DOM, no clock: times are handed in.

/**
 * @typedef {object} State
 * @property {string} window what the user asks for
 * @property {object | null} data the dashboard as of the last event; null before the first
 * @property {string} eventId of the last event
 * @property {object} phase of the feed
 * @property {number} ahead milliseconds that the server's clock is ahead of ours
 * @property {number | null} lostAt when the connection was lost; null while there is one
 * @property {Set<string>} changed the sections that the last message changed
 * @property {Map<string, number>} newOrders when orders were first seen that came while somebody watched
 * @property {{at: number, into: number, out: number}[]} rates what the pipeline carried while somebody watched
 */

/** Of an update, these sections replace their predecessors as a whole. */
const SECTIONS = ["series", "totals", "statuses", "topProducts", "durations", "latestOrders", "pipeline"];
const ALWAYS = ["asOf", "window", "resolution", "from", "to"];

/** @returns {State} */
export function initialState(window) {
  return {
    window, data: null, eventId: "", phase: { name: "connecting" }, ahead: 0, lostAt: null, changed: new Set(),
    newOrders: new Map(), rates: [],
  };
}

/** The same page for another window: what is shown stays until the new window's snapshot comes. */
export function withWindow(state, window) {
  return { ...state, window, eventId: "", changed: new Set() };
}

/**
 * @param {{type: string, data: object, id: string}} event
 * @param {number} at when it came
 * @returns {State | null} null when the event needs a snapshot that is not there
 */
export function withEvent(state, event, at) {
  if (event.type !== "snapshot" && event.type !== "update") return state;
  if (event.data === null || typeof event.data !== "object") return null;
  const isUpdate = event.type === "update";
  // An empty id means that no event of this window has come: what is shown is another window's.
  if (isUpdate && (state.data === null || state.eventId === "")) return null;
  const step = isUpdate ? distance(state.eventId, event.id) : 1;
  // One is missing between the two: what it changed is not known.
  if (step > 1) return null;
  if (step < 1) return { ...state, changed: new Set() };
  const data = isUpdate ? { ...state.data } : empty();
  const changed = new Set(isUpdate ? [] : SECTIONS);
  for (const key of [...ALWAYS, ...SECTIONS]) {
    if (event.data[key] === undefined) continue;
    data[key] = event.data[key];
    if (SECTIONS.includes(key)) changed.add(key);
  }
  // The axis moves with the time, also when nothing else does.
  if (isUpdate && (data.from !== state.data.from || data.to !== state.data.to)) changed.add("series");
  return {
    ...state, data, eventId: event.id, changed,
    newOrders: newOrders(state, data.latestOrders, at), rates: rates(state.rates, data.pipeline, at),
  };
}

export function withPhase(state, phase, at) {
  const lostAt = phase.name === "live" ? null : state.lostAt ?? (phase.name === "waiting" ? at : null);
  return { ...state, phase, lostAt, ahead: phase.ahead ?? state.ahead, changed: new Set() };
}

function empty() {
  return {
    asOf: null, window: "", resolution: "hour", from: null, to: null, series: [], totals: [], statuses: [],
    topProducts: [], durations: [], latestOrders: [], pipeline: null,
  };
}

/**
 * How many events from one id to another: ids are `<epoch>-<n>`, and n grows by one with each event of an epoch.
 * Between epochs there is no way but a snapshot.
 */
export function distance(from, to) {
  const [, epoch, number] = /^(.+)-([0-9]+)$/.exec(from) ?? [];
  const [, nextEpoch, nextNumber] = /^(.+)-([0-9]+)$/.exec(to) ?? [];
  return epoch !== undefined && epoch === nextEpoch ? Number(nextNumber) - Number(number) : Infinity;
}

/** How long an order counts as new. */
export const NEW_ORDER_MS = 6_000;

/** An order is new when the list before, of this page, did not have it although it was long enough to. */
function newOrders(state, orders, at) {
  const found = new Map([...state.newOrders].filter(([, seen]) => at - seen < NEW_ORDER_MS));
  if (state.data === null) return found;
  const before = new Set(state.data.latestOrders.map((order) => order.orderId));
  const oldest = state.data.latestOrders.at(-1)?.createdAt ?? "";
  for (const order of orders) {
    if (!before.has(order.orderId) && !found.has(order.orderId) && order.createdAt >= oldest) {
      found.set(order.orderId, at);
    }
  }
  return found;
}

/** How far back the page remembers the rates. */
export const RATES_MS = 300_000;
/** Samples come no closer than this: so many points are enough for a line. */
const RATES_STEP_MS = 1_000;

function rates(before, pipeline, at) {
  const { inPerSecond, outPerSecond } = pipeline?.rates ?? {};
  if (typeof inPerSecond !== "number" || typeof outPerSecond !== "number") return before;
  if (before.length > 0 && at - before.at(-1).at < RATES_STEP_MS) return before;
  return [...before.filter((sample) => at - sample.at <= RATES_MS), { at, into: inPerSecond, out: outPerSecond }];
}
