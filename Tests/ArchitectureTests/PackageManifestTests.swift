import Foundation
import Testing

/// The other tests of this target rely on ``PackageManifest``. They do not check what it does not read.
@Suite struct PackageManifestTests {
    private static func manifest(_ targets: String) throws -> PackageManifest {
        try PackageManifest(
            reading: """
                let upper: [Target] = [
                    // A comment (with brackets).
                    daemon("tail-it", starting: "TailProgram", linking: "mimalloc"),
                    program("TailProgram", dependsOn: "Tail"),
                \(targets)
                ]

                let lower: [Target] = [
                    .systemLibrary(name: "CQueue", pkgConfig: "queue", providers: [.apt(["libqueue-dev"])]),
                    module("Daemon"),
                    module(
                        "Tail", path: "Sources/Other", embedding: "SQL", dependsOn: "CQueue", "Daemon",
                        .logging),
                    suite("TailTests", dependsOn: "Tail", "tail-it"),
                ]

                extension Target.Dependency {
                    static let logging = product(name: "Logging", package: "swift-log")
                }
                """)
    }

    @Test func readsEveryKindOfTarget() throws {
        let manifest = try Self.manifest(
            "    executable(\"bench\", path: \"bench\", running: \"tail-it\", \"other\", dependsOn: .logging),")
        #expect(manifest.levels == ["upper", "lower"])
        #expect(manifest.targets.mapValues(\.level).filter { $0.value == "upper" }.count == 3)
        #expect(
            manifest.targets.mapValues(\.dependencies) == [
                "tail-it": ["TailProgram", "Daemon"], "TailProgram": ["Tail"], "bench": ["Logging"], "CQueue": [],
                "Daemon": [], "Tail": ["CQueue", "Daemon", "Logging"], "TailTests": ["Tail", "tail-it"],
            ])
        #expect(manifest.targets.mapValues(\.programs).filter { !$0.value.isEmpty } == ["bench": ["tail-it", "other"]])
        #expect(
            manifest.targets.mapValues(\.folder) == [
                "tail-it": "Sources/tail-it", "TailProgram": "Sources/Programs/Tail", "bench": "bench",
                "CQueue": "Sources/CQueue", "Daemon": "Sources/Daemon", "Tail": "Sources/Other",
                "TailTests": "Sources/TailTests",
            ])
        #expect(manifest.targets.values.filter(\.isTest).map(\.name) == ["TailTests"])
    }

    @Test(arguments: [
        ("    library(\"A\"),", "library is not a kind of target"),
        ("    module(\"A\", dependsOn: \"B\"),", "A depends on B, which Package.swift does not name"),
        ("    module(\"A\", dependsOn: .metrics),", "A depends on .metrics, which is not a target or a product"),
        ("    module(\"Tail\"),", "Package.swift names Tail twice"),
        ("    daemon(\"a\"),", "a starts no program"),
        ("    more,", "not a target: more,"),
    ])
    func throwsForWhatItCannotRead(entry: String, message: String) throws {
        let error = #expect(throws: PackageManifest.Unreadable.self) { try Self.manifest(entry) }
        #expect(error?.description == message)
    }

    @Test func readsATargetForEachFolderOfSources() throws {
        let manifest = try PackageManifest()
        let folders = Set(manifest.targets.values.filter { !$0.isTest }.map(\.folder))
        for parent in ["Sources", "Sources/Programs"] {
            let url = PackageManifest.root.appending(path: parent)
            let names = try FileManager.default.contentsOfDirectory(atPath: url.path)
            #expect(names.count > 5)
            for name in names where name != "Programs" {
                #expect(folders.contains("\(parent)/\(name)"), "\(parent)/\(name) has no target in Package.swift")
            }
        }
        for folder in folders {
            let path = PackageManifest.root.appending(path: folder).path
            #expect(FileManager.default.fileExists(atPath: path), "\(folder) does not exist")
        }
    }
}
