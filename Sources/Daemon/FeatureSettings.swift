public import Settings

/// The settings of what a daemon is for; declares one section and those within it.
public protocol FeatureSettings: Sendable {
    init(from reader: SettingsReader)

    /// The keys, `section.key`, of those that take effect at SIGHUP, without a restart. None if not said otherwise.
    static var reloadableKeys: [String] { get }
    /// Takes over the values of ``reloadableKeys``: for all who use them from these settings, see `Live`.
    func adopt(_ reloaded: Self)
}

extension FeatureSettings {
    public static var reloadableKeys: [String] { [] }

    public func adopt(_ reloaded: Self) {}
}
