package import Images
package import Tensors

/// A picture that a device resizes and cuts, with the tables it needs for that.
package struct DeviceCut: Sendable {
    package let picture: DecodedPicture
    /// For each of the cut's sizes the way there.
    private let passes: [[ResizePass]]
    /// Their tables, in the order of the passes: where pixels begin, then the weights.
    private let resizing: [Int32]
    /// Where the pixels of each size begin in one piece of memory; the picture itself is at its beginning.
    private let starts: [Int]
    /// Bytes of that memory, and of what is between two passes.
    private let imageBytes: Int
    private let betweenBytes: Int

    /// The most bytes of memory that a picture may take beside its tiles.
    package static let mostBytes = 64 << 20

    /// Nil for a picture that takes more memory than that: the host cuts it.
    package init?(_ picture: DecodedPicture) {
        self.picture = picture
        let (pixels, cut) = (picture.pixels, picture.cut)
        var next = Self.padded(pixels.bytes.count), between = 0
        var starts: [Int] = []
        for size in cut.sizes {
            starts.append(next)
            next += Self.padded(size.width * size.height * 3)
            // As much as the larger order of passes takes.
            between = max(between, pixels.width * size.height * 3, size.width * pixels.height * 3)
        }
        guard next + between <= Self.mostBytes else { return nil }
        self.starts = starts
        imageBytes = next
        betweenBytes = between
        passes = cut.sizes.map {
            ResizePass.passes(width: pixels.width, height: pixels.height, to: $0, filter: cut.filter)
        }
        resizing = passes.flatMap { $0.flatMap { $0.taps.first + $0.taps.weights } }
    }

    /// Cuts `range` of the picture's squares into `out`, u8 [n, side, side, 3].
    package func run(
        _ range: Range<Int>, on device: any Device, with operators: any PictureOperators,
        workspace: Workspace, out: Tensor,
    ) throws(DeviceError) {
        let mark = workspace.mark
        defer { workspace.rewind(to: mark) }
        let (pixels, cut) = (picture.pixels, picture.cut)
        let images = try workspace.take([imageBytes], .u8)
        let between = try workspace.take([max(1, betweenBytes)], .u8)
        let values = resizing + squares(range)
        let numbers = try workspace.take([values.count], .i32)
        device.write(values, to: numbers)
        device.write(pixels.bytes[...], to: images)
        var table = 0
        /// The next table.
        func next(_ rows: Int, _ columns: Int) -> Tensor {
            defer { table += rows * columns }
            return numbers[table..<(table + rows * columns)].reshaped([rows, columns])
        }
        for index in cut.sizes.indices {
            var source = Self.image(images, at: 0, pixels.width, pixels.height)
            for (step, pass) in passes[index].enumerated() {
                let isLast = step == passes[index].count - 1
                let memory = isLast ? images : between, start = isLast ? starts[index] : 0
                let taps = pass.taps, count = taps.first.count
                let first = next(1, count), weights = next(taps.tapCount, count)
                let target: Tensor
                switch pass {
                case .across(_, let rows):
                    target = Self.image(memory, at: start, count, rows.count)
                    operators.resizeAcross(
                        source, top: rows.lowerBound, first: first, weights: weights, out: target)
                case .down:
                    target = Self.image(memory, at: start, source.shape[1], count)
                    operators.resizeDown(source, first: first, weights: weights, out: target)
                }
                source = target
            }
        }
        operators.cutSquares(images, squares: next(range.count, 5), out: out)
    }

    /// The squares as the device wants them.
    private func squares(_ range: Range<Int>) -> [Int32] {
        picture.cut.squares[range].flatMap { square in
            let size = picture.cut.sizes[square.size]
            // Safe: below the most bytes; a square begins within a few sides of its picture.
            return [
                passes[square.size].isEmpty ? 0 : starts[square.size], size.width, size.height, square.left,
                square.top,
            ].map { Int32($0) }
        }
    }

    private static func image(_ memory: Tensor, at start: Int, _ width: Int, _ height: Int) -> Tensor {
        memory[start..<(start + width * height * 3)].reshaped([height, width, 3])
    }

    private static func padded(_ count: Int) -> Int { (count + 63) / 64 * 64 }
}
