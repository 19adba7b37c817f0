// The user's choices: window, currency, theme. The address contains them, so they can be bookmarked for a wall screen.
// The browser stores them too.
import { el, icon, setAttribute } from "./dom.js";

export const WINDOWS = ["1h", "6h", "24h", "7d", "30d"];
const THEMES = { auto: "system", light: "light", dark: "dark" };

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
    // The browser cannot store the choice, but the address contains it.
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
 * @returns {(currencies: string[]) => string | null} a function that shows these currencies and returns the selected
 *   one; null stands for all
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

/** The token is kept as long as the tab is open. Other tabs and later visits ask for it again. */
export const token = {
  read: () => storage("getItem", "millrace.token") ?? null,
  keep: (value) => storage("setItem", "millrace.token", value),
  forget: () => storage("removeItem", "millrace.token"),
};

function storage(action, ...values) {
  try {
    return sessionStorage[action](...values);
  } catch {
    // Without storage, the page asks for the token again after a reload.
    return null;
  }
}
