import JSON

/// The table at the beginning of a safetensors file: which tensor lies where.
///
/// Format: https://github.com/huggingface/safetensors#format
struct SafetensorsHeader: Sendable {
    /// One tensor's place.
    struct Entry: Sendable {
        /// The type as the file names it.
        let type: String
        /// Extents, outermost first, none negative.
        let extents: [Int]
        /// Where its bytes are in the file.
        let range: Range<Int>
    }

    /// The tensors by name.
    let entries: [String: Entry]

    private static let largest = 100_000_000
    /// Bits of an element, by the names of the format.
    private static let bitCounts: [String: Int] = [
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
        "F6_E3M2": 6,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64,
        "U64": 64,
        "C64": 64,
    ]

    /// Reads and checks the table of `file`; its tensors must fill the rest of the file without gap or overlap.
    init(_ file: UnsafeRawBufferPointer, name: String) throws(CheckpointError) {
        guard file.count >= 8 else { throw .malformed(file: name, problem: "too short for a header") }
        let declared = UInt64(littleEndian: unsafe file.loadUnaligned(as: UInt64.self))
        guard let length = Int(exactly: declared), length <= Self.largest, length <= file.count - 8 else {
            throw .malformed(
                file: name,
                problem: "the header is said to be \(declared) bytes long, the file has \(file.count)")
        }
        let text = unsafe [UInt8](file[8..<(8 + length)])
        guard text.first == UInt8(ascii: "{") else {
            throw .malformed(file: name, problem: "no safetensors header")
        }
        let table = try ConfigSection.parse(text, file: name)
        var entries: [String: Entry] = [:]
        for (tensor, value) in table.settings.members where tensor != "__metadata__" {
            guard let settings = value.object else {
                throw .badTensor(file: name, tensor: tensor, problem: "its entry is no object")
            }
            entries[tensor] = try Self.entry(
                settings, tensor: tensor, file: name, dataStart: 8 + length,
                dataCount: file.count - 8 - length)
        }
        try Self.checkCoverage(entries, from: 8 + length, to: file.count, file: name)
        self.entries = entries
    }

    private static func entry(
        _ settings: JSONObject, tensor: String, file: String, dataStart: Int, dataCount: Int,
    ) throws(CheckpointError) -> Entry {
        func refusal(_ problem: String) -> CheckpointError {
            .badTensor(file: file, tensor: tensor, problem: problem)
        }
        guard let type = settings["dtype"]?.string, let bitCount = bitCounts[type] else {
            throw refusal("its type \(settings["dtype"]?.summary ?? "is missing and") is unknown")
        }
        guard let extents = wholeNumbers(settings["shape"]) else {
            throw refusal("its shape is no list of whole numbers")
        }
        guard let offsets = wholeNumbers(settings["data_offsets"]), offsets.count == 2 else {
            throw refusal("its data_offsets are no pair of whole numbers")
        }
        let (begin, end) = (offsets[0], offsets[1])
        guard begin <= end else { throw refusal("it ends at byte \(end), before its beginning \(begin)") }
        guard end <= dataCount else { throw refusal("it ends at byte \(end) of \(dataCount)") }
        var bits = bitCount
        for extent in extents {
            let (product, overflow) = bits.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw refusal("its shape \(extents) is too large") }
            bits = product
        }
        guard bits.isMultiple(of: 8), bits / 8 == end - begin else {
            throw refusal("its shape \(extents) of \(type) does not take the \(end - begin) bytes it has")
        }
        return Entry(type: type, extents: extents, range: (dataStart + begin)..<(dataStart + end))
    }

    private static func wholeNumbers(_ value: JSONValue?) -> [Int]? {
        guard let elements = value?.array else { return nil }
        var numbers: [Int] = []
        for element in elements {
            guard case .int(let number) = element, number >= 0 else { return nil }
            numbers.append(number)
        }
        return numbers
    }

    private static func checkCoverage(
        _ entries: [String: Entry], from start: Int, to end: Int, file: String,
    ) throws(CheckpointError) {
        var next = start
        let inOrder = entries.sorted {
            ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
                < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
        }
        for (tensor, entry) in inOrder {
            guard entry.range.lowerBound == next else {
                let problem =
                    entry.range.lowerBound < next ? "it overlaps another tensor" : "there is a hole before it"
                throw .badTensor(file: file, tensor: tensor, problem: problem)
            }
            next = entry.range.upperBound
        }
        guard next == end else {
            throw .malformed(file: file, problem: "its tensors end at byte \(next), the file at \(end)")
        }
    }
}
