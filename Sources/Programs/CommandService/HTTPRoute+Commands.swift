internal import Commands
internal import HTTP

extension HTTPRoute {
    /// Converts a route of commands to a route of the HTTP server.
    init?(_ route: CommandRoute) {
        guard let method = Method(rawValue: route.method) else { return nil }
        let names = route.template.split(separator: "/").filter { $0.hasPrefix("{") && $0.hasSuffix("}") }
            .map { String($0.dropFirst().dropLast()) }
        self.init(route.template, method: method) { request in
            let parameters = names.map { ($0, request.parameter($0)) }
            let call = CommandCall(
                method: route.method, path: request.path, parameters: Dictionary(uniqueKeysWithValues: parameters),
                query: try Self.query(request, of: route), body: request.body, caller: request.caller,
                tenantID: request.tenantID, header: request.header)
            let message = await route.answer(call)
            return HTTPResponse(
                status: message.status, headers: message.headers.map { ($0.name, $0.value) },
                body: .bytes(message.body))
        }
    }

    /// The parameters of the query. The route must know each of them, and none may be repeated.
    private static func query(_ request: HTTPRequest, of route: CommandRoute) throws(Problem) -> [String: String] {
        var query: [String: String] = [:]
        for (name, value) in request.query {
            guard route.query.contains(name) else {
                throw Problem(
                    status: 400, type: "/problems/unknown-parameter", title: "The request is not valid.",
                    detail: "The parameter \"\(name)\" is unknown.")
            }
            guard query.updateValue(value, forKey: name) == nil else {
                throw Problem(
                    status: 400, type: "/problems/repeated-parameter", title: "The request is not valid.",
                    detail: "The parameter \"\(name)\" is given twice.")
            }
        }
        return query
    }
}
