"""Runs the tests of the page's modules without a DOM, in the browser for which they are written."""

import functools
import http.server
import json
import threading
import unittest

from browser import REPOSITORY, Browser


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def log_message(self, *_):
        pass


class ModulesTest(unittest.TestCase):
    def test_modules(self):
        handler = functools.partial(Handler, directory=str(REPOSITORY))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = Browser()
        self.addCleanup(browser.quit)
        browser.open(f"http://127.0.0.1:{server.server_port}/Tests/Browser/modules_test.html")
        results = json.loads(browser.until(
            lambda: browser.script("return document.documentElement.dataset.results"),
            f"the tests did not end: {browser.console()}"))
        self.assertGreater(len(results), 20)
        for result in results:
            with self.subTest(result["name"]):
                self.assertIsNone(result["error"])


if __name__ == "__main__":
    unittest.main()
