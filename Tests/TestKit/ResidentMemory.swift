import Foundation
import Testing

/// The resident memory of this process in bytes, from proc(5)'s `statm`.
///
/// It includes the memory of other tests in the process. A test that limits memory therefore runs as an exit test, in a
/// separate process.
public func residentBytes() throws -> Int {
    let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    return try #require(Int(fields[1])) * sysconf(Int32(_SC_PAGESIZE))
}
