import NIOCore
import NIOHTTPTypes

/// Cuts off who sends a request drop by drop, or does not take the answer: a connection may not be held for nothing.
final class SlowClientHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// From a request's first header to its last byte.
  private let requestTime: TimeAmount
  /// From a write until the system has taken it.
  private let writeTime: TimeAmount
  private var request: Scheduled<Void>?
  private var write: Scheduled<Void>?
  private var pendingWrites = 0
  private var takenWrites: UInt64 = 0

  init(requestTime: TimeAmount, writeTime: TimeAmount) {
    self.requestTime = requestTime
    self.writeTime = writeTime
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head:
      request?.cancel()
      request = context.eventLoop.assumeIsolated().scheduleTask(in: requestTime) { context.close(promise: nil) }
    case .body: break
    case .end:
      request?.cancel()
      request = nil
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let done = promise ?? context.eventLoop.makePromise(of: Void.self)
    pendingWrites += 1
    done.futureResult.assumeIsolated().whenComplete { _ in
      self.pendingWrites -= 1
      self.takenWrites &+= 1
    }
    context.write(data, promise: done)
    watch(context)
  }

  private func watch(_ context: ChannelHandlerContext) {
    guard write == nil else { return }
    let before = takenWrites
    write = context.eventLoop.assumeIsolated().scheduleTask(in: writeTime) {
      self.write = nil
      guard self.pendingWrites > 0 else { return }
      if self.takenWrites == before { context.close(promise: nil) } else { self.watch(context) }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    stop()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { stop() }

  private func stop() {
    request?.cancel()
    write?.cancel()
    request = nil
    write = nil
  }
}
