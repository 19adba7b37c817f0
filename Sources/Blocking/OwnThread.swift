internal import CLinux
internal import Foundation

/// Starts a thread. Its blocking calls block no thread of Swift's pool, and do not wait for one of Dispatch's pool.
///
/// - Parameter name: the name in `top -H` and debuggers; Linux keeps the first 15 bytes.
public func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let thread = Thread {
        // A name that Foundation gets before the start does not reach the system.
        unsafe clinux_name_thread(name)
        body()
    }
    thread.start()
}

/// Runs a blocking call on a new thread. Use it for rare calls.
///
/// - Parameter name: as for ``startThread(_:_:)``.
public func onOwnThread<Result: Sendable>(_ name: String, _ call: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        startThread(name) { continuation.resume(returning: call()) }
    }
}
