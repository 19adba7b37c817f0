internal import Crypto
internal import Foundation

/// The key that a webhook's sender and receiver share. Never printed.
public struct WebhookSecret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let text: String

    /// - Parameter text: `whsec_` and the key in base64, or any other text for its UTF-8 bytes.
    public init(_ text: String) {
        self.text = text
    }

    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// All that is wrong with it; empty when nothing is.
    public func validate() -> [String] {
        guard let key else { return ["the text after whsec_ must be base64"] }
        return key.count < Self.minimumBytes ? ["must have \(Self.minimumBytes) bytes or more"] : []
    }

    private static let minimumBytes = 16

    /// nil when it claims to be base64 and is not.
    var key: [UInt8]? {
        guard text.hasPrefix(Self.prefix) else { return Array(text.utf8) }
        return Data(base64Encoded: String(text.dropFirst(Self.prefix.count))).map { Array($0) }
    }

    private static let prefix = "whsec_"
}

/// The headers that tell a receiver that a message is ours, whole, and not an old one replayed.
///
/// Source of the form: Standard Webhooks, specification 1.0, "Webhook headers" and "Symmetric signatures".
struct WebhookSignature {
    let headers: [(name: String, value: String)]

    /// - Parameters:
    ///   - id: of the message; the same for each attempt to deliver it.
    ///   - timestamp: of the attempt, in seconds since 1970.
    init(id: String, timestamp: Int64, body: [UInt8], key: [UInt8]) {
        var code = HMAC<SHA256>(key: SymmetricKey(data: key))
        code.update(data: Array("\(id).\(timestamp).".utf8))
        code.update(data: body)
        headers = [
            ("webhook-id", id), ("webhook-timestamp", String(timestamp)),
            ("webhook-signature", "v1," + Data(code.finalize()).base64EncodedString()),
        ]
    }
}
