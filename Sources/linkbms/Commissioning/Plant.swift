import Bus
import Controller
import Formats

/// The only thing that lets contactors close. It exists only where a person has typed the words.
struct ContactorPermission: Sendable {
  /// What has to be typed, in full and in small letters.
  static let words = "close contactors"

  /// - Parameter typed: what the person typed; anything but the words gives none.
  init?(typed: String) { guard typed == Self.words else { return nil } }
}

/// What commissioning asks of the system that is being commissioned.
enum CommissioningOrder: Sendable {
  /// Opens the contactors and keeps them open. Always obeyed, at once.
  case hold
  /// Lets the controller close the contactors when every condition of its own holds as well.
  case close(ContactorPermission)
  /// A new configuration for the controller.
  case configure(Configuration)
  /// Say nothing on the inverter's bus, or speak again.
  case mute(Bool)
  /// "Reset BMS": clears a latched precharge error; contactors stay held.
  case reset
}

/// What passed in one step of the controller.
struct PlantStep: Sendable {
  /// s since the start of the plant.
  var time: Double
  /// The controller behind the step: its outputs, values and events are those of this step.
  var engine: Engine
  /// What it was given.
  var readings: Readings
  /// What passed on the inverter's bus, both directions.
  var frames: [CANRecord]
  /// Whether inverter and battery have exchanged all they want; `nil` = this plant cannot tell.
  var isOnline: Bool?
  /// What happened since the step before, where more than one step of the controller may lie between.
  var events: [Event.Kind] = []
  /// Why a permission to close was taken back by the plant itself; `nil` = it was not.
  var revoked: String?
}

/// What a part of the system says of itself, for the report.
struct PlantFact: Sendable, Equatable {
  var part: String
  var text: String
  /// The controller is this program.
  static var controller: PlantFact { PlantFact(part: "controller", text: "linkbms \(Version.text)") }
}

/// The system behind commissioning: simulated, or live.
///
/// What each has to keep: its controller starts with the contactors held open; `hold` stands above everything that would let them go
/// again by itself (a live controller ends the holds of its own doubts: this one it must not end); only `close` ends it. While a person
/// thinks about a question no step is asked for: a live plant has to go on all the same, and whatever opened the contactors meanwhile
/// shows in the next step. A configuration that is refused is an error, which ends the run with open contactors.
protocol CommissioningPlant {
  /// For the report.
  var name: String { get }
  /// What the controller works by.
  var configuration: Configuration { get }
  /// Does what is asked.
  mutating func perform(_ order: CommissioningOrder) throws(WorldError)
  /// Waits for the next step of the controller.
  /// - Parameter isFine: as many steps as there can be: a precharge takes a tenth of a second.
  mutating func step(isFine: Bool) throws(WorldError) -> PlantStep
  /// Somebody thinks about a question: steps until the next `step` are nobody's.
  mutating func rest()
  /// What it has to say by itself since the last call: lines for the person.
  mutating func takeNotes() -> [String]
  /// Which program, chains and lines it was.
  var identity: [PlantFact] { get }
}

extension CommissioningPlant {
  /// Time stands still.
  mutating func rest() {}
  /// Nothing but the program.
  var identity: [PlantFact] { [.controller] }
  /// Nothing.
  mutating func takeNotes() -> [String] { [] }
}
