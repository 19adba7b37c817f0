internal import ProcessManagers
internal import StreamCore

/// Processes as JSON objects.
enum ProcessJSON {
    struct Summary: Encodable {
        let process: String
        let processId: String
        let stage: String
        let isFinished: Bool
        let dueAt: String?
        let failedDeadlines: Int32
        let steps: Int64
        let startedAt: String
        let updatedAt: String

        init(_ row: ProcessRegistry.Row) {
            process = row.process
            processId = row.id
            stage = row.stage
            isFinished = row.isFinished
            dueAt = row.dueAt?.description
            failedDeadlines = row.failedCount
            steps = row.stepCount
            startedAt = row.startedAt.description
            updatedAt = row.updatedAt.description
        }
    }

    struct Step: Encodable {
        let number: Int64
        let at: String
        let step: String
        let outcome: String
        let stage: String

        init(_ step: ProcessRegistry.Step) {
            number = step.number
            at = step.at.description
            self.step = step.step
            outcome = step.outcome
            stage = step.stage
        }
    }

    struct Detail: Encodable {
        let summary: Summary
        /// The stored text, because its members belong to the kind of process.
        let state: String
        let history: [Step]

        init(_ row: ProcessRegistry.Row, _ history: [ProcessRegistry.Step]) {
            summary = Summary(row)
            state = row.state
            self.history = history.map { Step($0) }
        }
    }
}
