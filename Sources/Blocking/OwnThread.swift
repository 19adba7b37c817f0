internal import Foundation

/// Runs a blocking call on a new thread. It blocks no thread of Swift's pool and does not wait for one of Dispatch's
/// pool. Use it for rare calls.
///
/// - Parameter name: the name in `top -H` and debuggers; Linux keeps the first 15 bytes.
public func onOwnThread<Result: Sendable>(_ name: String, _ call: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        let thread = Thread { continuation.resume(returning: call()) }
        thread.name = name
        thread.start()
    }
}
