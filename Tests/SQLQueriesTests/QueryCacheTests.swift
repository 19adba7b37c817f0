import Testing

@testable import SQLQueries

@Suite struct QueryCacheTests {
    private let now = ContinuousClock.now

    private func page(_ text: String) -> QueryPage { QueryPage(json: Array(text.utf8), next: nil, version: nil) }

    @Test func anAnswerIsKeptForItsTime() {
        var cache = QueryCache(maxBytes: 10_000)
        cache.keep(page("a"), "k", [1], until: now + .seconds(1), at: now)
        #expect(cache.page("k", [1], at: now) == page("a"))
        #expect(cache.page("l", [1], at: now) == nil)
        #expect(cache.page("k", [1], at: now + .seconds(1)) == nil)
        #expect(cache.count == 0)
    }

    @Test func aCommitOfAReadModelDropsIt() {
        var cache = QueryCache(maxBytes: 10_000)
        cache.keep(page("a"), "k", [1, 7], until: now + .seconds(1), at: now)
        #expect(cache.page("k", [1, 8], at: now) == nil)
        #expect(cache.page("k", [1, 7], at: now) == nil)
    }

    @Test func itNeverHoldsMoreThanItMay() {
        var cache = QueryCache(maxBytes: 2_000)
        for number in 0..<100 {
            cache.keep(page("x"), "k\(number)", [1], until: now + .seconds(number + 1), at: now)
        }
        #expect(cache.count < 10 && cache.count > 5)
        #expect(cache.page("k99", [1], at: now) != nil && cache.page("k0", [1], at: now) == nil)
        cache.keep(page(String(repeating: "x", count: 1_000)), "large", [1], until: now + .seconds(1), at: now)
        #expect(cache.page("large", [1], at: now) == nil)
        cache.removeAll()
        #expect(cache.count == 0)
        cache.keep(page("y"), "k", [1], until: now + .seconds(1), at: now)
        #expect(cache.page("k", [1], at: now) != nil)
    }
}
