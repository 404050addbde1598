import Tensors

/// What tells a checkpoint from another without reading all of it.
extension Checkpoint {
    /// Bytes that are read at each place of a tensor.
    private static let sampleBytes = 64

    /// Names, types, shapes and lengths of all tensors, and a few bytes from the beginning, the middle and the end of each.
    ///
    /// Where the folder lies and how the tensors are spread over files does not matter.
    package var sample: [UInt8] {
        var sample: [UInt8] = []
        for name in tensorNames {
            guard let (entry, read) = place(of: name) else { continue }
            let count = entry.range.count
            sample += Array("\(name.utf8.count) \(name) \(entry.type) \(entry.extents) \(count)\n".utf8)
            let length = min(Self.sampleBytes, count)
            for start in [0, (count - length) / 2, count - length] {
                sample += read(start..<(start + length))
            }
        }
        return sample
    }
}
