internal import Digests
internal import Foundation
public import SQLText
internal import Settings

/// The files of a folder that define a version: `projection.toml` and the SQL files, unchanged. They are read from a
/// folder, or from the database that stores the version.
public struct FolderFiles: Sendable, Hashable {
    public struct File: Sendable, Hashable {
        /// The file's name in the folder.
        public let name: String
        public let text: String

        /// The SHA-256 digest of the text in UTF-8.
        public var digest: [UInt8] { SHA256.digest(of: text) }
    }

    /// The limits of the stored files of a version.
    enum Limit {
        /// Maximum size of one file in bytes. The table has the same check.
        static let fileBytes = 1 << 20
        /// Maximum size of all files in bytes.
        static let folderBytes = 4 << 20
        static let files = 1_000
    }

    static let settingsName = "projection.toml"

    /// The source of the files, for messages.
    public let origin: String
    /// The files, ordered by name.
    public let files: [File]

    init(origin: String, _ files: [File]) {
        self.origin = origin
        self.files = files.sorted { $0.name < $1.name }
    }

    /// Reads the files of a folder.
    ///
    /// - Throws: ``InvalidFolder`` if a file cannot be read or a limit is exceeded.
    public init(path: String) throws(InvalidFolder) {
        do throws(FolderProblem) {
            self.init(origin: path, try Self.read(path))
        } catch {
            throw InvalidFolder([error])
        }
    }

    private static func read(_ path: String) throws(FolderProblem) -> [File] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        } catch {
            throw FolderProblem("\(path): cannot be read: \(error.localizedDescription)")
        }
        guard names.contains(settingsName) else { throw FolderProblem("\(path)/\(settingsName): no such file") }
        if names.contains("conf.d") {
            throw FolderProblem("\(path)/conf.d: not supported; all settings of a projection are in \(settingsName)")
        }
        let wanted = names.filter { $0 == settingsName || ($0.hasSuffix(".sql") && !$0.hasPrefix(".")) }
        guard wanted.count <= Limit.files else {
            throw FolderProblem("\(path): has \(wanted.count) files; at most \(Limit.files) are allowed")
        }
        var files: [File] = []
        for name in wanted { files.append(File(name: name, text: try text(of: path + "/" + name))) }
        let bytes = files.reduce(0) { $0 + $1.text.utf8.count }
        guard bytes <= Limit.folderBytes else {
            throw FolderProblem("\(path): has \(bytes) bytes of files; at most \(Limit.folderBytes) are allowed")
        }
        return files
    }

    private static func text(of file: String) throws(FolderProblem) -> String {
        let data: Data
        do {
            guard let handle = FileHandle(forReadingAtPath: file) else { throw CocoaError(.fileReadNoPermission) }
            defer { try? handle.close() }
            data = try handle.read(upToCount: Limit.fileBytes + 1) ?? Data()
        } catch {
            throw FolderProblem("\(file): cannot be read: \(error.localizedDescription)")
        }
        guard data.count <= Limit.fileBytes else {
            throw FolderProblem("\(file): larger than \(Limit.fileBytes) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else { throw FolderProblem("\(file): is not UTF-8") }
        guard !text.utf8.contains(0) else { throw FolderProblem("\(file): has a NUL character") }
        return text
    }

    var settings: SettingsSources.Text {
        SettingsSources.Text(
            path: origin + "/" + Self.settingsName,
            toml: files.first { $0.name == Self.settingsName }?.text ?? "")
    }

    /// The SQL files, ordered by name.
    var statements: [SQLFile] {
        files.filter { $0.name != Self.settingsName }.map { SQLFile(path: origin + "/" + $0.name, text: $0.text) }
    }
}
