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
        // Formats of Jackson (default), Java's OffsetDateTime and Instant, Python's str() and isoformat(), Go,
        // JavaScript and PostgreSQL, and the decimal comma that ISO 8601 prefers.
        ("2026-05-01T10:00:00.000+0000", 1_777_629_600_000_000),
        ("2026-05-01T10:00:00.000-0130", 1_777_635_000_000_000),
        ("2026-05-01T10:00Z", 1_777_629_600_000_000),
        ("2026-05-01T12:00+02:00", 1_777_629_600_000_000),
        ("2026-05-01T10:00:00.1Z", 1_777_629_600_100_000),
        ("2026-05-01T10:00:00.123456789012Z", 1_777_629_600_123_456),
        ("2026-05-01 10:00:00+00:00", 1_777_629_600_000_000),
        ("2026-05-01 10:00:00.5+00", 1_777_629_600_500_000),
        ("2026-05-01T10:00:00-02", 1_777_636_800_000_000),
        ("2026-05-01t10:00:00z", 1_777_629_600_000_000),
        ("2026-05-01T10:00:00,25Z", 1_777_629_600_250_000),
        ("2026-06-30T23:59:60.5Z", 1_782_864_000_500_000),
    ])
    func readsISO8601(text: String, microseconds: Int64) {
        #expect(Timestamp(text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T07:33:29", "2026-11-21  07:33:29Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+2460",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.123", "2026-01-01T00Z",
        "2026-01-01T00:00:00+02:0", "2026-01-01T00:00:00+020000", "2026-01-01T00:00:00+", "20260101T000000Z",
        "2026-01-01T00:00:00+02:00[Europe/Berlin]", "1764201600", "+002026-01-01T00:00:00Z",
        "2026-01-01T00:00:00\u{2212}02",
    ])
    func refusesAnythingElse(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test(arguments: [
        ("2026-05-01T10:00:00", 20, "expected the zone as Z, +HH:MM, +HHMM or +HH, found the end"),
        ("2026-05-01", 11, "expected 'T' and the time, found the end"),
        ("2026-05-01T10:00:00 UTC", 20, "expected the zone as Z, +HH:MM, +HHMM or +HH, found a space"),
        ("2026-05-01T10:00:00+00:00[UTC]", 26, "expected the end, found '['"),
        ("1764201600", 5, "expected '-', found a digit"),
        ("May 1, 2026", 1, "expected a year of four digits, found a letter"),
        ("2026-05-01T10:00:00.Z", 21, "expected digits of a fraction, found a letter"),
        ("2026-05-01T10:00:00+0é", 22, "expected the zone's hours of two digits, found a character outside ASCII"),
        ("2026-02-30T10:00:00Z", 1, "the date does not exist"),
        ("2026-02-28T24:00:00Z", 12, "the time does not exist"),
        ("2026-02-28T23:00:00+25:00", 20, "the offset from UTC is too large"),
    ])
    func saysWhatIsWrong(text: String, character: Int, detail: String) {
        let error = #expect(throws: TimestampParseError.self) { try Timestamp(parsing: text.utf8Span.span) }
        #expect(
            error?.description == """
                expected a date and time of ISO 8601 with its zone, such as 2026-05-01T10:00:00.123Z; \
                at character \(character): \(detail)
                """)
    }

    /// Kafka accepts any 64-bit value as a record's timestamp.
    @Test(arguments: [
        (1_772_366_400_000, "2026-03-01T12:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999000Z"),
        (253_402_300_800_000, "+010000-01-01T00:00:00.000000Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999000Z"),
        (8_640_000_000_000_000, "+275760-09-13T00:00:00.000000Z"),
        (1_764_201_600_000_000_000, "+55907293-03-05T00:00:00.000000Z"),
        (.max, "+292278994-08-17T07:12:55.807000Z"),
        (.min, "-292275055-05-16T16:47:04.192000Z"),
    ])
    func anyMillisecondsHaveAText(milliseconds: Int64, text: String) {
        #expect(Timestamp.description(ofMilliseconds: milliseconds) == text)
    }

    @Test func instantsFarAwayAreNotWrittenAsOthers() {
        #expect(Timestamp(microseconds: 253_402_300_800_000_000).description == "+010000-01-01T00:00:00.000000Z")
        #expect(Timestamp(microseconds: .max).description == "+294247-01-10T04:00:54.775807Z")
        #expect(Timestamp(microseconds: .min).description == "-290308-12-21T19:59:05.224192Z")
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
