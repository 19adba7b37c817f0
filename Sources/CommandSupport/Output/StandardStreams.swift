internal import Foundation

/// Standard output, which receives the results of commands.
package enum StandardOutput {
    /// Whether standard output is a terminal.
    package static var isTerminal: Bool { isatty(1) == 1 }

    /// The number of columns of the terminal; nil if it is not a terminal, or the number is unknown.
    package static var columns: Int? {
        var size = winsize()
        // SAFETY: the kernel fills the structure that is passed to it.
        guard isTerminal, unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Writes the printed text to the output, so the reader of a pipe receives it now.
    package static func flush() { _ = fflush(nil) }
}

/// Standard error. It receives everything except the results of a command.
package enum StandardError {
    package static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// Whether standard error is a terminal.
    package static var isTerminal: Bool { isatty(2) == 1 }
}
