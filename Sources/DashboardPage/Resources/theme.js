// Before anything is painted: the theme that the address or this browser's last visit asks for; else the system's.
(() => {
  let theme = new URLSearchParams(location.search).get("theme");
  try {
    theme ??= localStorage.getItem("millrace.theme");
  } catch {
    // Storage may be forbidden; the system's theme is a good one.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
