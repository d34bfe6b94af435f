@main struct Main {
  static func main() { print(embeddedDissectors.count) }
}
