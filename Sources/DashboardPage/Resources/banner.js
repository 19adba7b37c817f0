// The banners. Each shows a problem, the time since when it exists, and what the user can do.
import { el, icon, keyed, setIcon, setText } from "./dom.js";
import { count, duration, moment, seconds, utc } from "./format.js";

const ICONS = { token: "i-key", lost: "i-off", stopped: "i-stopped", behind: "i-behind", old: "i-behind" };

const CAUSES = {
  network: "The service does not answer.",
  silence: "The service sends no data.",
  goodbye: "The service is restarting.",
  nonsense: "The service sent an answer that this page cannot read.",
};

const names = (projections) => projections.map((projection) => projection.name).join(" and ");

function words(notice, now) {
  switch (notice.kind) {
    case "token":
      return {
        title: notice.refused ? "The token was refused" : "This service needs a token",
        text: "The page keeps the token in this tab only, until you close it.",
      };
    case "lost": {
      const cause = notice.cause === "refused" ? `The service answered ${notice.detail}.` : CAUSES[notice.cause];
      const shown = notice.asOf === null ? "" : ` The numbers below are those of ${moment(notice.asOf, now)}.`;
      return { title: `Disconnected since ${moment(new Date(notice.since).toISOString(), now)}`,
        text: `${cause}${shown}` };
    }
    case "stopped":
      return {
        title: `Stopped: ${names(notice.projections)}`,
        text: "No progress, although events wait. Its numbers on this page do not change. "
          + "See its log and its /health/ready.",
      };
    case "behind":
      return {
        title: `Behind: ${names(notice.projections)}`,
        text: notice.projections.map((projection) =>
          `${projection.name} has ${count(projection.lagRecords)} events to apply`
          + (projection.lagSeconds === null ? "." : `, ${seconds(projection.lagSeconds)} behind.`)).join(" "),
      };
    default:
      return { title: "Stale", text: `Changes after ${moment(notice.asOf, now)} may be missing.` };
  }
}

function createBanner(notice, actions) {
  const sign = icon(ICONS[notice.kind]);
  const title = el("strong");
  const text = el("span");
  const tail = el("div", { class: "banner-actions" });
  let update = () => {};
  if (notice.kind === "token") {
    const input = el("input", {
      type: "password", name: "token", autocomplete: "off", required: true, "aria-label": "Access token",
      placeholder: "Token",
    });
    tail.append(el("form", {
      onsubmit: (event) => {
        event.preventDefault();
        actions.useToken(input.value.trim());
        input.value = "";
      },
    }, input, el("button", { class: "button", text: "Connect" })));
  } else if (notice.kind === "lost") {
    // The seconds change all the time, so screen readers must not announce them.
    const countdown = el("span", { class: "countdown", "aria-hidden": "true" });
    tail.append(countdown, el("button", { class: "button", type: "button", text: "Try now", onclick: actions.hurry }));
    update = (lost, now) => setText(countdown, lost.until === null || lost.until <= now
      ? "Connecting …" : `Trying again in ${duration(Math.ceil((lost.until - now) / 1_000) * 1_000)}`);
  } else {
    tail.append(el("a", { class: "button", href: "#pipeline", text: "Look at the pipeline" }));
  }
  const node = el("div", { class: "banner", "data-kind": notice.kind }, sign, el("p", {}, title, " ", text), tail);
  return {
    node,
    update: ({ now, ...current }) => {
      const said = words(current, now);
      node.dataset.tone = current.tone;
      setIcon(sign, ICONS[current.kind]);
      setText(title, said.title);
      setText(text, said.text);
      update(current, now);
    },
  };
}

/**
 * @param {Element} alerts role=alert, for problems that stop the page
 * @param {Element} status role=status, for problems of the data that the page shows
 * @param {{useToken: (token: string) => void, hurry: () => void}} actions
 */
export function bannerView(alerts, status, actions) {
  return (notices, now) => {
    const isUrgent = (notice) => ["token", "lost"].includes(notice.kind);
    const show = (parent, shown) => keyed(
      parent, shown.map((notice) => ({ ...notice, now })), (notice) => notice.kind,
      (notice) => createBanner(notice, actions));
    show(alerts, notices.filter(isUrgent));
    show(status, notices.filter((notice) => !isUrgent(notice)));
  };
}
