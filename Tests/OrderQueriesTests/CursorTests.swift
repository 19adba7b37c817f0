import Orders
import RequestValues
import StreamCore
import Testing

@testable import OrderQueries

@Suite struct CursorTests {
    private static let filter = OrderFilter(customer: "customer-1", statuses: [.paid], minAmount: "1")
    private static let position = PagePosition(.time(Timestamp(microseconds: 1_770_000_000_123_456)), "order-é/1")

    @Test func comesBackAsItWas() throws {
        let text = PageCursor.text(Self.position, for: Self.filter)
        #expect(PageCursor.position(in: text, for: Self.filter) == Self.position)
        var byAmount = Self.filter
        byAmount.sort = .amount
        for digits in ["123456789012.3400", "10.0400000000000000", "-0.5", "7", "1234567890123456789012345678.9"] {
            let amount = PagePosition(.amount(digits), "x")
            #expect(PageCursor.position(in: PageCursor.text(amount, for: byAmount), for: byAmount) == amount)
        }
        for digits in ["", "-", "1.", ".5", "1e5", "NaN", "1.2.3"] {
            let amount = PagePosition(.amount(digits), "x")
            #expect(PageCursor.position(in: PageCursor.text(amount, for: byAmount), for: byAmount) == nil)
        }
    }

    /// Anybody can compute the seal of a cursor. PostgreSQL must accept whatever a cursor contains.
    @Test func saysNothingThatTheDatabaseRefuses() {
        var byAmount = Self.filter
        byAmount.sort = .amount
        #expect(
            PageCursor.position(in: PageCursor.text(PagePosition(.amount("1"), "a\0b"), for: byAmount), for: byAmount)
                == nil)
        for (microseconds, orderID) in [(0, "a\0b"), (.min, "a"), (.max, "a"), (253_402_300_800_000_000, "a")]
            as [(Int64, String)]
        {
            let position = PagePosition(.time(Timestamp(microseconds: microseconds)), orderID)
            #expect(PageCursor.position(in: PageCursor.text(position, for: Self.filter), for: Self.filter) == nil)
        }
    }

    @Test func isWorthNothingWithAnotherFilter() {
        let text = PageCursor.text(Self.position, for: Self.filter)
        var others = [OrderFilter](repeating: Self.filter, count: 8)
        others[0].customer = "customer-2"
        others[1].customer = nil
        others[2].statuses = []
        others[3].minAmount = nil
        others[4].maxAmount = "1"
        others[5].from = Timestamp(microseconds: 0)
        others[6].to = Timestamp(microseconds: 0)
        others[7].sort = .time
        for other in others { #expect(PageCursor.position(in: text, for: other) == nil, "\(other)") }
    }

    /// Filters differ if a minimum and a maximum have the same value, or if their parts are equal only when
    /// concatenated.
    @Test func filtersAreTakenApart() {
        let pairs: [(OrderFilter, OrderFilter)] = [
            (OrderFilter(minAmount: "1"), OrderFilter(maxAmount: "1")),
            (OrderFilter(customer: "1", minAmount: "2"), OrderFilter(customer: "12")),
            (OrderFilter(customer: ""), OrderFilter(customer: nil)),
        ]
        for (left, right) in pairs {
            let text = PageCursor.text(Self.position, for: left)
            #expect(PageCursor.position(in: text, for: left) != nil)
            #expect(PageCursor.position(in: text, for: right) == nil)
        }
    }

    @Test func anyChangeIsRefused() {
        let text = Array(PageCursor.text(Self.position, for: Self.filter).utf8)
        for index in text.indices {
            var changed = text
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(PageCursor.position(in: String(decoding: changed, as: UTF8.self), for: Self.filter) == nil)
            let cut = String(decoding: text[..<index], as: UTF8.self)
            #expect(PageCursor.position(in: cut, for: Self.filter) == nil)
        }
    }

    @Test(arguments: ["", "=", "AA==", "\u{0}", "é", "'; DROP TABLE orders; --", String(repeating: "A", count: 4_000)])
    func otherTextIsRefused(_ text: String) {
        #expect(PageCursor.position(in: text, for: OrderFilter()) == nil)
    }

    @Test func base64HasOneTextForEachValue() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 251) }
            #expect(Base64URL.bytes(of: Base64URL.text(bytes)) == bytes)
        }
        #expect(Base64URL.text(Array("any carnal pleas".utf8)) == "YW55IGNhcm5hbCBwbGVhcw")
        #expect(Base64URL.bytes(of: "YW55IGNhcm5hbCBwbGVhcx") == nil)
        #expect(Base64URL.bytes(of: "A") == nil)
    }
}
