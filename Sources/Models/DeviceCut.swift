package import Images
package import Tensors

/// A picture that a device resizes and cuts, with the tables it needs for that.
package struct DeviceCut: Sendable {
    package let picture: DecodedPicture
    /// For each of the cut's sizes the way there.
    private let passes: [[ResizePass]]
    /// Their tables, in the order of the passes: where pixels begin, then the weights.
    private let resizing: [Int32]
    /// Where the pixels of each size lie in one piece of memory; the picture itself is at its beginning.
    private let places: [Place]
    /// Bytes of that memory, and of what is between two passes.
    private let imageBytes: Int
    private let betweenBytes: Int

    /// Pixels in that memory.
    private struct Place {
        let width: Int
        let height: Int
        let start: Int

        /// [height, width, 3].
        func tensor(_ memory: Tensor) -> Tensor {
            memory[start..<(start + width * height * 3)].reshaped([height, width, 3])
        }
    }

    /// The most bytes of memory that a picture may take beside its tiles.
    package static let mostBytes = 64 << 20

    /// Nil for a picture that takes more memory than that: the host cuts it.
    package init?(_ picture: DecodedPicture) {
        self.picture = picture
        let (pixels, cut) = (picture.pixels, picture.cut)
        let whole = Place(width: pixels.width, height: pixels.height, start: 0)
        var next = Self.padded(pixels.bytes.count), between = 0
        var places: [Place] = []
        for size in cut.sizes {
            let source = size.source.map { places[$0] } ?? whole
            let isSame = source.width == size.width && source.height == size.height
            places.append(
                Place(width: size.width, height: size.height, start: isSame ? source.start : next))
            if !isSame { next += Self.padded(size.width * size.height * 3) }
            // As much as the larger order of passes takes.
            between = max(between, source.width * size.height * 3, size.width * source.height * 3)
        }
        guard next + between <= Self.mostBytes else { return nil }
        self.places = places
        imageBytes = next
        betweenBytes = between
        passes = cut.sizes.map { size in
            let source = size.source.map { places[$0] } ?? whole
            return ResizePass.passes(width: source.width, height: source.height, to: size, filter: cut.filter)
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
        let whole = Place(width: pixels.width, height: pixels.height, start: 0)
        for (index, size) in cut.sizes.enumerated() {
            var source = (size.source.map { places[$0] } ?? whole).tensor(images)
            for (step, pass) in passes[index].enumerated() {
                let isLast = step == passes[index].count - 1
                let memory = isLast ? images : between, start = isLast ? places[index].start : 0
                let taps = pass.taps, count = taps.first.count
                let first = next(1, count), weights = next(taps.tapCount, count)
                let target: Tensor
                switch pass {
                case .across(_, let rows):
                    target = Place(width: count, height: rows.count, start: start).tensor(memory)
                    operators.resizeAcross(
                        source, top: rows.lowerBound, first: first, weights: weights, out: target)
                case .down:
                    target = Place(width: source.shape[1], height: count, start: start).tensor(memory)
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
            let place = places[square.size]
            // Safe: below the most bytes; a square begins within a few sides of its picture.
            return [place.start, place.width, place.height, square.left, square.top].map { Int32($0) }
        }
    }

    private static func padded(_ count: Int) -> Int { (count + 63) / 64 * 64 }
}
