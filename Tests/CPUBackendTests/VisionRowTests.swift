import CPUBackend
import Tensors
import Testing

@Suite struct VisionRowTests {
    @Test func `patch rows follow the order of a convolution's weights`() throws {
        let device = CPUDevice(threadCount: 2)
        var numbers = Numbers(10)
        let (count, size, patch) = (3, 12, 4)
        let pixels = (0..<(count * size * size * 3)).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let tiles = try device.makeTensor([count, size, size, 3], .u8)
        device.write(pixels, to: tiles)
        let mean: [Float] = [0.48, 0.45, 0.4], deviation: [Float] = [0.22, 0.23, 0.27]
        let grid = size / patch, out = try device.makeTensor([count * grid * grid, 3 * patch * patch], .f32)
        device.operators.patchRows(tiles: tiles, patchSize: patch, mean: mean, deviation: deviation, out: out)
        var expected: [Float] = []
        for n in 0..<count {
            for p in 0..<(grid * grid) {
                for c in 0..<3 {
                    for y in 0..<patch {
                        for x in 0..<patch {
                            let row = p / grid * patch + y, column = p % grid * patch + x
                            let pixel = pixels[((n * size + row) * size + column) * 3 + c]
                            expected.append((Float(pixel) / 255 - mean[c]) / deviation[c])
                        }
                    }
                }
            }
        }
        #expect(device.readFloats(out) == expected)
    }

    @Test(arguments: levels)
    func `positions are added behind each tile's class token`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(11)
        let (count, patches, width) = (3, 9, 21)
        let x = numbers.floats(count * patches * width), token = numbers.floats(width)
        let positions = numbers.floats((1 + patches) * width)
        let out = try device.makeTensor([count, 1 + patches, width], .f32)
        device.operators.addPositions(
            patches: try device.tensor(x, [count * patches, width]),
            classToken: try device.tensor(token, [width]),
            positions: try device.tensor(positions, [1 + patches, width]), out: out)
        let expected = (0..<(count * (1 + patches) * width)).map { index -> Float in
            let c = index % width, place = index / width % (1 + patches), n = index / width / (1 + patches)
            return (place == 0 ? token[c] : x[(n * patches + place - 1) * width + c])
                + positions[place * width + c]
        }
        #expect(device.readFloats(out) == expected)
    }

    @Test func `the pixel shuffle joins two by two neighbours row by row`() throws {
        let device = CPUDevice(threadCount: 2)
        let (count, side, width) = (2, 6, 5)
        let x = (0..<(count * (1 + side * side) * width)).map(Float.init)
        let out = try device.makeTensor([count * side * side / 4, 4 * width], .f32)
        device.operators.pixelShuffle(
            try device.tensor(x, [count, 1 + side * side, width]), side: side, out: out)
        var expected: [Float] = []
        for n in 0..<count {
            for i in 0..<(side / 2) {
                for j in 0..<(side / 2) {
                    for (row, column) in [
                        (2 * i, 2 * j), (2 * i, 2 * j + 1), (2 * i + 1, 2 * j), (2 * i + 1, 2 * j + 1),
                    ] {
                        let start = (n * (1 + side * side) + 1 + row * side + column) * width
                        expected += x[start..<(start + width)]
                    }
                }
            }
        }
        #expect(device.readFloats(out) == expected)
    }
}
