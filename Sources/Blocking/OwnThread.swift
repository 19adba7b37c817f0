internal import Foundation

/// Runs a call that blocks on a thread made for it, so that it holds up none of Swift's pool, nor waits for one of
/// Dispatch's, which others may hold up. For rare calls.
///
/// - Parameter name: what `top -H` and debuggers show; Linux keeps the first 15 bytes.
public func onOwnThread<Result: Sendable>(_ name: String, _ call: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        let thread = Thread { continuation.resume(returning: call()) }
        thread.name = name
        thread.start()
    }
}
