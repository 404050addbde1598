// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

// The kernels are meant for -O3 in every configuration: a debug build's -O0 would make them fifty times slower.
let kernelSettings: [CSetting] = [.unsafeFlags(["-O3", "-fno-math-errno"])]

/// The archives of the image codecs, so that the binary needs none of them installed.
let codecArchives: [LinkerSetting] =
    ["jpeg", "png16", "z", "webp", "gif"].map { .linkedLibrary(":lib\($0).a") } + [.linkedLibrary("m")]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name), "TestRandom"] + dependencies,
        swiftSettings: settings)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "vireo",
    products: [.executable(name: "vireo", targets: ["vireo"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.9.0"),
    ],
    targets: [
        .target(name: "CImageCodecs", cSettings: [.unsafeFlags(["-O2"])], linkerSettings: codecArchives),
        .target(name: "CKernels", cSettings: kernelSettings),
        .target(name: "CCUDA", cSettings: [.unsafeFlags(["-O2"])]),
        module("JSON"),
        module("Benchmarks", ["JSON"]),
        module("Tensors"),
        module("Nodes"),
        module("CPUBackend", ["Tensors", "Nodes", "CKernels"]),
        module("CUDABackend", ["Tensors", "CCUDA"]),
        module("DeviceChecks", ["Tensors", "Benchmarks", "Images", "Models"]),
        module("Checkpoints", ["Tensors", "JSON"]),
        module("Tokenizers", ["JSON"]),
        module("Jinja"),
        module("Images", ["CImageCodecs"]),
        module("Scheduling"),
        module("Prompts", ["Tokenizers", "Jinja", "Images", "Scheduling"]),
        module("Models", ["Tensors", "Checkpoints", "Images", "JSON"]),
        module("Engine", ["Models", "Scheduling", "Tensors", "Images", "Nodes"]),
        module(
            "SharedCache",
            [
                "Engine",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        module(
            "Serving",
            [
                "Engine", "Scheduling", "Prompts", "Tokenizers", "Jinja", "Images", "Tensors", "JSON",
                hummingbird, httpClient, logging,
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        .executableTarget(
            name: "vireo",
            dependencies: [
                "Benchmarks", "Serving", "SharedCache", "Engine", "Prompts", "Models", "Checkpoints",
                "CPUBackend", "CUDABackend", "DeviceChecks", "Nodes",
                "Tensors",
                "Tokenizers",
                "Images", "Jinja", "JSON", "Scheduling", arguments, httpClient, logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .target(name: "TestRandom", path: "Tests/Random", swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: [
                "CPUBackend", "Checkpoints", "Engine", "Images", "JSON", "Jinja", "Models", "Prompts",
                "Scheduling", "Tensors", "Tokenizers",
            ],
            path: "Tests/Support", swiftSettings: settings),
        .target(name: "CUDAStandIn", dependencies: ["CCUDA"], path: "Tests/CUDAStandIn"),
        tests("Benchmarks", ["Images", "JSON"]),
        tests("CPUBackend", ["Nodes", "Tensors"]),
        tests("CUDABackend", ["CCUDA", "CUDAStandIn", "Tensors"]),
        tests("Checkpoints", ["Tensors"]),
        tests("DeviceChecks", ["CPUBackend", "Tensors"]),
        tests(
            "Engine",
            [
                "TestSupport", "CPUBackend", "Images", "Models", "Nodes", "Prompts", "Scheduling", "Tensors",
                "Tokenizers",
            ]),
        tests("Images"),
        tests("Jinja"),
        tests("JSON"),
        tests("Nodes"),
        tests("Models", ["TestSupport", "JSON", "Tensors", "Checkpoints", "Images", "CPUBackend"]),
        tests("Prompts", ["TestSupport", "Images", "Jinja", "Scheduling", "Tokenizers"]),
        tests("Scheduling"),
        tests("Tokenizers"),
        tests(
            "SharedCache",
            [
                "Engine",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests(
            "Serving",
            [
                "TestSupport", "Engine", "Images", "JSON", "Prompts", "Scheduling", logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
    ],
    swiftLanguageModes: [.v6],
)
