import StreamCore
import Testing

@testable import Postgres

@Suite struct SQLStateTests {
    @Test(arguments: [
        ("08006", FailureKind.transient), ("40001", .transient), ("40P01", .transient), ("55P03", .transient),
        ("57014", .transient), ("57P01", .transient), ("57P03", .transient), ("57P05", .transient),
        ("53100", .transient), ("53300", .transient), ("25006", .transient), ("25P03", .transient),
        ("26000", .transient), ("58030", .transient), ("72000", .transient), ("HV00N", .transient),
        ("55006", .transient),
        ("23505", .permanent), ("23503", .permanent), ("23514", .permanent), ("22003", .permanent),
        ("22P02", .permanent), ("22021", .permanent), ("40002", .permanent), ("21000", .permanent),
        ("P0001", .permanent), ("44000", .permanent), ("02000", .permanent), ("09000", .permanent),
        ("0A000", .permanent), ("20000", .permanent), ("24000", .permanent), ("27000", .permanent),
        ("2D000", .permanent), ("2F000", .permanent), ("38000", .permanent), ("39P01", .permanent),
        ("54000", .permanent), ("55000", .permanent), ("55P04", .permanent), ("HV000", .permanent),
        ("XX000", .permanent), ("XX001", .permanent), ("ZZ123", .permanent), ("A1B2C", .permanent),
        ("42P01", .everything), ("42703", .everything), ("42501", .everything), ("3F000", .everything),
        ("3D000", .everything), ("28P01", .everything), ("57P04", .everything), ("0L000", .everything),
        ("0P000", .everything), ("2BP01", .everything), ("F0000", .everything),
    ])
    func saysWhatItMeansForTheWork(_ code: String, _ kind: FailureKind) {
        #expect(SQLState(code).kind == kind)
        #expect(PostgresError(.server, "", sqlState: SQLState(code)).kind == kind)
    }

    @Test(arguments: [
        ("23505", true), ("0A000", true), ("XX000", true), ("42P01", true), ("28000", true), ("40001", true),
        ("40P01", true), ("55P03", true), ("57014", true), ("53200", true), ("08006", true), ("ZZ123", true),
        ("25006", false), ("26000", false), ("53100", false), ("53300", false), ("57P01", false), ("57P04", false),
        ("58030", false), ("72000", false),
    ])
    func saysWhetherOneRowCanBeTheReason(_ code: String, _ may: Bool) {
        #expect(SQLState(code).mayConcernOneRow == may)
        #expect(PostgresError(.server, "", sqlState: SQLState(code)).mayConcernOneRow == may)
        #expect(!PostgresError(.connectionLost, "", sqlState: SQLState(code)).mayConcernOneRow)
    }

    @Test func anErrorsDescriptionHidesDataAndItsDebugDescriptionShowsIt() {
        var error = PostgresError(.server, "duplicate key", sqlState: .uniqueViolation)
        error.detail = "Key (email)=(someone@example.com) already exists."
        error.constraint = "customers_email_key"
        #expect(error.description == "PostgreSQL: server 23505: duplicate key (constraint customers_email_key)")
        #expect(error.debugDescription.contains("someone@example.com"))
        #expect(error.debugDescription.contains("SQLStateTests.swift"))
    }

    @Test func readsTheStateOfARefusedConnection() {
        let refused = ServerLink.connectError(
            "connection to server on socket \"/s\" failed: FATAL:  28P01: password authentication failed"
                + " | LOCATION:  auth_failed, auth.c:335")
        #expect(refused.sqlState == SQLState("28P01"))
        #expect(refused.message.hasSuffix("FATAL:  password authentication failed"))
        #expect(refused.kind == .everything)
        let unreachable = ServerLink.connectError("connection to server at \"h\", port 1 failed: Connection refused")
        #expect(unreachable.sqlState == nil && unreachable.kind == .transient)
    }
}
