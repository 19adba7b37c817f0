import StreamCore
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2000-02-29T12:30:15.5Z", 951_827_415_500_000),
        ("2026-11-21T07:33:29.123456789Z", 1_795_246_409_123_456),
        ("2026-11-21T09:33:29.123456+02:00", 1_795_246_409_123_456),
        ("2026-11-21T02:03:29.123456-05:30", 1_795_246_409_123_456),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ])
    func readsRFC3339(text: String, microseconds: Int64) {
        #expect(Timestamp(text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T07:33:29", "2026-11-21 07:33:29Z", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0200",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.123",
    ])
    func refusesAnythingElse(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func writesWhatItReads() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let instant = Timestamp(
                microseconds: Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &random))
            #expect(Timestamp(instant.description) == instant)
        }
        #expect(Timestamp(microseconds: 1_795_246_409_000_042).description == "2026-11-21T07:33:29.000042Z")
    }

    @Test func daysBeforeTheEpochRoundTowardsThePast() {
        #expect(Timestamp(microseconds: -1).day == -1)
        #expect(Timestamp(microseconds: 0).day == 0)
        #expect(Timestamp(microseconds: 86_400_000_000).day == 1)
    }
}
