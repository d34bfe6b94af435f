import Analysis
import Bus
import Formats

/// `chain --live`: what master and slaves say to each other behind a tap, and what is wrong as soon as it shows. It never sends.
final class ChainJob: LiveJob {
  let context: JobContext
  private var conversation: ChainConversation
  private let showsAll: Bool
  private let style: TextStyle
  private var number: UInt64 = 0
  /// Findings that were shown.
  private var told = 0

  /// - Parameter showsAll: requests and answers, too, and not only what is wrong.
  init(_ context: JobContext, _ conversation: ChainConversation, showsAll: Bool, style: TextStyle) {
    self.context = context
    self.conversation = conversation
    self.showsAll = showsAll
    self.style = style
  }

  /// Taps speak in lines; no bus is open.
  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {}

  func wake(_ now: LiveTime) {
    for content in context.takeFromTaps() {
      switch content {
      case .record(let record):
        number &+= 1
        conversation.take(record, number: number)
      case .strange(let line): context.noteStrange(line)
      case .remark, .dropped: break
      }
    }
    show()
  }

  func finish(_ now: LiveTime) {
    conversation.finish()
    show()
    guard conversation.frames > 0 else { return context.fail("\(context.buses): heard no frame of a chain") }
    let odd = conversation.findings.isEmpty ? "nothing odd" : "\(conversation.findings.count) findings"
    context.output.note("linkbms: \(context.buses): \(conversation.frames) frames, \(odd)")
  }

  private func show() {
    for transaction in conversation.takeTransactions() where showsAll { context.output.print(transaction.text) }
    for finding in conversation.findings.dropFirst(told) {
      context.output.print(finding.line(style))
      context.status = max(context.status, .findings)
    }
    told = conversation.findings.count
  }
}
