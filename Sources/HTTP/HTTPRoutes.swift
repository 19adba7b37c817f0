internal import StreamCore

/// The routes of a server. They can be replaced while it serves: a request is answered by the routes of the moment in
/// which its path is looked up.
public final class HTTPRoutes: Sendable {
    private let table: Live<RouteTable>

    public init(_ routes: [HTTPRoute]) {
        table = Live(RouteTable(routes))
    }

    /// Replaces all routes at once. Requests in progress are finished by the route that they began with.
    public func replace(with routes: [HTTPRoute]) { table.set(RouteTable(routes)) }

    var now: RouteTable { table.now }
}
