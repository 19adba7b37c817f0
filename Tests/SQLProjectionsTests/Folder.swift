import Foundation

/// A projection's folder in a temporary location. It is deleted when the object is released.
final class Folder: Sendable {
    let path: String

    /// - Parameters:
    ///   - files: the texts by file name.
    ///   - cases: the texts of files in subfolders, for example `tests/case.toml`.
    init(_ files: [String: String], cases: [String: String] = [:]) throws {
        path = NSTemporaryDirectory() + "millrace-projection-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files.merging(cases, uniquingKeysWith: { given, _ in given }) {
            let file = URL(filePath: path + "/" + name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
