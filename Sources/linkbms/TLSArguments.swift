import ArgumentParser
import Gateway
import HostIO

/// The certificate and key of pages that are served through TLS.
struct TLSArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Serve the pages through TLS (https) with the certificate in FILE (PEM, with those that lead to one that browsers know).",
      valueName: "file"),
    completion: .file(extensions: ["pem", "crt"]))
  var tlsCertificate: String?
  @Option(
    help: ArgumentHelp("The certificate's private key (PEM, without a password).", valueName: "file"),
    completion: .file(extensions: ["pem", "key"]))
  var tlsKey: String?

  func validate() throws {
    if tlsCertificate != nil, tlsKey == nil { throw ValidationError("--tls-certificate: needs --tls-key, the file of its key") }
    if tlsKey != nil, tlsCertificate == nil {
      throw ValidationError("--tls-key: needs --tls-certificate, the file of its certificate")
    }
  }

  /// What the files hold; `nil` = plain HTTP.
  func read(in world: inout some World) throws(GatewayError) -> ServerTLS? {
    guard let tlsCertificate, let tlsKey else { return nil }
    let tls = try ServerTLS(certificate: tlsCertificate, key: tlsKey, now_s: PortPoller.wallClock_ns / 1_000_000_000)
    if let warning = tls.warning { world.note("linkbms: \(warning)") }
    return tls
  }
}
