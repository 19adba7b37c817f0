internal import CCurl
internal import Glibc

/// One exchange as libcurl carries it out. Only the client's thread uses it.
///
/// SAFETY: the object owns the handle, the list and the text, and frees them when libcurl has ended the transfer.
@safe final class Transfer {
    /// Maximum size of the heads of all answers, in bytes.
    private static let maxHeadBytes = 256 * 1_024

    let exchange: Exchange
    let continuation: TransferLoop.Continuation
    /// libcurl's easy handle.
    let handle: UnsafeMutableRawPointer
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    private var answer = IncomingAnswer(status: 0, headers: [])
    private var headBytes = 0
    private var hasHead = false
    private var body: [UInt8] = []

    /// - Throws: ``ExchangeError/failed(_:)`` if the request is not one that can be sent.
    init(
        _ exchange: Exchange, _ configuration: WebClient.Configuration, _ continuation: TransferLoop.Continuation
    ) throws(ExchangeError) {
        self.exchange = exchange
        self.continuation = continuation
        guard let handle = unsafe curl_easy_init() else { throw .failed("no memory for libcurl") }
        unsafe self.handle = unsafe handle
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        try limit(exchange.request, configuration)
        try describe(exchange.request)
        unsafe ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        // SAFETY: the loop holds this object until libcurl no longer has the handle.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        unsafe ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        unsafe ccurl_set_callback(handle, CURLOPT_HEADERFUNCTION) { data, _, count, context in
            unsafe Transfer.receive(data, count, context) { unsafe $0.readHead($1) }
        }
        unsafe ccurl_set_callback(handle, CURLOPT_WRITEFUNCTION) { data, _, count, context in
            unsafe Transfer.receive(data, count, context) { unsafe $0.readBody($1) }
        }
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe curl_slist_free_all(headerList)
        unsafe errorText.deallocate()
    }

    /// Identifies a transfer by libcurl's handle.
    static func id(of handle: UnsafeMutableRawPointer?) -> UInt { UInt(bitPattern: handle) }

    /// The result after libcurl's `code` for the end of the transfer.
    func result(_ code: CURLcode) -> Result<IncomingAnswer, ExchangeError> {
        if code == CURLE_OPERATION_TIMEDOUT { return .failure(.timedOut) }
        if hasHead {
            answer.body = code == CURLE_OK ? body : nil
            return .success(answer)
        }
        return .failure(.failed(reason(code)))
    }

    /// Says why there is no answer. The same cause always has the same text, so that logs need not repeat it.
    private func reason(_ code: CURLcode) -> String {
        if headBytes > Self.maxHeadBytes { return "the answer's head is larger than \(Self.maxHeadBytes) bytes" }
        let general = unsafe String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_OK: return "the server closed the connection before the end of the answer's head"
        case CURLE_COULDNT_CONNECT:
            // libcurl's own text has the time that the attempt took, and not the system's error.
            let number = unsafe ccurl_os_error(handle)
            return number == 0 ? general : "\(general): \(unsafe String(cString: strerror(Int32(number))))"
        default:
            let text = unsafe String(cString: errorText)
            return text.isEmpty ? general : text
        }
    }

    // MARK: the request

    private func limit(_ request: OutgoingRequest, _ configuration: WebClient.Configuration) throws(ExchangeError) {
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        try set(CURLOPT_PROXY, "")
        // libcurl must not change the process's signal handlers.
        try set(CURLOPT_NOSIGNAL, 1)
        // The end of the transfer does not wait for a thread that resolves a name.
        try set(CURLOPT_QUICK_EXIT, 1)
        try set(CURLOPT_TIMEOUT_MS, max(request.timeoutMs, 1))
        try set(CURLOPT_CONNECTTIMEOUT_MS, max(configuration.connectTimeoutMs, 1))
        try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = configuration.certificatesFile {
            try set(CURLOPT_CAINFO, file)
            // Otherwise libcurl would also trust the authorities in the system's folder.
            try set(CURLOPT_CAPATH, nil)
        }
    }

    private func describe(_ request: OutgoingRequest) throws(ExchangeError) {
        try set(CURLOPT_URL, request.url)
        try set(CURLOPT_PATH_AS_IS, 1)
        if request.method == .get {
            try set(CURLOPT_HTTPGET, 1)
        } else {
            // With an empty body, libcurl sends `Content-Length: 0`.
            try set(CURLOPT_POSTFIELDSIZE, request.body.count)
            try request.body.isEmpty ? set(CURLOPT_COPYPOSTFIELDS, "") : copy(request.body)
            try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        }
        // Without a value, libcurl does not send its own header of that name.
        for line in ["Expect:", "Accept:", "Content-Type:"] { try addHeader(line) }
        for (name, value) in request.headers {
            guard Self.isName(name), Self.isValue(value) else {
                throw .failed("the header '\(name)' has characters that HTTP does not allow")
            }
            // With the semicolon, libcurl sends a header that has no value.
            try addHeader(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        unsafe ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, headerList)
    }

    private func copy(_ body: [UInt8]) throws(ExchangeError) {
        // SAFETY: libcurl copies as many bytes as CURLOPT_POSTFIELDSIZE says, and does not change them.
        let code = unsafe body.withUnsafeBytes { bytes in
            unsafe ccurl_set_pointer(
                handle, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        }
        try check(code)
    }

    private func addHeader(_ line: String) throws(ExchangeError) {
        guard let longer = unsafe curl_slist_append(headerList, line) else { throw .failed("no memory for libcurl") }
        unsafe headerList = unsafe longer
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
    }

    private static func isValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }
    }

    private func set(_ option: CURLoption, _ value: Int) throws(ExchangeError) {
        try check(unsafe ccurl_set_long(handle, option, value))
    }

    private func set(_ option: CURLoption, _ value: String?) throws(ExchangeError) {
        try check(unsafe ccurl_set_text(handle, option, value))
    }

    private func check(_ code: CURLcode) throws(ExchangeError) {
        if code != CURLE_OK { throw .failed(unsafe String(cString: curl_easy_strerror(code))) }
    }

    // MARK: the answer

    /// Calls `body` with what libcurl received.
    ///
    /// - Returns: `count`, or libcurl's number for an error, which ends the transfer.
    private static func receive(
        _ data: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?,
        _ body: (Transfer, UnsafeRawBufferPointer) -> Bool
    ) -> Int {
        let error = Int(CURL_WRITEFUNC_ERROR)
        guard let context = unsafe context else { return error }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return unsafe body(transfer, UnsafeRawBufferPointer(start: data, count: count)) ? count : error
    }

    /// Takes one line of a head or a trailer: a status line, a header, or the empty line at the end.
    private func readHead(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // Trailers follow the body.
        if hasHead { return true }
        headBytes += bytes.count
        guard headBytes <= Self.maxHeadBytes else { return false }
        let end = unsafe bytes.lastIndex { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }.map { $0 + 1 } ?? 0
        let line = unsafe String(decoding: bytes[..<end], as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            let status = line.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) }
            answer = IncomingAnswer(status: status ?? 0, headers: [])
        } else if line.isEmpty {
            // An answer such as 100 Continue is followed by another one, but 101 Switching Protocols is not.
            hasHead = answer.status >= 200 || answer.status == 101
        } else if let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            answer.headers.append((String(line[..<colon]), String(value)))
        }
        return !hasHead || exchange.request.maxBodyBytes != nil
    }

    private func readBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let limit = exchange.request.maxBodyBytes, body.count + bytes.count <= limit else { return false }
        unsafe body.append(contentsOf: bytes)
        return true
    }
}
