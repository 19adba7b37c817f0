package import StreamCore
internal import Tail

/// Formats values as text without control characters, which could change the terminal.
package enum TextFormat {
    package static func text(_ string: String) -> String { printable(Array(string.utf8)) }

    /// UTF-8 text unchanged, except that control characters and invalid bytes become `\xNN`. nil and empty look
    /// different.
    package static func printable(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "(null)" }
        return bytes.isEmpty ? "(empty)" : PrintableBytes.text(bytes)
    }

    /// `2026-03-01 12:00:00` in UTC.
    package static func time(_ time: Timestamp?) -> String {
        guard let time else { return "-" }
        return String(time.description.prefix(19)).replacing("T", with: " ")
    }

    /// The age in its two largest units: `3d 4h`, `5m 10s`.
    package static func age(of time: Timestamp, now: Timestamp) -> String {
        let seconds = max(0, (now.microseconds - time.microseconds) / 1_000_000)
        switch seconds {
        case ..<60: return "\(seconds)s"
        case ..<3_600: return "\(seconds / 60)m \(seconds % 60)s"
        case ..<86_400: return "\(seconds / 3_600)h \(seconds / 60 % 60)m"
        default: return "\(seconds / 86_400)d \(seconds / 3_600 % 24)h"
        }
    }

    /// Formats 1203456 as `1,203,456`.
    package static func count(_ number: Int64) -> String {
        var digits = Array(String(number.magnitude))
        var position = digits.count - 3
        while position > 0 {
            digits.insert(",", at: position)
            position -= 3
        }
        return (number < 0 ? "-" : "") + String(digits)
    }
}
