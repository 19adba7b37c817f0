internal import Daemon
internal import Dashboard
internal import Settings

/// `[dashboard]`: how long the small buckets are kept.
struct DashboardSettings: FeatureSettings {
    var retention: DashboardRetention

    init(from reader: SettingsReader) {
        let section = reader.section("dashboard", "How long the dashboard's small buckets are kept.")
        let defaults = DashboardRetention()
        var retention = defaults
        retention.minutesKeptHours = section.integer(
            "minutes_kept_hours", default: defaults.minutesKeptHours, in: 1...87_600,
            """
            Numbers by the minute are kept for so many hours. Each event counts in its hour and its day as well, so \
            dropping them changes no total.
            """)
        retention.hoursKeptDays = section.integer(
            "hours_kept_days", default: defaults.hoursKeptDays, in: 1...36_500,
            "Numbers by the hour are kept for so many days. Numbers by the day are kept for ever.")
        retention.intervalS = section.integer(
            "prune_interval_s", default: defaults.intervalS, in: 1...86_400,
            "The time between two passes that drop what is older.")
        section.reject(retention.validate())
        self.retention = retention
    }
}
