// Sets the theme before anything is painted: that of the address, or of this browser's last visit, or of the system.
(() => {
  let theme = new URLSearchParams(location.search).get("theme");
  try {
    theme ??= localStorage.getItem("millrace.theme");
  } catch {
    // Storage may be forbidden. The page then uses the system's theme.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
