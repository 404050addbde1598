import CPUBackend
import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Models

/// Scaled rotary embeddings against the reference's, through the whole model.
@Suite struct RotaryTests {
    @Test(arguments: GoldenFile.all.filter { $0.ropeInputIds != nil }.flatMap(\.models))
    func `every rotary scaling gives the reference's logits`(name: String) throws {
        let golden = GoldenFile.of(name)
        let ids = try #require(golden.ropeInputIds)
        let variations = try RotaryVariation.of(name)
        #expect(!variations.isEmpty)
        for variation in variations {
            let config = try ModelFiles(folder: Fixtures.folder(name)).config
            let key = name.hasSuffix("hf") ? "text_config" : "llm_config"
            var settings = config.settings
            var text = settings[key]?.object ?? [:]
            text.set("rope_parameters", .null)
            for (key, value) in variation.textConfig.members { text.set(key, value) }
            settings.set(key, .object(text))
            var description = try ModelFamilies.describe(
                ModelFiles(config: ConfigSection(file: "config.json", settings: settings)))
            // The reference turns the whole prompt as its length asks for.
            description.text.rotary.scaling = description.text.rotary.scaling.turning(asIn: ids.count)
            let driver = try FixtureModel.driver(name, description, as: .f32)
            let hidden = description.text.hiddenSize
            let sequence = PagedDriver.Sequence(images: try driver.device.makeTensor([1, hidden], .f32))
            let difference = largestDifference(
                try driver.extend(sequence, by: ids), Fixtures.floats(variation.logits))
            print("\(name), \(variation.name) RoPE: logits differ by at most \(difference)")
            #expect(difference < 1e-3, "\(variation.name)")
        }
    }

    @Test func `a dynamic table is plain up to the trained length and depends on the position alone`() throws
    {
        let device = CPUDevice(threadCount: 1)
        let plain = try RotaryShape().table(positions: 80, headDim: 16, device: device)
        let scaling = RotaryShape.Scaling.dynamic(factor: 2, trained: 64, length: nil)
        let short = try RotaryShape(scaling: scaling).table(positions: 80, headDim: 16, device: device)
        let long = try RotaryShape(scaling: scaling).table(positions: 128, headDim: 16, device: device)
        let rows = (
            plain: device.readFloats(plain.cosines), short: device.readFloats(short.cosines),
            long: device.readFloats(long.cosines),
        )
        #expect(Array(rows.plain[..<(64 * 8)]) == Array(rows.short[..<(64 * 8)]))
        #expect(Array(rows.plain[(64 * 8)...]) != Array(rows.short[(64 * 8)...]))
        #expect(rows.short == Array(rows.long[..<(80 * 8)]))
    }

    @Test func `a LongRoPE table is short up to the trained length and depends on the position alone`() throws
    {
        let device = CPUDevice(threadCount: 1)
        func cosines(
            _ short: [Float], _ long: [Float], _ positions: Int, length: Int? = nil,
        ) throws -> [Float] {
            let scaling = RotaryShape.Scaling.longRope(
                short: short, long: long, trained: 5000, attention: 1.25, length: length)
            let shape = RotaryShape(fraction: 0.5, scaling: scaling)
            let table = try shape.table(positions: positions, headDim: 16, device: device)
            return device.readFloats(table.cosines)
        }
        let (short, long): ([Float], [Float]) = ([1, 1.5, 2, 3], [2, 5, 9, 20])
        let mixed = try cosines(short, long, 9000)
        let (allShort, allLong) = (try cosines(short, short, 9000), try cosines(long, long, 9000))
        #expect(mixed.count == 9000 * 4 && mixed[0] == 1.25)
        #expect(mixed == Array(allShort[..<(5000 * 4)] + allLong[(5000 * 4)...]))
        #expect(try cosines(short, long, 6000) == Array(mixed[..<(6000 * 4)]))
        #expect(try cosines(short, long, 9000, length: 5000) == allShort)
        #expect(try cosines(short, long, 9000, length: 5001) == allLong)
    }

    /// Scalings of configurations, and how far they reach.
    static let reaches: [(scaling: String, positions: Int)] = [
        ("null", 64), (#"{"rope_type": "default"}"#, 64), (#"{"type": "linear", "factor": 4.0}"#, 256),
        (#"{"type": "dynamic", "rope_type": "dynamic", "factor": 2.0}"#, 128),
        (#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}"#, 128),
        (#"{"type": "yarn", "original_max_position_embeddings": 16}"#, 64),
        (#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#, 64),
    ]

    @Test(arguments: reaches)
    func `a scaling says how far it reaches`(scaling: String, positions: Int) throws {
        let text = #"{"max_position_embeddings": 64, "rope_scaling": \#(scaling)}"#
        let section = try ConfigSection.parse(Array(text.utf8), file: "config.json")
        #expect(try ConfiguredRotary(section, headDim: 16).maxPositions == positions)
    }

    @Test(arguments: ["longrope", "su", "yarn"])
    func `LongRoPE by every name has the factors of its pairs`(type: String) throws {
        func read(_ change: (inout JSONObject) -> Void) throws -> RotaryShape {
            var scaling: JSONObject = [
                "type": .string(type), "short_factor": .array([.int(1), .double(1.5)]),
                "long_factor": .array([.int(2), .int(4)]), "original_max_position_embeddings": .int(16),
            ]
            change(&scaling)
            let settings: JSONObject = [
                "max_position_embeddings": .int(64), "rope_scaling": .object(scaling),
            ]
            let section = ConfigSection(file: "config.json", settings: settings)
            let rotary = try ConfiguredRotary(section, headDim: 4)
            #expect(rotary.maxPositions == 64)
            return rotary.shape
        }
        // √(1 + ln 4 / ln 16) and, with a factor of its own, √(1 + ln 2 / ln 16)
        for (factor, attention) in [(nil, 1.5.squareRoot()), (2, 1.25.squareRoot())] as [(Int?, Double)] {
            let shape = try read { if let factor { $0.set("factor", .int(factor)) } }
            guard case .longRope([1, 1.5], [2, 4], 16, let found, nil) = shape.scaling else {
                Issue.record("\(shape.scaling)")
                continue
            }
            #expect(abs(found - attention) < 1e-12)
        }
        let damages: [(key: String, value: JSONValue)] = [
            ("short_factor", .array([.int(1)])), ("short_factor", .null),
            ("long_factor", .array([.int(0), .int(1)])),
            ("long_factor", .string("2")), ("long_factor", .array([.int(1), .string("x")])),
            ("original_max_position_embeddings", .null), ("original_max_position_embeddings", .int(1)),
        ]
        for damage in damages where type != "yarn" || damage.value != .null {
            #expect("\(damage)") { _ = try read { $0.set(damage.key, damage.value) } } throws: {
                "\($0)".contains("rope_scaling.\(damage.key)")
            }
        }
    }

    @Test func `sections of three axes are all pairs`() throws {
        func sections(_ values: [Int]) throws -> [Int]? {
            let scaling: JSONObject = [
                "type": .string("mrope"), "mrope_section": .array(values.map(JSONValue.int)),
            ]
            let settings: JSONObject = [
                "max_position_embeddings": .int(64), "rope_scaling": .object(scaling),
            ]
            return try ConfiguredRotary(
                ConfigSection(file: "config.json", settings: settings), headDim: 16
            ).shape.sections
        }
        #expect(try sections([2, 3, 3]) == [2, 3, 3])
        for wrong in [[2, 3], [2, 3, 4], [9, -1, 0], []] {
            #expect("\(wrong)") { _ = try sections(wrong) } throws: {
                "\($0)".contains("rope_scaling.mrope_section is") && "\($0)".contains("that sum to 8")
            }
        }
    }

    @Test(arguments: ["su-rope", "ntk"])
    func `another scaling is refused by name`(type: String) {
        let settings: JSONObject = [
            "max_position_embeddings": .int(64),
            "rope_scaling": .object(["type": .string(type)]),
        ]
        #expect {
            _ = try ConfiguredRotary(ConfigSection(file: "config.json", settings: settings), headDim: 16)
        } throws: { "\($0)".contains("rope_scaling.type is \"\(type)\"") }
    }
}

extension RotaryShape.Scaling {
    /// The scaling with every position turned as in a sequence of `length`.
    fileprivate func turning(asIn length: Int) -> Self {
        switch self {
        case .none, .linear, .llama3, .yarn: self
        case .dynamic(let factor, let trained, _): .dynamic(factor: factor, trained: trained, length: length)
        case .longRope(let short, let long, let trained, let attention, _):
            .longRope(short: short, long: long, trained: trained, attention: attention, length: length)
        }
    }
}
