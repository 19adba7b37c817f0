"""The page with a stub of the service, in states that a healthy service rarely has."""

import datetime
import pathlib
import unittest

from browser import Browser, until
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from stub import Stub, WINDOWS, iso, now, order, pipeline

CONTRAST = pathlib.Path(__file__).with_name("contrast.js").read_text()


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.quit)

    def open(self, stub, query="", **options):
        self.addCleanup(stub.close)
        self.browser.open(stub.url + query, **options)
        return self.browser

    def assert_console_clean(self, but=()):
        self.assertEqual(self.browser.console(but), [])

    # Shown data

    def test_shows_numbers_charts_and_lists(self):
        browser = self.open(Stub())
        browser.wait_for_data()
        self.assertEqual(browser.tile("orders"), "460")
        self.assertEqual(sorted(browser.tile("revenue").split("\n")), ["$28,393.50", "€28,393.50"])
        self.assertEqual(browser.orders(), [f"ord-{n}" for n in range(10)])
        self.assertEqual(len(browser.all(".projection")), 2)
        browser.wait_for_charts()
        for canvas in browser.all("canvas"):
            self.assertEqual(canvas.get_attribute("role"), "img")
            self.assertIn("Table", canvas.get_attribute("aria-label"))
        self.assert_console_clean()

    def test_missing_buckets_are_zero_in_the_table(self):
        browser = self.open(Stub())
        browser.wait_for_data()
        # Use only the keyboard.
        button = browser.one("#orders-chart .quiet-button")
        browser.script("arguments[0].focus()", button)
        button.send_keys(Keys.ENTER)
        rows = browser.all("#orders-chart tbody tr")
        self.assertEqual(len(rows), 24)
        cells = [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")] for row in rows]
        self.assertEqual(cells[0], ["20", "16", "14", "2"])
        self.assertEqual(cells[22], ["0", "0", "0", "0"])
        self.assertFalse(browser.one("#orders-chart canvas").is_displayed())

    def test_window_and_currency_are_kept_in_the_address(self):
        browser = self.open(Stub())
        browser.wait_for_data()
        browser.one("#windows input[value='7d']").click()
        browser.until(lambda: browser.tile("orders") == "3,340", "the window did not change")
        browser.one("#currency option[value='USD']").click()
        browser.until(lambda: browser.tile("revenue") == "$28,393.50", "the currency did not change")
        self.assertEqual(browser.tile("orders"), "1,670")
        self.assertIn("window=7d", browser.driver.current_url)
        self.assertIn("currency=USD", browser.driver.current_url)
        browser.driver.refresh()
        browser.until(lambda: browser.tile("revenue") == "$28,393.50", "the selection was not restored")
        self.assertEqual(browser.tile("orders"), "1,670")
        self.assert_console_clean()

    def test_an_empty_shop_is_told_what_to_do(self):
        browser = self.open(Stub(empty=True))
        browser.wait_for_data()
        for panel in ("orders-chart", "funnel", "revenue-chart", "durations", "products", "latest"):
            self.assertTrue(browser.one(f"#{panel} .empty").is_displayed(), panel)
        self.assertIn("millrace load", browser.text("#latest"))
        self.assertIn("No dead letters", browser.text("#dead-letters"))
        self.assert_console_clean()

    def test_without_chart_js_there_are_tables(self):
        stub = Stub()
        stub.charts = False
        browser = self.open(stub)
        browser.wait_for_data()
        for panel in ("orders-chart", "revenue-chart", "failures-chart"):
            self.assertEqual(len(browser.all(f"#{panel} tbody tr")), 24)
            self.assertFalse(browser.one(f"#{panel} .quiet-button").is_displayed())
        self.assert_console_clean(but=("/assets/chart.js",))

    def test_a_new_order_is_marked_once(self):
        stub = Stub()
        browser = self.open(stub)
        browser.wait_for_data()
        latest = [order("ord-new", ago_s=0)] + [order(f"ord-{n}", ago_s=n + 1) for n in range(9)]
        stub.update(latestOrders=latest)
        browser.until(lambda: browser.orders()[0] == "ord-new", "the order did not appear")
        badges = [badge for badge in browser.all("#latest .badge") if badge.is_displayed()]
        self.assertEqual([badge.text for badge in badges], ["New"])
        self.assertEqual(browser.orders().count("ord-new"), 1)
        browser.until(lambda: not any(badge.is_displayed() for badge in browser.all("#latest .badge")),
                      "the mark stayed")
        self.assertEqual(len(browser.orders()), 10)
        # If most orders are new, the page marks none of them.
        stub.update(latestOrders=[order(f"ord-{n}") for n in range(100, 110)])
        browser.until(lambda: browser.orders()[0] == "ord-100", "the orders did not appear")
        self.assertFalse(any(badge.is_displayed() for badge in browser.all("#latest .badge")))

    # Lookups

    @staticmethod
    def shelf(asked):
        """Two products that match the requested words; no answer for "fail"."""
        if asked["q"] == "fail":
            return None
        rows = [{"product_id": f"prod-{n}", "name": f"<b>{asked['q']}</b> {n}", "category": "Home", "price": "19.90",
                 "currency": "EUR", "units_sold": 1200 + n} for n in range(2)]
        return {"rows": [] if asked["q"] == "nothing" else rows, "next": "more"}

    def test_without_queries_nothing_can_be_looked_up(self):
        browser = self.open(Stub())
        browser.wait_for_data()
        self.assertFalse(browser.one("#lookups").is_displayed())

    def test_products_are_found_while_somebody_types(self):
        stub = Stub()
        stub.queries["/v1/products/search"] = stub.queries["/v1/q/product-search"] = self.shelf
        browser = self.open(stub)
        browser.wait_for_data()
        browser.until(lambda: browser.one("#find-products").is_displayed(), "the search is not shown")
        self.assertFalse(browser.one("#customer-orders").is_displayed())
        field = browser.one("#find-products input")
        self.assertEqual(browser.script("return arguments[0].labels[0].textContent", field), "Words")
        field.send_keys("oak")
        browser.until(lambda: len(browser.all("#find-products tr[data-product]")) == 2, "no product was found")
        # Names are shown as text, whatever they contain.
        self.assertEqual(browser.all("#find-products tbody th")[1].text, "<b>oak</b> 1")
        self.assertIn("€19.90", browser.text("#find-products tbody"))
        self.assertEqual(browser.text("#find-products [role=status]"), "2 and more found.")
        self.assertEqual(stub.asked[-1], ("/v1/products/search", {"q": "oak", "limit": "10"}))
        for text, said in (("nothing", "No product has these words"), ("fail", "The service answers 503.")):
            field.clear()
            field.send_keys(text)
            browser.until(lambda: said in browser.text("#find-products"), f"the page did not show: {said}")
            self.assertFalse(browser.one("#find-products table").is_displayed())
        field.clear()
        field.send_keys(Keys.ENTER)
        browser.until(lambda: browser.text("#find-products [role=status]") == "", "the status did not become empty")
        self.assert_console_clean(but=("503",))

    def test_a_customers_orders_are_found_by_the_id(self):
        self.find_orders("/v1/customers/{customer}/history")

    def test_a_customers_orders_are_found_without_a_path_of_their_own(self):
        self.find_orders("/v1/q/customer-orders")

    def find_orders(self, path):
        stub = Stub()
        stub.token = "right"
        order = {"order_id": "ord-7", "status": "confirmed", "created_at": iso(now()), "currency": "USD",
                 "total": "5.00", "items": [{}, {}]}
        stub.queries[path] = lambda asked: {
            "rows": [order] if asked["customer"] == "cust/1 $&" else [], "next": None}
        browser = self.open(stub)
        browser.wait_for_connection("token")
        browser.until(lambda: browser.one("#customer-orders").is_displayed(), "the search is not shown")
        field = browser.one("#customer-orders input")
        field.send_keys("cust/1 $&")
        field.send_keys(Keys.ENTER)
        browser.until(lambda: "needs a token" in browser.text("#customer-orders"), "the page did not ask for a token")
        browser.one("#alerts input").send_keys("right")
        browser.one("#alerts button").click()
        browser.wait_for_data()
        # Search with the button too.
        browser.one("#customer-orders button").click()
        browser.until(lambda: len(browser.all("#customer-orders tr[data-order]")) == 1, "no order was found")
        self.assertIn("$5.00", browser.text("#customer-orders tbody"))
        field.clear()
        field.send_keys("nobody", Keys.ENTER)
        browser.until(lambda: "This customer has no orders" in browser.text("#customer-orders"), "no message was shown")
        self.assert_console_clean(but=("401",))

    # Problems

    def test_asks_for_a_token_and_uses_it(self):
        stub = Stub()
        stub.token = "right"
        browser = self.open(stub)
        browser.wait_for_connection("token")
        self.assertIn("needs a token", browser.text("#alerts[role=alert]"))
        for token in ("wrong", "right"):
            browser.one("#alerts input").send_keys(token)
            browser.one("#alerts button").click()
            if token == "wrong":
                browser.until(lambda: "was refused" in browser.text("#alerts"), "the page did not show the refusal")
        browser.wait_for_data()
        self.assertEqual(browser.text("#alerts"), "")
        browser.driver.refresh()
        browser.wait_for_data()
        self.assertNotIn("right", browser.driver.current_url)
        self.assert_console_clean(but=("401",))

    def test_says_disconnected_and_goes_on_where_it_was(self):
        stub = Stub()
        browser = self.open(stub)
        browser.wait_for_data()
        stub.update(statuses=[{"status": "paid", "orders": 1}])
        browser.until(lambda: browser.event_id() == "e1.24h-2", "no update")
        stub.disconnect(refusal=503)
        browser.until(lambda: "Disconnected since" in browser.text("#alerts"), "no disconnection was shown")
        browser.until(lambda: "503 Service Unavailable" in browser.text("#alerts"), "the page did not show the reason")
        browser.until(lambda: "Trying again in" in browser.text("#alerts"), "the page did not show the next attempt")
        self.assertIn("Disconnected", browser.text("#connection"))
        self.assertIn("Disconnected", browser.driver.title)
        browser.screenshot("disconnected-1280")
        # Both updates happen while the page is disconnected. The page must show both.
        stub.update(statuses=[{"status": "paid", "orders": 2}])
        stub.update(latestOrders=[order("ord-meanwhile")])
        stub.refusal = None
        browser.wait_for_connection("live")
        browser.until(lambda: browser.orders() == ["ord-meanwhile"], "the missed updates were not shown")
        self.assertIn("2", browser.text("#funnel .status-paid"))
        self.assertEqual(stub.seen[-1].get("Last-Event-ID"), "e1.24h-2")
        self.assertEqual(browser.text("#alerts"), "")
        self.assert_console_clean(but=("503",))

    def test_a_repeated_event_counts_once_and_a_lost_one_is_fetched(self):
        stub = Stub()
        browser = self.open(stub)
        browser.wait_for_data()
        stub.update(statuses=[{"status": "paid", "orders": 7}])
        browser.until(lambda: "7" in browser.text("#funnel .status-paid"), "no update")
        requests = len(stub.seen)
        stub.update(again=True, statuses=[{"status": "paid", "orders": 8}])
        stub.update(skips=1, statuses=[{"status": "paid", "orders": 9}])
        browser.until(lambda: "9" in browser.text("#funnel .status-paid"), "the page did not recover the lost event")
        self.assertGreater(len(stub.seen), requests)
        self.assertNotIn("Last-Event-ID", stub.seen[-1])

    def test_a_stopped_projection_is_said(self):
        stub = Stub()
        browser = self.open(stub)
        browser.wait_for_data()
        stub.update(pipeline=pipeline("stopped", lag=2500, letters=1203))
        browser.until(lambda: "Stopped: order-summary" in browser.text("#notices[role=status]"), "no notice was shown")
        self.assertIn("1 stopped", browser.text("#health"))
        self.assertIn("1,203", browser.text("#dead-letters"))
        self.assertIn("missing_field", browser.text("#dead-letters"))
        browser.one("[data-projection='order-summary'] summary").click()
        browser.until(lambda: len(browser.all("[data-projection='order-summary'] tbody tr")) == 6, "no partitions")
        stub.update(pipeline=pipeline("behind", lag=10))
        browser.until(lambda: "Behind: order-summary" in browser.text("#notices"), "the notice was not shown")
        self.assertEqual(len(browser.all("[data-projection='order-summary'] details[open]")), 1, "they were closed")
        stub.update(pipeline=pipeline())
        browser.until(lambda: browser.text("#notices") == "", "the notice did not disappear")

    def test_numbers_that_are_old_are_called_stale(self):
        stub = Stub()
        browser = self.open(stub)
        browser.wait_for_data()
        stub.update(asOf=iso(now() - datetime.timedelta(minutes=5)))
        browser.until(lambda: "Stale" in browser.text("#notices"), "the notice was not shown")

    # Sizes and themes

    def test_fits_360_pixels(self):
        stub = Stub()
        stub.queries = {"/v1/q/product-search": self.shelf, "/v1/q/customer-orders": lambda _: {"rows": []}}
        browser = self.open(stub, width=360)
        browser.until(lambda: browser.one("#lookups").is_displayed(), "the lookups are not shown")
        browser.one("#find-products input").send_keys("a-word-that-is-as-long-as-words-are-never")
        browser.until(lambda: len(browser.all("#find-products tr[data-product]")) == 2, "no product was found")
        for window in WINDOWS:
            browser.one(f"#windows input[value='{window}']").click()
            browser.until(lambda: browser.event_id().startswith(f"e1.{window}-"), f"no data of {window}")
            browser.wait_for_data()
            self.assertEqual(browser.overflow(), 0, window)
        stub.update(pipeline=pipeline("stopped", lag=1_000_000, letters=1_000_000),
                    latestOrders=[order("0b7a6a5e-2f6f-4e0b-9f0e-2b1f5d6c7a8b", amount="1234567.89"),
                                  order("ord-0", ago_s=1)])
        browser.until(lambda: "Stopped" in browser.text("#notices"), "no update")
        for details in browser.all("details summary"):
            details.click()
        self.assertEqual(browser.overflow(), 0, "with wide content")

    def test_contrast_in_both_themes(self):
        for dark in (False, True):
            stub = Stub()
            stub.queries = {"/v1/q/product-search": self.shelf, "/v1/q/customer-orders": lambda _: {"rows": []}}
            browser = self.open(stub, dark=dark)
            browser.wait_for_data()
            stub.update(pipeline=pipeline("stopped", lag=10, letters=10), latestOrders=[order("ord-new")])
            browser.until(lambda: browser.orders() == ["ord-new"], "no update")
            browser.one("#find-products input").send_keys("oak")
            browser.until(lambda: len(browser.all("#find-products tr[data-product]")) == 2, "no product was found")
            # End all animations before the measurement.
            browser.script("document.getAnimations().forEach(animation => animation.finish())")
            measured = browser.script(CONTRAST)
            self.assertGreater(measured["texts"], 100)
            self.assertEqual(measured["found"], [], "dark" if dark else "light")

    def test_the_theme_can_be_chosen(self):
        browser = self.open(Stub(), dark=True)
        browser.wait_for_data()
        def ground():
            return browser.script("return getComputedStyle(document.body).backgroundColor")
        dark = ground()
        browser.one("#theme").click()
        browser.until(lambda: ground() != dark, "the theme did not change")
        browser.driver.refresh()
        browser.wait_for_data()
        self.assertNotEqual(ground(), dark, "the theme was forgotten")
        self.assert_console_clean()


if __name__ == "__main__":
    unittest.main()
