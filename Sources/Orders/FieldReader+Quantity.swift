internal import Events
internal import WireJSON

extension FieldReader {
    /// Reads a quantity of a product, at least 1.
    mutating func quantity() throws(DecodeProblem) -> Int32 {
        let value = try integer()
        guard let quantity = Int32(exactly: value), quantity >= 1 else {
            throw DecodeProblem(.invalidValue, at: json.offset - 1, "expected a quantity of 1–2147483647")
        }
        return quantity
    }
}
