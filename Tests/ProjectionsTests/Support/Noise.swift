import Foundation

/// Random bytes, which compression cannot make smaller.
enum Noise {
    static func bytes(_ count: Int) throws -> [UInt8] {
        let source = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom"))
        defer { try? source.close() }
        return [UInt8](try source.read(upToCount: count) ?? Data())
    }
}
