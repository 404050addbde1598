/// Which inputs make up each output pixel along an axis, and how much each counts.
package struct ResizeTaps: Sendable, Hashable {
    /// The most inputs of a pixel, rounded up to a multiple of four.
    package let tapCount: Int
    /// For each output pixel its first input.
    package let first: [Int32]
    /// Of 22 fractional bits, [tapCount, output pixels]; zeros past a pixel's last input.
    package let weights: [Int32]
    /// One past the last input of any.
    package let end: Int
}

/// One of the at most two steps of resizing, see `resize`.
package enum ResizePass: Sendable, Hashable {
    /// The lines of `rows` become as wide as there are taps.
    case across(ResizeTaps, rows: Range<Int>)
    /// The picture becomes as high as there are taps.
    case down(ResizeTaps)

    /// What makes up its output.
    package var taps: ResizeTaps {
        switch self {
        case .across(let taps, _), .down(let taps): taps
        }
    }

    /// The passes that bring a picture of `width` × `height` pixels to `size`; none where it has that size.
    ///
    /// As Pillow 13 has them: across first, of the lines that count, unless the height shrinks by more than twice what the
    /// width does.
    package static func passes(
        width: Int, height: Int, to size: PictureCut.Size, filter: ResizeFilter,
    ) -> [ResizePass] {
        let across =
            width == size.width ? nil : NativeImageCode.taps(from: width, to: size.width, filter: filter)
        let down =
            height == size.height ? nil : NativeImageCode.taps(from: height, to: size.height, filter: filter)
        guard let across else { return down.map { [.down($0)] } ?? [] }
        guard let down else { return [.across(across, rows: 0..<height)] }
        let lost = (rows: height - size.height, columns: width - size.width)
        if lost.rows > 0, lost.rows > 2 * lost.columns {
            return [.down(down), .across(across, rows: 0..<size.height)]
        }
        let top = Int(down.first[0])
        return [
            .across(across, rows: top..<down.end),
            .down(
                ResizeTaps(
                    tapCount: down.tapCount, first: down.first.map { $0 - down.first[0] },
                    weights: down.weights, end: down.end - top)),
        ]
    }
}
