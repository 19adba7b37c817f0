/// The problem of one parameter of a request.
public struct ParameterComplaint: Hashable, Sendable {
    public let parameter: String
    /// The text that follows the parameter's name: `must be true or false`.
    public let detail: String

    public init(parameter: String, detail: String) {
        self.parameter = parameter
        self.detail = detail
    }
}
