import CZip
private import Glibc

/// Writes ZIP archives (libzip).
public enum ZipFile {
  /// Writes an archive with these entries; what stood at the path is replaced only when the new one is whole.
  public static func write(_ entries: [(name: String, bytes: [UInt8])], to path: String) throws(HostError) {
    var code: Int32 = 0
    guard let archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code) else {
      throw HostError(path, attempt: "create", code: errnoOf(code))
    }
    for entry in entries {
      // libzip reads the bytes when the archive is closed, and frees this copy then: so it has to come from malloc.
      let memory = malloc(max(1, entry.bytes.count))
      entry.bytes.withUnsafeBytes { if let base = $0.baseAddress { memory?.copyMemory(from: base, byteCount: $0.count) } }
      guard let source = zip_source_buffer(archive, memory, zip_uint64_t(entry.bytes.count), 1) else {
        zip_discard(archive)
        throw HostError(path, attempt: "write", code: 12)
      }
      guard zip_file_add(archive, entry.name, source, zip_flags_t(ZIP_FL_OVERWRITE | ZIP_FL_ENC_UTF_8)) >= 0 else {
        zip_source_free(source)
        zip_discard(archive)
        throw HostError(path, attempt: "write", code: 5)
      }
    }
    guard zip_close(archive) == 0 else {
      let code = zip_error_code_system(zip_get_error(archive))
      zip_discard(archive)
      throw HostError(path, attempt: "write", code: code == 0 ? 5 : code)
    }
  }

  /// The system's error behind one of libzip's.
  private static func errnoOf(_ code: Int32) -> Int32 {
    switch code {
    case ZIP_ER_NOENT: 2
    case ZIP_ER_OPEN: 13
    case ZIP_ER_EXISTS: 17
    case ZIP_ER_MEMORY: 12
    default: 5
    }
  }
}
