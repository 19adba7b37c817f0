internal import CommandSupport
internal import OrderShop
internal import StreamCore
internal import Synchronization

/// A progress bar on a terminal. On other outputs it prints a line at intervals.
struct LoadProgress: Sendable {
    private let orders: Int?
    private let isShown: Bool
    private let start = ContinuousClock.now
    private var lastLine = ContinuousClock.now

    private static let barWidth = 30
    private static let lineInterval: Duration = .seconds(10)

    init(orders: Int?, isShown: Bool) {
        self.orders = orders
        self.isShown = isShown
    }

    mutating func show(_ totals: ShopLoad.Totals) {
        guard isShown else { return }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        if StandardError.isTerminal {
            StandardError.write("\r\u{1B}[K" + line(totals, seconds: seconds))
        } else if ContinuousClock.now - lastLine >= Self.lineInterval {
            lastLine = .now
            StandardError.write(line(totals, seconds: seconds) + "\n")
        }
    }

    func clear() {
        if isShown, StandardError.isTerminal { StandardError.write("\r\u{1B}[K") }
    }

    func line(_ totals: ShopLoad.Totals, seconds: Double) -> String {
        var text = ""
        if let orders {
            let done = min(Double(totals.finishedOrders) / Double(orders), 1)
            let filled = Int(done * Double(Self.barWidth))
            text += "[" + String(repeating: "#", count: filled)
            text += String(repeating: " ", count: Self.barWidth - filled) + "] \(Int(done * 100)) % "
        }
        return text + summary(totals, seconds: seconds)
    }

    func summary(_ totals: ShopLoad.Totals, seconds: Double) -> String {
        let rate = seconds > 0 ? Int((Double(totals.orders) / seconds).rounded()) : 0
        let refused = totals.refused == 0 ? "" : ", \(totals.refused) ended by a rule"
        return """
            \(totals.orders) orders (\(rate)/s), \(totals.finishedOrders) complete\(refused), \(totals.events) events \
            in \(totals.transactions) transactions, \(Int(seconds.rounded())) s
            """
    }
}

/// Prints a message at once, and repeats it rarely.
final class RareNotice: Sendable {
    private let lines = Mutex(RareLines(every: .seconds(30)))

    func say(_ text: String) {
        if lines.withLock({ $0.isDue("notice", .now) }) { StandardError.write("millrace: \(text)\n") }
    }
}
