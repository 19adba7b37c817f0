import Events
import Orders
import StreamCore

/// A second, independent implementation of the rules of orders, with whole cents and dictionaries. If several rules
/// refuse a step, it names the first of them.
struct OrderModel {
    var isThere = false
    var cents: [String: Int] = [:]
    var pieces: [String: Int] = [:]
    var status = "created"
    var shipped = false

    var total: Int { cents.reduce(0) { $0 + $1.value * pieces[$1.key, default: 0] } }

    enum Step: CustomStringConvertible {
        case create(lines: [(product: String, pieces: Int, cents: Int)], known: Bool)
        case put(product: String, pieces: Int, cents: Int, euro: Bool)
        case remove(product: String)
        case confirm(limit: Int?, owed: Int)
        case cancel
        case ship

        var description: String {
            switch self {
            case .create(let lines, let known): "create \(lines) known \(known)"
            case .put(let product, let pieces, let cents, let euro): "put \(product) \(pieces) × \(cents) \(euro)"
            case .remove(let product): "remove \(product)"
            case .confirm(let limit, let owed): "confirm limit \(String(describing: limit)) owed \(owed)"
            case .cancel: "cancel"
            case .ship: "ship"
            }
        }
    }

    /// - Returns: the name of the rule that refuses the step; nil if it is carried out.
    mutating func play(_ step: Step) -> String? {
        switch step {
        case .create(let lines, let known):
            if isThere { return "order-exists" }
            if lines.isEmpty { return "no-items" }
            var seen: [String] = []
            for line in lines {
                if seen.contains(line.product) { return "duplicate-product" }
                seen.append(line.product)
                if line.pieces <= 0 { return "invalid-quantity" }
                if line.cents < 0 { return "invalid-price" }
            }
            if !known { return "unknown-customer" }
            isThere = true
            for line in lines { (cents[line.product], pieces[line.product]) = (line.cents, line.pieces) }
        case .put(let product, let number, let price, let euro):
            if let problem = changeProblem { return problem }
            if !euro { return "currency-mismatch" }
            if number <= 0 { return "invalid-quantity" }
            if price < 0 { return "invalid-price" }
            (cents[product], pieces[product]) = (price, number)
        case .remove(let product):
            if let problem = changeProblem { return problem }
            if pieces[product] == nil { return "unknown-item" }
            if pieces.count == 1 { return "last-item" }
            (cents[product], pieces[product]) = (nil, nil)
        case .confirm(let limit, let owed):
            if let problem = changeProblem { return problem }
            if total < 1_000 { return "total-below-minimum" }
            if let limit, owed + total > limit { return "credit-limit-exceeded" }
            status = "confirmed"
        case .cancel:
            if !isThere { return "unknown-order" }
            if status == "cancelled" { return "order-cancelled" }
            if shipped { return "order-shipped" }
            status = "cancelled"
        case .ship: shipped = isThere && status == "confirmed"
        }
        return nil
    }

    private var changeProblem: String? {
        if !isThere { return "unknown-order" }
        return status == "created" ? nil : "order-not-open"
    }

    /// A random step. Most of the steps are possible.
    static func step<G: RandomNumberGenerator>(isFirst: Bool, using random: inout G) -> Step {
        func line() -> (product: String, pieces: Int, cents: Int) {
            let cents = [0, 1, 99, 250, 1_000, 12_345, -1].randomElement(using: &random) ?? 0
            return ("p\(Int.random(in: 0..<4, using: &random))", Int.random(in: 0..<5, using: &random), cents)
        }
        switch Int.random(in: 0..<(isFirst ? 30 : 20), using: &random) {
        case 0, 20...:
            let lines = (0..<Int.random(in: 0..<4, using: &random)).map { _ in line() }
            return .create(lines: lines, known: Int.random(in: 0..<10, using: &random) > 0)
        case 1..<9:
            let (product, pieces, cents) = line()
            return .put(
                product: product, pieces: pieces, cents: cents, euro: Int.random(in: 0..<9, using: &random) > 0)
        case 9..<13: return .remove(product: "p\(Int.random(in: 0..<4, using: &random))")
        case 13..<16:
            let limit = Bool.random(using: &random) ? nil : Int.random(in: 0..<30_000, using: &random)
            return .confirm(limit: limit, owed: Int.random(in: 0..<2_000, using: &random))
        case 16, 17: return .cancel
        default: return .ship
        }
    }
}
