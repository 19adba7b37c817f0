import Foundation
import Glibc
import Logging
import Operations
import Synchronization
import TestKit
import Testing

@Suite struct SystemdNotifierTests {
    @Test(arguments: [false, true])
    func messagesArriveWhole(abstract: Bool) async throws {
        let socket = try NotifySocket(abstract: abstract)
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": socket.path])
        notifier.ready()
        #expect(try await socket.next() == "READY=1")
        notifier.status("two\nlines")
        #expect(try await socket.next() == "STATUS=two lines")
        notifier.alive()
        #expect(try await socket.next() == "WATCHDOG=1")
        notifier.stopping(within: .milliseconds(1_500))
        #expect(try await socket.next() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000")
    }

    @Test(arguments: [
        [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "/no/such/socket"],
        ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)],
    ])
    func nobodyListens(_ environment: [String: String]) {
        let notifier = SystemdNotifier(environment: environment)
        notifier.ready()
        #expect(notifier.watchdogInterval == nil)
    }

    @Test func theWatchdogsInterval() {
        var environment = ["NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000"]
        #expect(SystemdNotifier(environment: environment).watchdogInterval == .seconds(30))
        environment["WATCHDOG_PID"] = String(getpid())
        #expect(SystemdNotifier(environment: environment).watchdogInterval == .seconds(30))
        environment["WATCHDOG_PID"] = String(getpid() + 1)
        #expect(SystemdNotifier(environment: environment).watchdogInterval == nil, "it is for another process")
    }

    /// The service notifies the watchdog while the loops make progress. It does not while one loop stands still,
    /// although the service itself runs.
    @Test func theWatchdogIsFedByProgressOnly() async throws {
        let socket = try NotifySocket()
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "2000"])
        // Each look at the health reads this clock once.
        let looks = Atomic<Int64>(0)
        let health = HealthRegistry { .seconds(looks.wrappingAdd(1, ordering: .relaxed).newValue) }
        let loop = health.watch(.loop, "loop", limit: .zero)
        let service = WatchdogService(health: health, notifier: notifier, logger: Logger(label: "test"))
        func severalLooks(_ between: () -> Void = {}) async throws {
            let target = looks.load(ordering: .relaxed) + 5
            try await eventually {
                between()
                return looks.load(ordering: .relaxed) >= target
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            #expect(try await socket.nextButStatus() == "WATCHDOG=1")
            loop.turned(to: .working)
            // Meanwhile the socket is drained. A socket that holds ten messages blocks its senders.
            try await severalLooks { socket.discardAll() }
            socket.discardAll()
            notifier.ready()
            while try await socket.nextButStatus() != "READY=1" {}
            try await severalLooks()
            notifier.ready()
            #expect(try await socket.nextButStatus() == "READY=1", "no watchdog notification may be sent in between")
            loop.progressed()
            loop.turned(to: .idle)
            #expect(try await socket.nextButStatus() == "WATCHDOG=1")
            group.cancelAll()
        }
    }
}
