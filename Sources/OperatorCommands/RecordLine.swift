internal import Foundation
internal import Tail

/// Formats the parts of a record for a line of text.
enum RecordLine {
    /// UTF-8 text unchanged, except that control characters and invalid bytes become `\xNN`. nil and empty look
    /// different.
    static func printable(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "(null)" }
        return bytes.isEmpty ? "(empty)" : PrintableBytes.text(bytes)
    }
}

/// Standard output, which receives the results of commands.
enum StandardOutput {
    /// Whether standard output is a terminal.
    static var isTerminal: Bool { isatty(1) == 1 }

    /// The number of columns of the terminal; nil if it is not a terminal, or the number is unknown.
    static var columns: Int? {
        var size = winsize()
        // SAFETY: the kernel fills the structure that is passed to it.
        guard isTerminal, unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Writes the printed text to the output, so the reader of a pipe receives it now.
    static func flush() { _ = fflush(nil) }
}
