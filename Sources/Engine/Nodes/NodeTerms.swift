import Nodes
package import Tensors

/// What the processes of one model must have in common.
package struct NodeTerms: Sendable, Hashable {
    /// How many there are.
    package let nodeCount: Int
    /// The ranks of all together.
    package let rankCount: Int
    /// The vision towers of all together.
    package let towerCount: Int
    /// The type of weights and cache.
    package let elementType: ElementType
    /// A digest of the checkpoint and of what its weights become, 32 bytes.
    package let model: [UInt8]
    /// The program's version.
    package let program: String

    /// Takes all of it.
    package init(
        nodeCount: Int, rankCount: Int, towerCount: Int, elementType: ElementType, model: [UInt8],
        program: String,
    ) {
        precondition(model.count == 32, "a digest has 32 bytes")
        self.nodeCount = nodeCount
        self.rankCount = rankCount
        self.towerCount = towerCount
        self.elementType = elementType
        self.model = model
        self.program = program
    }

    /// Why a node that was started with `other` cannot take part; nil when it can.
    func obstacle(to other: NodeTerms, node: Int) -> String? {
        let values = [
            ("--nnodes", nodeCount, other.nodeCount), ("--tp", rankCount, other.rankCount),
            ("--visual_dp", towerCount, other.towerCount),
        ]
        if other.program != program {
            return
                "node \(node) is vireo \(other.program), node 0 is vireo \(program): run the same version on all"
        }
        for (flag, own, theirs) in values where own != theirs {
            return "node \(node) was started with \(flag) \(theirs), node 0 with \(flag) \(own): "
                + "give all nodes the same launch line but for --node_rank"
        }
        if other.elementType != elementType {
            return
                "node \(node) computes in \(other.elementType.rawValue), node 0 in \(elementType.rawValue): "
                + "give all nodes the same --data_type"
        }
        if other.model != model {
            return
                "node \(node) has another checkpoint than node 0, or another --quant_type: "
                + "give all nodes the same files in --model_dir, and the same launch line"
        }
        guard (1..<nodeCount).contains(node) else {
            return "there is no node \(node) among \(nodeCount): --node_rank is from 0 to \(nodeCount - 1)"
        }
        return nil
    }
}

/// The first bytes on a connection, always as many: who comes, and what for.
struct NodeHello: Hashable {
    /// What a connection is for.
    enum Purpose: UInt8 {
        /// What is to be done, and that one lives.
        case control
        /// What ranks exchange.
        case exchange
    }

    let purpose: Purpose
    let node: Int
    let terms: NodeTerms
    /// What node 0 has answered on the control connection; zero on that.
    let token: UInt64

    static let magic = Array("vireo-nn".utf8)
    /// Of what is said between nodes.
    static let version: UInt16 = 1
    static let byteCount = 8 + 2 + 1 + 4 * 2 + 1 + 32 + 8 + programByteCount
    private static let programByteCount = 32

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(raw: Self.magic)
        writer.write(Self.version)
        writer.write(purpose.rawValue)
        for value in [node, terms.nodeCount, terms.rankCount, terms.towerCount] {
            writer.write(UInt16(clamping: value))
        }
        writer.write(terms.elementType.code)
        writer.write(raw: terms.model)
        writer.write(token)
        let program = terms.program.utf8.prefix(Self.programByteCount)
        writer.write(raw: program)
        writer.write(raw: repeatElement(0, count: Self.programByteCount - program.count))
        return writer.bytes
    }

    init(purpose: Purpose, node: Int, terms: NodeTerms, token: UInt64 = 0) {
        self.purpose = purpose
        self.node = node
        self.terms = terms
        self.token = token
    }

    /// Throws for what is no greeting.
    init(_ bytes: [UInt8]) throws(LinkError) {
        var reader = ByteReader(bytes)
        guard try Array(reader.take(8)) == Self.magic else { throw .malformed }
        let version = try reader.read(UInt16.self)
        guard version == Self.version, let purpose = Purpose(rawValue: try reader.read()) else {
            throw .malformed
        }
        self.purpose = purpose
        node = Int(try reader.read(UInt16.self))
        let nodeCount = Int(try reader.read(UInt16.self)), rankCount = Int(try reader.read(UInt16.self))
        let towerCount = Int(try reader.read(UInt16.self))
        guard let elementType = ElementType(code: try reader.read()) else { throw .malformed }
        let model = Array(try reader.take(32))
        token = try reader.read()
        let program = try reader.take(Self.programByteCount).prefix { $0 != 0 }
        try reader.end()
        terms = NodeTerms(
            nodeCount: nodeCount, rankCount: rankCount, towerCount: towerCount, elementType: elementType,
            model: model, program: String(decoding: program, as: UTF8.self))
    }
}

/// What node 0 answers to a greeting.
enum NodeAnswer: Hashable {
    /// Come in; the token is for the other connection.
    case welcome(token: UInt64)
    /// Why not.
    case refusal(String)

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(raw: NodeHello.magic)
        writer.write(NodeHello.version)
        switch self {
        case .welcome(let token):
            writer.write(UInt8(1))
            writer.write(token)
            writer.write(text: "")
        case .refusal(let sentence):
            writer.write(UInt8(0))
            writer.write(UInt64(0))
            writer.write(text: sentence)
        }
        return writer.bytes
    }

    /// Waits for one.
    init(from connection: Connection) throws(LinkError) {
        var reader = ByteReader(try connection.receive(count: 8 + 2 + 1 + 8 + 4))
        guard try Array(reader.take(8)) == NodeHello.magic, try reader.read() == NodeHello.version else {
            throw .malformed
        }
        let isWelcome = try reader.readFlag()
        let token = try reader.read(UInt64.self)
        let count = Int(try reader.read(UInt32.self))
        guard count <= 4096 else { throw .malformed }
        let sentence = String(decoding: try connection.receive(count: count), as: UTF8.self)
        self = isWelcome ? .welcome(token: token) : .refusal(sentence)
    }
}

extension ElementType {
    /// A number for it.
    var code: UInt8 {
        switch self {
        case .u8: 0
        case .i32: 1
        case .i64: 2
        case .f16: 3
        case .bf16: 4
        case .f32: 5
        }
    }

    /// Nil for a number that is none's.
    init?(code: UInt8) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }
}
