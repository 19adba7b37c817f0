import Foundation
import Glibc
import Logging
import Operations
import Synchronization
import TestKit
import Testing

/// A socket such as systemd's.
private final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32

    init(abstract: Bool = false) throws {
        let name = "millrace-notify-" + UUID().uuidString
        path = abstract ? "@" + name : NSTemporaryDirectory() + name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if abstract { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (abstract ? 0 : 1))
        // SAFETY: the address lives through the call.
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        try #require(descriptor >= 0 && bound == 0, "errno \(errno)")
    }

    deinit {
        close(descriptor)
        if path.hasPrefix("/") { unsafe unlink(path) }
    }

    /// The next message; waits for it.
    func next() async throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var count = -1
        try await eventually {
            count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count >= 0
        }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

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
        notifier.stopping()
        #expect(try await socket.next() == "STOPPING=1")
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
        #expect(SystemdNotifier(environment: environment).watchdogInterval == nil, "meant for another process")
    }

    /// Fed while the loops move; not fed while one stands still, although the service itself runs.
    @Test func theWatchdogIsFedByProgressOnly() async throws {
        let socket = try NotifySocket()
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "2000"])
        // Every look at the health is a look at this clock.
        let looks = Atomic<Int64>(0)
        let health = HealthRegistry { .seconds(looks.wrappingAdd(1, ordering: .relaxed).newValue) }
        let loop = health.watch(.loop, "loop", limit: .zero)
        let service = WatchdogService(health: health, notifier: notifier, logger: Logger(label: "test"))
        func severalLooks() async throws {
            let target = looks.load(ordering: .relaxed) + 5
            try await eventually { looks.load(ordering: .relaxed) >= target }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            #expect(try await socket.next() == "WATCHDOG=1")
            loop.turned(to: .working)
            try await severalLooks()
            notifier.status("stalled")
            while try await socket.next() != "STATUS=stalled" {}
            try await severalLooks()
            notifier.status("still stalled")
            #expect(try await socket.next() == "STATUS=still stalled", "nothing may be sent in between")
            loop.progressed()
            loop.turned(to: .idle)
            #expect(try await socket.next() == "WATCHDOG=1")
            group.cancelAll()
        }
    }
}
