import HTTP
import Orders
import RequestValues
import StreamCore
import Testing

@testable import OrderQueries

/// Tests the parameters of requests, and the answers to invalid ones.
@Suite struct ParameterTests {
    private static let sql = "1' OR '1'='1'; DROP TABLE order_summary_rows; --"

    /// The problem of a query, or nil if the query is valid.
    private func refusal(_ query: [(name: String, value: String)], customer: String? = nil) -> Problem? {
        do throws(Problem) {
            _ = try OrderSearch(query, customer: customer)
            return nil
        } catch {
            return error
        }
    }

    @Test func readsAWholeFilter() throws {
        let search = try OrderSearch([
            ("customer", "customer-1"), ("status", "paid,created"), ("status", "paid"), ("min_amount", "007.50"),
            ("max_amount", "10"), ("from", "2026-05-04"), ("to", "2026-05-04T12:00:00+02:00"), ("sort", "-amount"),
            ("limit", "200"), ("total", "true"),
        ])
        #expect(
            search.filter
                == OrderFilter(
                    customer: "customer-1", statuses: [.created, .paid], minAmount: "7.5", maxAmount: "10",
                    from: Timestamp("2026-05-04T00:00:00Z"), to: Timestamp("2026-05-04T10:00:00Z"),
                    sort: .amountDescending))
        #expect(search.limit == 200)
        #expect(search.wantsTotal)
        let plain = try OrderSearch([])
        #expect(plain.filter == OrderFilter())
        #expect(plain.limit == 50 && !plain.wantsTotal && plain.position == nil)
    }

    /// Only pages that are quick for all values may be read before searches.
    @Test(arguments: [
        ("customer=c", true), ("customer=c&sort=time&limit=50", true), ("customer=c&limit=1", true), ("", false),
        ("customer=c&limit=51", false), ("customer=c&total=true", false), ("customer=c&status=paid", false),
        ("customer=c&min_amount=1", false), ("customer=c&max_amount=1", false), ("customer=c&sort=amount", false),
        ("customer=c&from=2026-01-01", false), ("sort=time", false), ("from=2026-01-01", false),
    ])
    func knowsWhichPagesAreQuick(_ query: String, _ isQuick: Bool) throws {
        let parameters = query.split(separator: "&").map { part in
            let halves = part.split(separator: "=").map(String.init)
            return (name: halves[0], value: halves[1])
        }
        #expect((CustomerPage(try OrderSearch(parameters)) != nil) == isQuick)
    }

    @Test(arguments: [
        ("limit", "0"), ("limit", "201"), ("limit", "-1"), ("limit", "1e3"), ("limit", ""), ("limit", "+5"),
        ("limit", "99999999999999999999999"), ("limit", sql), ("sort", "price"), ("sort", sql), ("status", "open"),
        ("status", ""), ("status", "paid,"), ("status", sql), ("min_amount", "-1"), ("min_amount", "1e5"),
        ("min_amount", "NaN"), ("min_amount", "1."), ("min_amount", ".5"), ("max_amount", "1234567890123456789"),
        ("max_amount", sql), ("from", "yesterday"), ("from", "2026-02-30"), ("from", "infinity"), ("from", sql),
        ("to", "2026-05-04 at 10:00:00Z"), ("cursor", "abc"), ("cursor", sql), ("total", "1"), ("total", ""),
        ("customer", ""), ("customer", "a\u{0}b"), ("customer", "a\nb"),
        ("customer", String(repeating: "x", count: 256)),
    ])
    func refusesWhatIsMalformed(_ name: String, _ value: String) throws {
        let problem = try #require(refusal([(name, value)]))
        #expect(problem.status == 400)
        #expect(problem.type == "/problems/invalid-parameter")
        let errors = try #require(problem.members.first { $0.name == "errors" })
        #expect(String(decoding: errors.json, as: UTF8.self).contains("\"parameter\":\"\(name)\""))
    }

    @Test func longIdentitiesAreCountedAsTheyAreDescribed() throws {
        #expect(Identifier.problem(of: String(repeating: "\u{1F600}", count: 255)) == nil)
        #expect(Identifier.problem(of: String(repeating: "\u{1F600}", count: 256)) != nil)
        // The text shows one character on the screen but contains many.
        #expect(Identifier.problem(of: "e" + String(repeating: "\u{301}", count: 255)) != nil)
    }

    @Test func namesUnknownParameters() throws {
        let problem = try #require(refusal([("limit", "5"), ("Limit", "6"), ("q\"x", "7")]))
        let errors = String(decoding: try #require(problem.members.first).json, as: UTF8.self)
        #expect(errors.contains(#""parameter":"Limit""#) && errors.contains(#""parameter":"q\"x""#))
        #expect(refusal([("customer", "b")], customer: "a")?.status == 400)
    }

    @Test func namesWhatIsGivenTwice() throws {
        #expect(refusal([("limit", "5"), ("limit", "5")])?.detail == "limit is given more than once")
    }

    @Test func refusesRangesThatAreNone() {
        #expect(refusal([("min_amount", "10"), ("max_amount", "9.99")])?.status == 400)
        #expect(refusal([("min_amount", "9.99"), ("max_amount", "10")]) == nil)
        #expect(refusal([("from", "2026-05-05"), ("to", "2026-05-04")])?.status == 400)
        #expect(PlainDecimal.isGreater("0.1", than: "0.01"))
        #expect(!PlainDecimal.isGreater("0.1", than: "0.1"))
        #expect(PlainDecimal.isGreater("100", than: "99.5"))
    }

    @Test func tellsAllThatIsWrongButNotWithoutEnd() throws {
        let many = (0..<1_000).map { (name: "x\($0)", value: "") }
        let errors = try #require(refusal(many)?.members.first).json
        #expect(errors.count < 8_000)
    }

    // MARK: fields

    @Test func readsPreferences() {
        #expect(Preferences(field: nil).waitSeconds == nil)
        #expect(Preferences(field: "wait=5").waitSeconds == 5)
        #expect(Preferences(field: "respond-async, WAIT = \"10\" ; x=1, wait=3").waitSeconds == 10)
        #expect(Preferences(field: "wait=99999999999999999999").waitSeconds == .max)
        for nonsense in ["wait", "wait=", "wait=-1", "wait=1.5", "waiting=4", ",,;=", "wait=x"] {
            #expect(Preferences(field: nonsense).waitSeconds == nil, "\(nonsense)")
        }
    }

    @Test func comparesEntityTags() {
        let body = Array("{}".utf8)
        let tag = EntityTag(version: 3, of: body.span)
        #expect(tag.text.hasPrefix("\"v3-"))
        #expect(tag == EntityTag(version: 3, of: body.span))
        #expect(tag != EntityTag(version: 3, of: Array("{ }".utf8).span))
        for field in [tag.text, "W/\(tag.text)", "\"a\", \(tag.text)", "\"a\" ,W/\"b,c\",W/\(tag.text)", "*"] {
            #expect(tag.isNamed(in: field), "\(field)")
        }
        for field in ["", "\"a\"", "v3", String(tag.text.dropLast()), "\"", ",,,", "W/"] {
            #expect(!tag.isNamed(in: field), "\(field)")
        }
    }

    @Test func linksToTheNextPageByTheSameQuery() {
        let query = [("status", "paid"), ("cursor", "old"), ("customer", "a&b=c é")].map { (name: $0.0, value: $0.1) }
        #expect(
            NextLink.text("/v1/orders", query, cursor: "new")
                == "</v1/orders?status=paid&customer=a%26b%3Dc%20%C3%A9&cursor=new>; rel=\"next\"")
    }
}
