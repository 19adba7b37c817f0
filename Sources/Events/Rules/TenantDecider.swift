/// Something that belongs to a tenant, or to nobody where tenants are not told apart.
public protocol TenantOwned {
    var tenantID: String? { get }
}

/// Rules of aggregates that belong to tenants. The facts name the tenant that sends the command: another tenant's
/// aggregate does not exist for it.
public protocol TenantDecider: Decider where State: TenantOwned, Facts: TenantOwned {
    /// The rule that refuses a command about an aggregate that does not exist.
    static var unknown: Rules { get }
}

extension TenantDecider {
    /// The state of an aggregate that must exist for who sends the command.
    public static func known(_ state: State?, _ facts: Facts) throws(Rejection<Rules>) -> State {
        guard let state, state.tenantID == facts.tenantID else { throw Rejection(unknown) }
        return state
    }
}
