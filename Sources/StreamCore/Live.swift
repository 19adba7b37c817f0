public import Synchronization

/// A value that may change while other code uses it, such as a setting that is read again.
public final class Live<Value: Sendable>: Sendable {
    @usableFromInline let value: Mutex<Value>

    public init(_ value: Value) {
        self.value = Mutex(value)
    }

    /// The current value.
    @inlinable public var now: Value { value.withLock { $0 } }

    public func set(_ new: Value) {
        value.withLock { $0 = new }
    }
}
