// The panels about the health of the pipeline, from the outbox to the read models.
import { el, emptyState, icon, keyed, panelHead, setIcon, setText, setTime } from "./dom.js";
import { NOTHING, count, moment, rate, seconds, utc } from "./format.js";
import { RATES_MS } from "./state.js";

const STATES = {
  live: { icon: "i-live", text: "Live", tone: "good" },
  behind: { icon: "i-behind", text: "Behind", tone: "warn" },
  stopped: { icon: "i-stopped", text: "Stopped", tone: "bad" },
  unknown: { icon: "i-unknown", text: "Unknown", tone: "calm" },
};
const stateOf = (name) => STATES[name] ?? STATES.unknown;

function statePill() {
  const sign = icon("i-unknown");
  const text = el("span");
  const node = el("span", { class: "pill" }, sign, text);
  return {
    node,
    update: (name) => {
      const state = stateOf(name);
      node.dataset.tone = state.tone;
      setIcon(sign, state.icon);
      setText(text, state.text);
    },
  };
}

function fact(label) {
  const value = el("dd");
  return { node: el("div", {}, el("dt", { text: label }), value), value };
}

const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

/** Minimum length of the line's time axis. After this time, the axis covers the time since the page was opened. */
const LEAST_TRACE_MS = 60_000;

/** Two lines for the rates since the page was opened, at most five minutes. A decoration, as the numbers are above. */
function trace() {
  const lines = ["into", "out"].map((name) =>
    svg("path", { class: `trace-${name}`, "vector-effect": "non-scaling-stroke" }));
  const node = svg("svg",
    { class: "trace", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" }, ...lines);
  return {
    node,
    update: (samples) => {
      const last = samples.at(-1)?.at ?? 0;
      const span = Math.min(RATES_MS, Math.max(LEAST_TRACE_MS, last - (samples[0]?.at ?? 0)));
      const most = Math.max(1, ...samples.flatMap((sample) => [sample.into, sample.out])) * 1.1;
      ["into", "out"].forEach((name, place) => {
        const points = samples.map((sample) =>
          `${(100 - ((last - sample.at) / span) * 100).toFixed(2)} ${(30 - (sample[name] / most) * 30).toFixed(2)}`);
        lines[place].setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
      });
    },
  };
}

export function flowView(panel) {
  const { head, hint } = panelHead(panel.id, "Flow");
  const [waiting, into, out] = ["In the outbox", "Into Kafka", "Applied"].map((label) => {
    const value = el("dd", { class: "flow-value" });
    const note = el("dd", { class: "flow-note" });
    return { node: el("div", {}, el("dt", { text: label }), value, note), value, note };
  });
  const trouble = el("p", { class: "trouble", hidden: true });
  const lines = trace();
  panel.replaceChildren(head, el("dl", { class: "flow" }, waiting.node, into.node, out.node), lines.node, trouble);
  into.node.classList.add("flow-into");
  out.node.classList.add("flow-out");
  setText(into.note, "per second");
  setText(out.note, "per second");
  return (pipeline, samples) => {
    lines.update(samples);
    const { outbox, rates } = pipeline;
    setText(hint, outbox === null ? "No outbox in this database" : "From the outbox to the read models");
    setText(into.value, rate(rates?.inPerSecond));
    setText(out.value, rate(rates?.outPerSecond));
    setText(waiting.value, outbox === null ? NOTHING : `${count(outbox.backlog)}${outbox.backlogIsAtLeast ? "+" : ""}`);
    setText(waiting.note, outbox === null || outbox.oldestAgeSeconds === null
      ? "nothing waits" : `oldest ${seconds(outbox.oldestAgeSeconds)}`);
    const failed = outbox?.failed ?? 0;
    trouble.hidden = failed === 0;
    if (failed > 0) {
      trouble.replaceChildren(icon("i-behind"), el("span", {
        text: `${count(failed)} ${failed === 1 ? "event" : "events"} cannot be published and hold back their keys: `
          + "see the table outbox_failed.",
      }));
    }
  };
}

function partitionRow() {
  const { node: pill, update } = statePill();
  const [next, end, lag] = [0, 1, 2].map(() => el("td", { class: "number" }));
  const name = el("th", { scope: "row" });
  return {
    node: el("tr", {}, name, next, end, lag, el("td", {}, pill)),
    update: (partition) => {
      setText(name, String(partition.partition));
      setText(next, count(partition.nextOffset));
      setText(end, count(partition.endOffset));
      setText(lag, count(partition.lag));
      update(partition.state);
    },
  };
}

/** A table of the partitions of one topic. */
function topicTable() {
  const caption = el("caption");
  const body = el("tbody");
  const heads = [["Partition", ""], ["Next", "number"], ["End", "number"], ["Lag", "number"], ["State", ""]];
  const node = el("table", { class: "rows partitions" }, caption,
    el("thead", {}, el("tr", {}, ...heads.map(([text, kind]) =>
      el("th", { scope: "col", class: kind || null, text })))), body);
  return {
    node,
    update: ({ topic, partitions }) => {
      setText(caption, topic);
      keyed(body, partitions, (partition) => String(partition.partition), partitionRow);
    },
  };
}

function byTopic(partitions) {
  const topics = new Map();
  for (const partition of partitions) {
    if (!topics.has(partition.topic)) topics.set(partition.topic, []);
    topics.get(partition.topic).push(partition);
  }
  return [...topics].map(([topic, all]) => ({ topic, partitions: all.toSorted((a, b) => a.partition - b.partition) }));
}

/** "36 partitions: 34 live, 2 stopped" */
function partitionWords(partitions) {
  const number = (name) => partitions.filter((one) => stateOf(one.state) === STATES[name]).length;
  const states = Object.keys(STATES).map((name) => [name, number(name)]).filter(([, found]) => found > 0);
  const total = `${count(partitions.length)} ${partitions.length === 1 ? "partition" : "partitions"}`;
  if (states.length === 1) return `${total}, ${partitions.length === 1 ? "" : "all "}${states[0][0]}`;
  return `${total}: ${states.map(([name, found]) => `${count(found)} ${name}`).join(", ")}`;
}

function createProjection(first) {
  const pill = statePill();
  const version = el("span", { class: "muted" });
  const time = el("time");
  const facts = { lag: fact("Lag"), behind: fact("Behind by"), rate: fact("Per second") };
  const words = el("span");
  const cells = el("span", { class: "cells", "aria-hidden": "true" });
  const tables = el("div", { class: "topic-tables" });
  const details = el("details", {}, el("summary", {}, words, cells), tables);
  const fill = (partitions) => keyed(tables, byTopic(partitions), (item) => item.topic, topicTable);
  let partitions = [];
  details.addEventListener("toggle", () => details.open && fill(partitions));
  const node = el("article", { class: "panel projection", "data-projection": first.name },
    el("header", { class: "panel-head" },
      el("div", { class: "panel-title" }, el("h3", {}, `${first.name} `, version),
        el("p", { class: "hint" }, "as of ", time)), pill.node),
    el("dl", { class: "facts" }, ...Object.values(facts).map((one) => one.node)), details);
  return {
    node,
    update: ({ now, ...projection }) => {
      node.dataset.tone = stateOf(projection.state).tone;
      pill.update(projection.state);
      setText(version, `v${projection.version}`);
      setText(facts.lag.value, count(projection.lagRecords));
      setText(facts.behind.value, seconds(projection.lagSeconds));
      setText(facts.rate.value, rate(projection.eventsPerSecond));
      const { asOf } = projection;
      setTime(time, asOf, asOf === null ? "nothing yet" : moment(asOf, now), utc(asOf));
      partitions = projection.partitions;
      details.hidden = partitions.length === 0;
      setText(words, partitionWords(partitions));
      keyed(cells, partitions, (one) => `${one.topic} ${one.partition}`, () => {
        const cell = el("i");
        return {
          node: cell,
          update: (one) => {
            cell.dataset.state = one.state in STATES ? one.state : "unknown";
          },
        };
      });
      if (details.open) fill(partitions);
    },
  };
}

export function projectionsView(parent) {
  const text = el("div", { class: "vacancy" });
  const vacancy = el("article", { class: "panel" }, el("h3", { text: "Projections" }), text);
  parent.append(vacancy);
  return (pipeline, now) => {
    vacancy.remove();
    text.replaceChildren(emptyState("No projections yet",
      "A projection appears here when it has started for the first time."));
    keyed(parent, pipeline.projections.map((projection) => ({ ...projection, now })),
      (projection) => `${projection.name} ${projection.version}`, createProjection);
    if (pipeline.projections.length === 0) parent.append(vacancy);
  };
}

export function deadLettersView(panel) {
  const { head, hint } = panelHead(panel.id, "Dead letters");
  const list = el("ul", { class: "letters" });
  const vacancy = el("div", { class: "vacancy" });
  const command = el("code", { text: "millrace dead-letters groups" });
  const advice = el("p", { class: "advice", hidden: true }, "Look at them with ", command);
  panel.replaceChildren(head, list, advice, vacancy);
  function create(group) {
    const total = el("b", { class: "letters-count" });
    const message = el("span", { class: "letters-message" });
    const seen = el("time");
    return {
      node: el("li", {}, total, el("div", {},
        el("p", { class: "letters-name" }, group.consumer, " / ", group.errorClass),
        el("p", {}, message), el("p", { class: "muted" }, "last ", seen))),
      update: ({ now, ...current }) => {
        setText(total, count(current.count));
        setText(message, current.message);
        setTime(seen, current.lastSeen, moment(current.lastSeen, now), utc(current.lastSeen));
      },
    };
  }
  return (pipeline, now) => {
    const letters = pipeline.deadLetters;
    const groups = letters?.groups ?? [];
    panel.dataset.tone = (letters?.open ?? 0) > 0 ? "warn" : "calm";
    setText(hint, letters === null
      ? "Not in this database" : letters.open === 0 ? "None open" : `${count(letters.open)} open`);
    keyed(list, groups.map((group) => ({ ...group, now })),
      (group) => `${group.consumer} ${group.errorClass} ${group.fingerprint}`, create);
    list.hidden = groups.length === 0;
    advice.hidden = groups.length === 0;
    vacancy.hidden = groups.length > 0;
    if (groups.length === 0) {
      vacancy.replaceChildren(letters === null
        ? emptyState("No dead letters are kept here", "The dead-letter-handler creates their tables in this schema.")
        : emptyState("No dead letters", "Every event could be applied."));
    }
  };
}
