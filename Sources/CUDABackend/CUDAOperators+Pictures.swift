import Tensors

extension CUDAOperators: PictureOperators {
    func resizeAcross(_ source: Tensor, top: Int, first: Tensor, weights: Tensor, out: Tensor) {
        let (rows, columns) = (out.shape[0], out.shape[1])
        precondition(top >= 0 && top + rows <= source.shape[0], "the lines are the source's")
        precondition(
            weights.shape[1] == columns && weights.shape[0].isMultiple(of: 4), "weights are [taps, W]")
        // Four lines a block share a load of the weights.
        stream.launch(
            vision.resizeRows, grid: ((columns + 63) / 64, min((rows + 3) / 4, 65_535), 1), block: 64,
            [
                .init(source), .init(out), .init(first), .init(weights), .init(weights.shape[0]),
                .init(source.shape[1]), .init(source.shape[0]), .init(top), .init(rows), .init(columns),
            ])
    }

    func resizeDown(_ source: Tensor, first: Tensor, weights: Tensor, out: Tensor) {
        let (rows, columns) = (out.shape[0], out.shape[1])
        precondition(source.shape[1] == columns && weights.shape[1] == rows, "weights are [taps, H]")
        let threads = columns.isMultiple(of: 4) ? columns * 3 / 4 : columns * 3
        stream.launch(
            vision.resizeColumns, grid: ((threads + 127) / 128, min(rows, 65_535), 1), block: 128,
            [
                .init(source), .init(out), .init(first), .init(weights), .init(weights.shape[0]),
                .init(columns), .init(source.shape[0]), .init(rows),
            ])
    }

    func cutSquares(_ images: Tensor, squares: Tensor, out: Tensor) {
        let (count, side) = (out.shape[0], out.shape[1])
        precondition(squares.shape[0] == count && squares.shape[1] == 5, "squares is [n, 5]")
        stream.launch(
            vision.cutSquares, grid: (count, max(1, min(32, side * side * 3 / 4096)), 1), block: 256,
            [.init(images), .init(squares), .init(out), .init(count), .init(side)])
    }
}
