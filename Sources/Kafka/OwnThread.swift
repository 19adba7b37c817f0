internal import Foundation

/// Runs a call that blocks on a thread made for it, so that it holds up none of Swift's pool. For rare calls.
func onOwnThread<Result: Sendable>(_ name: String, _ call: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        let thread = Thread { continuation.resume(returning: call()) }
        thread.name = name
        thread.start()
    }
}
