internal import CoreMetrics
internal import Glibc
internal import Logging
internal import Operations
internal import ServiceLifecycle
internal import Settings
internal import StreamCore

/// Reads settings and files again at SIGHUP. Either all of them take effect or none.
struct DaemonReload<Program: DaemonProgram>: Service {
    let sources: SettingsSources
    let requests: ReloadRequests
    let files: ReloadedFiles
    /// The running settings, which adopt the changeable values; see ``FeatureSettings/adopt(_:)``.
    let feature: Program.Feature
    let logLevel: Live<Logger.Level>
    /// The settings that were read at the start.
    let shown: ShownSettings
    let health: HealthRegistry
    /// Maximum time of a reload. After it the loop counts as stalled.
    let stallAfter: Duration
    let logger: Logger

    private let lastSuccess = Gauge(label: "millrace_reload_last_success_timestamp_seconds")
    private let isSuccessful = Gauge(label: "millrace_reload_last_successful")

    init(
        sources: SettingsSources, requests: ReloadRequests, files: ReloadedFiles, feature: Program.Feature,
        logLevel: Live<Logger.Level>, shown: ShownSettings, health: HealthRegistry, stallAfter: Duration,
        logger: Logger
    ) {
        self.sources = sources
        self.requests = requests
        self.files = files
        self.feature = feature
        self.logLevel = logLevel
        self.shown = shown
        self.health = health
        self.stallAfter = stallAfter
        self.logger = logger
        // Everything was read at the start.
        noteSuccess()
    }

    /// The settings that take effect without a restart.
    static var keys: Set<String> { Set(["log.level"] + Program.Feature.reloadableKeys) }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var running = shown
            let loop = health.watch(.loop, "reload loop", limit: stallAfter)
            defer { loop.end() }
            while true {
                loop.turned(to: .idle)
                await requests.next()
                if Task.isCancelled { return }
                loop.turned(to: .working)
                await reload(&running)
            }
        }
    }

    private func reload(_ running: inout ShownSettings) async {
        let loaded: LoadedSettings<DaemonSettings<Program>>
        let commits: [ReloadedFiles.Commit]
        do {
            loaded = try DaemonSettings<Program>.load(sources)
            commits = try await files.prepare()
        } catch {
            isSuccessful.record(0)
            logger.error(
                "reload failed: all settings and files stay as they were", metadata: ["error": "\(error)"])
            return
        }
        for warning in loaded.warnings { logger.warning("\(warning)") }
        let changes = running.changes(to: loaded.shown)
        let now = changes.filter { Self.keys.contains($0.key) }
        let later = changes.filter { !Self.keys.contains($0.key) }
        logLevel.set(loaded.settings.log.level)
        feature.adopt(loaded.settings.feature)
        for commit in commits { commit() }
        for change in now { running.take(change) }
        noteSuccess()
        let changed = now.isEmpty ? "nothing" : now.map(\.description).joined(separator: ", ")
        logger.notice("reloaded", metadata: ["changed": "\(changed)"])
        if !later.isEmpty {
            logger.warning(
                "changed settings that take effect after a restart",
                metadata: ["settings": "\(later.map(\.key).joined(separator: ", "))"])
        }
    }

    private func noteSuccess() {
        isSuccessful.record(1)
        lastSuccess.record(Double(time(nil)))
    }
}
