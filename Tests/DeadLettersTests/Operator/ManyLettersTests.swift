import DeadLetters
import Foundation
import Postgres
import TestKit
import Testing

/// It takes minutes to create a million open letters, so this suite only runs with MILLRACE_MANY_LETTERS in the
/// environment.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["MILLRACE_MANY_LETTERS"] != nil))
struct ManyLettersTests {
    @Test func questionsAreAnsweredWithinTheirTimeOverAMillionLetters() async throws {
        try await LetterScene.run { scene in
            for round in 0..<10 {
                try await scene.add(100_000, consumer: round < 9 ? "order-summary" : "dashboard", keys: 5_000)
            }
            // A key that blocks many letters.
            try await scene.add(50_000, keys: 1)
            try await scene.connection.execute("VACUUM ANALYZE dead_letters")
            try await scene.connection.execute("VACUUM ANALYZE dead_letter_groups")

            var filters: [(String, DeadLetterStore.Filter)] = []
            func filter(_ name: String, _ set: (inout DeadLetterStore.Filter) -> Void) {
                var filter = DeadLetterStore.Filter()
                filter.states = DeadLetterStore.State.open
                set(&filter)
                filters.append((name, filter))
            }
            filter("all open") { _ in }
            filter("resolved, none") { $0.states = [.resolved] }
            filter("consumer") { $0.consumer = "dashboard" }
            filter("class") { $0.errorClass = "class_4" }
            filter("fingerprint") { $0.fingerprint = "0000000000000003" }
            filter("unknown consumer") { $0.consumer = "nobody" }
            filter("key") { $0.key = Array("order-4711".utf8) }
            filter("key of very many") { $0.key = Array("order-0".utf8) }
            filter("unknown key") { $0.key = Array("nobody".utf8) }
            filter("old") { $0.olderThan = .seconds(3_600) }
            filter("new") { $0.newerThan = .seconds(3_600) }
            let clock = ContinuousClock()
            for (name, filter) in filters {
                for before in [nil, 500_000] as [Int64?] {
                    let took = try await clock.measure { _ = try await scene.store.list(filter, before: before) }
                    print("list \(name), before \(before.map(String.init) ?? "-"): \(took)")
                    #expect(took < .milliseconds(200), "list \(name)")
                }
            }
            let groups = try await clock.measure { _ = try await scene.store.groups() }
            print("groups: \(groups)")
            #expect(groups < .milliseconds(200))
            for letter in [1, 777_777, 1_030_000] as [Int64] {
                let show = try await clock.measure { _ = try await scene.store.show(letter) }
                print("show \(letter): \(show)")
                #expect(show < .milliseconds(200))
            }
            let name = try #require(DeadLetterStore.GroupName("order-summary/class_2/0000000000000007"))
            let preview = try await clock.measure { _ = try await scene.store.preview(.retry, .group(name)) }
            print("dry run of a group: \(preview)")
            var outcome = DeadLetterStore.Outcome()
            let retry = try await clock.measure {
                outcome = try await scene.store.change(.retry, .group(name), by: LetterScene.audit)
            }
            print("retry of \(outcome.changed) letters: \(retry)")
            var read = 0
            let export = try await clock.measure {
                try await scene.store.export(.group(name)) { read += $0.count }
            }
            print("export of \(read) letters: \(export)")
        }
    }
}
