// Decides which notices about the connection and the pipeline the page shows, the worst first. These are pure
// functions. The banners and the header only show their results.

/** The page shows a notice if its numbers are older than this by the server's clock. */
export const OLD_MS = 60_000;

/**
 * @param {number} now the time by this machine's clock
 * @returns {{kind: string, tone: "bad" | "warn", ...}[]} kinds: `token` {refused}, `lost` {since, until, cause, detail,
 *   asOf}, `stopped` and `behind` {projections}, `old` {asOf}
 */
export function notices(state, now) {
  const found = [];
  const { phase, data } = state;
  if (phase.name === "token") {
    found.push({ kind: "token", tone: phase.refused ? "bad" : "warn", refused: phase.refused });
  } else if (state.lostAt !== null) {
    found.push({
      kind: "lost", tone: "bad", since: state.lostAt, until: phase.until ?? null, cause: phase.cause ?? "network",
      detail: phase.detail ?? "", asOf: data?.asOf ?? null,
    });
  }
  if (data === null) return found;
  const projections = data.pipeline?.projections ?? [];
  const of = (name) => projections.filter((projection) => projection.state === name);
  if (of("stopped").length > 0) found.push({ kind: "stopped", tone: "bad", projections: of("stopped") });
  if (of("behind").length > 0) found.push({ kind: "behind", tone: "warn", projections: of("behind") });
  const age = data.asOf === null ? 0 : now + state.ahead - Date.parse(data.asOf);
  // The notices about stopped projections or a lag are more precise. Without a connection the current age is unknown.
  if (age > OLD_MS && found.length === 0) {
    found.push({ kind: "old", tone: "warn", asOf: data.asOf });
  }
  return found;
}

/** @returns {{tone: "good" | "warn" | "bad" | "calm", icon: string, text: string}} the pipeline's state, in short */
export function health(state) {
  const pipeline = state.data?.pipeline ?? null;
  if (pipeline === null) return { tone: "calm", icon: "i-wait", text: "Pipeline" };
  // The state may have changed since the connection was lost.
  if (state.phase.name !== "live") return { tone: "calm", icon: "i-unknown", text: "Pipeline unknown" };
  const states = pipeline.projections.map((projection) => projection.state);
  const stopped = states.filter((state) => state === "stopped").length;
  const letters = pipeline.deadLetters?.open ?? 0;
  const unsent = pipeline.outbox?.failed ?? 0;
  if (stopped > 0) return { tone: "bad", icon: "i-stopped", text: `${stopped} stopped` };
  if (states.includes("behind")) return { tone: "warn", icon: "i-behind", text: "Pipeline behind" };
  if (letters > 0) return { tone: "warn", icon: "i-behind", text: "Dead letters" };
  if (unsent > 0) return { tone: "warn", icon: "i-behind", text: "Unpublishable events" };
  if (states.length === 0 || states.includes("unknown")) {
    return { tone: "calm", icon: "i-unknown", text: "Pipeline unknown" };
  }
  return { tone: "good", icon: "i-live", text: "Pipeline live" };
}

/** @returns {{tone: string, icon: string, text: string}} the state of the connection, in short */
export function connection(state) {
  const { phase } = state;
  if (phase.name === "live") return { tone: "good", icon: "i-live", text: "Live" };
  if (phase.name === "token") return { tone: "warn", icon: "i-key", text: "Needs a token" };
  if (state.lostAt !== null) return { tone: "bad", icon: "i-off", text: "Disconnected" };
  return { tone: "calm", icon: "i-wait", text: "Connecting" };
}
