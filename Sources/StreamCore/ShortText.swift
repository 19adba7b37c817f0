extension String {
    /// The text within so many bytes of UTF-8. What is longer loses its middle, for which `…` stands: an error begins
    /// with where it happened and ends with why.
    ///
    /// - Parameter limit: bytes, `…` included; below 3 there is room for nothing.
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
