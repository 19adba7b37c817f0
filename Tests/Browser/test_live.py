"""The page with the real service, the real projections, and a simulated shop."""

import time
import unittest

from browser import Browser
from dev_session import DevSession

# Chromium's own messages about requests without a server.
ABSENT_SERVER = ("ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "503")


class LivePageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = DevSession()
        cls.addClassCleanup(cls.session.stop)
        cls.session.start()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.quit)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and hasattr(self, "browser"):
            self.browser.screenshot(f"failed-{self._testMethodName}")
            print(self.session.output())

    def open(self, query="", **options):
        self.browser.open(self.session.url + query, **options)
        self.browser.wait_for_data()
        return self.browser

    def count(self, table):
        return int(self.session.sql(f"SELECT count(*) FROM {table}")[0][0])

    def test_1_an_empty_shop(self):
        browser = self.open()
        self.assertEqual(browser.tile("orders"), "0")
        self.assertIn("No orders yet", browser.text("#latest"))
        self.assertEqual(browser.console(), [])

    def test_2_data_arrives_while_somebody_looks(self):
        browser = self.open("?window=1h")
        self.session.play(orders=60)
        expected = f"{self.count('orders'):,}"
        browser.until(lambda: browser.tile("orders") == expected, f"not {expected} orders: {browser.tile('orders')}")
        # The exact revenue of the shop, to the last digit.
        revenue = {currency: amount for currency, amount in self.session.sql(
            "SELECT currency, sum(amount) FROM payments WHERE completed_at IS NOT NULL GROUP BY currency")}
        self.assertGreater(len(revenue), 1)
        wanted = sorted(browser.script(
            "return new Intl.NumberFormat(undefined, {style: 'currency', currency: arguments[0]}).format(arguments[1])",
            currency, amount) for currency, amount in revenue.items())
        browser.until(lambda: sorted(browser.tile("revenue").split("\n")) == wanted, f"not the revenue {wanted}")
        statuses = dict(self.session.sql("SELECT status, count(*) FROM order_summary GROUP BY status"))
        for status, number in statuses.items():
            browser.until(lambda: browser.text(f"#funnel .status-{status} .number") == number, f"not {number} {status}")
        self.assertEqual(len(browser.orders()), 10)
        self.assertLessEqual({"order-summary", "dashboard"},
                             {one.get_attribute("data-projection") for one in browser.all(".projection")})
        browser.until(lambda: browser.text("#health") == "Pipeline live", "the pipeline is not live")
        self.assertEqual(browser.console(), [])

    def test_3_an_order_appears_after_being_created(self):
        browser = self.open()
        start = time.monotonic()
        [order] = self.session.create_orders(1)
        browser.until(lambda: order in browser.orders(), "the order did not appear")
        print(f"an order was on the page {time.monotonic() - start:.2f} s after its commit began")
        row = f"#latest tr[data-order='{order}']"
        self.assertIn("New", browser.text(row))
        self.assertIn("€19.90", browser.text(row))
        self.assertEqual(browser.orders().count(order), 1)
        self.assertEqual(browser.console(), [])

    def test_4_a_restart_leaves_no_gap_and_nothing_twice(self):
        browser = self.open()
        [before] = self.session.create_orders(1)
        browser.until(lambda: before in browser.orders(), "the order did not appear")
        epoch = browser.event_id().rpartition("-")[0]
        # Record every text of the alerts, even if the page shows it only briefly.
        browser.script("""
            window.said = [];
            new MutationObserver(() => said.push(document.getElementById("alerts").innerText))
                .observe(document.getElementById("alerts"), {childList: true, subtree: true, characterData: true});
            """)
        self.session.kill_query_service()
        meanwhile = self.session.create_orders(3)
        browser.until(lambda: any("Disconnected since" in text for text in browser.script("return said")),
                      "the page did not show the disconnection")
        browser.wait_for_data()
        browser.until(lambda: set(meanwhile) <= set(browser.orders()), "an order is missing")
        self.assertEqual([browser.orders().count(order) for order in [before, *meanwhile]], [1, 1, 1, 1])
        self.assertNotEqual(browser.event_id().rpartition("-")[0], epoch)
        self.assertEqual(browser.text("#alerts"), "")
        expected = sum(total["ordersCreated"] for total in self.session.get("v1/dashboard")["totals"])
        self.assertEqual(expected, self.count("order_summary"))
        browser.until(lambda: browser.tile("orders") == f"{expected:,}", f"not {expected} orders")
        self.assertEqual(browser.console(but=ABSENT_SERVER), [])

    def test_5_a_person_creates_an_order(self):
        browser = self.open()
        [[customer]] = self.session.sql("SELECT min(customer_id) FROM customers")
        self.fill_new_order(customer="nobody")
        browser.until(lambda: "customer" in browser.text("#order-form [role=alert]"), "the customer was not refused")
        before = self.count("orders")
        self.fill_new_order(customer=customer)
        browser.until(lambda: browser.one("#order-form").get_attribute("data-order"), "the order did not come back")
        order = browser.one("#order-form").get_attribute("data-order")
        self.assertIn(f"Order {order} is shown", browser.text("#order-form [role=status]"))
        self.assertEqual(browser.text("#order-form [role=alert]"), "")
        browser.screenshot("new-order")
        browser.until(lambda: order in browser.orders(), "the order is not among the latest")
        self.assertEqual(self.count("orders"), before + 1)
        self.assertEqual(self.session.get(f"v1/orders/{order}")["totalAmount"], "25.00")
        # Chromium reports each refused request.
        self.assertEqual(browser.console(but=("422",)), [])

    def fill_new_order(self, customer):
        browser = self.browser
        browser.script("if (!document.getElementById('order-form').open) document.getElementById('new-order').click()")
        values = {"customerId": customer, "currency": "EUR", "productId": "prod-browser", "productName": "Test kettle",
                  "quantity": "2", "unitPrice": "12.50", "name": "T. Ester", "street": "1 Mill Road",
                  "postalCode": "LS1", "city": "Leeds", "country": "GB"}
        for name, value in values.items():
            field = browser.one(f"#order-form input[name={name}]")
            field.clear()
            field.send_keys(value)
        browser.one("#order-form .primary").click()

    def test_6_fits_a_phone_and_a_wall(self):
        sizes = (("360", 360, 800, False), ("1920", 1920, 1080, False), ("1920-dark", 1920, 1080, True))
        for name, width, height, dark in sizes:
            browser = self.open("?window=1h", width=width, height=height, dark=dark)
            browser.wait_for_charts()
            self.assertEqual(browser.overflow(), 0, name)
            browser.screenshot(f"page-{name}", whole_page=width < 600)
            self.assertEqual(browser.console(), [])


if __name__ == "__main__":
    unittest.main()
