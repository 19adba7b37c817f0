internal import Logging
internal import OTLPClient
internal import ServiceLifecycle
internal import StreamCore
internal import Traces
internal import Tracing

/// The tracer of a daemon, and the service that exports its spans.
enum DaemonTracing {
    /// Sets up the tracer of the process. It must be called once.
    ///
    /// - Returns: the service that exports spans; nil if nothing is traced.
    static func start(_ settings: TracingSettings, of program: String, _ logger: Logger) -> SpanExport? {
        guard let destination = settings.destination else { return nil }
        var random = SystemRandomNumberGenerator()
        let instance = EventID(version7At: .now, using: &random)
        let encoder = OTLPTraces(
            resource: [
                ("service.name", program), ("service.namespace", "millrace"), ("service.version", Release.version),
                ("service.instance.id", instance.description),
            ], scopeVersion: Release.version)
        let exporter: any SpanExporter
        switch destination {
        case .directory(let directory, let maxFileBytes):
            exporter = SpanFile(directory: directory, name: program, maxBytes: maxFileBytes, encoder: encoder)
        case .collector(let endpoint, let headers, let timeoutMs, let certificatesFile):
            let configuration = OTLPExporter.Configuration(
                endpoint: endpoint, headers: headers, timeoutMs: timeoutMs, certificatesFile: certificatesFile,
                userAgent: "millrace/\(Release.version)")
            exporter = OTLPExporter(configuration, encoder: encoder)
        }
        let export = SpanExport(to: exporter, limits: settings.limits, logger: logger)
        InstrumentationSystem.bootstrap(SpanTracer(TraceSampler(ratio: settings.sampleRatio)) { export.add($0) })
        logger.notice("spans are recorded", metadata: ["to": "\(destination)", "instance": "\(instance)"])
        return export
    }
}
