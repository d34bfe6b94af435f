/// Chains and records of the controller.
enum WiresharkChain {
  static let tables = ""
  static let code = ""
}
