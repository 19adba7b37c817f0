import Foundation
import Testing

/// Bytes of memory that this process has resident, from proc(5)'s `statm`.
///
/// Other tests of the process count too: a test that bounds memory runs as an exit test, in a process of its own.
public func residentBytes() throws -> Int {
    let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    return try #require(Int(fields[1])) * sysconf(Int32(_SC_PAGESIZE))
}
