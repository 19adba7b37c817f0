import Postgres
import Testing

@testable import SQLProjections

@Suite struct RoleCheckTests {
    /// `--check=online` must find what the start would find.
    @Test func aRoleThatTheUserMayNotMakeIsNamedBeforeTheStart() async throws {
        try await Scene.with { scene in
            let user = "user_" + scene.name
            let (_, folder) = try scene.folder([
                "schema.sql": "CREATE TABLE seen (id uuid)",
                "apply.sql": "INSERT INTO seen SELECT event_id FROM events",
            ])
            let isolated = VersionSchema(folder, isIsolated: true)
            var own = scene.postgres
            own.settings["role"] = user
            try await scene.withConnection { administrator in
                try await administrator.execute(script: "CREATE ROLE \(user)")
                try await PostgresConnection.with(own) { connection in
                    await #expect(throws: VersionSchema.Refusal.self) { try await isolated.checkRole(on: connection) }
                    try await VersionSchema(folder, isIsolated: false).checkRole(on: connection)
                }
                let role = SQLIdentifier.quoted(folder.schemaName)
                try await administrator.execute(script: "CREATE ROLE \(role) NOLOGIN; GRANT \(role) TO \(user)")
                try await PostgresConnection.with(own) { try await isolated.checkRole(on: $0) }
                try await administrator.execute(script: "DROP ROLE \(role); ALTER ROLE \(user) CREATEROLE")
                try await PostgresConnection.with(own) { try await isolated.checkRole(on: $0) }
                try await administrator.execute(script: "DROP ROLE \(user)")
            }
        }
    }
}
