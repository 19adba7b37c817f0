internal import Glibc

/// A Zipf distribution, which has the skew of real activity: the probability of rank k is proportional to 1 /
/// k^exponent.
struct ZipfDistribution: Sendable {
    /// For each rank, the probability of this or a smaller rank.
    private let cumulative: [Double]

    /// - Parameters:
    ///   - count: the number of ranks, at least 1.
    ///   - exponent: 0 is uniform; 1 is Zipf's law.
    init(count: Int, exponent: Double) {
        precondition(count >= 1, "the number of ranks must be at least 1")
        var sums: [Double] = []
        sums.reserveCapacity(count)
        var sum = 0.0
        for rank in 1...count {
            sum += pow(Double(rank), -exponent)
            sums.append(sum)
        }
        cumulative = sums.map { $0 / sum }
    }

    /// Selects a rank in 0..<count. Rank 0 has the highest probability.
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
