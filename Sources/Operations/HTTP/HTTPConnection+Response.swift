internal import NIOCore

/// A response on its way: from the request's task, through a body that is written piece by piece, to the next request
/// or the connection's end.
extension HTTPConnection {
    // MARK: answering

    /// The request's task has begun.
    func began(_ number: UInt64, by task: UnsafeCurrentTask) {
        guard exchange?.number == number else { return unsafe task.cancel() }
        exchange?.task = unsafe TaskHandle(task)
    }

    /// The request's task is about to end.
    func ended(_ number: UInt64) {
        if exchange?.number == number { exchange?.task = nil }
    }

    /// Writes the response, or its head when the body is a stream.
    ///
    /// - Returns: what writes the body; nil when there is nothing more to write, or nobody to read it.
    func respond(
        to number: UInt64, _ response: HTTPResponse
    ) -> (@Sendable (HTTPBodyWriter) async throws -> Void)? {
        guard let context, let exchange, exchange.number == number, phase == .answering else { return nil }
        loop.context.metrics.answered(
            route: exchange.route, status: response.status, duration: .now() - exchange.began)
        let isLast = exchange.isLast || isDraining || isDeaf && queue.isEmpty
        let hasBody = response.status >= 200 && response.status != 204 && response.status != 304
        var buffer: ByteBuffer
        switch response.body {
        case .none, .bytes:
            var bytes: [UInt8] = []
            if case .bytes(let own) = response.body { bytes = own }
            buffer = context.channel.allocator.buffer(capacity: 768 + bytes.count)
            write(response, hasBody ? .length(bytes.count) : .none, isLast, into: &buffer)
            if hasBody, !exchange.isHead { buffer.writeBytes(bytes) }
            complete(with: buffer, isLast: isLast)
            return nil
        case .stream(let body):
            let framing: ResponseHeads.Framing = !hasBody ? .none : exchange.knowsChunks ? .chunked : .close
            buffer = context.channel.allocator.buffer(capacity: 768)
            let endsByClosing = isLast || hasBody && !exchange.knowsChunks
            write(response, framing, endsByClosing, into: &buffer)
            guard hasBody, !exchange.isHead else {
                complete(with: buffer, isLast: endsByClosing)
                return nil
            }
            self.exchange?.isLast = endsByClosing
            phase = .writing
            deadline = .distantFuture
            // A stream that begins while the server stops is told so at once.
            if isDraining { exchange.task?.cancel() }
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            return phase == .writing ? body : nil
        }
    }

    private func write(
        _ response: HTTPResponse, _ framing: ResponseHeads.Framing, _ isLast: Bool, into buffer: inout ByteBuffer
    ) {
        loop.context.heads.write(response, framing: framing, isLast: isLast, date: loop.date, into: &buffer)
    }

    // MARK: writing a body

    func writer(of number: UInt64) -> HTTPBodyWriter {
        let connection = NIOLoopBound(self, eventLoop: loop.eventLoop)
        return HTTPBodyWriter { [eventLoop = loop.eventLoop] chunk throws(HTTPBodyWriter.WriteError) in
            let error = await withCheckedContinuation { continuation in
                if eventLoop.inEventLoop {
                    connection.value.write(chunk, of: number, continuation)
                } else {
                    eventLoop.execute { connection.value.write(chunk, of: number, continuation) }
                }
            }
            if let error { throw error }
        }
    }

    private func write(
        _ chunk: HTTPChunk, of number: UInt64, _ continuation: CheckedContinuation<HTTPBodyWriter.WriteError?, Never>
    ) {
        guard let context, let exchange, exchange.number == number, phase == .writing else {
            return continuation.resume(returning: .clientGone)
        }
        if !chunk.isEmpty {
            let bytes = exchange.knowsChunks ? chunk.framed : chunk.bare
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        guard phase == .writing else { return continuation.resume(returning: .clientGone) }
        guard !context.channel.isWritable else { return continuation.resume(returning: nil) }
        if exchange.waiting.isEmpty { awaitSocket() }
        self.exchange?.waiting.append(continuation)
    }

    func resumeWriters(_ error: HTTPBodyWriter.WriteError?) {
        guard let waiting = exchange?.waiting, !waiting.isEmpty else { return }
        exchange?.waiting = []
        deadline = .distantFuture
        for continuation in waiting { continuation.resume(returning: error) }
    }

    /// The body is complete.
    func finishBody(of number: UInt64) {
        guard let exchange, exchange.number == number, phase == .writing else { return }
        let isLast = exchange.isLast || isDraining || isDeaf && queue.isEmpty
        complete(with: ByteBuffer(string: exchange.knowsChunks ? "0\r\n\r\n" : ""), isLast: isLast)
    }

    /// The body will never be complete.
    func abort(_ number: UInt64) {
        if exchange?.number == number { close() }
    }

    // MARK: the end of a response

    private func complete(with buffer: ByteBuffer, isLast: Bool) {
        guard let context else { return }
        exchange = nil
        phase = isLast ? .closing : .flushing
        if isLast {
            isDeaf = true
            queue.removeAll()
            let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
            awaitSocket()
            context.writeAndFlush(wrapOutboundOut(buffer)).whenSuccess { bound.value.linger() }
        } else {
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            guard phase == .flushing else { return }
            if context.channel.isWritable { settle() } else { awaitSocket() }
        }
    }

    /// Goes on to the next request.
    func settle() {
        if incoming != nil {
            enter(.receiving, for: configuration.receiveTimeoutMs)
        } else {
            enter(.idle, for: configuration.idleTimeoutMs)
        }
        if queue.isEmpty, isDeaf || isDraining && phase == .idle { return linger() }
        advance()
    }

    /// Ends our side, and waits for the client to end its own.
    func linger() {
        guard phase != .closed else { return }
        isDeaf = true
        guard !isInputClosed else { return close() }
        phase = .lingering
        deadline = .now() + Self.lingeringTime
        context?.close(mode: .output, promise: nil)
    }

    func close() {
        guard phase != .closed else { return }
        isDeaf = true
        context?.close(promise: nil)
    }

    func ended() {
        guard phase != .closed else { return }
        phase = .closed
        deadline = .distantFuture
        isDeaf = true
        queue.removeAll()
        exchange?.task?.cancel()
        resumeWriters(.clientGone)
        exchange = nil
        release()
        loop.closed(self)
    }
}

/// A request's task, from elsewhere.
@safe struct TaskHandle {
    // SAFETY: cancelling is what may be done from elsewhere, as long as the task is there; the task takes the handle
    // back before it ends.
    private let task: UnsafeCurrentTask

    init(_ task: UnsafeCurrentTask) {
        unsafe self.task = task
    }

    func cancel() {
        unsafe task.cancel()
    }
}
