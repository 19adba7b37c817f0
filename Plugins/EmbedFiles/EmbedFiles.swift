import Foundation
import PackagePlugin

/// Writes the files of a target that are not sources into a Swift source: `PackageResources.name_sql` is the content of
/// `name.sql`.
///
/// SwiftPM's own `embedInCode` does the same with an array literal that has an element for each byte. The compiler
/// needs 0.13 s for each kilobyte of it, and almost nothing for a string literal. The files must be UTF-8 text.
@main struct EmbedFiles: BuildToolPlugin {
    /// The content is in raw string literals, so that nothing in a file has to be escaped.
    private static let script = #"""
        set -eu
        output=$1
        shift
        quotes='"""'
        {
            echo 'struct PackageResources {'
            for file; do
                name=$(basename "$file" | tr -c '[:alnum:]\n' _ | sed 's/^[0-9]/_&/')
                printf 'static let %s: [UInt8] = Array(####%s\n' "$name" "$quotes"
                cat "$file"
                printf '\n%s####.utf8)\n' "$quotes"
            done
            echo '}'
        } >"$output"
        """#

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        guard let module = target as? any SourceModuleTarget else { return [] }
        let files = module.sourceFiles.filter { $0.type == .unknown }.map(\.url).sorted { $0.path < $1.path }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedFiles.swift")
        return [
            .buildCommand(
                displayName: "Embedding the files of \(module.name)", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", Self.script, "sh", output.path] + files.map(\.path), inputFiles: files,
                outputFiles: [output])
        ]
    }
}
