extension String {
    /// Shortens a text to a number of UTF-8 bytes. A longer text loses its middle, marked by `…`, because an error
    /// begins with its place and ends with its cause.
    ///
    /// - Parameter limit: maximum size in bytes, with `…`. Below 3 the result is empty.
    public func shortened(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        let mark = "…"
        let room = limit - mark.utf8.count
        guard room >= 0 else { return "" }
        var head = utf8.index(utf8.startIndex, offsetBy: (room + 1) / 2)
        while head.samePosition(in: unicodeScalars) == nil { head = utf8.index(before: head) }
        var tail = utf8.index(utf8.endIndex, offsetBy: -(room / 2))
        while tail.samePosition(in: unicodeScalars) == nil { tail = utf8.index(after: tail) }
        return String(unicodeScalars[..<head]) + mark + String(unicodeScalars[tail...])
    }
}
