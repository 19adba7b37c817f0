/// The host names that a service accepts. A page of another site may point its own host name at this machine and then
/// send requests to the service as if it were its own site (DNS rebinding). Such a request has the other site's name in
/// `Host`.
///
/// Ports are not compared, because they do not identify the sender.
struct HostPolicy: Sendable {
    enum Verdict: Sendable {
        case accepted
        /// The value is not of the form `host` or `host:port` (RFC 9110, section 7.2).
        case malformed
        /// The value names another service.
        case misdirected
    }

    private let addresses: Set<IPAddress>
    private let names: Set<String>
    /// The suffixes of accepted names, each with a leading dot.
    private let suffixes: [String]

    /// - Parameters:
    ///   - bound: the host on which the server listens. It is accepted in addition to the names of the loopback
    ///     interface.
    ///   - allowed: additional names. A name with a leading dot allows all names below it.
    init(bound: String, allowed: [String]) {
        var (addresses, names): (Set<IPAddress>, Set<String>) = ([], ["localhost"])
        for case let host? in ([bound] + allowed.filter { !$0.hasPrefix(".") }).map({ HostName(bare: $0) }) {
            switch host {
            case .address(let address): addresses.insert(address)
            case .name(let name): names.insert(name)
            }
        }
        self.addresses = addresses
        self.names = names
        // Names below localhost are never looked up in the DNS (RFC 6761, section 6.3).
        suffixes = [".localhost"] + allowed.filter { $0.hasPrefix(".") }.map { $0.lowercased() }
    }

    /// - Parameters:
    ///   - authority: the host of the request, as `host` or `host:port`.
    ///   - local: the address at which the request arrived, as text.
    func verdict(on authority: some StringProtocol, local: String?) -> Verdict {
        guard let host = HostName(authority: String(authority)) else { return .malformed }
        switch host {
        case .address(let address):
            let isOurs =
                address.isLoopback || addresses.contains(address) || local.flatMap({ IPAddress($0) }) == address
            return isOurs ? .accepted : .misdirected
        case .name(let name):
            let isOurs = names.contains(name) || suffixes.contains { name.hasSuffix($0) && name != $0 }
            return isOurs ? .accepted : .misdirected
        }
    }

    /// Whether a text can be an allowed host.
    static func isHost(_ text: String) -> Bool {
        HostName(bare: text.hasPrefix(".") ? String(text.dropFirst()) : text) != nil
    }
}

/// A host as in URIs (RFC 3986, section 3.2.2): an address, or a name in lower case.
private enum HostName {
    case address(IPAddress)
    case name(String)

    /// - Parameter authority: `host`, `host:port`, `[v6]` or `[v6]:port`.
    init?(authority: String) {
        var host = Substring(authority)
        if host.hasPrefix("[") {
            guard let end = host.lastIndex(of: "]") else { return nil }
            guard Self.isPort(host[host.index(after: end)...]) else { return nil }
            host = host[...end]
        } else if let colon = host.firstIndex(of: ":") {
            guard Self.isPort(host[colon...]) else { return nil }
            host = host[..<colon]
        }
        self.init(bare: String(host))
    }

    /// - Parameter bare: a host without a port; brackets around an IPv6 address may be left out.
    init?(bare text: String) {
        let inner = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : nil
        if let address = IPAddress(inner ?? text) {
            self = .address(address)
            return
        }
        guard inner == nil else { return nil }
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        guard !name.isEmpty, name.utf8.count <= 253, name.utf8.allSatisfy(Self.isNameByte), name.first != "." else {
            return nil
        }
        self = .name(name.lowercased())
    }

    /// Whether the text is empty, or a colon and digits.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty
            || text.first == ":" && text.utf8.count <= 6 && text.utf8.dropFirst().allSatisfy { (48...57).contains($0) }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
