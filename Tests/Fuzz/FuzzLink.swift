// Frames by chance, of every protocol that is shipped, past everything that follows a link: both sessions, the rules, the comparison and
// the inference of states. `FUZZ_DISSECTORS` names the folder.
import Glibc

enum FuzzLink {
  static let library = DefinitionLibrary(files: files)
  static let links: [CompiledLink] = library.definitions.flatMap { definition in
    definition.sidecar.variants.map { definition.link(variant: $0.name) }
  }
  static let book = RuleBook.parse(files.first { $0.path == "rules.yaml" }?.text ?? "", path: "rules.yaml").book

  /// The definitions' files, two folders deep.
  private static let files: [(path: String, text: String)] = {
    let root = getenv("FUZZ_DISSECTORS").map { String(cString: $0) } ?? "Dissectors"
    var found: [(path: String, text: String)] = []
    for folder in [""] + names(root).filter({ !$0.contains(".") }).map({ $0 + "/" }) {
      for name in names(root + "/" + folder) where name.hasSuffix(".yaml") || name.hasSuffix(".dbc") {
        found.append((folder + name, text(root + "/" + folder + name)))
      }
    }
    return found.sorted { $0.path < $1.path }
  }()

  private static func names(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var list: [String] = []
    while let entry = readdir(stream) {
      list.append(
        withUnsafePointer(to: &entry.pointee.d_name) { String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)) })
    }
    return list
  }

  private static func text(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The first byte chooses the variant; then eleven bytes a frame: which ID, how much later, length, payload.
  static func run(_ input: UnsafeRawBufferPointer) {
    guard input.count > 12, !links.isEmpty else { return }
    let link = links[Int(input[0]) % links.count]
    let slots = link.dissection.plan.slots
    guard !slots.isEmpty else { return }
    var verdict = BusIdentification(bus: "can0")
    verdict.protocolName = link.definition.protocolName
    verdict.variant = link.variant
    verdict.sides = [.battery, .inverter]
    var conformance = ConformanceRun(library, book, SiteFacts(), verdicts: [verdict], keepsSeries: true)
    var profile = TraceProfile(library, verdict)
    var inference = StateInference(link, bus: "can0")
    conformance.busAppeared(BusID(0), named: "can0")
    profile.busAppeared(BusID(0), named: "can0")
    inference.busAppeared(BusID(0), named: "can0")
    var sessions = [link.session(.battery), link.session(.inverter)].compactMap { $0 }
    var time: Int64 = 0
    var place = 1
    while place + 11 <= input.count {
      let slot = slots[Int(input[place]) % slots.count]
      let step = input[place + 1]
      // Most frames follow within a second; some an hour later, or out of order.
      time &+= step > 250 ? 3_600_000_000 : step > 245 ? -1_000_000 : Int64(step) * 4_000
      var frame = CANFrame(id: slot.id, length: input[place + 2] % 9, head: 0)
      for byte in 0..<Int(frame.length) { frame.setByte(byte, input[place + 3 + byte]) }
      if input[place + 2] > 250 { frame.flags = .error }
      let record = CANRecord(time: Timestamp(nanoseconds: time &* 1000), frame: frame)
      conformance.receive(record)
      profile.receive(record)
      inference.receive(record)
      for index in sessions.indices {
        sessions[index].receive(frame, now_us: time)
        var said = 0
        while said < 64, case .send = sessions[index].next(now_us: time, values: sessions[index].heard) { said += 1 }
      }
      place += 11
    }
    _ = TraceComparison(profile, profile)
    _ = conformance.diagnose()
  }
}
