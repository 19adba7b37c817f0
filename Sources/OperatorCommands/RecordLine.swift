internal import Foundation
internal import Tail

/// Parts of a record as text for a line.
enum RecordLine {
    /// UTF-8 text as it is, except control characters and what is no UTF-8: these as `\xNN`. nil and empty look
    /// different.
    static func printable(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "(null)" }
        return bytes.isEmpty ? "(empty)" : PrintableBytes.text(bytes)
    }
}

/// Standard output, where results go.
enum StandardOutput {
    /// Whether it is a terminal.
    static var isTerminal: Bool { isatty(1) == 1 }

    /// Characters of the terminal's lines; nil when it is no terminal, or does not say.
    static var columns: Int? {
        var size = winsize()
        // SAFETY: fills the structure that it is given.
        guard isTerminal, unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Hands on what was printed, so that a pipe's reader sees it now.
    static func flush() { _ = fflush(nil) }
}
