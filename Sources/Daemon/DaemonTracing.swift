internal import Logging
internal import ServiceLifecycle
internal import StreamCore
internal import Traces
internal import Tracing

/// The tracer of a daemon, and the service that exports its spans.
enum DaemonTracing {
    /// Sets up the tracer of the process. It must be called once.
    ///
    /// - Returns: the service that exports spans; nil if nothing is traced. If the service cannot be created, the
    ///   daemon logs the error and runs without tracing.
    static func start(_ settings: TracingSettings, of program: String, _ logger: Logger) -> SpanExport? {
        if settings.directory.isEmpty { return nil }
        var random = SystemRandomNumberGenerator()
        let instance = EventID(version7At: .now, using: &random)
        let encoder = OTLPTraces(
            resource: [
                ("service.name", program), ("service.namespace", "millrace"), ("service.version", Release.version),
                ("service.instance.id", instance.description),
            ], scopeVersion: Release.version)
        let file = SpanFile(
            directory: settings.directory, name: program, maxBytes: settings.maxFileBytes, encoder: encoder)
        do {
            let export = try SpanExport(to: file, capacity: settings.maxQueuedSpans, logger: logger)
            let sampler = TraceSampler(ratio: settings.sampleRatio)
            InstrumentationSystem.bootstrap(SpanTracer(sampler) { export.add($0) })
            logger.notice(
                "spans are recorded",
                metadata: ["directory": "\(settings.directory)", "instance": "\(instance)"])
            return export
        } catch {
            logger.error("nothing is traced", metadata: ["error": "\(error)"])
            return nil
        }
    }
}
