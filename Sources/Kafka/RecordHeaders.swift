internal import CRDKafka

/// One header of a record. A NULL value differs from an empty one.
public struct RecordHeader: Hashable, Sendable {
    public var name: String
    public var value: [UInt8]?

    public init(name: String, value: [UInt8]?) {
        self.name = name
        self.value = value
    }
}

/// The headers of a record to be produced, built in librdkafka's own format. ``Producer/produce`` takes them over
/// without a copy.
@safe
public struct RecordHeaders: ~Copyable {
    // SAFETY: ours alone until `release()`; freed once, here or with the record that librdkafka created from it.
    private let pointer: OpaquePointer

    /// - Parameter capacity: the expected number of headers. More are possible.
    public init(capacity: Int = 8) {
        unsafe pointer = rd_kafka_headers_new(capacity)
    }

    public init(_ headers: [RecordHeader]) {
        self.init(capacity: headers.count)
        for header in headers { append(header.name, header.value?.span) }
    }

    deinit {
        unsafe rd_kafka_headers_destroy(pointer)
    }

    /// Appends a header to the existing ones; names may repeat.
    ///
    /// - Parameters:
    ///   - name: encoded as UTF-8; should be ASCII.
    ///   - value: copied. nil is NULL, which differs from an empty value.
    public func append(_ name: StaticString, _ value: Span<UInt8>?) {
        precondition(name.hasPointerRepresentation, "a header's name has more than one character")
        unsafe add(UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), name.utf8CodeUnitCount, value)
    }

    /// Appends a header whose name is not a literal. The variant above is cheaper.
    @_disfavoredOverload
    public func append(_ name: String, _ value: Span<UInt8>?) {
        unsafe add(name, name.utf8.count, value)
    }

    /// - Parameter nameLength: in bytes; a name may contain a zero.
    private func add(_ name: UnsafePointer<CChar>, _ nameLength: Int, _ value: Span<UInt8>?) {
        // SAFETY: librdkafka copies name and value before it returns. It fails for read-only headers only, which ours
        // never are.
        if let value {
            let (start, count) = unsafe value.bytesForC
            unsafe rd_kafka_header_add(pointer, name, nameLength, start, count)
        } else {
            unsafe rd_kafka_header_add(pointer, name, nameLength, nil, 0)
        }
    }

    /// Passes the ownership of the headers to the caller, who frees them or passes them to librdkafka.
    consuming func release() -> OpaquePointer {
        let pointer = unsafe pointer
        discard self
        return unsafe pointer
    }
}

extension Span where Element == UInt8 {
    /// The bytes in the form that C expects: never NULL, because NULL means "no value" and not "empty".
    ///
    /// Valid as long as the span's owner is, which the caller's borrow of the span ensures during a call.
    var bytesForC: (start: UnsafeMutableRawPointer, count: Int) {
        // SAFETY: C functions that take `void *` only to read it get it mutable; none writes. The pointer of a span
        // that is not empty points to its owner's memory and not to a copy.
        unsafe withUnsafeBytes { bytes in
            if let start = bytes.baseAddress, unsafe !bytes.isEmpty {
                return unsafe (UnsafeMutableRawPointer(mutating: start), bytes.count)
            }
            return unsafe (UnsafeMutableRawPointer(mutating: emptyBytes.utf8Start), 0)
        }
    }
}

/// An address for bytes that are empty but not NULL.
private let emptyBytes: StaticString = "empty"
