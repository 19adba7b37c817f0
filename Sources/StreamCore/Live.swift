internal import Synchronization

/// A value that may change while others use it: a setting that is read again.
public final class Live<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    public init(_ value: Value) {
        self.value = Mutex(value)
    }

    /// The value that counts now.
    public var now: Value { value.withLock { $0 } }

    public func set(_ new: Value) {
        value.withLock { $0 = new }
    }
}
