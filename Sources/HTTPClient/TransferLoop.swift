internal import Blocking
internal import CCurl
internal import Foundation
internal import Synchronization

/// The thread of a client, which runs all its transfers by libcurl's multi interface.
///
/// The source of what it does is libcurl-multi(3).
final class TransferLoop: Sendable {
    typealias Continuation = CheckedContinuation<Result<IncomingAnswer, ExchangeError>, Never>

    private struct Inbox {
        var started: [(Exchange, Continuation)] = []
        var isClosed = false
        /// Whether libcurl's handle may be used no longer.
        var isCleaning = false
        var hasEnded = false
        /// Those who wait for the end of the thread.
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    /// SAFETY: of all that can be done with the handle, only `curl_multi_wakeup` is called by other threads. libcurl
    /// allows that, and ``wake()`` calls it only while the handle exists.
    @safe private struct Multi: @unchecked Sendable {
        let handle: UnsafeMutableRawPointer
    }

    private let configuration: WebClient.Configuration
    private let multi: Multi
    private let inbox = Mutex(Inbox())

    /// Starts the thread.
    ///
    /// - Returns: nil if the process lacks memory or file descriptors for it.
    init?(_ configuration: WebClient.Configuration) {
        self.configuration = configuration
        guard Self.isLibraryReady, let handle = unsafe curl_multi_init() else { return nil }
        multi = unsafe Multi(handle: handle)
        // Without file descriptors, some versions of libcurl have a handle that nobody can wake.
        guard unsafe curl_multi_wakeup(handle) == CURLM_OK else {
            unsafe curl_multi_cleanup(handle)
            return nil
        }
        unsafe ccurl_multi_quick_exit(handle)
        startThread("http-client") { [self] in run() }
    }

    private static let isLibraryReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    func start(_ exchange: Exchange, _ continuation: Continuation) {
        let isClosed = inbox.withLock { inbox in
            if !inbox.isClosed { inbox.started.append((exchange, continuation)) }
            return inbox.isClosed
        }
        if isClosed { return continuation.resume(returning: .failure(.cancelled)) }
        wake()
    }

    /// Makes the thread look at its inbox and for cancelled exchanges.
    func wake() {
        inbox.withLock { inbox in
            if !inbox.isCleaning { unsafe _ = curl_multi_wakeup(multi.handle) }
        }
    }

    /// Lets the thread end soon.
    func beginToClose() {
        inbox.withLock { $0.isClosed = true }
        wake()
    }

    /// Waits until the thread has ended.
    func close() async {
        await withCheckedContinuation { continuation in
            let hasEnded = inbox.withLock { inbox in
                if !inbox.hasEnded { inbox.closers.append(continuation) }
                return inbox.hasEnded
            }
            if hasEnded { continuation.resume() } else { beginToClose() }
        }
    }

    // MARK: on the thread

    private func run() {
        var transfers = Transfers()
        while true {
            let (started, isClosed) = inbox.withLock { inbox in
                defer { inbox.started = [] }
                return (inbox.started, inbox.isClosed)
            }
            for (exchange, continuation) in started {
                begin(exchange, continuation, &transfers)
            }
            for (id, transfer) in transfers where isClosed || transfer.exchange.isCancelled {
                end(id, &transfers) { _ in .failure(.cancelled) }
            }
            if isClosed { break }
            work(&transfers)
        }
        inbox.withLock { $0.isCleaning = true }
        unsafe curl_multi_cleanup(multi.handle)
        let closers = inbox.withLock { inbox in
            inbox.hasEnded = true
            return inbox.closers
        }
        for closer in closers { closer.resume() }
    }

    /// The transfers that run, by ``Transfer/id(of:)``.
    private typealias Transfers = [UInt: Transfer]

    private func begin(_ exchange: Exchange, _ continuation: Continuation, _ transfers: inout Transfers) {
        do throws(ExchangeError) {
            if exchange.isCancelled { throw .cancelled }
            let transfer = try Transfer(exchange, configuration, continuation)
            let code = unsafe curl_multi_add_handle(multi.handle, transfer.handle)
            guard code == CURLM_OK else { throw .failed(Self.text(code)) }
            transfers[unsafe Transfer.id(of: transfer.handle)] = transfer
        } catch {
            continuation.resume(returning: .failure(error))
        }
    }

    /// Moves the transfers on, and then waits until something happens that one of them or the inbox waits for.
    private func work(_ transfers: inout Transfers) {
        var count: Int32 = 0
        var code = unsafe curl_multi_perform(multi.handle, &count)
        while let message = unsafe curl_multi_info_read(multi.handle, &count) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            let result = unsafe message.pointee.data.result
            end(unsafe Transfer.id(of: message.pointee.easy_handle), &transfers) { $0.result(result) }
        }
        if code == CURLM_OK { code = unsafe curl_multi_poll(multi.handle, nil, 0, 60_000, nil) }
        if code == CURLM_OK { return }
        for id in transfers.keys { end(id, &transfers) { _ in .failure(.failed(Self.text(code))) } }
        // The error may stay.
        Thread.sleep(forTimeInterval: 0.1)
    }

    private func end(
        _ id: UInt, _ transfers: inout Transfers, _ result: (Transfer) -> Result<IncomingAnswer, ExchangeError>
    ) {
        guard let transfer = transfers.removeValue(forKey: id) else { return }
        unsafe curl_multi_remove_handle(multi.handle, transfer.handle)
        transfer.continuation.resume(returning: result(transfer))
    }

    private static func text(_ code: CURLMcode) -> String { unsafe String(cString: curl_multi_strerror(code)) }
}
