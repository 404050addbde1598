import Images
import Models
import Tensors

extension CheckedPair {
    /// Resizes and cuts pictures on the device, where it does that: every byte must be the host's.
    func checkPictures() throws(DeviceError) {
        guard let operators = device.pictureOperators else { return }
        let workspace = try Workspace(device: device, byteCount: 0)
        let views = AnyResolution(sizes: [.init(rows: 1, columns: 2), .init(rows: 2, columns: 1)])
        let sizes = [(1, 1), (1344, 896), (640, 480), (56, 56), (1, 300), (300, 2), (37, 1500), (211, 97)]
        for (width, height) in sizes {
            let pixels = Pixels(
                width: width, height: height,
                bytes: (0..<(width * height * 3)).map { _ in UInt8(below(256)) })
            let plans: [(String, any PicturePlan)] = [
                ("tiles", TilingPlan(width: width, height: height, options: TilingOptions(tileSize: 112))),
                (
                    "patches",
                    PatchPlan(
                        width: width, height: height, options: PatchOptions(maxPixels: 90_000, window: 4))
                ),
                (
                    "views",
                    ViewPlan(
                        width: width, height: height,
                        options: ViewOptions(
                            viewSize: 84, patchSize: 14, tokensPerView: 36, fit: .stretched, filter: .lanczos,
                            resolutions: views))
                ),
            ]
            for (name, plan) in plans {
                let picture = DecodedPicture(pixels, plan.cut), expected = picture.tiles
                guard let cut = DeviceCut(picture) else {
                    expect("pictures", "\(name) of \(width)×\(height): too large", false)
                    continue
                }
                let count = expected.tileCount, side = expected.tileSize
                let shape: Shape = [count, side, side, 3]
                let out = try device.makeTensor(shape, .u8)
                device.write([UInt8](repeating: 0xaa, count: shape.elementCount), to: out)
                workspace.reset()
                try cut.run(0..<count, on: device, with: operators, workspace: workspace, out: out)
                let found = try device.readBytes([out])
                let differing = zip(found, expected.bytes).count { $0 != $1 }
                expect(
                    "pictures", "\(name) of \(width)×\(height): \(differing) bytes differ", differing == 0)
            }
        }
    }
}
