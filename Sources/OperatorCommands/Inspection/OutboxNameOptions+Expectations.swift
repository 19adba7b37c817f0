internal import CommandSupport
internal import Inspection

extension OutboxNameOptions {
    func name(in expected: inout Expectations) {
        expected.outbox = table
        expected.failedOutbox = failedTable
    }
}
