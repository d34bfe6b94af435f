// embed-dissectors FOLDER OUTPUT FILE…: writes a Swift file that holds the text of each FILE under its path relative to FOLDER.
// Text becomes raw string literals: those compile at once, where byte arrays take minutes.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
  FileHandle.standardError.write(Data("usage: embed-dissectors FOLDER OUTPUT FILE…\n".utf8))
  exit(2)
}
let folder = arguments[1].hasSuffix("/") ? arguments[1] : arguments[1] + "/"
var source = """
  // Generated from Dissectors/ by embed-dissectors. Do not edit.

  /// The definitions this program was built with: path below `Dissectors/` and text.
  let embeddedDissectors: [(path: String, text: String)] = [

  """
for path in arguments.dropFirst(3) {
  guard let data = FileManager.default.contents(atPath: path) else {
    FileHandle.standardError.write(Data("embed-dissectors: cannot read \(path)\n".utf8))
    exit(2)
  }
  // A DBC may be CP1252; the ones shipped are UTF-8, which the definition rules check.
  let text = String(decoding: data, as: UTF8.self)
  var hashes = "#"
  while text.contains("\"" + hashes) || text.contains("\"\"\"" + hashes) { hashes += "#" }
  let name = path.hasPrefix(folder) ? String(path.dropFirst(folder.count)) : path
  // Carriage returns cannot stand in a literal; they are put back at the only place they occur.
  let lines = text.replacing("\r\n", with: "\n")
  source += "  (\n    path: \(hashes)\"\(name)\"\(hashes),\n    text: \(hashes)\"\"\"\n\(lines)\n\"\"\"\(hashes)\n  ),\n"
}
source += "]\n"
do {
  try source.write(toFile: arguments[2], atomically: true, encoding: .utf8)
} catch {
  FileHandle.standardError.write(Data("embed-dissectors: cannot write \(arguments[2]): \(error)\n".utf8))
  exit(2)
}
