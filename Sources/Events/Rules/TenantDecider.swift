/// A value that belongs to a tenant, or to no tenant if tenants are not told apart.
public protocol TenantOwned {
    var tenantID: String? { get }
}

/// The rules of aggregates that belong to tenants. The facts contain the tenant that sends the command. Aggregates of
/// other tenants do not exist for it.
public protocol TenantDecider: Decider where State: TenantOwned, Facts: TenantOwned {
    /// The rule that refuses a command about an aggregate that does not exist.
    static var unknown: Rules { get }
}

extension TenantDecider {
    /// Returns the state. Throws if the aggregate does not exist for the sender of the command.
    public static func known(_ state: State?, _ facts: Facts) throws(Rejection<Rules>) -> State {
        guard let state, state.tenantID == facts.tenantID else { throw Rejection(unknown) }
        return state
    }
}
