import Images
import Models
import Nodes
import Scheduling
import Tensors
import TestRandom
import TestSupport
import Testing

@testable import Engine

/// Work and answers on their way between nodes.
struct NodeMessageTests {
    private let bounds: WorkBounds

    init() throws {
        bounds = WorkBounds(
            limits: SchedulerLimits(
                pageCount: 64, pageSize: 16, modelLength: 512, runningRequests: 4, tokensPerStep: 64,
                chunkSize: 32, imageCapacity: 4, imagePageCount: 8, rowsPerImagePage: 4, tilesPerStep: 4,
                preparations: 1),
            model: try ModelFamilies.describe(Fixtures.folder("internvl-qwen3-hf")))
    }

    private func step(_ random: inout SeededRandom) throws -> SequenceStep {
        let count = 1 + random.below(5)
        let scoring =
            random.below(2) == 0
            ? nil
            : PromptScoring(
                places: (0..<count).map { $0 + 3 }, ids: (0..<Int32(count)).map { $0 * 7 }, topCount: 2)
        return try #require(
            SequenceStep(
                id: RequestID(random.next()), tokens: (0..<count).map { _ in Int32(random.below(1000)) },
                start: random.below(1 << 20),
                places: random.below(2) == 0
                    ? nil : (0..<count).map { _ in [1, Int32(random.below(99)), Int32(random.below(99))] },
                imageRows: (0..<count).map { _ in Int32(random.below(50)) - 1 },
                pages: (0..<random.below(9)).map { _ in PageIndex(random.below(1 << 20)) },
                choosesToken: random.below(2) == 0, scoring: scoring))
    }

    private func picture(_ random: inout SeededRandom) -> PictureTiles {
        PictureTiles(
            bytes: (0..<random.below(40)).map { _ in UInt8(random.below(256)) }[...],
            size: 1 + random.below(500),
            grid: random.below(2) == 0
                ? nil : TokenGrid(rows: 1 + random.below(9), columns: 1 + random.below(9)),
            pages: (0..<random.below(5)).map { _ in PageIndex(random.below(99)) })
    }

    private func works(_ random: inout SeededRandom) throws -> [RankWork] {
        [
            .rehearse, .warmUp, .collect, .skip, .enqueue([]), .encode([]),
            .enqueue(try (0..<(1 + random.below(4))).map { _ in try step(&random) }),
            .encode((0..<(1 + random.below(3))).map { _ in picture(&random) }),
            .load((0..<random.below(40)).map { UInt8($0) }[...], pages: [PageIndex(random.below(9))]),
        ]
    }

    @Test func `work arrives as it was sent`() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<200 {
            for work in try works(&random) {
                switch (work, try RankWork(work.bytes)) {
                case (.rehearse, .rehearse), (.warmUp, .warmUp), (.collect, .collect), (.skip, .skip): break
                case (.enqueue(let sent), .enqueue(let found)): #expect(sent == found)
                case (.encode(let sent), .encode(let found)):
                    #expect(
                        sent.map(\.bytes) == found.map(\.bytes) && sent.map(\.pages) == found.map(\.pages))
                    #expect(sent.map(\.grid) == found.map(\.grid) && sent.map(\.size) == found.map(\.size))
                case (.load(let sent, let pages), .load(let found, let places)):
                    #expect(sent == found && pages == places)
                case (_, let found): Issue.record("\(work) became \(found)")
                }
            }
        }
    }

    @Test func `work that is cut short is refused, and work that is spoilt is refused or within bounds`()
        throws
    {
        var random = SeededRandom(seed: 2)
        for _ in 0..<10 {
            for work in try works(&random) {
                let bytes = work.bytes
                for count in bytes.indices {
                    #expect(throws: LinkError.malformed) { _ = try RankWork(Array(bytes.prefix(count))) }
                }
                #expect(throws: LinkError.malformed) { _ = try RankWork(bytes + [0]) }
                for place in bytes.indices {
                    for value in [0, 0xff, bytes[place] ^ 0x80] as [UInt8] {
                        var spoilt = bytes
                        spoilt[place] = value
                        if let found = try? RankWork(spoilt) { _ = bounds.allow(found) }
                    }
                }
            }
        }
    }

    private func step(
        tokens: [Int32] = [1, 2], start: Int = 0, imageRows: [Int32] = [-1, 3], pages: [PageIndex] = [5],
        places: [PlanePositions.Place]? = nil, scoring: PromptScoring? = nil,
    ) throws -> RankWork {
        .enqueue([
            try #require(
                SequenceStep(
                    id: RequestID(1), tokens: tokens, start: start, places: places, imageRows: imageRows,
                    pages: pages, choosesToken: true, scoring: scoring))
        ])
    }

    @Test func `steps within the stores are allowed, and no others`() throws {
        #expect(bounds.allow(try step()))
        #expect(bounds.allow(try step(start: 14)))
        for refused in [
            try step(tokens: [-1, 2]), try step(tokens: [1, 1 << 30]), try step(tokens: [], imageRows: []),
            try step(start: 15), try step(start: 1 << 30), try step(imageRows: [0]),
            try step(imageRows: [0, 32]), try step(imageRows: [0, -2]), try step(pages: [64]),
            try step(pages: [-1]), try step(places: [.zero]), try step(places: [.zero, [-1, 0, 0]]),
            try step(scoring: PromptScoring(places: [0], ids: [1], topCount: 0)),
            try step(scoring: PromptScoring(places: [3], ids: [1], topCount: 0)),
            try step(scoring: PromptScoring(places: [1, 2], ids: [1], topCount: 0)),
        ] {
            #expect(!bounds.allow(refused), "\(refused)")
        }
        let cut = try #require(bounds.model.vision?.cut)
        let tile = [UInt8](repeating: 1, count: cut.tileSize * cut.tileSize * 3)
        func encode(_ bytes: [UInt8], size: Int, _ grid: TokenGrid?, _ pages: [PageIndex]) -> RankWork {
            .encode([PictureTiles(bytes: bytes[...], size: size, grid: grid, pages: pages)])
        }
        #expect(bounds.allow(encode(tile, size: cut.tileSize, nil, [7])))
        #expect(!bounds.allow(encode(tile, size: cut.tileSize, nil, [8])))
        #expect(!bounds.allow(encode(tile, size: cut.tileSize, nil, [1, 2])))
        #expect(!bounds.allow(encode(tile, size: 1, nil, [7])))
        #expect(!bounds.allow(encode(tile, size: cut.tileSize, TokenGrid(rows: 1, columns: 1), [7])))
    }

    @Test func `setups and errors arrive as they were sent, or not at all`() throws {
        var limits = bounds.limits
        limits.scoresPerStep = 17
        limits.keepsPrefixes = false
        let setup = NodeSetup(limits: limits, vocabularyCount: 900, endIDs: [3, 4])
        #expect(try NodeSetup(setup.bytes) == setup)
        let bytes = setup.bytes
        for count in bytes.indices {
            #expect(throws: LinkError.malformed) { _ = try NodeSetup(Array(bytes.prefix(count))) }
        }
        for place in bytes.indices {
            var spoilt = bytes
            spoilt[place] = 0xff
            _ = try? NodeSetup(spoilt)
        }
        let errors: [DeviceError?] = [
            nil, .outOfMemory(requested: 1 << 40), .unsupportedConversion(from: .f16, to: .u8),
            .failed("why"),
        ]
        for error in errors {
            let bytes = DeviceError.bytes(of: error)
            #expect(try DeviceError.read(bytes) == error)
            for count in bytes.indices {
                #expect(throws: LinkError.malformed) { _ = try DeviceError.read(Array(bytes.prefix(count))) }
            }
        }
    }

    @Test func `a greeting arrives as it was sent, and nothing else is one`() throws {
        let terms = NodeTerms(
            nodeCount: 2, rankCount: 4, towerCount: 2, elementType: .bf16, model: (0..<32).map(UInt8.init),
            program: "1.2.3")
        let hello = NodeHello(purpose: .exchange, node: 1, terms: terms, token: 77)
        #expect(hello.bytes.count == NodeHello.byteCount)
        #expect(try NodeHello(hello.bytes) == hello)
        for place in 0..<10 {
            var spoilt = hello.bytes
            spoilt[place] ^= 1
            #expect(throws: LinkError.malformed) { _ = try NodeHello(spoilt) }
        }
        #expect(throws: LinkError.malformed) { _ = try NodeHello([]) }
    }
}
