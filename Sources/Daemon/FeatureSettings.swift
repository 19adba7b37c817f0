public import Settings

/// The settings of a daemon's own part. It declares one section and the sections within it.
public protocol FeatureSettings: Sendable {
    init(from reader: SettingsReader)

    /// The keys (`section.key`) of the settings that take effect at SIGHUP without a restart. Empty by default.
    static var reloadableKeys: [String] { get }
    /// Adopts the values of ``reloadableKeys`` for all code that uses these settings; see `Live`.
    func adopt(_ reloaded: Self)
}

extension FeatureSettings {
    public static var reloadableKeys: [String] { [] }

    public func adopt(_ reloaded: Self) {}
}
