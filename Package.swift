// swift-tools-version: 6.2
import PackageDescription

/// Board-safe and deterministic code is held to the strictest rules the compiler has.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .unsafeFlags(["-enable-testing"], .when(configuration: .release)),
]
/// The world's storey is most of the code and waits for people, networks and devices: small is better there than a few cycles less, and a
/// fifth sooner compiled. The loops over a capture's records are built for speed there too: the readers that they are part of say so.
let world = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]
/// Tests of a release build are held to the same rules; their own code is not worth the optimiser's minutes.
let tests = strict + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

/// What people get has the Swift libraries inside: it starts in a few milliseconds and runs where no Swift is installed. Only the link is
/// another, so that the tests, which need those libraries as they are, share every object file with it.
let program: [LinkerSetting] =
  Context.environment["LINKBMS_STATIC"] == nil
  ? []
  : [
    .unsafeFlags(
      ["-static-stdlib"]
        // What the modules of Foundation say themselves where they are compiled against for this way of linking.
        + [
          "Foundation", "CoreFoundation", "_CFXMLInterface", "FoundationInternationalization", "FoundationEssentials",
          "_FoundationCollections", "_FoundationCShims", "_FoundationICU", "swiftSynchronization", "swift_StringProcessing",
          "swift_RegexParser", "swift_Concurrency", "swiftDispatch",
        ].map { "-l" + $0 })
  ]

let package = Package(
  name: "linkbms",
  products: [
    .executable(name: "linkbms", targets: ["linkbms"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    // The gateway's alone. Without its traits Hummingbird needs neither the whole of Foundation nor a configuration package.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
  ],
  targets: [
    // Board-safe storey: no Foundation, no allocation per frame, compiles as Embedded Swift.
    .target(name: "Bus", swiftSettings: strict),
    .target(name: "Protocols", dependencies: ["Bus"], swiftSettings: strict),
    .target(name: "Controller", swiftSettings: strict),

    // Deterministic storey: no device, socket or clock.
    .target(
      name: "Formats",
      dependencies: ["Bus", "Protocols", "Controller", "CZlib", .product(name: "Yams", package: "Yams")],
      swiftSettings: strict),
    .target(name: "Analysis", dependencies: ["Bus", "Protocols", "Controller", "Formats"], swiftSettings: strict),
    .target(name: "Runtime", dependencies: ["Bus", "Protocols", "Controller", "Formats"], swiftSettings: strict),
    .target(name: "Simulation", dependencies: ["Bus", "Protocols", "Controller", "Formats", "Runtime"], swiftSettings: strict),

    // World.
    .target(
      name: "HostIO",
      dependencies: ["Bus", "CGPIO", "CPcap", "CPorts", "CReadline", "CSerialPort", "CSignals", "CSocketCAN", "CZip"],
      swiftSettings: strict
    ),
    .target(
      name: "Gateway",
      dependencies: [
        "Bus", "Protocols", "Controller", "Formats", "Analysis", "HostIO", "CAvahi", "CCrypt", "CMosquitto", "CPostgres",
        .product(name: "Hummingbird", package: "hummingbird"), .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), .product(name: "GRDB", package: "GRDB.swift"),
      ],
      exclude: ["Pages"],
      swiftSettings: world,
      plugins: ["EmbedDissectors"]),
    .executableTarget(
      name: "linkbms",
      dependencies: [
        "Bus", "Protocols", "Controller", "Formats", "Analysis", "Runtime", "Simulation", "HostIO", "Gateway",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: world,
      linkerSettings: program,
      plugins: ["EmbedDissectors"]),

    // Definitions are data (Dissectors/); the plugin puts their text into the executable, so that it works wherever it is copied.
    .executableTarget(name: "embed-dissectors", path: "Sources/EmbedDissectors/Generator"),
    .plugin(
      name: "EmbedDissectors", capability: .buildTool(), dependencies: ["embed-dissectors"],
      path: "Sources/EmbedDissectors/Plugin"),

    // C libraries: a header and the thinnest shim each.
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
    .target(name: "CZip", linkerSettings: [.linkedLibrary("zip")]),
    .target(name: "CReadline", linkerSettings: [.linkedLibrary("readline")]),
    .target(name: "CGPIO", linkerSettings: [.linkedLibrary("gpiod")]),
    .target(name: "CSignals"),
    .target(name: "CPorts"),
    .target(name: "CPcap", linkerSettings: [.linkedLibrary("pcap")]),
    .target(name: "CSerialPort", linkerSettings: [.linkedLibrary("serialport")]),
    .target(name: "CSocketCAN", linkerSettings: [.linkedLibrary("socketcan")]),
    .target(name: "CCrypt", linkerSettings: [.linkedLibrary("crypt")]),
    .target(name: "CMosquitto"),
    .target(name: "CAvahi"),
    .target(name: "CPostgres"),

    .testTarget(name: "BusTests", dependencies: ["Bus"], swiftSettings: tests),
    .testTarget(name: "ProtocolsTests", dependencies: ["Protocols", "Bus"], swiftSettings: tests),
    .testTarget(name: "ControllerTests", dependencies: ["Controller"], swiftSettings: tests),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "Controller", "Protocols", "Bus"], swiftSettings: tests),
    .testTarget(
      name: "AnalysisTests", dependencies: ["Analysis", "Simulation", "Formats", "Controller", "Protocols", "Bus"],
      swiftSettings: tests),
    .testTarget(
      name: "SimulationTests", dependencies: ["Simulation", "Analysis", "Formats", "Controller", "Protocols", "Bus"],
      swiftSettings: tests),
    .testTarget(
      name: "RuntimeTests", dependencies: ["Runtime", "Simulation", "Formats", "Controller", "Protocols", "Bus"],
      swiftSettings: tests),
    .testTarget(name: "HostIOTests", dependencies: ["HostIO", "Formats", "Controller", "Bus"], swiftSettings: tests),
    .testTarget(
      name: "GatewayTests", dependencies: ["Gateway", "Analysis", "Formats", "Controller", "Bus", "HostIO"], swiftSettings: tests),
    .testTarget(
      name: "linkbmsTests",
      dependencies: [
        "linkbms", "Analysis", "Runtime", "Simulation", "Controller", "Formats", "Protocols", "Bus", "HostIO", "Gateway",
      ],
      exclude: ["PseudoTerminal"],
      swiftSettings: tests),
    .testTarget(name: "ArchitectureTests", swiftSettings: tests),
  ]
)
