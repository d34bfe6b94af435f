private import HostIO
internal import NIOSSL

/// The certificate and the key with which pages are served through TLS, read and held against each other before anybody connects.
public struct ServerTLS: Sendable {
  let configuration: TLSConfiguration
  /// Where the certificate was read.
  let certificate: String
  /// Where its key was read.
  let key: String
  /// What browsers will complain about; `nil` where nothing is known.
  public let warning: String?

  /// The longest file that is looked at.
  private static let room = 1 << 20

  /// Reads both files.
  /// - Parameters:
  ///   - certificate: PEM: the server's certificate first, then those that lead to one that browsers know.
  ///   - key: PEM: the private key of the first certificate, without a password.
  ///   - now_s: seconds since 1970: a certificate that is not valid now is used all the same, and said.
  public init(certificate: String, key: String, now_s: Int64) throws(GatewayError) {
    let chain = try ServerTLS.certificates(certificate)
    guard let own = chain.first else {
      throw GatewayError("--tls-certificate \(certificate): found no certificate, expected PEM: -----BEGIN CERTIFICATE-----")
    }
    let secret = try ServerTLS.key(key)
    try ServerTLS.tryOut(own, secret, "--tls-key \(key): is not the key of the certificate in \(certificate)")
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(secret))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    do { _ = try NIOSSLContext(configuration: configuration) } catch {
      throw GatewayError("--tls-certificate \(certificate): cannot be used: \(error)")
    }
    self.configuration = configuration
    self.certificate = certificate
    self.key = key
    warning =
      Int64(own.notValidAfter) < now_s
      ? "--tls-certificate \(certificate): is no longer valid: browsers will refuse it; make or fetch another"
      : Int64(own.notValidBefore) > now_s
        ? "--tls-certificate \(certificate): is not valid yet: browsers will refuse it; is this machine's clock right?" : nil
  }

  private static func bytes(_ path: String, option: String) throws(GatewayError) -> [UInt8] {
    do throws(HostError) {
      switch try ByteSource(path: path) {
      case .file(let file): return Array(file.bytes.prefix(room))
      case .stream: break
      }
    } catch { throw GatewayError("\(option) \(error.description)") }
    throw GatewayError("\(option) \(path): found no bytes, expected a file with PEM in it")
  }

  private static func certificates(_ path: String) throws(GatewayError) -> [NIOSSLCertificate] {
    let bytes = try bytes(path, option: "--tls-certificate")
    do { return try NIOSSLCertificate.fromPEMBytes(bytes) } catch {
      throw GatewayError(
        "--tls-certificate \(path): found no certificate, expected PEM: -----BEGIN CERTIFICATE-----"
          + (String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY-----") ? " (this is a key: exchange the two files?)" : "")
      )
    }
  }

  private static func key(_ path: String) throws(GatewayError) -> NIOSSLPrivateKey {
    let bytes = try bytes(path, option: "--tls-key")
    let text = String(decoding: bytes, as: UTF8.self)
    guard !text.contains("ENCRYPTED") else {
      throw GatewayError(
        "--tls-key \(path): the key has a password, expected one without: openssl pkey -in \(path) -out NEW; chmod 600 NEW")
    }
    // Nobody is asked for a password: a controller starts alone.
    do { return try NIOSSLPrivateKey(bytes: bytes, format: .pem) { (_: NIOSSLPassphraseSetter<[UInt8]>) in } } catch {
      throw GatewayError(
        "--tls-key \(path): found no private key, expected PEM: -----BEGIN PRIVATE KEY-----"
          + (text.contains("BEGIN CERTIFICATE-----") ? " (this is a certificate: exchange the two files?)" : ""))
    }
  }

  /// A key that is not the certificate's is found by making the two meet.
  private static func tryOut(_ own: NIOSSLCertificate, _ key: NIOSSLPrivateKey, _ refusal: String) throws(GatewayError) {
    let alone = TLSConfiguration.makeServerConfiguration(certificateChain: [.certificate(own)], privateKey: .privateKey(key))
    do { _ = try NIOSSLContext(configuration: alone) } catch { throw GatewayError(refusal) }
  }
}
