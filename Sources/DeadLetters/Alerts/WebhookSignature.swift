internal import Digests
internal import Foundation

/// The key that the sender and the receiver of a webhook share. It is never printed.
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

    /// The problems of the key; empty if there are none.
    public func validate() -> [String] {
        guard let key else { return ["the text after whsec_ must be base64"] }
        return key.count < Self.minimumBytes ? ["must have \(Self.minimumBytes) bytes or more"] : []
    }

    private static let minimumBytes = 16

    /// The bytes of the key; nil if the text after `whsec_` is not base64.
    var key: [UInt8]? {
        guard text.hasPrefix(Self.prefix) else { return Array(text.utf8) }
        return Data(base64Encoded: String(text.dropFirst(Self.prefix.count))).map { Array($0) }
    }

    private static let prefix = "whsec_"
}

/// The headers by which a receiver checks that a message comes from this sender, is complete, and is not an old message
/// that is replayed.
///
/// Source of the format: Standard Webhooks, specification 1.0, "Webhook headers" and "Symmetric signatures".
struct WebhookSignature {
    let headers: [(name: String, value: String)]

    /// - Parameters:
    ///   - id: the id of the message, which is the same for each attempt.
    ///   - timestamp: the time of the attempt, in seconds since 1970.
    ///   - body: the body of the message.
    ///   - key: the shared key.
    init(id: String, timestamp: Int64, body: [UInt8], key: [UInt8]) {
        let code = SHA256.authenticationCode(of: Array("\(id).\(timestamp).".utf8) + body, key: key)
        headers = [
            ("webhook-id", id), ("webhook-timestamp", String(timestamp)),
            ("webhook-signature", "v1," + Data(code).base64EncodedString()),
        ]
    }
}
