/// What is wrong with one parameter of a request.
public struct ParameterComplaint: Hashable, Sendable {
    public let parameter: String
    /// What follows the parameter's name in a sentence: `must be true or false`.
    public let detail: String

    public init(parameter: String, detail: String) {
        self.parameter = parameter
        self.detail = detail
    }
}
