internal import Foundation
internal import Glibc

/// The kernel's data about this process, under the names that all Prometheus clients use.
enum ProcessMetrics {
    static func exposition() -> String {
        var text = ""
        if let fields = statFields() {
            let ticks = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
            // Fields 14 and 15 of proc_pid_stat(5). The first two fields are cut off, so field 3 has index 0.
            if let user = Double(fields[11]), let system = Double(fields[12]) {
                text += line(
                    "process_cpu_seconds_total", "counter", "User and system processor time of the process.",
                    (user + system) / ticks)
            }
            if let pages = Double(fields[21]) {
                text += line(
                    "process_resident_memory_bytes", "gauge", "Resident memory of the process.",
                    pages * Double(sysconf(Int32(_SC_PAGESIZE))))
            }
            if let start = Double(fields[19]), let boot = bootTime() {
                text += line(
                    "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.",
                    boot + start / ticks)
            }
        }
        if let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            text += line(
                "process_open_fds", "gauge", "Open file descriptors of the process.", Double(descriptors.count))
        }
        return text
    }

    private static func line(_ name: String, _ type: String, _ help: String, _ value: Double) -> String {
        prometheusHead(name, type, help: help) + "\(name) \(prometheusNumber(value))\n"
    }

    /// The fields of `/proc/self/stat` after the program's name, which may contain any characters.
    private static func statFields() -> [Substring]? {
        guard let stat = FileManager.default.contents(atPath: "/proc/self/stat"),
            let text = String(validating: stat, as: UTF8.self), let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 21 ? fields : nil
    }

    private static func bootTime() -> Double? {
        guard let stat = FileManager.default.contents(atPath: "/proc/stat"),
            let text = String(validating: stat, as: UTF8.self)
        else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) }
    }
}
