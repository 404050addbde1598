import Tensors

/// The kernels of vision.cu.
struct VisionKernels: Sendable {
    let patchRows, addPositions, pixelShuffle: CUDAKernel
    let resizeRows, resizeColumns, cutSquares: CUDAKernel

    init(_ compiler: KernelCompiler) throws(DeviceError) {
        let module = KernelModule(source: "vision")
        patchRows = try compiler.kernel("patch_rows", module)
        addPositions = try compiler.kernel("add_positions", module)
        pixelShuffle = try compiler.kernel("pixel_shuffle", module)
        resizeRows = try compiler.kernel("resize_rows", module)
        resizeColumns = try compiler.kernel("resize_columns", module)
        cutSquares = try compiler.kernel("cut_squares", module)
    }
}

extension CUDAOperators {
    // out[n·P + p, (c·s + y)·s + x] = (tiles[n, py·s + y, px·s + x, c] / 255 − mean[c]) / deviation[c]
    func patchRows(tiles: Tensor, patchSize: Int, mean: [Float], deviation: [Float], out: Tensor) {
        let (tileCount, size) = (tiles.shape[0], tiles.shape[1])
        precondition(mean.count == 3 && deviation.count == 3, "three channels")
        let patches = (size / patchSize) * (size / patchSize)
        precondition(
            out.elementCount == tileCount * patches * 3 * patchSize * patchSize, "out is [n·P, 3·s²]")
        stream.launch(
            vision.patchRows, grid: (tileCount * (size / patchSize), 1, 1), block: 1024,
            [.init(tiles), .init(out), .init(tileCount), .init(size), .init(patchSize)]
                + (mean + deviation).map { KernelSlot($0) })
    }

    // out[n, 0] = classToken + positions[0]; out[n, 1 + p] = patches[n·P + p] + positions[1 + p]
    func addPositions(patches: Tensor, classToken: Tensor, positions: Tensor, out: Tensor) {
        let (tileCount, length, columnCount) = (out.shape[0], out.shape[1], out.shape[2])
        precondition(patches.elementCount == tileCount * (length - 1) * columnCount, "patches is [n·P, C]")
        precondition(positions.elementCount == length * columnCount, "positions is [1 + P, C]")
        stream.launch(
            vision.addPositions, grid: (tileCount * length, 1, 1), block: 256,
            [
                .init(patches), .init(classToken), .init(positions), .init(out), .init(tileCount),
                .init(length - 1), .init(columnCount),
            ])
    }

    // row (i, j) of out: the channels of cells (2i, 2j), (2i, 2j + 1), (2i + 1, 2j), (2i + 1, 2j + 1)
    func pixelShuffle(_ x: Tensor, side: Int, out: Tensor) {
        let (tileCount, columnCount) = (x.shape[0], x.shape[2])
        precondition(x.shape[1] == 1 + side * side && side.isMultiple(of: 2), "x is [n, 1 + side², C]")
        precondition(out.elementCount == tileCount * side * side * columnCount, "out is [n·(side/2)², 4·C]")
        stream.launch(
            vision.pixelShuffle, grid: (tileCount * (side / 2) * (side / 2) * 2, 1, 1), block: 256,
            [.init(x), .init(out), .init(tileCount), .init(side), .init(columnCount)])
    }
}
