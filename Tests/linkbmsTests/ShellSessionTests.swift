import Foundation
import HostIO
import Testing

@testable import linkbms

/// A session that writes into files of a folder of its own.
private final class TestShell {
  let folder = NSTemporaryDirectory() + "linkbms-shell-" + UUID().uuidString
  let session: ShellSession

  init() throws {
    // As the program does: a reader that leaves must not end the test run.
    signal(SIGPIPE, SIG_IGN)
    try FileNames.makeFolder(folder)
    let world = ShellWorld(
      output: try ByteOutput(path: folder + "/out", appending: true),
      errors: try ByteOutput(path: folder + "/err", appending: true, buffering: .none),
      terminal: Terminal())
    session = ShellSession(world: world, names: NoNames())
    session.variables["dir"] = folder
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func read(_ name: String) -> String { (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)) ?? "" }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
  }

  /// Runs a script; what it printed, what it said, how it ended.
  func run(_ script: String) throws -> (output: String, errors: String, outcome: ShellSession.Outcome) {
    let outcome = try session.run(script: .text(script))
    try session.world.flush()
    return (read("out"), read("err"), outcome)
  }
}

@Suite struct ShellSessionTests {
  @Test(
    arguments: [
      ("echo a b; echo c", "a b\nc\n"),
      ("version", "linkbms 0.1.0\n"),
      ("linkbms version", "linkbms 0.1.0\n"),
      ("vers", "linkbms 0.1.0\n"),
      ("let x one two; echo $x ${x}!", "one two one two!\n"),
      ("let x = 5; echo $x", "5\n"),
      ("alias e echo -n 'a  b'; e c", "-n a  b c\n"),
      ("alias echo echo loop; echo x", "loop x\n"),
      ("alias e echo; alias e; alias | grep -c '^e '", ""),
      ("echo '*' \\; 'a;b'", "* ; a;b\n"),
      ("echo --help -x", "--help -x\n"),
      ("set format json; set | grep format", ""),
      ("echo hidden > $dir/file; echo shown", "shown\n"),
      ("# nothing\n\n  \necho x # comment", "x\n"),
      ("?", nil), ("help", nil), ("help open", nil), ("open --help", nil), ("apropos capture", nil),
    ] as [(String, String?)])
  func runsLines(script: String, expected: String?) throws {
    let shell = try TestShell()
    let result = try shell.run(script)
    if let expected { #expect(result.output == expected) } else { #expect(result.output.count > 20) }
    #expect(result.errors.isEmpty)
    #expect(result.outcome == .goesOn(0))
  }

  @Test(
    arguments: [
      ("echo a; nonsense; echo b", "a\n", "linkbms: -c:1: there is no command 'nonsense'; 'help' lists them\n", 2),
      ("echo a\nech 'x\necho b", "a\n", "linkbms: -c:2: the ' in column 5 is not closed\n", 2),
      ("echo $nobody_has_this", "", "linkbms: -c:1: there is no variable $nobody_has_this; ", 2),
      ("s 1", "", "linkbms: -c:1: 's' could be send, set, simulate, sleep, source, stop\n", 2),
      ("verison", "", "linkbms: -c:1: there is no command 'verison'; did you mean 'version'?\n", 2),
      ("version --wrong", "", "linkbms: -c:1: Unknown option '--wrong'\nUsage: version\n", 2),
      ("open /no/such/file", "", "linkbms: -c:1: /no/such/file: No such file or directory\n", 2),
      ("open /", "", "linkbms: -c:1: /: Is a directory\n", 2),
      ("close", "", "linkbms: -c:1: no capture is open\n", 2),
      ("echo x > /no/such/file; echo b", "", "linkbms: -c:1: cannot write /no/such/file: No such file or directory\n", 2),
      ("echo x > /dev/full; echo b", "", "linkbms: -c:1: cannot write /dev/full: No space left on device\n", 2),
      ("! exit 3\necho b", "", "linkbms: -c:1: 'exit 3' ended with status 3\n", 2),
      ("set formt json", "", "linkbms: -c:1: there is no setting 'formt'; did you mean 'format'", 2),
      ("set format xml", "", "linkbms: -c:1: format is text, json, csv, not 'xml'\n", 2),
      ("sleep -- -1", "", "linkbms: -c:1: SECONDS is 0 to 1000000, not -1.0\n", 2),
      ("quit 256", "", "linkbms: -c:1: The value '256' is invalid for '<status>'\n", 2),
      // Findings are a result: the script goes on, and its status tells.
      ("apropos zzz; echo b", "b\n", "linkbms: nothing about 'zzz'", 1),
    ] as [(String, String, String, Int32)])
  func stopsAtTheFirstError(script: String, output: String, error: String, status: Int32) throws {
    let result = try TestShell().run(script)
    #expect(result.output == output)
    #expect(result.errors.hasPrefix(error), "\(result.errors)")
    #expect(result.outcome == .goesOn(status))
  }

  @Test func goesOnAfterErrorsWhenTold() throws {
    let result = try TestShell().run("set onerror continue\nnonsense; echo $?\necho 'x\nclose\necho end $?")
    #expect(result.output == "2\nend 2\n")
    #expect(result.errors.split(separator: "\n").count == 3)
    #expect(result.outcome == .goesOn(2))
  }

  @Test(arguments: [("quit; echo x", nil), ("quit 7\necho x", 7), ("exit 0", 0), ("q 255", 255)] as [(String, Int32?)])
  func quitEndsAtOnce(script: String, status: Int32?) throws {
    let result = try TestShell().run(script)
    #expect(result.output.isEmpty)
    #expect(result.outcome == .ends(status, worst: 0))
  }

  /// What came before `quit` counts unless it says a status itself.
  @Test(arguments: [
    ("apropos zzz; quit", ShellSession.Outcome.ends(nil, worst: 1)), ("apropos zzz\nquit 0", .ends(0, worst: 1)),
    ("apropos zzz\nsource $dir/quits", .ends(nil, worst: 1)), ("source $dir/finds", .ends(nil, worst: 1)),
    ("set onerror continue\nnonsense\nsource $dir/finds", .ends(nil, worst: 2)), ("source $dir/says", .ends(3, worst: 1)),
  ])
  func quitLosesNoStatus(script: String, outcome: ShellSession.Outcome) throws {
    let shell = try TestShell()
    for (name, text) in [("quits", "quit"), ("finds", "apropos zzz\nquit\necho x"), ("says", "apropos zzz; quit 3")] {
      try text.write(toFile: shell.folder + "/" + name, atomically: true, encoding: .utf8)
    }
    let result = try shell.run(script)
    #expect(result.output.isEmpty && result.outcome == outcome, "\(result)")
  }

  /// An expression without quotes is no file's name.
  @Test(arguments: ["assert Soc > $dir/95", "expect Totals where PackVoltage >> $dir/95", "wait for Totals where Soc | cat"])
  func whatPrintsNothingGoesToNoFile(line: String) throws {
    let shell = try TestShell()
    let result = try shell.run(line)
    #expect(result.errors.contains("an expression with > or | in it needs quotes") && result.outcome == .goesOn(2), "\(result)")
    #expect(!FileManager.default.fileExists(atPath: shell.folder + "/95"))
  }

  @Test func writesAndAppendsFiles() throws {
    let shell = try TestShell()
    _ = try shell.run(
      "echo one > $dir/f; echo two >> $dir/f; version | tr a-z A-Z > $dir/g\nhelp open > $dir/h; open --help > \"$dir/i\"")
    #expect(shell.read("f") == "one\ntwo\n")
    #expect(shell.read("g") == "LINKBMS 0.1.0\n")
    #expect(shell.read("h").contains("USAGE: open [<file>]"))
    #expect(shell.read("i") == shell.read("h"))
    _ = try shell.run("echo three > $dir/f")
    #expect(shell.read("f") == "three\n")
  }

  @Test func aReaderThatLeavesIsNoError() throws {
    let result = try TestShell().run("help | true\nhelp | head -0\necho $?")
    #expect(result.output == "0\n")
    #expect(result.errors.isEmpty)
  }

  @Test func sourcesScripts() throws {
    let shell = try TestShell()
    try shell.write("inner", "echo inner $x\nlet y 2\r\n")
    try shell.write("outer", "let x 1\nsource $dir/inner\necho outer $y\n")
    try shell.write("wrong", "echo before\n\nnonsense\necho after\n")
    try shell.write("endless", "source $dir/endless\n")
    var result = try shell.run("source $dir/outer > $dir/log; . $dir/inner")
    #expect(shell.read("log") == "inner 1\nouter 2\n")
    #expect(result.output == "inner 1\n")
    result = try shell.run("source $dir/wrong\necho not-this")
    #expect(result.output == "inner 1\nbefore\n")
    #expect(result.errors.contains("linkbms: \(shell.folder)/wrong:3: there is no command 'nonsense'"))
    #expect(result.outcome == .goesOn(2))
    #expect(try shell.run("source $dir/endless").errors.contains("this script is running already"))
  }

  @Test func patternsBecomeFileNames() throws {
    let shell = try TestShell()
    for name in ["b.log", "a.log", "c.txt"] { try shell.write(name, "") }
    let result = try shell.run("echo $dir/*.log $dir/none* '$dir/*'")
    // A variable's value is never a pattern, what stands behind it is.
    #expect(result.output == "\(shell.folder)/a.log \(shell.folder)/b.log \(shell.folder)/none* $dir/*\n")
  }

  @Test func tellsOnceThatTheOpenCaptureChanged() throws {
    let shell = try TestShell()
    try shell.write("x.log", "12345")
    _ = try shell.run("open $dir/x.log")
    #expect(shell.session.world.openCapture == shell.folder + "/x.log")
    #expect(shell.session.newsOfCapture() == [])
    try shell.write("x.log", "123")
    #expect(shell.session.newsOfCapture() == ["linkbms: \(shell.folder)/x.log has changed: 3 bytes (-2)"])
    #expect(shell.session.newsOfCapture() == [])
    _ = try shell.run("close")
    #expect(shell.session.world.openCapture == nil)
  }

  @Test func optionDefaultsGoToCommandsThatHaveThem() throws {
    let shell = try TestShell()
    shell.session.optionDefaults = ["format": "csv", "unknown": "x"]
    let option = ArgumentInfo(
      kind: .option, shouldDisplay: true, isOptional: true, isRepeating: false,
      names: [ArgumentInfo.Name(kind: .long, name: "format")],
      allValues: ["text", "csv"])
    let command = CommandInfo(commandName: "demo", arguments: [option])
    #expect(shell.session.defaults(for: command, given: ["demo", "x"]) == ["--format", "csv"])
    #expect(shell.session.defaults(for: command, given: ["demo", "--format=text"]) == [])
    #expect(shell.session.defaults(for: command, given: ["demo", "--format", "text"]) == [])
    #expect(shell.session.defaults(for: CommandInfo(commandName: "other"), given: ["other"]) == [])
    shell.session.optionDefaults = ["format": "json"]
    #expect(shell.session.defaults(for: command, given: ["demo"]) == [])
  }
}
