import StreamCore
import Testing

@testable import Outbox

/// A table, those who write into it and the cursor that reads it, each a step at a time in an order by chance.
struct Interleaving {
    private struct Writer {
        let key: Int
        var ids: [Int64] = []
        let name: String
        /// The server can tell that it is in progress.
        let isNumbered: Bool
    }

    /// From one id to the next. Where it is large, the gaps are too wide for a page's statement.
    private let stride: Int64
    private var random: SplitMix64
    private var cursor = ScanCursor()
    private var table = ScanTable()
    private var running: [Writer] = []
    /// They have ended for new snapshots, and hold their locks still.
    private var ending: Set<String> = []
    private var nextID: Int64 = 1
    private var names = 0

    /// The ids of each key's rows, in the order in which its transactions committed.
    private(set) var committed: [Int: [Int64]] = [:]
    /// The ids of all rows, in the order in which they were sent.
    private(set) var sent: [Int64] = []
    /// How many slices of gaps were looked into.
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

    /// All that are running commit, and all is read.
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

    /// The transactions of one key follow each other.
    private mutating func begin() {
        let key = Int.random(in: 0..<8, using: &random)
        guard !running.contains(where: { $0.key == key }) else { return }
        names += 1
        let isNumbered = Int.random(in: 0..<8, using: &random) > 0
        running.append(Writer(key: key, name: "1/\(names)", isNumbered: isNumbered))
    }

    /// A transaction writes one more row: others may write between two of one.
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

    /// As a relay does it.
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

    /// What is read is sent and removed.
    private mutating func take(_ ids: [Int64], of request: ScanCursor.Request) -> [Int64] {
        #expect(outcome(cursor.take(ids, isFull: ids.count == request.limit, of: request)))
        table.visible.subtract(ids)
        return ids
    }
}
