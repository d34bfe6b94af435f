/// The times and margins that the manual does not give: decisions of spec/controller.md §4–6 (**D**) and of ours, in one place.
/// Times in µs.
public enum Timing {
  /// Without any reading for so long after the start: NO DATA.
  public static let startUp: Int64 = 10_000_000
  /// A chain or PDU that says nothing for so long is taken for three failed scans: the scan period is one second.
  public static let silence: Int64 = 3_000_000
  /// Balancing and closing want scans no older than this.
  public static let fresh: Int64 = 2_500_000
  /// Failed scans in a row to COM ERR.
  public static let failedScans: UInt8 = 3
  /// Good scans in a row out of COM ERR.
  public static let goodScans: UInt8 = 5
  /// Above OCP for longer: open.
  public static let overcurrent: Int64 = 10_000_000
  /// From opening by OCP to the next start.
  public static let overcurrentRelease: Int64 = 30_000_000
  /// Inside the alarm limits for so long: out of PROTECT.
  public static let protectRelease: Int64 = 10_000_000
  /// V-out must follow within this.
  public static let precharge: Int64 = 5_000_000
  /// From a failed precharge to the next try.
  public static let prechargeRetry: Int64 = 30_000_000
  /// Failed precharges until only a reset helps.
  public static let prechargeAttempts: UInt8 = 3
  /// From the negative contactor to the precharge relay: a contactor's travel time.
  public static let negativeTravel: Int64 = 100_000
  /// Positive contactor and precharge relay together.
  public static let overlap: Int64 = 100_000
  /// With limits at 0, opening waits so long for the current to fall.
  public static let release: Int64 = 1_000_000
  /// Current that contactors may open at, mA.
  public static let releaseCurrent_mA: Int32 = 1000
  /// V-out below 90 % of V-in behind closed contactors for so long: something is open.
  public static let outputLost: Int64 = 2_000_000
  /// V-out that is still at V-in so long after opening: a weld, or capacitors without a bleeder.
  public static let weld: Int64 = 30_000_000
  /// Inside an alarm limit by so much: out of WARNING. 0.1 mV.
  public static let voltageMargin: Int32 = 200
  /// 0.1 °C.
  public static let temperatureMargin: Int32 = 20
  /// Limits rise no faster, mA per second.
  public static let rise_mA: Int64 = 5000
  /// A longer step than this was no step: the machine slept or its clock was set.
  public static let longestStep: Int64 = 10_000_000
}
