import Foundation
import Synchronization
import Testing

@testable import Gateway

// Among the server's tests, one after the other: each blocks a thread of the pool that the server's own tasks need.
extension ServerTests {
  /// What fails beside the pages is told to somebody.
  @Suite struct ProblemTests {
    /// Something that has a problem, or none.
    private final class Thing: Sendable {
      private let text = Mutex<String?>(nil)
      var problem: String? {
        get { text.withLock { $0 } }
        set { text.withLock { $0 = newValue } }
      }
    }

    @Test func eachChangeIsToldOnce() {
      let (one, other) = (Thing(), Thing())
      let watch = ProblemWatch([ProblemWatch.Source("history") { one.problem }, ProblemWatch.Source("MQTT") { other.problem }])
      defer { watch.stop() }
      func news() -> [String] {
        watch.lookNow()
        // Who takes them never waits: the watch's own look may be in the way.
        var lines: [String] = []
        for _ in 0..<30 {
          lines += watch.takeNews()
          usleep(1000)
        }
        return lines
      }
      #expect(news() == [])
      one.problem = "the disk is full"
      #expect(news() == ["history: the disk is full"])
      other.problem = "1 messages were lost"
      #expect(news() == ["MQTT: 1 messages were lost"])
      // One more is no news.
      other.problem = "2 messages were lost"
      #expect(news() == [])
      one.problem = "the disk is gone"
      #expect(news() == ["history: the disk is gone"])
      one.problem = nil
      other.problem = nil
      #expect(news() == ["history: all is well again", "MQTT: all is well again"])
      #expect(news() == [])
    }

    @Test func whatTheHistoryCannotKeepIsShownAndTold() async throws {
      var rig = Rig.running()
      let store = GateStore()
      store.open()
      store.fill(true)
      let keeper = HistoryKeeper(hub: rig.hub, store: store)
      defer { keeper.stop() }
      let site = Site(hub: rig.hub, passwords: try PasswordFile(path: nil), history: store, keeper: keeper)
      let server = try GatewayServer(site, on: GatewayAddress(host: "127.0.0.1", port: 0))
      defer { server.stop() }
      server.tell(ProblemWatch([ProblemWatch.Source("history") { keeper.problem }]))
      func page() async -> String { await site.respond(PageRequest(path: "/history")).text }
      #expect(!(await page().contains("could not be kept")))
      let isTroubled = await comesTrue {
        rig.run(seconds: 60)
        keeper.look(at: .now)
        return keeper.problem == "the disk is full"
      }
      #expect(isTroubled)
      #expect(await page().contains("could not be kept yet: the disk is full"))
      var news: [String] = []
      _ = await comesTrue {
        news += server.takeNews()
        return !news.isEmpty
      }
      #expect(news == ["history: the disk is full"])

      store.fill(false)
      let isOver = await comesTrue {
        rig.run(seconds: 60)
        keeper.look(at: .now)
        return keeper.problem == nil
      }
      #expect(isOver)
      #expect(!(await page().contains("could not be kept")))
      news = []
      _ = await comesTrue {
        news += server.takeNews()
        return !news.isEmpty
      }
      #expect(news == ["history: all is well again"])
    }
  }
}
