import Bus
import Formats
import Testing

@testable import Analysis

@Suite struct FilterTests {
  static let table: DecodeTable = {
    let definition = Shipped.library.definition("pylontech-hv")
    return DecodeTable(definition?.plan(variant: definition?.variant("pylon-std")) ?? PlanCompiler().finish())
  }()

  /// 246.9 V, 0.0 A, 18.1 °C, 46 %, 100 %; then highest cell 3.295 V; then an alarm.
  static let frames = ["00004211#A50930759D042E64", "00004231#DF0CDA0C03000600", "00004251#0200000001000000", "00001234#01"]

  /// Which of the frames pass.
  static func passing(_ text: String) throws -> [Int] {
    var filter = CompiledFilter(try FilterExpression.parse(text), table: table, busName: "can0")
    return frames.indices.filter { index in
      guard let frame = FrameText.parse(frames[index]) else { return false }
      return filter.matches(
        CANRecord(time: Timestamp(nanoseconds: 0), direction: .received, frame: frame), slot: table.slot(of: frame) ?? -1)
    }
  }

  @Test(arguments: [
    ("PackVoltage > 246.8", [0]), ("PackVoltage > 246.9", []), ("PackVoltage >= 246.9", [0]),
    ("PackVoltage = 246.9 and Soc < 50", [0]),
    ("PackVoltage > 200 and CellVoltageMax > 3", [1]), ("PackVoltage > 200 or CellVoltageMax > 3", [0, 1]),
    ("not PackVoltage > 300", [0]),
    ("message = 'Totals'", [0]), ("message = \"Status\" or id = 0x1234", [2, 3]), ("BasicStatus = 'discharge'", [2]),
    ("BasicStatus = 2", [2]),
    ("any alarm", [2]), ("any fault", []), ("flag", [2]), ("bus = 'can0' and length < 8", [3]), ("byte[0] = 1", [3]),
    ("byte[0] = 0xA5", [0]),
    ("sender = 'battery'", [0, 1, 2]), ("dir = 'tx'", []), ("address = 1", [0, 1, 2]), ("PackVoltage / 2 + 1 > 124", [0]),
    ("(Soc > 40 and Soc < 50) or Soc = 99", [0]), ("extended", [0, 1, 2, 3]), ("protocol = 'pylontech-hv' and not flag", [0, 1]),
    ("Soc - 46 = 0", [0]), ("PackCurrent > -1", [0]),
  ])
  func eachExpressionSelectsItsFrames(text: String, frames: [Int]) throws { #expect(try Self.passing(text) == frames) }

  @Test(arguments: [
    ("", 1), ("PackVoltage >", 14), ("PackVoltage > (1", 17), ("and", 1), ("1 2", 3), ("byte[64] = 1", 6), ("any thing", 5),
    ("'open", 1),
    ("a = 1 $", 7), ("1..2", 1), (String(repeating: "(", count: 200), 65),
  ])
  func mistakesAreFoundWithTheirColumn(text: String, column: Int) {
    do throws(FilterExpression.Mistake) {
      let expression = try FilterExpression.parse(text)
      Issue.record("\(text) was read as \(expression)")
    } catch {
      #expect(error.column == column, "\(text): \(error)")
    }
  }

  @Test func unknownNamesGetAHint() throws {
    let mistakes = CompiledFilter.unknownNames(try FilterExpression.parse("PackVoltge > 1 and message = 'x'"), [Self.table])
    #expect(mistakes.map(\.column) == [1] && mistakes[0].expected.contains("PackVoltage"))
  }

  @Test(arguments: [
    (["351:7FF"], "351#00", true), (["351:7FF"], "352#00", false), (["351~7FF"], "352#00", true), (["351~7FF"], "351#00", false),
    (["4200:1FFFFFF0"], "00004201#00", true), (["4200:1FFFFFF0"], "00004211#00", false), (["351"], "351#00", true),
    (["351"], "00000351#00", false),
    (["00000351"], "00000351#00", true), (["351:7FF", "355:7FF"], "355#00", true), (["350:7F0", "351~7FF", "j"], "351#00", false),
    (["350:7F0", "351~7FF", "j"], "352#00", true), (["#FFFFFFFF"], "351#00", false),
  ])
  func candumpsWordsMeanWhatTheyMeanThere(words: [String], frame: String, passes: Bool) throws {
    let parsed = try #require(FrameText.parse(frame))
    #expect(try IDFilter(words).takes(parsed) == passes)
  }

  @Test func errorFramesPassByTheirClass() throws {
    var frame = CANFrame(id: .standard(0), length: 8, head: 0)
    frame.flags = .error
    frame.id = ArbitrationID(rawValue: 0x20)
    #expect(try IDFilter(["#20"]).takes(frame))
    #expect(try !IDFilter(["#40"]).takes(frame))
    #expect(throws: IDFilter.Mistake.self) { try IDFilter(["x:y"]) }
  }
}
