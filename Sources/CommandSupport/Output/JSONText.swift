internal import Foundation
internal import StreamCore

/// Results of commands as JSON, with members in the order of their names.
package enum JSONText {
    package static func line(_ object: some Encodable) -> String {
        encode(object, [.sortedKeys, .withoutEscapingSlashes])
    }

    package static func page(_ object: some Encodable) -> String {
        encode(object, [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted])
    }

    private static func encode(_ object: some Encodable, _ formatting: JSONEncoder.OutputFormatting) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        guard let data = try? encoder.encode(object) else { return "{}" }
        return PrintableText.escaped(json: String(decoding: data, as: UTF8.self))
    }
}
