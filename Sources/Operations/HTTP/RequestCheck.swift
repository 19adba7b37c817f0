internal import NIOHTTP1

/// What a request's head says beside its target, gathered in one pass.
struct HeadFacts {
    var hosts = 0
    var host: String?
    var authorization: String?
    var contentLength: Int?
    var expectsContinue = false
    /// The client would leave HTTP/1.1 here; the parser stops behind such a request.
    var wantsUpgrade = false

    init(_ head: HTTPRequestHead) {
        wantsUpgrade = head.method == .CONNECT
        for (name, value) in head.headers {
            switch name.utf8.count {
            case 4 where ResponseHeads.isSame(name, "host"):
                hosts += 1
                host = value
            case 6 where ResponseHeads.isSame(name, "expect"):
                expectsContinue = ResponseHeads.isSame(value, "100-continue")
            case 7 where ResponseHeads.isSame(name, "upgrade"): wantsUpgrade = true
            case 13 where ResponseHeads.isSame(name, "authorization"): authorization = value
            case 14 where ResponseHeads.isSame(name, "content-length"): contentLength = Int(value) ?? .max
            default: break
            }
        }
    }
}

/// From a request's head to the handler that may answer it, or to the problem that says why none does.
struct RequestCheck {
    let request: HTTPRequest
    /// The route's index.
    let route: Int
    let isStream: Bool
    let client: ClientIdentity
    /// The host that the target names, which counts before the header (RFC 9112, section 3.2.2).
    let authority: String?

    /// Does not ask the admission yet.
    ///
    /// - Parameter address: whom the client is taken for without a token.
    init(
        _ head: HTTPRequestHead, _ facts: HeadFacts, from address: ClientIdentity, _ context: HTTPServerContext
    ) throws(Problem) {
        // RFC 9112, section 3.2.
        guard facts.hosts == 1 || head.version == .http1_0 && facts.hosts == 0 else {
            throw Problem(status: 400, detail: "a request has one Host header")
        }
        guard head.uri.utf8.count <= context.configuration.maxTargetBytes else { throw Problem(status: 414) }
        let target: RequestTarget
        do throws(RequestTarget.Invalid) {
            target = try RequestTarget(head.uri)
        } catch {
            throw Problem(status: 400, detail: error.detail)
        }
        guard let match = context.routes.match(target.parts) else {
            throw Problem(status: 404, detail: "there is nothing at this path")
        }
        guard head.method == .GET || head.method == .HEAD else {
            throw Problem(status: 405, headers: [("Allow", "GET, HEAD")])
        }
        let route = context.routes.routes[match.index]
        self.route = match.index
        isStream = route.isStream
        authority = target.authority
        client = try Self.client(facts, route, address, context.configuration.tokens)
        request = HTTPRequest(
            method: head.method.rawValue, path: target.path, parameters: match.parameters, query: target.query,
            headers: head.headers)
    }

    /// Who asks (RFC 6750).
    private static func client(
        _ facts: HeadFacts, _ route: HTTPRoute, _ address: ClientIdentity, _ tokens: TokenSource?
    ) throws(Problem) -> ClientIdentity {
        guard let tokens, !route.isPublic else { return address }
        let realm = #"Bearer realm="millrace""#
        guard let authorization = facts.authorization else {
            throw Problem(
                status: 401, detail: "a bearer token is needed", headers: [("WWW-Authenticate", realm)])
        }
        let words = authorization.split(separator: " ")
        guard words.count == 2, ResponseHeads.isSame(String(words[0]), "bearer"),
            let digest = tokens.digest(ofToken: words[1])
        else {
            throw Problem(
                status: 401, detail: "the token is not a valid one",
                headers: [("WWW-Authenticate", realm + #", error="invalid_token""#)])
        }
        return ClientIdentity(token: digest)
    }
}
