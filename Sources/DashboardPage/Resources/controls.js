// What the user chooses: window, currency, theme. The address says it, so that a wall's screen can be bookmarked; this
// browser remembers it.
import { el, icon, setAttribute } from "./dom.js";

export const WINDOWS = ["1h", "6h", "24h", "7d", "30d"];
const THEMES = { auto: "as the system has it", light: "light", dark: "dark" };

function remembered(name) {
  try {
    return localStorage.getItem(`millrace.${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`millrace.${name}`, value);
  } catch {
    // Then it is forgotten; the address still has it.
  }
  const url = new URL(location.href);
  url.searchParams.set(name, value);
  history.replaceState(null, "", url);
}

export function chosen(name) {
  return new URLSearchParams(location.search).get(name) ?? remembered(name);
}

export function windowControl(fieldset, onChange) {
  const asked = chosen("window");
  const first = WINDOWS.includes(asked) ? asked : "24h";
  for (const input of fieldset.querySelectorAll("input")) {
    input.checked = input.value === first;
    input.addEventListener("change", () => {
      remember("window", input.value);
      onChange(input.value);
    });
  }
  return first;
}

/**
 * @returns {(currencies: string[]) => string | null} shows what there is to choose, and answers what is chosen; null is
 *   all
 */
export function currencyControl(select, onChange) {
  let wish = chosen("currency") ?? "";
  let offered = "";
  select.addEventListener("change", () => {
    wish = select.value;
    remember("currency", wish);
    onChange();
  });
  return (currencies) => {
    const isFound = currencies.includes(wish);
    if (offered !== currencies.join()) {
      offered = currencies.join();
      select.replaceChildren(el("option", { value: "", text: "All currencies" }),
        ...currencies.toSorted().map((code) => el("option", { value: code, text: code })));
      select.value = isFound ? wish : "";
    }
    return isFound ? wish : currencies.length === 1 ? currencies[0] : null;
  };
}

export function themeControl(button, onChange) {
  const root = document.documentElement;
  const names = Object.keys(THEMES);
  const show = () => {
    const theme = root.dataset.theme ?? "auto";
    const next = names[(names.indexOf(theme) + 1) % names.length];
    button.replaceChildren(icon(`i-${theme}`));
    const said = `Theme: ${THEMES[theme]}. Switch to ${next === "auto" ? "the system's" : next}.`;
    setAttribute(button, "aria-label", said);
    setAttribute(button, "title", said);
    return next;
  };
  button.addEventListener("click", () => {
    const next = show();
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    remember("theme", next);
    show();
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  show();
}

/** The token lives as long as the tab: other tabs and later visits ask again. */
export const token = {
  read: () => storage("getItem", "millrace.token") ?? null,
  keep: (value) => storage("setItem", "millrace.token", value),
  forget: () => storage("removeItem", "millrace.token"),
};

function storage(action, ...values) {
  try {
    return sessionStorage[action](...values);
  } catch {
    // Without storage it is asked for again after a reload.
    return null;
  }
}
