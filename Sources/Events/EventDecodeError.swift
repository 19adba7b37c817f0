public import WireJSON

/// Why a record is no event that can be used. It stays so however often it is tried: a permanent failure.
///
/// Says where and what was expected, and shows none of the record's data but the names of its fields.
public struct EventDecodeError: Error, Hashable, Sendable {
    /// The class of a failure: what metrics, dead letters and alerts group by. The raw values are stable.
    public enum Class: String, CaseIterable, Hashable, Sendable {
        /// The record's value has no bytes (a value that is absent is a tombstone and is never decoded).
        case emptyValue = "empty_value"
        case invalidUTF8 = "invalid_utf8"
        case invalidJSON = "invalid_json"
        /// A value of another JSON type than the event has there, or a field that stands there twice.
        case wrongShape = "wrong_shape"
        case missingField = "missing_field"
        /// Of the right JSON type and yet unusable: no UUID, no date, an identity that is empty or too long, …
        case invalidValue = "invalid_value"
        /// Zero or negative.
        case invalidSequence = "invalid_sequence"
        /// Newer than this program knows, or below 1.
        case unknownVersion = "unknown_version"
    }

    public let errorClass: Class
    /// The place in the record, as `$.payload.items[2].unitPrice`.
    public let path: String
    /// What is wrong there.
    public let detail: String

    public init(_ errorClass: Class, path: String, detail: String) {
        self.errorClass = errorClass
        self.path = path
        self.detail = detail
    }
}

extension EventDecodeError: CustomStringConvertible {
    public var description: String { "\(errorClass.rawValue) at \(path): \(detail)" }
}

/// A failure while the cursor is at work: a place in the bytes, whose path is looked up only when it leaves the
/// decoder.
public struct DecodeProblem: Error {
    public let errorClass: EventDecodeError.Class
    /// Bytes from the start of the text that was read.
    public let offset: Int
    /// The field that `offset`'s object lacks; empty when the problem is with what is there.
    public let missingField: String
    public let detail: String

    public init(_ errorClass: EventDecodeError.Class, at offset: Int, _ detail: String) {
        self.errorClass = errorClass
        self.offset = offset
        self.missingField = ""
        self.detail = detail
    }

    public init(_ error: JSONError) {
        self.init(Self.errorClass(of: error), at: error.offset, error.description)
    }

    /// - Parameter offset: where the object starts that lacks `field`.
    public init(missing field: String, in offset: Int, _ errorClass: EventDecodeError.Class = .missingField) {
        self.errorClass = errorClass
        self.offset = offset
        self.missingField = field
        self.detail = "the field is absent"
    }

    private static func errorClass(of error: JSONError) -> EventDecodeError.Class {
        switch error.code {
        case .invalidUTF8: .invalidUTF8
        case .wrongType, .notAnInteger: .wrongShape
        case .loneSurrogate: .invalidValue
        case .unexpectedEnd, .unexpectedByte, .invalidEscape, .controlCharacter, .invalidNumber, .tooDeep,
            .trailingBytes:
            .invalidJSON
        }
    }

    /// - Parameters:
    ///   - bytes: the text that was read.
    ///   - root: the path that the text itself stands at in the record.
    public func located(in bytes: Span<UInt8>, root: String = "$") -> EventDecodeError {
        var path = root + JSONPath.locate(offset, in: bytes).dropFirst()
        if !missingField.isEmpty { path += "." + missingField }
        return EventDecodeError(errorClass, path: path, detail: detail)
    }
}
