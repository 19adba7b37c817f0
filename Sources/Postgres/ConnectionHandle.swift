internal import CLibPQ
internal import Dispatch
internal import Glibc

/// Owns a PGconn and closes it once. Only one thread at a time uses it: the thread of the actor that holds it.
@safe final class ConnectionHandle {
    // SAFETY: PQconnectStartParams made it, only deinit frees it, and it never leaves this type.
    private let pointer: OpaquePointer
    /// The server's reason for ending the session, if the server sent one.
    private(set) var farewell: PostgresError?

    /// Starts to connect. Waits for name resolution, but not for the server.
    init(starting configuration: PostgresConfiguration) throws(PostgresError) {
        let keywords = ConnectionParameters.keywords(for: configuration)
        let started = unsafe Self.withCStrings(keywords.map(\.keyword)) { names in
            unsafe Self.withCStrings(keywords.map(\.value)) { values in
                // SAFETY: both arrays end with NULL and libpq copies them.
                unsafe PQconnectStartParams(names, values, 0)
            }
        }
        guard let started = unsafe started else { throw PostgresError(.cannotConnect, "out of memory") }
        unsafe pointer = started
        // libpq's default receiver prints notices to standard error. We need only the message that ends a session.
        // SAFETY: libpq calls the receiver only during calls that this object makes, so the object is alive.
        let receiver: PQnoticeReceiver = { context, notice in
            guard let context = unsafe context, let notice = unsafe notice else { return }
            let handle = unsafe Unmanaged<ConnectionHandle>.fromOpaque(context).takeUnretainedValue()
            unsafe handle.note(notice)
        }
        unsafe PQsetNoticeReceiver(pointer, receiver, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Keeps the message with which the server ends an idle session.
    private func note(_ notice: OpaquePointer) {
        guard unsafe PostgresError.isFatal(notice) else { return }
        farewell = unsafe PostgresError(result: notice, code: .connectionLost, sql: nil)
    }

    deinit {
        unsafe PQfinish(pointer)
    }

    /// Calls `body` with a NULL-terminated array of C strings. They are valid until `body` returns.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = unsafe strings.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        var pointers = unsafe copies.map { unsafe UnsafePointer($0) }
        unsafe pointers.append(nil)
        return unsafe body(pointers)
    }

    // MARK: state

    var socket: Int32 { unsafe PQsocket(pointer) }
    var isBad: Bool { unsafe farewell != nil || PQstatus(pointer) == CONNECTION_BAD }
    var isIdleOutsideTransaction: Bool { unsafe PQtransactionStatus(pointer) == PQTRANS_IDLE }
    var serverProcessID: Int32 { unsafe PQbackendPID(pointer) }
    var lastMessage: String { unsafe String(cString: PQerrorMessage(pointer)).trimmedLine }

    func makeCanceller() -> Canceller? {
        unsafe PQgetCancel(pointer).map { unsafe Canceller(owning: $0) }
    }

    // MARK: connecting

    enum ConnectStep { case connected, reading, writing, failed }

    func connectStep() -> ConnectStep {
        switch unsafe PQconnectPoll(pointer) {
        case PGRES_POLLING_OK: .connected
        case PGRES_POLLING_READING: .reading
        case PGRES_POLLING_WRITING: .writing
        default: .failed
        }
    }

    /// Sets whether error messages contain the SQLSTATE.
    func setVerbose(_ isVerbose: Bool) {
        _ = unsafe PQsetErrorVerbosity(pointer, isVerbose ? PQERRORS_VERBOSE : PQERRORS_DEFAULT)
    }

    /// Makes libpq's sending functions return without waiting for the network.
    func setNonblocking() -> Bool { unsafe PQsetnonblocking(pointer, 1) == 0 }

    // MARK: sending

    func sendScript(_ sql: String) -> Bool { unsafe PQsendQuery(pointer, sql) != 0 }

    func sendPrepare(_ name: String, _ sql: String, types: [UInt32]) -> Bool {
        unsafe PQsendPrepare(pointer, name, sql, Int32(types.count), types) != 0
    }

    func sendPrepared(_ name: String, _ parameters: Parameters) -> Bool {
        unsafe withArguments(parameters) { values, lengths, formats in
            unsafe PQsendQueryPrepared(pointer, name, Int32(parameters.count), values, lengths, formats, 1) != 0
        }
    }

    func sendUnprepared(_ sql: String, _ parameters: Parameters) -> Bool {
        unsafe withArguments(parameters) { values, lengths, formats in
            unsafe PQsendQueryParams(
                pointer, sql, Int32(parameters.count), parameters.types, values, lengths, formats, 1) != 0
        }
    }

    /// Calls `body` with pointers into the parameters' buffer, in the form that libpq expects. libpq copies the values.
    private func withArguments(
        _ parameters: Parameters,
        _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>) -> Bool
    ) -> Bool {
        // SAFETY: the pointers are used only inside the closure, and the buffer lives that long. An empty value points
        // to the buffer's start or to a static byte, never to NULL, because libpq takes a null pointer for the SQL
        // NULL.
        unsafe parameters.buffer.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Bool in
            var empty: CChar = 0
            return unsafe withUnsafePointer(to: &empty) { nothing in
                let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? nothing
                let values: [UnsafePointer<CChar>?] = unsafe parameters.values.map { value in
                    unsafe value.length < 0 ? nil : base + value.offset
                }
                let lengths = parameters.values.map { max($0.length, 0) }
                let formats = [Int32](repeating: 1, count: parameters.count)
                return unsafe body(values, lengths, formats)
            }
        }
    }

    func enterPipeline() -> Bool { unsafe PQenterPipelineMode(pointer) != 0 }
    func exitPipeline() -> Bool { unsafe PQexitPipelineMode(pointer) != 0 }
    func sendSync() -> Bool { unsafe PQpipelineSync(pointer) != 0 }

    // MARK: receiving

    enum Flush { case done, pending, failed }

    func flush() -> Flush {
        switch unsafe PQflush(pointer) {
        case 0: .done
        case 1: .pending
        default: .failed
        }
    }

    func consumeInput() -> Bool { unsafe PQconsumeInput(pointer) != 0 }
    var isBusy: Bool { unsafe PQisBusy(pointer) != 0 }

    enum Reply {
        case rows(QueryResult)
        case failed(PostgresError)
        case pipelineAborted
        case sync
        case end
    }

    /// Takes the next result. It must have arrived, so ``isBusy`` must be false.
    func nextReply(sql: String?) -> Reply {
        guard let result = unsafe PQgetResult(pointer) else { return .end }
        switch unsafe PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return unsafe .rows(QueryResult(owning: result))
        case PGRES_PIPELINE_SYNC:
            unsafe PQclear(result)
            return .sync
        case PGRES_PIPELINE_ABORTED:
            unsafe PQclear(result)
            return .pipelineAborted
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            unsafe PQclear(result)
            return .failed(PostgresError(.usage, "COPY is not supported"))
        default:
            defer { unsafe PQclear(result) }
            return unsafe .failed(PostgresError(result: result, code: isBad ? .connectionLost : .server, sql: sql))
        }
    }

    /// The next notification that has arrived, or nil.
    func nextNotification() -> PostgresNotification? {
        guard let notify = unsafe PQnotifies(pointer) else { return nil }
        // SAFETY: the notification is ours until PQfreemem, and its strings are copied before that.
        defer { unsafe PQfreemem(notify) }
        return unsafe PostgresNotification(
            channel: String(cString: notify.pointee.relname), payload: String(cString: notify.pointee.extra),
            serverProcessID: notify.pointee.be_pid)
    }
}

/// Asks the server to cancel the running statement of a connection. Any thread may use it while the connection is busy.
@safe final class Canceller: @unchecked Sendable {
    // SAFETY: libpq documents PQcancel as safe from any thread. The PGcancel holds a copy of the address and the key,
    // never changes, and is freed once, here.
    private let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    deinit {
        unsafe PQfreeCancel(pointer)
    }

    /// Sends the request from another thread, because PQcancel opens a connection of its own and may block for long.
    ///
    /// - Returns: a semaphore that is signalled after the server accepted the request or could not be reached.
    func cancel() -> DispatchSemaphore {
        let done = DispatchSemaphore(value: 0)
        DispatchQueue.global().async { [self] in
            var message = [CChar](repeating: 0, count: 256)
            _ = unsafe PQcancel(pointer, &message, Int32(message.count))
            done.signal()
        }
        return done
    }
}
