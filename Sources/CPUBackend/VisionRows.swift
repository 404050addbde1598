import CKernels
import Tensors

extension CPUOperators {
    // out[n·P + p, (c·s + y)·s + x] = (tiles[n, py·s + y, px·s + x, c] / 255 − mean[c]) / deviation[c]
    func patchRows(tiles: Tensor, patchSize: Int, mean: [Float], deviation: [Float], out: Tensor) {
        precondition(tiles.elementType == .u8 && tiles.shape.rank == 4, "tiles is u8 [n, size, size, 3]")
        let count = tiles.shape[0], size = tiles.shape[1]
        precondition(tiles.shape[2] == size && tiles.shape[3] == 3, "tiles is u8 [n, size, size, 3]")
        precondition(patchSize > 0 && size.isMultiple(of: patchSize), "whole patches")
        precondition(mean.count == 3 && deviation.count == 3, "a mean and a deviation for each channel")
        precondition(out.elementCount == tiles.elementCount, "out is [n · P, 3 · patchSize²]")
        // A byte has 256 values, so all results of a channel fit a table: [3, 256].
        let table = (0..<3).flatMap { channel in
            (0..<256).map { (Float($0) / 255 - mean[channel]) / deviation[channel] }
        }
        unsafe table.withUnsafeBufferPointer { table in
            // Safe: sizes are checked above; table and tensors outlive the call.
            var call = unsafe vireo_patch_call()
            unsafe call.tiles = UnsafePointer(tiles.bytes.assumingMemoryBound(to: UInt8.self))
            unsafe call.count = count
            unsafe call.size = size
            unsafe call.patch = patchSize
            unsafe call.table = table.baseAddress
            unsafe call.out = out.floats
            unsafe vireo_patch_rows(pool.handle, &call)
        }
    }

    // out[n, 0] = classToken + positions[0]; out[n, 1 + p] = patches[n·P + p] + positions[1 + p]
    func addPositions(patches: Tensor, classToken: Tensor, positions: Tensor, out: Tensor) {
        let columnCount = classToken.elementCount,
            patchCount = positions.elementCount / max(1, columnCount) - 1
        precondition(patchCount > 0 && positions.shape.columnCount == columnCount, "positions is [1 + P, C]")
        let count = patches.elementCount / (patchCount * columnCount)
        precondition(patches.elementCount == count * patchCount * columnCount, "patches is [n · P, C]")
        precondition(out.elementCount == count * (1 + patchCount) * columnCount, "out is [n, 1 + P, C]")
        // Safe: sizes are checked above; the caller's tensors outlive the call.
        unsafe vireo_add_positions(
            pool.handle, patches.floats, classToken.floats, positions.floats, count, patchCount, columnCount,
            out.floats)
    }

    // out[n, (i, j)] = x[n, 1 + ·] of the cells (2i, 2j), (2i, 2j+1), (2i+1, 2j), (2i+1, 2j+1), one after another
    func pixelShuffle(_ x: Tensor, side: Int, out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(side > 0 && side.isMultiple(of: 2), "an even side")
        let count = x.shape.rowCount / (1 + side * side)
        precondition(x.shape.rowCount == count * (1 + side * side), "x is [n, 1 + side², C]")
        precondition(out.elementCount == count * side * side * columnCount, "out is [n · (side/2)², 4 · C]")
        // Safe: sizes are checked above; the caller's tensors outlive the call.
        unsafe vireo_pixel_shuffle(pool.handle, x.floats, count, side, columnCount, out.floats)
    }
}
