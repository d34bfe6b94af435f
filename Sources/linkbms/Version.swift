/// The version of the tool, as `--version` and recordings name it.
enum Version {
  static let text = "0.1.0"
}
