internal import Daemon
internal import Dashboard
internal import Settings

/// `[dashboard]`: the retention of the small time buckets.
struct DashboardSettings: FeatureSettings {
    var retention: DashboardRetention

    init(from reader: SettingsReader) {
        let section = reader.section("dashboard", "How long the dashboard keeps counts of short intervals.")
        let defaults = DashboardRetention()
        var retention = defaults
        retention.minutesKeptHours = section.integer(
            "minutes_kept_hours", default: defaults.minutesKeptHours, in: 1...87_600,
            """
            How long the counts of each minute are kept. Each event also counts in its hour and its day, so no total \
            changes when they are deleted.
            """)
        retention.hoursKeptDays = section.integer(
            "hours_kept_days", default: defaults.hoursKeptDays, in: 1...36_500,
            "How long the counts of each hour are kept. The counts of each day are never deleted.")
        retention.intervalS = section.integer(
            "prune_interval_s", default: defaults.intervalS, in: 1...86_400,
            "Interval at which older counts are deleted.")
        section.reject(retention.validate())
        self.retention = retention
    }
}
