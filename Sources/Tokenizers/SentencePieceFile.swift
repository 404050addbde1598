/// A `tokenizer.model`, field by field.
///
/// See `sentencepiece_model.proto` in https://github.com/google/sentencepiece.
struct SentencePieceFile {
    /// What a piece is for.
    enum Kind: UInt64 {
        case normal = 1
        case unknown
        case control
        case userDefined
        case unused
        case byte
    }

    /// How text is cut into pieces.
    enum Method: UInt64 {
        case unigram = 1
        case bytePair
        case word
        case character
    }

    /// A piece; its id is its place.
    struct Piece {
        var text: ArraySlice<UInt8> = []
        var score: Float = 0
        var kind = Kind.normal
    }

    /// The pieces in the order of their ids.
    private(set) var pieces: [Piece] = []
    private(set) var method = Method.unigram
    /// Whether unknown characters become bytes.
    private(set) var fallsBackToBytes = false
    /// Whether a mark is put in front of text.
    private(set) var addsPrefix = true
    private(set) var removesExtraSpaces = true
    private(set) var escapesSpaces = true
    /// The map of characters; nil if there is none.
    private(set) var characters: CharacterMap?

    /// Reads the bytes of the file.
    init(_ bytes: [UInt8]) throws(TokenizerError) {
        var reader = ProtobufReader(bytes[...])
        while let field = try reader.next() {
            switch field.number {
            case 1: pieces.append(try Self.piece(try field.value.bytes("a piece")))
            case 2: try readTrainer(try field.value.bytes("the trainer's settings"))
            case 3: try readNormalizer(try field.value.bytes("the normalizer's settings"))
            case 5: try Self.checkDenormalizer(try field.value.bytes("the denormalizer's settings"))
            default: break
            }
        }
        guard !pieces.isEmpty else { throw TokenizerError("the file has no pieces") }
        guard pieces.count(where: { $0.kind == .unknown }) == 1 else {
            throw TokenizerError("the file does not have exactly one piece for the unknown")
        }
    }

    private static func piece(_ message: ArraySlice<UInt8>) throws(TokenizerError) -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            switch field.number {
            case 1: piece.text = try field.value.bytes("a piece's text")
            case 2: piece.score = try field.value.float("a piece's score")
            case 3:
                guard let kind = Kind(rawValue: try field.value.number("a piece's type")) else {
                    throw TokenizerError("a piece has an unknown type")
                }
                piece.kind = kind
            default: break
            }
        }
        guard !piece.text.isEmpty, (try? UTF8Span(validating: piece.text.span)) != nil else {
            throw TokenizerError("a piece is empty or not UTF-8")
        }
        guard piece.score.isFinite else { throw TokenizerError("a piece has no finite score") }
        return piece
    }

    private mutating func readTrainer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            switch field.number {
            case 3:
                guard let method = Method(rawValue: try field.value.number("model_type")) else {
                    throw TokenizerError("the model_type is unknown")
                }
                self.method = method
            case 24:
                guard try !field.value.flag("treat_whitespace_as_suffix") else {
                    throw TokenizerError("treat_whitespace_as_suffix is set, which is not supported")
                }
            case 35: fallsBackToBytes = try field.value.flag("byte_fallback")
            default: break
            }
        }
    }

    private mutating func readNormalizer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            switch field.number {
            case 2:
                let blob = try field.value.bytes("precompiled_charsmap")
                guard !blob.isEmpty else { continue }
                guard let map = CharacterMap(blob) else {
                    throw TokenizerError("precompiled_charsmap is malformed")
                }
                characters = map
            case 3: addsPrefix = try field.value.flag("add_dummy_prefix")
            case 4: removesExtraSpaces = try field.value.flag("remove_extra_whitespaces")
            case 5: escapesSpaces = try field.value.flag("escape_whitespaces")
            default: break
            }
        }
    }

    private static func checkDenormalizer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            guard field.number == 2 else { continue }
            guard try field.value.bytes("the denormalizer's map").isEmpty else {
                throw TokenizerError("the file has a denormalizer, which is not supported")
            }
        }
    }
}
