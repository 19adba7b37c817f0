"""A headless Chromium, waits for conditions with deadlines, and checks that apply to every page."""

import base64
import os
import pathlib
import time

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SCREENSHOTS = REPOSITORY / ".build" / "browser"
PATIENCE_S = float(os.environ.get("MILLRACE_BROWSER_PATIENCE_S", "30"))


class Browser:
    """One Chromium for a test class. `open` begins with empty storage and an empty console."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        # Containers often run as root, and with a small /dev/shm.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                         "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
        self.driver = webdriver.Chrome(service=Service(driver), options=options)

    def quit(self):
        self.driver.quit()

    def open(self, url, width=1280, height=800, dark=False, reduced_motion=False):
        self.driver.get("about:blank")
        self.size(width, height)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"},
        ]})
        origin = "/".join(url.split("/")[:3])
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self.driver.get_log("browser")
        self.driver.get(url)

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def until(self, condition, message, patience_s=PATIENCE_S):
        """Waits until `condition()` is true, and returns its value."""
        wait = WebDriverWait(self.driver, patience_s, 0.05, [StaleElementReferenceException])
        return wait.until(lambda _: condition(), message)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def connection(self):
        return self.script("return document.documentElement.dataset.connection")

    def wait_for_connection(self, phase):
        self.until(lambda: self.connection() == phase, f"the page did not show the connection as {phase}")

    def wait_for_data(self):
        """Waits until a snapshot of the requested window is shown."""
        self.wait_for_connection("live")
        self.until(lambda: self.one("main").get_attribute("aria-busy") == "false", "no data was shown")

    def tile(self, key):
        return self.text(f"[data-tile='{key}'] .tile-values")

    def orders(self):
        """The ids in the list of the latest orders."""
        return self.script(
            "return [...document.querySelectorAll('#latest tr[data-order]')].map(row => row.dataset.order)")

    def event_id(self):
        """The id of the last event that the page has shown."""
        return self.script("return document.documentElement.dataset.event")

    def console(self, but=()):
        """Returns the new messages of the console, except those that contain one of `but`."""
        entries = self.driver.get_log("browser")
        said = [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
        return [message for message in said if not any(part in message for part in but)]

    def wait_for_charts(self):
        self.until(lambda: self.script(
            "return [...document.querySelectorAll('canvas')].map(canvas => Chart.getChart(canvas)).every(Boolean)"),
            "not all charts were drawn")

    def overflow(self):
        """By how many pixels the page is wider than the window."""
        return self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def screenshot(self, name, whole_page=False):
        """Stores a screenshot in .build/browser/ for people."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        parameters = {"captureBeyondViewport": True} if whole_page else {}
        if whole_page:
            size = self.script("const e = document.documentElement; return [e.clientWidth, e.scrollHeight]")
            parameters["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", parameters)["data"]
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(data))


def until(condition, message, patience_s=PATIENCE_S):
    """Waits for a condition that no page shows."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(message)
        time.sleep(0.05)
