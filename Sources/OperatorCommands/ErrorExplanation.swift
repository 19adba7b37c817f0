internal import ArgumentParser
internal import Blocking
internal import CommandSupport
internal import EmbeddedKafka
internal import EmbeddedPostgres
internal import Kafka
internal import Migrations
internal import OrderShop
internal import Postgres
internal import ProjectionPrograms
internal import ReadModels
internal import SQLProjections
internal import SQLText
internal import Settings
internal import Verification

extension CommandFailure {
    /// Explains errors of the clients for operators.
    ///
    /// - Returns: nil for errors of the argument parser, which explains its own errors.
    init?(explaining error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as PostgresError: self.init(explaining: error)
        case let error as MissingRight: self.init("\(error)", .configuration)
        case let error as TransactionError: self.init(explaining: error.cause)
        case let error as KafkaError: self.init("Kafka: \(error)", .unavailable)
        case let error as MockClusterError: self.init("\(error)", .unavailable)
        case let error as PostgresServerError: self.init("embedded PostgreSQL: \(error)", .unavailable)
        case let error as InvalidSettings: self.init("the configuration is wrong:\n\(error)", .configuration)
        case let error as RebuildRefusal: self.init(error.description, .failure)
        case let error as RebuildRun.BadEvent: self.init(error.description, .failure)
        case let error as FolderReplay.Failure: self.init(error.description, .failure)
        case let error as VersionSchema.Refusal: self.init(error.description, .configuration)
        case let error as InvalidFolder: self.init(error.description, .configuration)
        case let error as MigrationError: self.init("\(error)", .configuration)
        case let error as CommandServiceClient.Failure:
            self.init(error.description, error.code == .unauthorized ? .configuration : .unavailable)
        case let error as WriteConflict: self.init("\(error)", .unavailable)
        case let error as SystemError: self.init(error.description, .software)
        case let error as BrokerServerError: self.init("\(error)", .unavailable)
        case let failed as VerificationFailed:
            self.init("the read models are not equal, or could not be compared; see above", failed.exitCode)
        case let error as VerificationError:
            self.init("\(error)", error.isConfiguration ? .configuration : .unavailable)
        case is CancellationError: self.init("stopped", .failure)
        case is ExitCode, is ValidationError, is CleanExit: return nil
        default:
            if String(reflecting: type(of: error)).hasPrefix("ArgumentParser.") { return nil }
            self.init("\(error)", .software)
        }
    }

    private init(explaining error: PostgresError) {
        switch error.sqlState?.code {
        case "42P01", "3F000":
            self.init(
                "\(error.description). The database lacks the schema, or the user may not use it: `millrace doctor` says "
                    + "which, and what to run.", .configuration)
        case "28P01", "28000":
            self.init("\(error.description). Check user and password of the database URL.", .configuration)
        case "3D000":
            self.init("\(error.description). Create the database, or name another one in the URL.", .configuration)
        default:
            let advice =
                error.code == .cannotConnect
                ? " Is PostgreSQL running? `millrace dev` starts a private one; --database or DATABASE_URL names another."
                : ""
            self.init(error.description + advice, error.code == .configuration ? .configuration : .unavailable)
        }
    }
}
