public import WireJSON

/// Explains why a record is not a usable event. The failure is permanent: trying again cannot succeed.
///
/// It names the place and the expectation. It shows no data of the record except field names, type names and versions.
public struct EventDecodeError: Error, Hashable, Sendable {
    /// The class of a failure. Metrics, dead letters and alerts group by it. The raw values never change.
    public enum Class: String, CaseIterable, Hashable, Sendable {
        /// The record's value has no bytes. (A record without a value is a tombstone and is never decoded.)
        case emptyValue = "empty_value"
        case invalidUTF8 = "invalid_utf8"
        case invalidJSON = "invalid_json"
        /// A value has the wrong JSON type, or a field occurs twice.
        case wrongShape = "wrong_shape"
        case missingField = "missing_field"
        /// A value has the right JSON type but is unusable: not a UUID, not a date, an id that is empty or too long, …
        case invalidValue = "invalid_value"
        /// The sequence is zero or negative.
        case invalidSequence = "invalid_sequence"
        /// The version is newer than this program knows, or below 1.
        case unknownVersion = "unknown_version"
    }

    public let errorClass: Class
    /// The place in the record, for example `$.payload.items[2].unitPrice`.
    public let path: String
    /// What is wrong at this place.
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

/// A failure inside the decoder. It contains an offset in the bytes. The path is determined only when the error leaves
/// the decoder.
public struct DecodeProblem: Error {
    public let errorClass: EventDecodeError.Class
    /// The position in the text, in bytes from its start.
    public let offset: Int
    /// The missing field of the object at `offset`; empty if the problem is a value that is there.
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

    /// - Parameters:
    ///   - field: the name of the missing field.
    ///   - offset: the start of the object that lacks the field.
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

    /// Determines the path of the problem.
    ///
    /// - Parameters:
    ///   - bytes: the text that was read.
    ///   - root: the path of the text itself in the record.
    public func located(in bytes: Span<UInt8>, root: String = "$") -> EventDecodeError {
        var path = root + JSONPath.locate(offset, in: bytes).dropFirst()
        if !missingField.isEmpty { path += "." + missingField }
        return EventDecodeError(errorClass, path: path, detail: detail)
    }
}
