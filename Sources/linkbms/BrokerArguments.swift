import ArgumentParser
import Gateway

/// Where an MQTT broker is and how one gets in.
struct BrokerArguments: ParsableArguments {
  @Option(
    name: .customLong("mqtt"),
    help: ArgumentHelp("The MQTT broker: HOST or HOST:PORT (1883, with --mqtt-ca 8883).", valueName: "broker"))
  var broker: String?
  @Option(help: ArgumentHelp("User at the broker.", valueName: "name")) var mqttUser: String?
  @Option(
    help: ArgumentHelp("File that holds the password: a command line can be read by everybody on the machine.", valueName: "file"),
    completion: .file())
  var mqttPasswordFile: String?
  @Option(
    help: ArgumentHelp("Encrypt (TLS), and trust the certificates in FILE.", valueName: "file"), completion: .file())
  var mqttCa: String?

  func validate() throws {
    if let broker, BrokerOptions(broker, isSecure: mqttCa != nil) == nil {
      throw ValidationError("--mqtt: found \"\(broker)\", expected HOST or HOST:PORT")
    }
    if mqttPasswordFile != nil, mqttUser == nil { throw ValidationError("--mqtt-password-file: needs --mqtt-user") }
  }

  /// What the options say; `nil` where no broker is named.
  func options() throws(WorldError) -> BrokerOptions? {
    guard let broker, var options = BrokerOptions(broker, isSecure: mqttCa != nil) else { return nil }
    options.authorities = mqttCa
    options.user = mqttUser
    if let mqttPasswordFile {
      let line = String(decoding: try InputFile.bytes(of: mqttPasswordFile), as: UTF8.self).split(separator: "\n").first
      options.password = line.map(String.init) ?? ""
    }
    return options
  }
}
