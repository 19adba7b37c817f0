import StreamCore
import Testing

@testable import Outbox

/// A table, its writers, and the cursor that reads it. Each call of ``step()`` runs one random step of one of them.
struct Interleaving {
    private struct Writer {
        let key: Int
        var ids: [Int64] = []
        let name: String
        /// Whether the transaction has an id, so that the server can tell that it is in progress.
        let isNumbered: Bool
    }

    /// The distance between two ids. With a large distance, the gaps are too wide for a page's statement.
    private let stride: Int64
    private var random: SplitMix64
    private var cursor = ScanCursor()
    private var table = ScanTable()
    private var running: [Writer] = []
    /// Transactions that have ended for new snapshots but still hold their locks.
    private var ending: Set<String> = []
    private var nextID: Int64 = 1
    private var names = 0

    /// The ids of each key's rows, in commit order.
    private(set) var committed: [Int: [Int64]] = [:]
    /// The ids of all rows, in the order of sending.
    private(set) var sent: [Int64] = []
    /// Number of gap slices that were read.
    private(set) var slices = 0

    init(seed: UInt64, stride: Int64) {
        self.stride = stride
        random = SplitMix64(seed: seed)
    }

    mutating func step() {
        switch Int.random(in: 0..<8, using: &random) {
        case 0...3: write()
        case 4: cursor.lockHolders(holders)
        case 5: sweep(limit: Int.random(in: 1...6, using: &random))
        default: read(limit: Int.random(in: 1...6, using: &random))
        }
    }

    /// Commits all running transactions and reads all rows.
    mutating func finish() {
        while !running.isEmpty { end(commits: true) }
        ending = []
        for page in 0..<400 {
            if page.isMultiple(of: 50) { cursor.lockHolders(holders) }
            read(limit: 6)
        }
    }

    private var holders: LockHolders {
        LockHolders(
            running: ending.union(running.map(\.name)), numbered: Set(running.filter(\.isNumbered).map(\.name)))
    }

    private mutating func write() {
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: begin()
        case 2, 3: draw()
        case 4: end(commits: Int.random(in: 0..<5, using: &random) > 0)
        default: if let name = ending.sorted().randomElement(using: &random) { ending.remove(name) }
        }
    }

    /// The transactions of one key never overlap.
    private mutating func begin() {
        let key = Int.random(in: 0..<8, using: &random)
        guard !running.contains(where: { $0.key == key }) else { return }
        names += 1
        let isNumbered = Int.random(in: 0..<8, using: &random) > 0
        running.append(Writer(key: key, name: "1/\(names)", isNumbered: isNumbered))
    }

    /// One transaction draws an id for a new row. Others may draw ids between two rows of one transaction.
    private mutating func draw() {
        guard let index = running.indices.randomElement(using: &random) else { return }
        running[index].ids.append(nextID)
        nextID += stride
    }

    private mutating func end(commits: Bool) {
        guard let index = running.indices.randomElement(using: &random) else { return }
        let writer = running.remove(at: index)
        if Bool.random(using: &random) { ending.insert(writer.name) }
        guard commits else { return }
        table.visible.formUnion(writer.ids)
        committed[writer.key, default: []] += writer.ids
    }

    private mutating func read(limit: Int) {
        let request = cursor.nextRequest(limit: limit)
        send(request)
    }

    private mutating func sweep(limit: Int) {
        cursor.startSweep()
        guard let request = cursor.nextBackgroundRequest(limit: limit) else { return }
        send(request)
        _ = cursor.finish(request)
    }

    /// Reads the gaps before the page's rows are sent, as a relay does.
    private mutating func send(_ request: ScanCursor.Request) {
        let ids = take(table.page(request), of: request)
        if cursor.needsLook(before: request, isEmpty: ids.isEmpty) {
            writeMaybe()
            cursor.lockHolders(holders)
            writeMaybe()
            cursor.beginLook(before: request)
            while let look = cursor.nextLook(limit: request.limit) {
                slices += 1
                let late = table.page(look)
                writeMaybe()
                if !late.isEmpty {
                    cursor.lockHolders(holders)
                    ending = []
                    cursor.lockHolders(holders)
                    if cursor.isLookOutdated {
                        cursor.beginLook(before: request)
                        continue
                    }
                }
                sent += take(late, of: look)
            }
        }
        sent += ids
    }

    private mutating func writeMaybe() {
        if Bool.random(using: &random) { write() }
    }

    /// Every row that is read is sent and removed.
    private mutating func take(_ ids: [Int64], of request: ScanCursor.Request) -> [Int64] {
        #expect(outcome(cursor.take(ids, isFull: ids.count == request.limit, of: request)))
        table.visible.subtract(ids)
        return ids
    }
}
