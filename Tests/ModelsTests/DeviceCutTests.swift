import CPUBackend
import Images
import Models
import Tensors
import TestRandom
import Testing

/// Pictures that a device cuts, with the operators' formulas in place of a device's.
struct DeviceCutTests {
    @Test func `a device cuts the squares that the host would`() throws {
        var random = SeededRandom(seed: 4)
        let device = CPUDevice(threadCount: 1), workspace = try Workspace(device: device, byteCount: 0)
        for (width, height) in [(1, 1), (33, 21), (24, 16), (24, 50), (1, 90), (90, 7), (200, 13), (13, 200)]
        {
            let pixels = Pixels(
                width: width, height: height,
                bytes: (0..<(width * height * 3)).map { _ in UInt8(random.below(256)) })
            let tiling = TilingPlan(
                width: width, height: height, options: TilingOptions(tileSize: 8, maxTiles: 6))
            let patches = PatchPlan(
                width: width, height: height,
                options: PatchOptions(patchSize: 3, minPixels: 200, maxPixels: 900, window: 2))
            let view = ViewOptions(
                viewSize: 10, patchSize: 3, tokensPerView: 9, fit: .cropped(shorterSide: 12), filter: .lanczos
            )
            var tiled = view
            tiled.resolutions = AnyResolution(sizes: [.init(rows: 2, columns: 2), .init(rows: 1, columns: 3)])
            let plans: [any PicturePlan] = [
                tiling, patches, ViewPlan(width: width, height: height, options: view),
                ViewPlan(width: width, height: height, options: tiled),
                SplitPlan(
                    width: width, height: height,
                    options: SplitOptions(tileSize: 10, patchSize: 3, mergeSize: 1, longerSide: 25)),
            ]
            for plan in plans {
                let picture = DecodedPicture(pixels, plan.cut), expected = picture.tiles
                let cut = try #require(DeviceCut(picture))
                // All, and some from the middle.
                for range in [0..<expected.tileCount, (expected.tileCount / 2)..<expected.tileCount] {
                    let shape: Shape = [range.count, expected.tileSize, expected.tileSize, 3]
                    let out = try device.makeTensor(shape, .u8)
                    workspace.reset()
                    try cut.run(
                        range, on: device, with: FormulaPictures(device: device), workspace: workspace,
                        out: out)
                    let bytes = expected.tileSize * expected.tileSize * 3
                    let found = try device.readBytes([out])
                    #expect(
                        found
                            == Array(expected.bytes[(range.lowerBound * bytes)..<(range.upperBound * bytes)]),
                        "\(width)×\(height), \(plan)")
                }
            }
        }
    }

    @Test func `a picture that takes too much memory is left to the host`() {
        let pixels = Pixels(width: 6000, height: 4000, bytes: [UInt8](repeating: 9, count: 72_000_000))
        let plan = TilingPlan(width: 6000, height: 4000, options: TilingOptions())
        #expect(DeviceCut(DecodedPicture(pixels, plan.cut)) == nil)
    }
}

/// The formulas of `PictureOperators`, literally.
private struct FormulaPictures: PictureOperators {
    let device: CPUDevice

    private func bytes(_ tensor: Tensor) -> [UInt8] { (try? device.readBytes([tensor])) ?? [] }
    private func integers(_ tensor: Tensor) -> [Int] {
        ((try? device.readIntegers(tensor)) ?? []).map { Int($0) }
    }

    /// The output byte of a weighted sum over the taps of output `index`.
    private func sum(_ weights: [Int], _ index: Int, of count: Int, _ sample: (Int) -> Int) -> UInt8 {
        let taps = weights.count / count
        let sum = (0..<taps).reduce(1 << 21) {
            let weight = weights[$1 * count + index]
            return weight == 0 ? $0 : $0 + weight * sample($1)
        }
        return UInt8(max(0, min(255, sum >> 22)))
    }

    func resizeAcross(_ source: Tensor, top: Int, first: Tensor, weights: Tensor, out: Tensor) {
        let from = bytes(source), starts = integers(first), table = integers(weights)
        let width = source.shape[1], columns = out.shape[1]
        var result: [UInt8] = []
        for y in 0..<out.shape[0] {
            for x in 0..<columns {
                for c in 0..<3 {
                    result.append(
                        sum(table, x, of: columns) { Int(from[((top + y) * width + starts[x] + $0) * 3 + c]) }
                    )
                }
            }
        }
        device.write(result, to: out)
    }

    func resizeDown(_ source: Tensor, first: Tensor, weights: Tensor, out: Tensor) {
        let from = bytes(source), starts = integers(first), table = integers(weights)
        let stride = source.shape[1] * 3, rows = out.shape[0]
        var result: [UInt8] = []
        for y in 0..<rows {
            for x in 0..<stride {
                result.append(sum(table, y, of: rows) { Int(from[(starts[y] + $0) * stride + x]) })
            }
        }
        device.write(result, to: out)
    }

    func cutSquares(_ images: Tensor, squares: Tensor, out: Tensor) {
        let from = bytes(images), table = integers(squares), side = out.shape[1]
        var result: [UInt8] = []
        for n in 0..<out.shape[0] {
            let (start, width, height) = (table[5 * n], table[5 * n + 1], table[5 * n + 2])
            for y in table[5 * n + 4]..<(table[5 * n + 4] + side) {
                for x in table[5 * n + 3]..<(table[5 * n + 3] + side) {
                    let isInside = (0..<width).contains(x) && (0..<height).contains(y)
                    for c in 0..<3 { result.append(isInside ? from[start + (y * width + x) * 3 + c] : 0) }
                }
            }
        }
        device.write(result, to: out)
    }
}
