/// A template for a new folder: a small working ledger with a test case.
public enum FolderTemplate {
    /// The texts of the files, by name.
    public static func files(name: String) -> [String: String] {
        projection(name).merging(query(name)) { first, _ in first }.merging(sample) { first, _ in first }
    }

    private static func query(_ name: String) -> [String: String] {
        [
            "queries/\(name)-balance.sql": """
            -- The balance of an account: query-service answers it at /v1/q/\(name)-balance. docs/sql-queries.md explains
            -- the header.
            --
            -- @reads \(name)
            -- @param account text required max=255 The account's id.
            -- @limit default=1 max=1
            SELECT account, balance::text AS balance, entries FROM balances WHERE account = :account

            """
        ]
    }

    private static func projection(_ name: String) -> [String: String] {
        [
            "projection.toml": """
            # What the read model is, and how its statements see events. docs/sql-projections.md explains each setting.
            [projection]
            name = "\(name)"

            # Raise it if schema.sql changes: the new version is built beside the old one.
            version = 1

            # The topics to read.
            topics = ["account-events"]

            # "batch": a statement runs once for all events of its type in a batch. "event": once for each.
            mode = "batch"

            # What waits for an event that cannot be applied: later events of its key, or ("none") nothing.
            order = "key"

            # The format of the records: millrace, debezium, cloudevents or changelog.
            [envelope]
            format = "millrace"

            # Settings of a topic whose records have another form: keys of [envelope], and unknown_types.
            # [topics."crm.customers"]
            # format = "changelog"
            # unknown_types = "fail"

            """,
            "schema.sql": """
            -- The tables of this version. sql-projection creates them once, in a schema that belongs to this version.

            CREATE TABLE balances (
                account text PRIMARY KEY,
                balance numeric NOT NULL,
                entries bigint NOT NULL
            );

            """,
            "MoneyDeposited.sql": """
            -- Runs once for all events MoneyDeposited of a batch; "events" holds them. Columns: event_id, type,
            -- aggregate_type, aggregate_id, sequence, occurred_at, version, correlation_id, metadata, payload, topic,
            -- partition, "offset", position.

            INSERT INTO balances (account, balance, entries)
            SELECT aggregate_id, sum((payload ->> 'amount')::numeric), count(*)
            FROM events
            GROUP BY aggregate_id
            ON CONFLICT (account) DO UPDATE
            SET balance = balances.balance + excluded.balance,
                entries = balances.entries + excluded.entries;

            """,
        ]
    }

    private static let sample = [
        "tests/two-deposits.toml": """
        # Events and the expected rows. `millrace projection test` compares. `millrace projection check` applies the
        # same events in other orders and batches, and says whether the rows are always the same.

        [[events]]
        type = "MoneyDeposited"
        id = "account-1"
        payload = { amount = "10.50" }

        [[events]]
        type = "MoneyDeposited"
        id = "account-1"
        payload = { amount = "0.25" }

        [[expect]]
        query = "SELECT account, balance, entries FROM balances ORDER BY account"
        rows = [["account-1", "10.75", "2"]]

        """
    ]
}
