internal import Glibc

/// The skew of real activity: the customer of rank k orders in proportion to 1 / k^exponent.
struct ZipfDistribution: Sendable {
    /// At each rank, the probability of that rank or a smaller one.
    private let cumulative: [Double]

    /// - Parameters:
    ///   - count: how many ranks there are; at least 1.
    ///   - exponent: 0 is uniform; 1 is Zipf's law.
    init(count: Int, exponent: Double) {
        precondition(count >= 1, "a distribution needs a rank")
        var sums: [Double] = []
        sums.reserveCapacity(count)
        var sum = 0.0
        for rank in 1...count {
            sum += pow(Double(rank), -exponent)
            sums.append(sum)
        }
        cumulative = sums.map { $0 / sum }
    }

    /// A rank from 0 up to but not including the count; 0 is the most active.
    func sample(using random: inout SeededGenerator) -> Int {
        let point = random.unit()
        var (low, high) = (0, cumulative.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if cumulative[middle] > point { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
