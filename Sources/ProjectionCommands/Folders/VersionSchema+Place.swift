internal import CommandSupport
package import Postgres
package import SQLProjections
internal import SQLText

extension VersionSchema {
    /// The version that a folder defines.
    package init(folder path: String, _ postgres: PostgresConfiguration) async throws {
        let folder: ProjectionFolder
        do {
            folder = try ProjectionFolder(path: path)
        } catch {
            throw CommandFailure(error.description, .configuration)
        }
        self = try await PostgresConnection.with(postgres) { try await Self(folder, on: $0) }
    }

    /// A version whose files the database stores.
    package init(stored name: String, version: Int, _ postgres: PostgresConfiguration) async throws {
        self = try await PostgresConnection.with(postgres) { connection in
            try await Self(StoredFolder.load(name, version: version, on: connection), on: connection)
        }
    }

    private init(_ folder: ProjectionFolder, on connection: PostgresConnection) async throws {
        self.init(folder, isIsolated: try await Self.isIsolated(folder, on: connection))
    }
}
