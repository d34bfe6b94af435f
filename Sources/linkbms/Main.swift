import Glibc
import HostIO

@main struct Main {
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    // Answered before anything is set up: scripts ask for it again and again.
    if arguments == ["--version"] {
      var world = ProcessWorld()
      try? world.print("linkbms \(Version.text)")
      try? world.flush()
      exit(0)
    }
    Signals.install(onSecondStop: .endsProcess)
    var world = ProcessWorld()
    let status = CommandRunner.run(arguments, of: LinkBMS.self, in: &world)
    exit(Signals.stopRequest.map { 128 + $0 } ?? status)
  }
}
