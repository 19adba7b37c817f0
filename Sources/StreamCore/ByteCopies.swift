extension [UInt8] {
    /// The bytes of a span.
    @inlinable
    public init(copying span: Span<UInt8>) {
        self = []
        append(copying: span)
    }

    /// Appends the bytes of a span.
    @inlinable
    public mutating func append(copying span: Span<UInt8>) {
        // SAFETY: the pointer does not leave the closure, and `append` copies.
        unsafe span.withUnsafeBufferPointer { buffer in
            unsafe append(contentsOf: buffer)
        }
    }
}
